"""`unrain compare`: a figure of a rainy and a cleaned picture, with zooms of the background and the rain layer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    rainy: Annotated[Path, typer.Argument(help="The rainy photo or video.", show_default=False)],
    clean: Annotated[Path, typer.Argument(help="The cleaned one.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The figure to write, .png or .jpg.")],
    truth: Annotated[
        Path | None, typer.Option(help="The scene without rain, if it is known.", show_default=False)
    ] = None,
    frame: Annotated[int, typer.Option(min=0, help="Which frame of a video.")] = 0,
    zooms: Annotated[int, typer.Option(min=1, max=4, help="How many regions to enlarge.")] = 2,
    title: Annotated[str | None, typer.Option(help="A line above the figure.", show_default=False)] = None,
) -> None:
    """Draw a rainy and a cleaned picture side by side, with enlarged details and the rain that was taken out."""
    from unrain.evaluation.figure import compare_figure
    from unrain.media.stills import read_still, write_figure

    reference = None if truth is None else read_still(truth, frame)
    figure = compare_figure(
        read_still(rainy, frame), read_still(clean, frame), truth=reference, zooms=zooms, title=title
    )
    write_figure(output, figure)
    typer.echo(output)
