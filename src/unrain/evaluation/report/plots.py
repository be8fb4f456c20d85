"""Plots as SVG, drawn from numbers: gains of sorted pictures, values along a clip, quality beside speed.

An SVG takes its colours from the page that it stands in, by class names; nothing here knows of HTML.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

WIDE, NARROW = 720, 350
"""Widths in pixels: of a desk and of a telephone. Text keeps its size, so each is drawn for itself."""

_HEIGHT = 250
_LEFT, _TOP, _BOTTOM = 46, 12, 42
_CHARACTER = 6.6
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


def gains(series: Sequence[Series], unit: str, width: int) -> str:
    """Curves of what each picture gained, every method's pictures sorted from the largest gain to the smallest.

    The points' x are ignored. With a line at zero, below which a picture became worse.
    """
    return _lines(_sorted(series), width, unit, ("largest", "smallest"), zero=True)


def sorted_values(series: Sequence[Series], unit: str, width: int) -> str:
    """The same of values that are no gains, and need no line at zero."""
    return _lines(_sorted(series), width, unit, ("largest", "smallest"), zero=False)


def _sorted(series: Sequence[Series]) -> list[Series]:
    """The points of each series in falling order, spread over the width."""
    ordered = []
    for each in series:
        points = sorted(each.points, key=lambda point: -point.y)
        last = max(1, len(points) - 1)
        ordered.append(each._replace(points=[point._replace(x=place / last) for place, point in enumerate(points)]))
    return ordered


def along(series: Sequence[Series], unit: str, width: int) -> str:
    """Curves of values over the frames of a clip; the points' x are frame numbers."""
    last = max((point.x for each in series for point in each.points), default=0)
    ends = ("frame 1", f"{last + 1:.0f}")
    scaled = [
        each._replace(points=[point._replace(x=point.x / max(1, last)) for point in each.points]) for each in series
    ]
    return _lines(scaled, width, unit, ends, zero=False)


def speed(series: Sequence[Series], unit: str, width: int) -> str:
    """One dot per method: its quality over the seconds per picture, on a logarithmic axis; up and left is better."""
    times = [math.log10(point.x) for each in series for point in each.points]
    low, high = math.floor(min(times) * 2) / 2, math.ceil(max(times) * 2) / 2
    if low == high:
        low, high = low - 0.5, high + 0.5
    frame = _Frame.around(series, width, zero=False)
    parts = [frame.grid(unit)]
    for step in _time_ticks(low, high):
        x = frame.x((math.log10(step) - low) / (high - low))
        parts.append(_text(x, _HEIGHT - _BOTTOM + 18, f"{step:g}", "middle", "tick"))
    parts.append(_text(frame.right, _HEIGHT - 6, "seconds per picture", "end", "name"))
    spots = []
    for each in series:
        for point in each.points:
            x = frame.x((math.log10(point.x) - low) / (high - low))
            parts.append(_dot(x, frame.y(point.y), each.colour, f"{point.name}: {point.y:.2f} {unit}", 5))
            spots.append((x, frame.y(point.y), each))
    for (x, _, each), y in zip(spots, _apart([y for _, y, _ in spots]), strict=True):
        inside = x + 10 + len(each.label) * _CHARACTER < frame.right + 60
        parts.append(_text(x + 9 if inside else x - 9, y + 4, each.label, "start" if inside else "end", "name"))
    return _svg(width, parts, f"quality and speed of {', '.join(each.label for each in series)}")


def _lines(series: Sequence[Series], width: int, unit: str, ends: tuple[str, str], *, zero: bool) -> str:
    frame = _Frame.around(series, width, zero=zero)
    parts = [frame.grid(unit)]
    for text, x, anchor in ((ends[0], frame.left, "start"), (ends[1], frame.right, "end")):
        parts.append(_text(x, _HEIGHT - _BOTTOM + 18, text, anchor, "tick"))
    for each in series:
        line = " ".join(f"{frame.x(point.x):.1f},{frame.y(point.y):.1f}" for point in each.points)
        parts.append(f'<polyline class="line m{each.colour}" points="{line}"/>')
        if len(each.points) <= _MAX_DOTS:
            parts += [
                _dot(frame.x(point.x), frame.y(point.y), each.colour, f"{point.name}: {point.y:+.2f} {unit}", 2.5)
                for point in each.points
            ]
    if width > NARROW:
        lasts = [frame.y(each.points[-1].y) for each in series]
        for each, y in zip(series, _apart(lasts), strict=True):
            parts.append(_text(frame.right + 8, y + 4, each.label, "start", f"name m{each.colour}"))
    return _svg(width, parts, f"{unit} of {', '.join(each.label for each in series)}")


class _Frame(NamedTuple):
    """Where the plot lies, in pixels, and which values its top and bottom are."""

    left: float
    right: float
    low: float
    high: float
    step: float

    @classmethod
    def around(cls, series: Sequence[Series], width: int, *, zero: bool) -> _Frame:
        values = [point.y for each in series for point in each.points if math.isfinite(point.y)]
        low, high = min(values, default=0.0), max(values, default=1.0)
        if zero:
            low, high = min(low, 0.0), max(high, 0.0)
        step = _nice((high - low) / 4 or 1.0)
        low, high = math.floor(low / step) * step, math.ceil(high / step) * step
        if low == high:
            high = low + step
        longest = max((len(each.label) for each in series), default=0)
        room = min(180.0, 16 + longest * _CHARACTER) if width > NARROW else 8.0
        return cls(_LEFT, width - room, low, high, step)

    def x(self, share: float) -> float:
        return self.left + share * (self.right - self.left)

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
            parts.append(f'<line class="{name}" x1="{self.left}" x2="{self.right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(_text(self.left - 7, y + 4, f"{value:.{digits}f}", "end", "tick"))
        middle = (_HEIGHT - _BOTTOM + _TOP) / 2
        parts.append(f'<text class="name" transform="translate(11 {middle}) rotate(-90)" text-anchor="middle">')
        return "".join([*parts, escape(unit), "</text>"])


def _nice(step: float) -> float:
    """The next of 1, 2, 5, 10 and so on."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)


def _time_ticks(low: float, high: float) -> list[float]:
    steps = [base * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for base in (1, 2, 5)]
    inside = [step for step in steps if low - 1e-9 <= math.log10(step) <= high + 1e-9]
    return inside if len(inside) <= 6 else [step for step in inside if f"{step:g}".strip("0.")[:1] == "1"]


def _apart(heights: Sequence[float]) -> list[float]:
    """The heights of labels, moved as little as it takes that no two lie on each other."""
    places = list(heights)
    order = sorted(range(len(places)), key=lambda index: places[index])
    for above, below in pairwise(order):
        places[below] = max(places[below], places[above] + _LINE)
    overhang = max(0.0, max(places, default=0.0) - (_HEIGHT - _BOTTOM + 4))
    return [place - overhang for place in places]


def _dot(x: float, y: float, colour: int, title: str, radius: float) -> str:
    circle = f'<circle class="dot m{colour}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">'
    return f"{circle}<title>{escape(title)}</title></circle>"


def _text(x: float, y: float, text: str, anchor: str, name: str) -> str:
    return f'<text class="{name}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width: int, parts: Sequence[str], label: str) -> str:
    inside = "".join(parts)
    name = "wide" if width > NARROW else "narrow"
    box = f'viewBox="0 0 {width} {_HEIGHT}" width="{width}" height="{_HEIGHT}"'
    return f'<svg class="plot {name}" {box} role="img" aria-label="{escape(label)}">{inside}</svg>'
