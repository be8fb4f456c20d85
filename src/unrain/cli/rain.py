"""`unrain rain`: synthetic rain on files. Needs the extra `train`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from unrain.cli.progress import Bar, report


def _in(unit: str, text: str) -> float:
    """A number with or without its unit: `25`, `25mm/h`."""
    try:
        return float(text.strip().removesuffix(unit))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number of {unit}") from None


def rain(
    inputs: Annotated[list[Path], typer.Argument(help="Photos, videos, or folders of them.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File or folder to write to.", show_default="beside the input, as NAME_rainy"
        ),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(help="drizzle, steady, heavy, storm, rain12, rain100l, rain100h, light25, complex25 or mixed."),
    ] = "heavy",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same rain.")] = 0,
    rate: Annotated[
        float | None,
        typer.Option(
            parser=lambda text: _in("mm/h", text),
            metavar="MM/H",
            help="Rain rate, as 25mm/h.",
            show_default="the preset's",
        ),
    ] = None,
    wind: Annotated[
        float | None,
        typer.Option(
            parser=lambda text: _in("m/s", text),
            metavar="M/S",
            help="Wind across the view, to the right.",
            show_default="the preset's",
        ),
    ] = None,
    exposure: Annotated[
        float | None,
        typer.Option(
            parser=lambda text: _in("s", text), metavar="S", help="Exposure of a frame.", show_default="the preset's"
        ),
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="Also write streaks, degradation and reliance maps.")
    ] = False,
) -> None:
    """Add rain to clean photos and videos, to train on or to measure with."""
    from unrain.errors import UnrainError

    try:
        from unrain.rain.files import rain as rain_files
        from unrain.rain.presets import Given
    except ImportError:
        raise UnrainError("rendering rain needs PyTorch; try: pip install 'unrain[train]'") from None
    start = time.perf_counter()
    with Bar() as bar:
        outcomes = rain_files(
            inputs, output, preset, seed, given=Given(rate, wind, exposure), layers=layers, listener=bar
        )
    report(outcomes, "rained on", time.perf_counter() - start)
