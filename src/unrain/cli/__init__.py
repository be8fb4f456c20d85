"""The command line: one file per verb, each of which parses, calls and prints. `main` is the program `unrain`.

Nothing here is imported by the rest, and the modules that take long to import are imported where a verb runs.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from unrain import __version__
from unrain.cli import bench, clean, compare, doctor, downstream, eval, export, models, pack, rain, serve, train
from unrain.errors import UnrainError

app = typer.Typer(
    name="unrain",
    help="Take the rain out of photos and videos.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(clean.clean)
app.command()(compare.compare)
app.command()(rain.rain)
app.add_typer(models.app, name="models")
app.command()(pack.pack)
app.command()(train.train)
app.command()(export.export)
app.command("eval")(eval.evaluate)
app.command()(downstream.downstream)
app.command()(serve.serve)
app.command()(bench.bench)
app.command()(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"unrain {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="On an error, show where it came from.")] = False,
) -> None:
    """Take the rain out of photos and videos."""


def main() -> None:
    """Run the command line. An error that a user can cause is one line on standard error and exit status 1."""
    try:
        app()
    except UnrainError as error:
        if "--debug" in sys.argv:
            raise
        typer.echo(f"unrain: {error}", err=True)
        sys.exit(1)
