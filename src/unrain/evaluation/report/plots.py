"""Plots as SVG, drawn from numbers: gains of sorted pictures, values along a clip, quality beside speed.

An SVG takes its colours from the page that it stands in, by class names; nothing here knows of HTML.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

# One size for all, that a page shows a little smaller on a telephone and a little larger on a desk.
_WIDTH, _HEIGHT = 400, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 10, 10, 26
_CHARACTER = 7.2
_LINE = 15
_MAX_DOTS = 150


class Point(NamedTuple):
    """One value of a plot; `name` is said when a pointer rests on it."""

    x: float
    y: float
    name: str


class Series(NamedTuple):
    """Points of one method; `colour` is the number of its colour on the page, 0 for the rainy input."""

    label: str
    colour: int
    points: Sequence[Point]


def gains(series: Sequence[Series], unit: str) -> str:
    """Curves of what each picture gained, every method's pictures sorted from the largest gain to the smallest.

    The points' x are ignored. With a line at zero, below which a picture became worse.
    """
    return _lines(_sorted(series), unit, ("largest", "smallest"), zero=True)


def sorted_values(series: Sequence[Series], unit: str) -> str:
    """The same of values that are no gains, and need no line at zero."""
    return _lines(_sorted(series), unit, ("largest", "smallest"), zero=False)


def along(series: Sequence[Series], unit: str) -> str:
    """Curves of values over the frames of a clip; the points' x are frame numbers."""
    last = max((point.x for each in series for point in each.points), default=0)
    scaled = [
        each._replace(points=[point._replace(x=point.x / max(1, last)) for point in each.points]) for each in series
    ]
    return _lines(scaled, unit, ("frame 1", f"{last + 1:.0f}"), zero=False)


def speed(series: Sequence[Series], unit: str) -> str:
    """One dot per method: its quality over the seconds per picture, on a logarithmic axis; up and left is better."""
    times = [math.log10(point.x) for each in series for point in each.points]
    # A third of a decade beside the outermost dots is room for their names.
    low, high = min(times) - 0.3, max(times) + 0.3
    frame = _Frame.around(series, zero=False)
    parts = [frame.grid(unit)]
    for step in _time_ticks(low, high):
        x = frame.x((math.log10(step) - low) / (high - low))
        parts.append(_text(x, _HEIGHT - _BOTTOM + 18, f"{step:g} s", "middle"))
    spots = [
        (frame.x((math.log10(p.x) - low) / (high - low)), frame.y(p.y), each, p) for each in series for p in each.points
    ]
    heights = _apart([y for _, y, _, _ in spots])
    for (x, y, each, point), height in zip(spots, heights, strict=True):
        parts.append(_dot(x, y, each.colour, f"{point.name}: {point.y:.2f} {unit}", 5))
        fits = x + 9 + len(each.label) * _CHARACTER < _WIDTH
        parts.append(_text(x + 9 if fits else x - 9, height + 4, each.label, "start" if fits else "end"))
    return _svg(parts, f"quality and speed of {', '.join(each.label for each in series)}")


def _sorted(series: Sequence[Series]) -> list[Series]:
    """The points of each series in falling order, spread over the width."""
    ordered = []
    for each in series:
        points = sorted(each.points, key=lambda point: -point.y)
        last = max(1, len(points) - 1)
        ordered.append(each._replace(points=[point._replace(x=place / last) for place, point in enumerate(points)]))
    return ordered


def _lines(series: Sequence[Series], unit: str, ends: tuple[str, str], *, zero: bool) -> str:
    frame = _Frame.around(series, zero=zero)
    parts = [frame.grid(unit)]
    for text, share, anchor in ((ends[0], 0, "start"), (ends[1], 1, "end")):
        parts.append(_text(frame.x(share), _HEIGHT - _BOTTOM + 18, text, anchor))
    for each in series:
        line = " ".join(f"{frame.x(point.x):.1f},{frame.y(point.y):.1f}" for point in each.points)
        parts.append(f'<polyline class="line m{each.colour}" points="{line}"/>')
        if len(each.points) <= _MAX_DOTS:
            parts += [
                _dot(frame.x(point.x), frame.y(point.y), each.colour, f"{point.name}: {point.y:.2f} {unit}", 2.5)
                for point in each.points
            ]
    return _svg(parts, f"{unit} of {', '.join(each.label for each in series)}")


class _Frame(NamedTuple):
    """The values that the bottom, the top and the lines between them stand for."""

    low: float
    high: float
    step: float

    @classmethod
    def around(cls, series: Sequence[Series], *, zero: bool) -> _Frame:
        values = [point.y for each in series for point in each.points if math.isfinite(point.y)]
        low, high = min(values, default=0.0), max(values, default=1.0)
        if zero:
            low, high = min(low, 0.0), max(high, 0.0)
        step = _nice((high - low) / 4 or 1.0)
        low, high = math.floor(low / step + 1e-6) * step, math.ceil(high / step - 1e-6) * step
        return cls(low, high if high > low else low + step, step)

    @staticmethod
    def x(share: float) -> float:
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        value = min(max(value, self.low), self.high)
        return _TOP + (self.high - value) / (self.high - self.low) * (_HEIGHT - _TOP - _BOTTOM)

    def grid(self, unit: str) -> str:
        digits = max(0, -math.floor(math.log10(self.step) + 1e-9))
        parts = []
        for number in range(round((self.high - self.low) / self.step) + 1):
            value = self.low + number * self.step
            name = "zero" if abs(value) < self.step / 2 else "grid"
            y = self.y(value)
            parts.append(f'<line class="{name}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(_text(_LEFT - 7, y + 4, f"{value + 0.0:.{digits}f}", "end"))
        middle = (_HEIGHT - _BOTTOM + _TOP) / 2
        parts.append(f'<text transform="translate(11 {middle}) rotate(-90)" text-anchor="middle">{escape(unit)}</text>')
        return "".join(parts)


def _nice(step: float) -> float:
    """The next of 1, 2, 5, 10 and so on."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)


def _time_ticks(low: float, high: float) -> list[float]:
    """Round times between two powers of ten: 1, 2 and 5 of each, or, where these are many, 1 of each."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    ticks = [[base * 10.0**power for power in powers for base in bases] for bases in ((1, 2, 5), (1,))]
    inside = [[step for step in steps if low <= math.log10(step) <= high] for steps in ticks]
    return inside[0] if len(inside[0]) <= 6 else inside[1]


def _apart(heights: Sequence[float]) -> list[float]:
    """The heights of labels, moved as little as it takes that no two lie on each other."""
    places = list(heights)
    order = sorted(range(len(places)), key=lambda index: places[index])
    for above, below in pairwise(order):
        places[below] = max(places[below], places[above] + _LINE)
    overhang = max(0.0, max(places, default=0.0) - (_HEIGHT - _BOTTOM - 2))
    return [place - overhang for place in places]


def _dot(x: float, y: float, colour: int, title: str, radius: float) -> str:
    circle = f'<circle class="dot m{colour}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">'
    return f"{circle}<title>{escape(title)}</title></circle>"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(parts: Sequence[str], label: str) -> str:
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return f'<svg class="plot" {box} role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
