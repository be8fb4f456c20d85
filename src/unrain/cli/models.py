"""`unrain models`: what is in the catalog."""

from __future__ import annotations

from typing import Annotated, Any

import typer

app = typer.Typer(help="The models that unrain ships.", no_args_is_help=True)


@app.command("list")
def list_models() -> None:
    """List the models, a line each."""
    from rich.console import Console
    from rich.table import Table

    from unrain.weights import catalog

    table = Table("model", "cleans", "size", "what it is", box=None, pad_edge=False)
    for entry in catalog().values():
        table.add_row(entry.name, entry.kind, f"{entry.graph().stat().st_size / 1e6:.1f} MB", entry.summary)
    Console().print(table)


@app.command()
def show(name: Annotated[str, typer.Argument(help="A model's name.", show_default=False)]) -> None:
    """Show all that is known of one model: file, licence, training, measured quality."""
    from unrain.weights import find

    entry = find(name)
    facts = {"model": name, "cleans": entry.kind, "what it is": entry.summary, "file": entry.graph()}
    facts |= {"sha256": entry.sha256, "stages": entry.stages, "bytes per pixel": entry.memory}
    for key, value in _lines(facts | entry.details):
        typer.echo(f"{key:<32}{value}")


def _lines(table: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    lines: list[tuple[str, Any]] = []
    for key, value in table.items():
        lines += _lines(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return lines
