"""`unrain bench`: how fast this machine cleans, engine by engine."""

from __future__ import annotations

from typing import Annotated

import typer


def bench(
    model: Annotated[str, typer.Argument(help="A model.")] = "sapnet",
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.", show_default="all")] = None,
) -> None:
    """Measure every engine and precision with one model, and say which one `auto` takes."""
    from rich.console import Console
    from rich.table import Table

    from unrain import weights
    from unrain.inference.choice import candidates, choose, measured, open_picture
    from unrain.inference.recurrence import open_frame

    entry = weights.find(model)
    opener = open_frame if entry.kind == "video" else open_picture
    table = Table("engine", "precision", "megapixels a second", box=None, pad_edge=False)
    for timing in measured(entry, candidates(entry), threads, opener=opener):
        table.add_row(timing.choice.engine, timing.choice.precision, timing.error or f"{timing.rate:.3f}")
    Console().print(table)
    taken = choose(entry, threads=threads, opener=opener)
    typer.echo(f"auto takes {taken.engine} {taken.precision}")
