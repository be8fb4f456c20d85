"""`unrain export`: from checkpoints to a step graph. Needs the extra `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    checkpoints: Annotated[
        list[Path], typer.Argument(help="A run's last.pt, or those of several runs for their mean.", show_default=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The step graph to write, .onnx.")],
    int8: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write beside it its twin of 8-bit integers, NAME-int8.onnx, measured on these photos or clips.",
            show_default=False,
        ),
    ] = None,
    stages: Annotated[int, typer.Option(min=1, max=12, help="Stages that the twin is measured in.")] = 3,
) -> None:
    """Write the averaged weights of a training run as a step graph, and print how well the engines agree with it."""
    from unrain.errors import UnrainError

    try:
        from unrain.training.export import export_checkpoints
        from unrain.training.quantize import quantize
    except ImportError:
        raise UnrainError("exporting needs PyTorch and ONNX; try: pip install 'unrain[train]'") from None
    for line in export_checkpoints(checkpoints, output):
        typer.echo(line)
    if int8 is not None:
        twin = output.with_stem(f"{output.stem}-int8")
        quantize(output, int8, twin, stages)
        typer.echo(f"{twin} ({twin.stat().st_size / 1e6:.2f} MB)")
