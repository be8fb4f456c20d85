"""`unrain eval`: methods on the papers' sets, as tables, JSON, CSV, LaTeX and a report. Needs the extra `eval`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unrain.cli.progress import Steps

if TYPE_CHECKING:
    from unrain.evaluation.run import Outcome


def evaluate(
    methods: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="METHOD...",
            help="A shipped model (sapnet, sapnet-fast, j4rnet), a step graph (.onnx), a checkpoint (.pt, .pth), or a"
            " folder of results made elsewhere. LABEL=METHOD names its row, METHOD@N takes N stages.",
            show_default="the rainy input alone",
        ),
    ] = None,
    suite: Annotated[
        list[str] | None,
        typer.Option(
            "--suite",
            "-s",
            help="Sets, with commas: rain12, rain100l, rain100h, rain800, sirr, moss, coco150, cityscape150,"
            " rainsynlight25, rainsyncomplex25, rainpractical10, nturain, kodak, dry, NAME=FOLDER, or a folder.",
            show_default="all that are found",
        ),
    ] = None,
    data: Annotated[Path, typer.Option(help="The folder that holds the sets.")] = Path(),
    metrics: Annotated[
        str, typer.Option(help="Metrics, with commas.", show_default="PSNR and SSIM, each in y and in rgb")
    ] = "",
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write to.")] = Path("report"),
    engine: Annotated[str, typer.Option(help="auto, openvino, onnxruntime or torch.")] = "auto",
    precision: Annotated[str, typer.Option(help="Of the shipped models: fp32 or int8.")] = "fp32",
    mirrored: Annotated[bool, typer.Option(help="Clean pictures also left to right, as --quality best does.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.", show_default="all")] = None,
) -> None:
    """Measure methods on the papers' sets, and write tables and a report."""
    from rich.console import Console

    from unrain.errors import UnrainError
    from unrain.evaluation import tables
    from unrain.evaluation.methods import open_method
    from unrain.evaluation.run import evaluate as run
    from unrain.evaluation.suites.copies import find_copies

    try:
        from unrain.evaluation.report import to_html
    except ImportError:
        raise UnrainError("the report needs Jinja2; try: pip install 'unrain[eval]'") from None
    copies = find_copies([name for each in suite or () for name in _names(each)], data)
    opened = [open_method(method, engine, threads, precision, mirrored) for method in methods or ()]
    settings = {"command": shlex.join(["unrain", *sys.argv[1:]]), "threads": threads or "all"}
    with Steps() as steps:
        outcome = run(opened, copies, _names(metrics), steps, settings)
    evaluation = outcome.evaluation
    tables.show(tables.table(evaluation), Console())
    _write(output, outcome, to_html(outcome))
    typer.echo(f"{output / 'report.html'}, and beside it results.json, results.csv and table.tex")
    if evaluation.problems:
        count = len(evaluation.problems)
        typer.echo(f"unrain: {count} problem{'s' if count > 1 else ''}, named above and in the report", err=True)
        raise typer.Exit(1)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _write(folder: Path, outcome: Outcome, page: str) -> None:
    from unrain.evaluation import tables
    from unrain.evaluation.results import to_json
    from unrain.media.writing import atomic_output

    evaluation = outcome.evaluation
    texts = {
        "results.json": to_json(evaluation),
        "results.csv": tables.to_csv(evaluation),
        "table.tex": tables.to_tex(tables.table(evaluation)),
        "report.html": page,
    }
    for name, text in texts.items():
        with atomic_output(folder / name) as part:
            part.write_text(text, encoding="utf-8")
