"""`unrain clean`: files in, files out."""

from __future__ import annotations

import re
import time
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from unrain.cli.progress import Bar, report


def clean(
    inputs: Annotated[list[Path], typer.Argument(help="Photos, videos, or folders of them.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File or folder to write to.", show_default="beside the input, as NAME_clean"
        ),
    ] = None,
    engine: Annotated[str, typer.Option(help="auto, openvino, onnxruntime or torch.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.", show_default="all")] = None,
    stages: Annotated[
        int | None,
        typer.Option(min=1, max=12, help="Stages for a photo: fewer are faster.", show_default="the model's"),
    ] = None,
    codec: Annotated[
        str | None,
        typer.Option(help="For videos: h264, hevc, vp9, av1, prores or ffv1.", show_default="like the source's"),
    ] = None,
    crf: Annotated[
        int | None,
        typer.Option(min=0, max=63, help="For videos: lower is better and larger.", show_default="the codec's"),
    ] = None,
    start: Annotated[str | None, typer.Option(help="Where a part begins: 90, 1:30 or 0:01:30.5.")] = None,
    end: Annotated[str | None, typer.Option(help="Where a part ends.")] = None,
    rate: Annotated[str, typer.Option(help="Frames per second of a video made of pictures: 25 or 30000/1001.")] = "25",
    side_by_side: Annotated[
        bool, typer.Option("--side-by-side", help="Also write a video of before and after.")
    ] = False,
    layers: Annotated[
        bool, typer.Option("--layers", help="Also write videos of the streaks and of the degradation map.")
    ] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Only write one picture of a few frames before and after.")
    ] = False,
) -> None:
    """Take the rain out of photos and videos.

    An interrupted video goes on where it was when the command is given again.

    Numbered pictures are a video too: name them frame_%04d.png.
    """
    from unrain.inference.clean import clean as clean_files
    from unrain.media.videos import VideoOptions

    video = VideoOptions(
        codec=codec,
        crf=crf,
        start=_seconds(start, "--start"),
        end=_seconds(end, "--end"),
        rate=_rate(rate),
        side_by_side=side_by_side,
        layers=layers,
        preview=preview,
    )
    begun = time.perf_counter()
    with Bar() as bar:
        outcomes = clean_files(inputs, output, engine=engine, threads=threads, stages=stages, video=video, listener=bar)
    report(outcomes, "cleaned", time.perf_counter() - begun)


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
