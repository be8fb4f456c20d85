"""Tables as the papers print them, a row per method and a column per suite and metric: for terminals, LaTeX and CSV.

The HTML report shows the same `Table`. Values and averages come from `results.py`.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from unrain.evaluation.methods import RAINY
from unrain.evaluation.results import Evaluation, Mean, MetricFacts, SuiteFacts

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

Rank = Literal["best", "second", ""]


class Cell(NamedTuple):
    """One value as it is printed, its rank in the column, and what must be said of it."""

    text: str
    rank: Rank = ""
    note: str = ""


@dataclass(frozen=True)
class Group:
    """The columns of one suite: its metrics, and a cell for each method and metric."""

    suite: SuiteFacts
    metrics: tuple[MetricFacts, ...]
    cells: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Table:
    """Rows of methods, columns of suites and metrics. notes: what the marks beside values mean."""

    methods: tuple[str, ...]
    groups: tuple[Group, ...]
    notes: tuple[str, ...]


def table(evaluation: Evaluation) -> Table:
    """The table of averages.

    The best value of a column and the second best are marked, as they are printed: equal values share their rank. The
    rainy input has no rank, nor has a value that is not over the whole set; with one method there is nothing to rank.
    """
    groups = tuple(_group(evaluation, suite) for suite in evaluation.suites)
    notes = dict.fromkeys(cell.note for group in groups for row in group.cells for cell in row if cell.note)
    return Table(tuple(method.label for method in evaluation.methods), groups, tuple(notes))


def _group(evaluation: Evaluation, suite: SuiteFacts) -> Group:
    metrics = tuple(evaluation.metric(name) for name in suite.metrics)
    columns = []
    for metric in metrics:
        means = [evaluation.mean(suite, method.label, metric.name) for method in evaluation.methods]
        ranked = [
            mean.value if mean is not None and mean.whole and method.label != RAINY else None
            for mean, method in zip(means, evaluation.methods, strict=True)
        ]
        ranks = rank([None if value is None else round(value, metric.digits) for value in ranked], metric.better)
        columns.append([_cell(mean, each, metric, suite) for mean, each in zip(means, ranks, strict=True)])
    return Group(suite, metrics, tuple(zip(*columns, strict=True)))


def rank(values: Sequence[float | None], better: Literal["higher", "lower"]) -> list[Rank]:
    """Which values are the best and the second best; None has no rank, equal values have the same."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    if len(known) < 2:
        return [""] * len(values)
    places: list[Rank] = ["best", "second"]
    order = sorted(set(known), reverse=better == "higher")
    names: dict[float | None, Rank] = dict(zip(order, places, strict=False))
    return [names.get(value, "") for value in values]


def _cell(mean: Mean | None, rank: Rank, metric: MetricFacts, suite: SuiteFacts) -> Cell:
    if mean is None:
        return Cell("–")
    text = number(mean.value, metric.digits)
    if mean.whole:
        return Cell(text, rank)
    return Cell(f"{text}*", "", "* some results are missing: an average over the others, without a rank")


def number(value: float, digits: int) -> str:
    """A value as it is printed."""
    text = f"{value:.{digits}f}" if not math.isinf(value) else "∞" if value > 0 else "-∞"
    return text.replace("-", "−")


def show(table: Table, console: Console) -> None:
    """Print the table; suites for which the terminal is too narrow go below the others."""
    left = list(table.groups)
    while left:
        groups = [left.pop(0)]
        while left and _width(_rich(table, [*groups, left[0]]), console) <= console.width:
            groups.append(left.pop(0))
        console.print(_rich(table, groups))
        console.print()
    for note in table.notes:
        console.print(note, style="dim")


def _width(drawn: RichTable, console: Console) -> int:
    from rich.measure import Measurement

    return Measurement.get(console, console.options.update(max_width=10_000), drawn).maximum


def _rich(table: Table, groups: Sequence[Group]) -> RichTable:
    from rich.table import Table as RichTable

    side_by_side = RichTable.grid(padding=(0, 3))
    methods = _column(" ", [""])
    for label in table.methods:
        methods.add_row(label)
    side_by_side.add_row(methods, *(_rich_group(group) for group in groups))
    return side_by_side


def _rich_group(group: Group) -> RichTable:
    from rich.text import Text

    styles = {"best": "bold", "second": "underline", "": ""}
    drawn = _column(group.suite.heading, [metric.label for metric in group.metrics])
    for row in group.cells:
        drawn.add_row(*(Text(cell.text, style=styles[cell.rank]) for cell in row))
    return drawn


def _column(title: str, headings: Sequence[str]) -> RichTable:
    """A table without lines; its title makes it wider rather than wrap, so that rows side by side stay level."""
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(
        title=Text(title), title_style="bold", title_justify="left", box=None, pad_edge=False, min_width=len(title)
    )
    for heading in headings:
        drawn.add_column(Text(heading, style="dim"), justify="right" if heading else "left", no_wrap=True)
    return drawn


def to_csv(evaluation: Evaluation) -> str:
    """Every value on a line of its own: suite, method, item, frame, metric, value, seconds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("suite", "method", "item", "frame", "metric", "value", "seconds"))
    for score in evaluation.scores:
        seconds = "" if score.seconds is None else f"{score.seconds:.4f}"
        for name, value in score.values.items():
            writer.writerow((score.suite, score.method, score.item, score.frame or "", name, repr(value), seconds))
    return text.getvalue()


def to_tex(table: Table) -> str:
    """The table for LaTeX with the package booktabs; the best values bold, the second best underlined."""
    lines = [f"% {line}" for line in _conventions(table)]
    columns = "".join("c" * len(group.metrics) for group in table.groups)
    lines += [rf"\begin{{tabular}}{{l{columns}}}", r"\toprule"]
    lines.append(" & ".join(["", *(_span(group) for group in table.groups)]) + r" \\")
    lines.append(" ".join(_rules(table)))
    names = [_tex(metric.label) for group in table.groups for metric in group.metrics]
    lines += [" & ".join(["Method", *names]) + r" \\", r"\midrule"]
    for row, method in enumerate(table.methods):
        cells = [_tex_cell(cell) for group in table.groups for cell in group.cells[row]]
        lines.append(" & ".join([_tex(method), *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _conventions(table: Table) -> Iterator[str]:
    yield "Made by unrain eval; needs \\usepackage{booktabs}."
    for group in table.groups:
        yield f"{group.suite.title}: {group.suite.extent}, sha256 {group.suite.sha256}"
    for metric in {metric.name: metric for group in table.groups for metric in group.metrics}.values():
        yield f"{metric.label}: {metric.convention}; {metric.better} is better"
    yield from table.notes


def _span(group: Group) -> str:
    return rf"\multicolumn{{{len(group.metrics)}}}{{c}}{{{_tex(group.suite.heading)}}}"


def _rules(table: Table) -> Iterator[str]:
    first = 2
    for group in table.groups:
        yield rf"\cmidrule(lr){{{first}-{first + len(group.metrics) - 1}}}"
        first += len(group.metrics)


def _tex_cell(cell: Cell) -> str:
    text = cell.text.replace("∞", r"$\infty$").replace("−", "$-$").replace("–", "--")
    commands = {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}", "": text}
    return commands[cell.rank]


_TEX_SIGNS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def _tex(text: str) -> str:
    return "".join(_TEX_SIGNS.get(sign, sign) for sign in text)
