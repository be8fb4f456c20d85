"""`unrain rain`: synthetic rain on files. Needs the extra `train`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from unrain.cli.progress import Bar, report


def _quantity(unit: str, text: str) -> Any:
    """An option that is a number with or without its unit: `25`, `25mm/h`."""

    def parse(value: str) -> float:
        try:
            return float(value.strip().removesuffix(unit))
        except ValueError:
            raise typer.BadParameter(f"{value!r} is not a number of {unit}") from None

    return typer.Option(parser=parse, metavar=unit.upper(), help=text, show_default="the preset's")


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
        typer.Option(
            help="drizzle, steady, heavy, storm, cloudburst, rain12, rain100l, rain100h, light25, complex25 or mixed."
        ),
    ] = "heavy",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same rain.")] = 0,
    rate: Annotated[float | None, _quantity("mm/h", "Rain rate, as 25mm/h.")] = None,
    wind: Annotated[float | None, _quantity("m/s", "Wind across the view, to the right.")] = None,
    exposure: Annotated[float | None, _quantity("s", "Exposure of a frame.")] = None,
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
