"""`unrain export`: from a checkpoint to a step graph. Needs the extra `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    checkpoint: Annotated[Path, typer.Argument(help="A run's last.pt.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The step graph to write, .onnx.")],
) -> None:
    """Write the averaged weights of a training run as a step graph, and print how well the engines agree with it."""
    from unrain.errors import UnrainError

    try:
        from unrain.training.export import export_checkpoint
    except ImportError:
        raise UnrainError("exporting needs PyTorch and ONNX; try: pip install 'unrain[train]'") from None
    for line in export_checkpoint(checkpoint, output):
        typer.echo(line)
