"""How much light cleaning takes from pictures with rain and without, by which `inference/dryness.py` tells them apart.

    python benchmarks/dryness.py DATA [--photos 24] [--frames 6]

Reads `val/` of the benchmark data: middle pieces of Kodak's photos, and of the frames of 4 clips. Prints, for each
shipped model and kind of rain, quantiles of what `light_taken` finds, in levels of 255, and the share that passes for
dry.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from validate import as_frames, network_of

from unrain import weights
from unrain.inference.dryness import LEAST, light_taken
from unrain.inference.layout import as_type
from unrain.training.validation import film_pieces, photo_pieces, rainy

KINDS = ("dry", "drizzle", "steady", "rain12", "rain100l", "light25", "heavy")
QUANTILES = (0, 0.1, 0.5, 0.9, 1)


def main(
    data: Annotated[Path, typer.Argument(help="The benchmark data, with val/photos and val/clips.")],
    photos: Annotated[int, typer.Option(min=1)] = 24,
    frames: Annotated[int, typer.Option(min=1, help="Of each clip.")] = 6,
) -> None:
    """Print the table."""
    table = Table("model", "rain", *(f"{quantile:.0%}" for quantile in QUANTILES), "passes for dry")
    for entry in weights.catalog().values():
        video = entry.kind == "video"
        clean = (
            film_pieces(data / "val", frames, (192, 256)) if video else photo_pieces(data / "val", photos, (240, 336))
        )
        network = network_of(entry)
        for kind in KINDS:
            wet = as_frames(clean if kind == "dry" else rainy(clean, kind))
            found = np.array([taken(*pair) for clip in wet for pair in zip(clip, network(clip), strict=True)])
            numbers = (f"{255 * value:.2f}" for value in np.quantile(found, QUANTILES))
            table.add_row(entry.name, kind, *numbers, f"{np.mean(found < LEAST):.0%}")
    Console(width=120).print(table)


def taken(rainy: NDArray[np.float32], clean: NDArray[np.float32]) -> float:
    """Of pictures as files have them, in bytes."""
    byte = np.dtype(np.uint8)
    return light_taken(as_type(rainy, byte), as_type(clean, byte))


if __name__ == "__main__":
    typer.run(main)
