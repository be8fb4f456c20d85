"""`unrain pack`: training data made small enough to travel. Needs the extra `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def pack(
    data: Annotated[Path, typer.Argument(help="Folder with photos/, clips/ and pairs/.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.", show_default=False)],
    size: Annotated[float, typer.Option(min=1, help="At most so many MB.")] = 46,
    avoid: Annotated[
        Path | None, typer.Option(help="Test pictures: photos that show the same are left out.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same pack.")] = 0,
) -> None:
    """Pack training data: crops of photos, windows of clips, and pairs, laid out as before."""
    from unrain.data.pack import pack as write_pack

    left_out = write_pack(data, output, size, avoid, seed)
    for name in left_out:
        typer.echo(f"left out, as a test picture shows the same: {name}")
    files = [path for path in output.rglob("*") if path.is_file()]
    typer.echo(f"{output}: {len(files)} pictures, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB")
