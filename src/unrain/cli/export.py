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
) -> None:
    """Write the averaged weights of a training run as a step graph, and print how well the engines agree with it."""
    from unrain.errors import UnrainError

    try:
        from unrain.training.export import export_checkpoints
    except ImportError:
        raise UnrainError("exporting needs PyTorch and ONNX; try: pip install 'unrain[train]'") from None
    for line in export_checkpoints(checkpoints, output):
        typer.echo(line)
