"""The report of an evaluation as one HTML page that opens from disk: tables, plots, pictures, and how it was made.

What is on the page is decided here; how it looks is in `page.html`, `page.css` and `page.js`. Needs the extra `eval`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from statistics import mean, median
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from unrain.evaluation.examples import Example
from unrain.evaluation.methods import RAINY
from unrain.evaluation.report import plots
from unrain.evaluation.report.pictures import Sheet, sheet
from unrain.evaluation.report.plots import Point, Series
from unrain.evaluation.results import Evaluation, MetricFacts, SuiteFacts
from unrain.evaluation.run import Outcome
from unrain.evaluation.tables import number, table

_COLOURS = 6
_CLIPS_PLOTTED = 12
_TITLES = 4
# Fewer pictures make no distribution.
_FEW = 3


class Plot(NamedTuple):
    """A plot and what it shows."""

    title: str
    svg: Markup


class Spread(NamedTuple):
    """How one method's values, or gains, are spread over the pictures. worst: the name of the smallest one's."""

    method: str
    mean: str
    median: str
    smallest: str
    worst: str
    below: str


class Shown(NamedTuple):
    """One example: what it is called, how it was chosen, its values by method, its pictures."""

    title: str
    best: bool
    why: str
    values: tuple[tuple[str, str], ...]
    sheet: Sheet


class Section(NamedTuple):
    """What the page says of one suite. metric: the one that plots and examples speak of."""

    suite: SuiteFacts
    metric: MetricFacts
    gains: Plot | None
    spreads: tuple[Spread, ...]
    clips: tuple[Plot, ...]
    speed: Plot | None
    examples: tuple[Shown, ...]


class Timing(NamedTuple):
    """One row of the table of speed."""

    method: str
    engine: str
    cells: tuple[str, ...]


def to_html(outcome: Outcome) -> str:
    """The page. It holds all of its pictures, styles and scripts, and asks no network for anything."""
    evaluation = outcome.evaluation
    environment = Environment(
        loader=PackageLoader(__name__, "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.globals["colour"] = lambda label: _colour(evaluation, label)
    return environment.get_template("page.html").render(
        title=_title(evaluation),
        time=datetime.fromisoformat(evaluation.about["time"]),
        evaluation=evaluation,
        table=table(evaluation),
        sections=[_section(evaluation, suite, outcome.examples.get(suite.name, ())) for suite in evaluation.suites],
        timings=list(_timings(evaluation)),
        seconds=_seconds(evaluation.about["seconds"]),
    )


def _title(evaluation: Evaluation) -> str:
    titles = [suite.title for suite in evaluation.suites]
    if len(titles) > _TITLES:
        titles[_TITLES - 1 :] = [f"{len(titles) - _TITLES + 1} more sets"]
    *others, last = titles
    return f"{', '.join(others)} and {last}" if others else last


def _colour(evaluation: Evaluation, label: str) -> int:
    """The number of a method's colour on the page; the rainy input has 0."""
    labels = [method.label for method in evaluation.methods]
    return 0 if label == RAINY else 1 + (labels.index(label) - 1) % _COLOURS


def _section(evaluation: Evaluation, suite: SuiteFacts, examples: Sequence[Example]) -> Section:
    metric = evaluation.metric(suite.metrics[0])
    gained = _gained(evaluation, suite, metric) if len(suite.items) >= _FEW else {}
    return Section(
        suite,
        metric,
        _gains(evaluation, suite, metric, gained),
        tuple(_spread(suite, metric, label, values) for label, values in gained.items()),
        tuple(_clips(evaluation, suite, metric)),
        _speed(evaluation, suite, metric),
        tuple(
            _shown(evaluation, suite, metric, example, place < (len(examples) + 1) // 2)
            for place, example in enumerate(examples)
        ),
    )


def _gained(evaluation: Evaluation, suite: SuiteFacts, metric: MetricFacts) -> dict[str, dict[str, float]]:
    """What each method gained on each picture; the values themselves where there is no rain to lose."""
    before = evaluation.per_item(suite.name, RAINY, metric.name)
    sign = 1 if metric.better == "higher" else -1
    gained = {}
    for label in _labels(evaluation):
        values = evaluation.per_item(suite.name, label, metric.name)
        if suite.truth != "itself":
            values = {item: sign * (value - before[item]) for item, value in values.items() if item in before}
        if values:
            gained[label] = values
    return gained


def _gains(
    evaluation: Evaluation, suite: SuiteFacts, metric: MetricFacts, gained: Mapping[str, Mapping[str, float]]
) -> Plot | None:
    if not gained:
        return None
    series = [
        Series(label, _colour(evaluation, label), [Point(0, value, item) for item, value in values.items()])
        for label, values in gained.items()
    ]
    each = "clip" if suite.kind == "clips" else "picture"
    if suite.truth == "itself":
        return _plot(f"{metric.label} of each {each} to its input", plots.sorted_values(series, _unit(metric)))
    return _plot(f"Gain of each {each} in {metric.label}", plots.gains(series, f"gain, {_unit(metric)}"))


def _spread(suite: SuiteFacts, metric: MetricFacts, label: str, values: Mapping[str, float]) -> Spread:
    worst = min(values, key=lambda item: values[item])
    below = sum(value < 0 for value in values.values())
    sign = "" if suite.truth == "itself" else "+"
    figures = (mean(values.values()), median(values.values()), values[worst])
    average, middle, smallest = (f"{sign if value > 0 else ''}{number(value, metric.digits)}" for value in figures)
    return Spread(label, average, middle, smallest, worst, f"{below} of {len(values)}")


def _clips(evaluation: Evaluation, suite: SuiteFacts, metric: MetricFacts) -> Iterator[Plot]:
    """Values along the frames of each clip, the rainy input's as well."""
    if suite.kind != "clips" or metric.clip:
        return
    for clip in suite.items[:_CLIPS_PLOTTED]:
        series = []
        for label in (RAINY, *_labels(evaluation)):
            values = evaluation.per_frame(suite.name, label, metric.name)
            frames = [(frame, value) for (item, frame), value in values.items() if item == clip]
            points = [Point(place, value, f"{label}, {frame}") for place, (frame, value) in enumerate(frames)]
            if points:
                series.append(Series(label, _colour(evaluation, label), points))
        yield _plot(f"{metric.label} along {clip}", plots.along(series, _unit(metric)))


def _speed(evaluation: Evaluation, suite: SuiteFacts, metric: MetricFacts) -> Plot | None:
    series = []
    for label in _labels(evaluation):
        seconds, average = evaluation.seconds(suite.name, label), evaluation.mean(suite, label, metric.name)
        if seconds is not None and average is not None:
            point = Point(seconds, average.value, f"{label}, {seconds:.2f} s")
            series.append(Series(label, _colour(evaluation, label), [point]))
    return _plot(f"{metric.label} on {suite.title}", plots.speed(series, _unit(metric))) if len(series) > 1 else None


def _plot(title: str, svg: str) -> Plot:
    # The drawings escape every name that they hold.
    return Plot(title, Markup(svg))  # noqa: S704


def _unit(metric: MetricFacts) -> str:
    return f"{metric.label}, dB" if metric.name.startswith("psnr") else metric.label


def _labels(evaluation: Evaluation) -> list[str]:
    return [method.label for method in evaluation.methods if method.label != RAINY]


def _shown(evaluation: Evaluation, suite: SuiteFacts, metric: MetricFacts, example: Example, best: bool) -> Shown:
    what = metric.label if suite.truth == "itself" else f"gain in {metric.label}"
    why = f"{what} of {example.method}: {number(example.gain, metric.digits)}"
    values = []
    for label in (RAINY, *_labels(evaluation)):
        value = evaluation.per_item(suite.name, label, metric.name).get(example.item)
        if value is not None:
            values.append((label, number(value, metric.digits)))
    title = example.item if suite.kind == "photos" else f"{example.item}, frame {example.frame}"
    return Shown(title, best, why, tuple(values), sheet(example))


def _timings(evaluation: Evaluation) -> Iterator[Timing]:
    for method in evaluation.methods:
        if not method.timed:
            continue
        about = method.about
        stages = f", {about['stages']} stage{'s' if about['stages'] > 1 else ''}" if "stages" in about else ""
        times = [evaluation.seconds(suite.name, method.label) for suite in evaluation.suites]
        cells = ["–" if each is None else f"{each:.2f}" if each >= 0.1 else f"{each:.4f}" for each in times]
        yield Timing(method.label, f"{about['engine']}, {about['precision']}{stages}", tuple(cells))


def _seconds(seconds: Mapping[str, float]) -> str:
    share = seconds["network"] / seconds["wall"]
    return f"{seconds['wall']:.0f} s in all, of which the networks computed {seconds['network']:.0f} s ({share:.0%})"
