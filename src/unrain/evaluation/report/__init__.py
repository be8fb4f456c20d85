"""The report of an evaluation as one HTML page that opens from disk: tables, plots, pictures, and how it was made.

What is on the page is decided here; how it looks is in `page.html`, `page.css` and `page.js`. Needs the extra `eval`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from unrain.evaluation.examples import Example
from unrain.evaluation.methods import RAINY
from unrain.evaluation.report import plots
from unrain.evaluation.report.pictures import Sheet, sheet
from unrain.evaluation.report.plots import NARROW, WIDE, Point, Series
from unrain.evaluation.results import Evaluation, MetricFacts, SuiteFacts
from unrain.evaluation.run import Outcome
from unrain.evaluation.tables import number, table

_COLOURS = 6
_CLIPS_PLOTTED = 12


class Plot(NamedTuple):
    """A plot, drawn once for a desk and once for a telephone."""

    title: str
    wide: Markup
    narrow: Markup


class Shown(NamedTuple):
    """One example: what it is called, how it was chosen, its values by method, its pictures."""

    title: str
    why: str
    values: tuple[tuple[str, str], ...]
    sheet: Sheet


class Section(NamedTuple):
    """What the page says of one suite."""

    suite: SuiteFacts
    plots: tuple[Plot, ...]
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
    sections = tuple(_section(evaluation, suite, outcome.examples.get(suite.name, ())) for suite in evaluation.suites)
    return environment.get_template("page.html").render(
        title=_title(evaluation),
        time=datetime.fromisoformat(evaluation.about["time"]),
        evaluation=evaluation,
        table=table(evaluation),
        sections=sections,
        timings=tuple(_timings(evaluation)),
        seconds=_seconds(evaluation.about["seconds"]),
    )


def _title(evaluation: Evaluation) -> str:
    *others, last = (suite.title for suite in evaluation.suites)
    return f"{', '.join(others)} and {last}" if others else last


def _colour(evaluation: Evaluation, label: str) -> int:
    """The number of a method's colour on the page; the rainy input has 0."""
    labels = [method.label for method in evaluation.methods]
    return 0 if label == RAINY else 1 + (labels.index(label) - 1) % _COLOURS


def _section(evaluation: Evaluation, suite: SuiteFacts, examples: Sequence[Example]) -> Section:
    metric = evaluation.metric(suite.metrics[0])
    drawn = tuple(_plots(evaluation, suite, metric))
    return Section(
        suite,
        drawn,
        _speed(evaluation, suite, metric),
        tuple(
            _shown(evaluation, suite, metric, example, place, len(examples)) for place, example in enumerate(examples)
        ),
    )


def _plots(evaluation: Evaluation, suite: SuiteFacts, metric: MetricFacts) -> Iterator[Plot]:
    if suite.kind == "clips" and not metric.clip:
        for clip in suite.items[:_CLIPS_PLOTTED]:
            yield _along(evaluation, suite, metric, clip)
        return
    series = list(_gains(evaluation, suite, metric))
    if not series:
        return
    title = f"{metric.label} of each picture" if suite.truth == "itself" else f"Gain in {metric.label} of each picture"
    unit = _unit(metric) if suite.truth == "itself" else f"gain, {_unit(metric)}"
    draw = plots.sorted_values if suite.truth == "itself" else plots.gains
    yield _plot(title, lambda width: draw(series, unit, width))


def _gains(evaluation: Evaluation, suite: SuiteFacts, metric: MetricFacts) -> Iterator[Series]:
    """What each method gained on each picture; where nothing can be gained, the values themselves."""
    before = evaluation.per_item(suite.name, RAINY, metric.name)
    sign = 1 if metric.better == "higher" else -1
    for label in _labels(evaluation):
        values = evaluation.per_item(suite.name, label, metric.name)
        if suite.truth != "itself":
            values = {item: sign * (value - before[item]) for item, value in values.items() if item in before}
        if values:
            points = [Point(0, value, item) for item, value in values.items()]
            yield Series(label, _colour(evaluation, label), points)


def _along(evaluation: Evaluation, suite: SuiteFacts, metric: MetricFacts, clip: str) -> Plot:
    series = []
    for label in (RAINY, *_labels(evaluation)):
        values = evaluation.per_frame(suite.name, label, metric.name)
        frames = [(frame, value) for (item, frame), value in values.items() if item == clip]
        points = [Point(place, value, f"{clip}/{frame}") for place, (frame, value) in enumerate(frames)]
        if points:
            series.append(Series(label, _colour(evaluation, label), points))
    return _plot(f"{metric.label} along {clip}", lambda width: plots.along(series, _unit(metric), width))


def _speed(evaluation: Evaluation, suite: SuiteFacts, metric: MetricFacts) -> Plot | None:
    series = []
    for label in _labels(evaluation):
        seconds, mean = evaluation.seconds(suite.name, label), evaluation.mean(suite, label, metric.name)
        if seconds is not None and mean is not None:
            point = Point(seconds, mean.value, f"{label}, {seconds:.2f} s")
            series.append(Series(label, _colour(evaluation, label), [point]))
    if len(series) < 2:
        return None
    return _plot(f"{metric.label} beside speed", lambda width: plots.speed(series, _unit(metric), width))


def _plot(title: str, draw: Any) -> Plot:
    # The drawings escape every name that they hold.
    return Plot(title, Markup(draw(WIDE)), Markup(draw(NARROW)))  # noqa: S704


def _unit(metric: MetricFacts) -> str:
    return f"{metric.label}, dB" if metric.name.startswith("psnr") else metric.label


def _labels(evaluation: Evaluation) -> list[str]:
    return [method.label for method in evaluation.methods if method.label != RAINY]


def _shown(
    evaluation: Evaluation, suite: SuiteFacts, metric: MetricFacts, example: Example, place: int, count: int
) -> Shown:
    first = _labels(evaluation)[0] if _labels(evaluation) else RAINY
    side = "best" if place < (count + 1) // 2 else "worst"
    what = f"{number(example.gain, metric.digits)} of {first}"
    why = f"among the {side}: {metric.label} {what}" if suite.truth == "itself" else f"among the {side}: gain {what}"
    values = []
    for label in (RAINY, *_labels(evaluation)):
        value = evaluation.per_item(suite.name, label, metric.name).get(example.item)
        if value is not None:
            values.append((label, number(value, metric.digits)))
    title = example.item if suite.kind == "photos" else f"{example.item}, frame {example.frame}"
    return Shown(title, why, tuple(values), sheet(example))


def _timings(evaluation: Evaluation) -> Iterator[Timing]:
    for method in evaluation.methods:
        if not method.timed:
            continue
        about = method.about
        engine = f"{about['engine']}, {about['precision']}"
        if "stages" in about:
            engine += f", {about['stages']} stage{'s' if about['stages'] > 1 else ''}"
        cells = []
        for suite in evaluation.suites:
            seconds = evaluation.seconds(suite.name, method.label)
            cells.append("–" if seconds is None else f"{seconds:.2f}" if seconds >= 0.1 else f"{seconds:.4f}")
        yield Timing(method.label, engine, tuple(cells))


def _seconds(seconds: Mapping[str, float]) -> str:
    share = seconds["network"] / seconds["wall"]
    return f"{seconds['wall']:.0f} s in all, of which the networks computed {seconds['network']:.0f} s ({share:.0%})"
