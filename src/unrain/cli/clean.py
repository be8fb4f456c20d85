"""`unrain clean`: files in, files out."""

from __future__ import annotations

import re
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unrain.cli.progress import Bar, report, write_summary

if TYPE_CHECKING:
    from unrain.inference.clean import Batch
    from unrain.inference.options import Options


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
    layers: Annotated[
        bool, typer.Option("--layers", help="Also write the streaks, and of videos the degradation map.")
    ] = False,
    side_by_side: Annotated[
        bool, typer.Option("--side-by-side", help="Also write before and after beside each other.")
    ] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Only write one picture of a few frames before and after.")
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
    codec: Annotated[
        str | None,
        typer.Option(help="For videos: h264, hevc, vp9, av1, prores or ffv1.", show_default="like the source's"),
    ] = None,
    crf: Annotated[
        int | None,
        typer.Option(min=0, max=63, help="For videos: lower is better and larger.", show_default="the codec's"),
    ] = None,
    start: Annotated[str | None, typer.Option(help="Where a part of a video begins: 90, 1:30 or 0:01:30.5.")] = None,
    end: Annotated[str | None, typer.Option(help="Where a part ends.")] = None,
    rate: Annotated[str, typer.Option(help="Frames per second of a video made of pictures: 25 or 30000/1001.")] = "25",
    quality: Annotated[
        str, typer.Option(help="fast (one small network), balanced, or best (float32, photos twice).")
    ] = "balanced",
    engine: Annotated[str, typer.Option(help="auto, openvino, onnxruntime or torch.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, int8 or fp32.")] = "auto",
    memory: Annotated[str, typer.Option(help="What a photo or frame may take; larger ones go in tiles.")] = "500MB",
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.", show_default="all")] = None,
    stages: Annotated[
        int | None,
        typer.Option(min=1, max=12, help="Stages for a photo: fewer are faster.", show_default="the model's"),
    ] = None,
) -> None:
    """Take the rain out of photos and videos.

    A batch or video that was interrupted goes on where it was when the command is given again.

    Numbered pictures are a video too: name them frame_%04d.png.
    """
    from unrain.inference.clean import Batch
    from unrain.inference.options import Options
    from unrain.media.videos import VideoOptions

    _hush_pillow()
    options = Options(
        quality=quality,
        engine=engine,
        threads=threads,
        precision=precision,
        memory=_bytes(memory),
        stages=stages,
        strength=strength,
        mask=mask,
        layers=layers,
        side_by_side=side_by_side,
        preview=preview,
        strip_metadata=strip_metadata,
        max_megapixels=max_megapixels,
        video=VideoOptions(codec, crf, _seconds(start, "--start"), _seconds(end, "--end"), _rate(rate)),
    )
    if "-" in (*inputs, output):
        _clean_stream(inputs, output, options, summary)
        return
    batch = Batch(tuple(inputs), output, overwrite, jobs, options)
    if watch:
        _watch(batch, summary)
        return
    begun = time.perf_counter()
    with Bar() as bar:
        outcomes = batch.run(bar)
    seconds = time.perf_counter() - begun
    if summary is not None:
        write_summary(summary, outcomes, seconds)
    report(outcomes, "cleaned", seconds)


def _clean_stream(inputs: list[str], output: str | None, options: Options, summary: Path | None) -> None:
    from contextlib import ExitStack

    from unrain.errors import UnrainError
    from unrain.inference.clean import clean_stream
    from unrain.media.writing import atomic_output

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


def _seconds(text: str | None, option: str) -> Fraction | None:
    """Seconds out of `90`, `1:30` or `0:01:30.5`."""
    if text is None:
        return None
    if not re.fullmatch(r"(\d{1,4}:){0,2}\d{1,6}(\.\d{1,6})?", text):
        raise typer.BadParameter(f"'{text}' is not a time; write 90, 1:30 or 0:01:30.5", param_hint=option)
    total = Fraction(0)
    for part in text.split(":"):
        total = 60 * total + Fraction(part)
    return total


def _rate(text: str) -> Fraction:
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise typer.BadParameter(f"'{text}' is not a rate; write 25 or 30000/1001", param_hint="--rate")
    return rate


def _bytes(text: str) -> float:
    """Bytes out of `500MB`, `1GB` or `1.5 GB`."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?) ?([kMGT])i?B", text)
    if match is None:
        raise typer.BadParameter(f"'{text}' is not an amount of memory; write 500MB or 1GB", param_hint="--memory")
    return float(match[1]) * 1000.0 ** ("kMGT".index(match[2]) + 1)
