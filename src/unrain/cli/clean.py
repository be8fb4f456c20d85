"""`unrain clean`: files in, files out."""

from __future__ import annotations

import time
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
) -> None:
    """Take the rain out of photos and videos."""
    from unrain.inference.clean import clean as clean_files

    start = time.perf_counter()
    with Bar() as bar:
        outcomes = clean_files(inputs, output, engine=engine, threads=threads, stages=stages, listener=bar)
    report(outcomes, "cleaned", time.perf_counter() - start)
