"""`unrain clean`: files in, files out."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unrain.cli.progress import Bar, report, write_summary

if TYPE_CHECKING:
    from unrain.inference.clean import Batch, Options


def clean(
    inputs: Annotated[
        list[str],
        typer.Argument(help="Photos, videos, folders of them, addresses (s3://...), or - for standard input."),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="File, folder or address to write to, or - for standard output.",
            show_default="beside the input, as NAME_clean",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over the inputs themselves.")] = False,
    strength: Annotated[float, typer.Option(min=0, max=1, help="How much of the rain is taken out.")] = 1,
    mask: Annotated[
        Path | None, typer.Option(help="A picture of the same size: white where to work.", show_default=False)
    ] = None,
    layers: Annotated[bool, typer.Option("--layers", help="Of photos, also write the streaks.")] = False,
    side_by_side: Annotated[
        bool, typer.Option("--side-by-side", help="Of photos, also write before and after beside each other.")
    ] = False,
    strip_metadata: Annotated[
        bool, typer.Option("--strip-metadata", help="Leave out who took a photo, when and where.")
    ] = False,
    max_megapixels: Annotated[float, typer.Option(min=0, help="Refuse photos that are larger.")] = 100,
    watch: Annotated[bool, typer.Option("--watch", help="Go on with what arrives in the folders.")] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Files to work on at a time.")] = 1,
    summary: Annotated[
        Path | None, typer.Option(help="Write what became of each file, as JSON.", show_default=False)
    ] = None,
    engine: Annotated[str, typer.Option(help="auto, openvino, onnxruntime or torch.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.", show_default="all")] = None,
    stages: Annotated[
        int | None,
        typer.Option(min=1, max=12, help="Stages for a photo: fewer are faster.", show_default="the model's"),
    ] = None,
) -> None:
    """Take the rain out of photos and videos."""
    from unrain.inference.clean import Batch, Options

    _hush_pillow()
    options = Options(engine, threads, stages, strength, mask, layers, side_by_side, strip_metadata, max_megapixels)
    if "-" in (*inputs, output):
        _clean_stream(inputs, output, options, summary)
        return
    batch = Batch(tuple(inputs), output, overwrite, jobs, options)
    if watch:
        _watch(batch, summary)
        return
    start = time.perf_counter()
    with Bar() as bar:
        outcomes = batch.run(bar)
    seconds = time.perf_counter() - start
    if summary is not None:
        write_summary(summary, outcomes, seconds)
    report(outcomes, "cleaned", seconds)


def _clean_stream(inputs: list[str], output: str | None, options: Options, summary: Path | None) -> None:
    from contextlib import ExitStack

    from unrain.errors import UnrainError
    from unrain.inference.clean import clean_stream
    from unrain.media.files import atomic_output

    if len(inputs) != 1:
        raise UnrainError("- stands for one file; name nothing else beside it")
    with ExitStack() as stack:
        try:
            source = sys.stdin.buffer if inputs[0] == "-" else stack.enter_context(Path(inputs[0]).open("rb"))
        except OSError as error:
            raise UnrainError(f"{inputs[0]}: cannot be opened: {error.strerror}") from error
        suffix = ""
        if output is None or output == "-":
            target = sys.stdout.buffer
        else:
            suffix = Path(output).suffix
            target = stack.enter_context(stack.enter_context(atomic_output(Path(output))).open("wb"))
        outcome = clean_stream(source, target, options, suffix)
        if summary is not None:
            write_summary(summary, [outcome], outcome.seconds)
        if outcome.error is not None:
            raise UnrainError(outcome.error)


def _watch(batch: Batch, summary: Path | None) -> None:
    import signal
    from threading import Event

    from unrain.inference.watch import watch

    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    typer.echo("watching; end with Ctrl-C", err=True)
    start, all_of_them = time.perf_counter(), []
    for outcomes in watch(batch, stop):
        all_of_them += outcomes
        for outcome in outcomes:
            typer.echo(f"unrain: {outcome.error}" if outcome.error else outcome.job.target, err=bool(outcome.error))
    if summary is not None:
        write_summary(summary, all_of_them, time.perf_counter() - start)
    raise typer.Exit(1 if any(outcome.error for outcome in all_of_them) else 0)


def _hush_pillow() -> None:
    """What Pillow warns of is either harmless or followed by an error; both are told in our own words."""
    import warnings

    warnings.filterwarnings("ignore", module=r"PIL\.")
