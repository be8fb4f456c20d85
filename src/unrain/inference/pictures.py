"""The driver of pictures: one image, whole or in tiles, through a step graph. Videos are driven by `frames.py`.

SAPNet's attention looks at means over the whole picture. A picture that is cut into tiles is therefore sampled first:
pieces from all over it, side by side in one tile, give the means that all of its tiles then share. See `tiles.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrain import weights
from unrain.inference import engines, tiles
from unrain.inference.engines import EACH, Engine
from unrain.inference.layout import AnyPixels, Pixels, as_float, as_type, to_even, to_pixels, to_planes
from unrain.media.memory import room

MEANS = 320
"""Means that one stage of SAPNet looks at."""
RESULTS = {
    "sapnet": ("estimate_next", "means_found"),
    "prenet": ("estimate_next",),
    "sapnet-fast": ("clean",),
}
"""What is wanted of the step graph of each network for pictures; the picture comes first."""
DEFAULT_MEMORY = 500e6
"""Bytes that cleaning one picture may take, beside the program itself and the picture."""
LEAST = 128
"""Tiles are not made smaller than this."""

Means = NDArray[np.float32]


@dataclass
class PictureCleaner:
    """One network for pictures on one engine.

    open_engine: makes the engine for a number of steps. network: its name. memory: bytes per pixel of a picture.
    mirrored: clean each piece also left to right, and take the mean of both, which is nearer to the truth than either.
    """

    open_engine: Callable[[int], Engine]
    network: str
    memory: float
    mirrored: bool = False
    _engine: Engine | None = None
    _steps: int = 0

    def engine(self, steps: int) -> Engine:
        """The engine that makes so many steps; the last one is kept."""
        if self._engine is None or steps != self._steps:
            self._engine, self._steps = self.open_engine(steps), steps
        return self._engine

    def clean(self, rainy: AnyPixels, steps: int, memory: float = DEFAULT_MEMORY) -> AnyPixels:
        """Clean `(H, W, 3)` of uint8, uint16, or float32 in [0, 1], in `steps` stages; the same type, clipped.

        What takes more than `memory` bytes as a whole is cleaned in tiles. Raises `UnrainError` where even the
        smallest tile has no room in this machine.
        """
        if self.network == "sapnet-fast":  # it works at half the resolution
            return self._cut(to_even(rainy), steps, memory)[: rainy.shape[0], : rainy.shape[1]]
        return self._cut(rainy, steps, memory)

    def _cut(self, rainy: AnyPixels, steps: int, memory: float) -> AnyPixels:
        """Whole or in tiles."""
        height, width = rainy.shape[:2]
        size = tiles.fit(height, width, room(self.memory, memory, LEAST), LEAST)
        if size == (height, width):
            return as_type(self.clean_piece(as_float(rainy), steps)[0], rainy.dtype)
        means = self.sampled(rainy, size, steps)
        clean = np.empty_like(rainy)
        for tile in tiles.cut(height, width, size):
            piece, _ = self.clean_piece(as_float(rainy[tile.seen]), steps, means)
            clean[tile.kept] = as_type(piece[tile.inner], rainy.dtype)
        return clean

    def sampled(self, rainy: AnyPixels, size: tuple[int, int], steps: int) -> Sequence[Means] | None:
        """The means that a picture's tiles share, from pieces of it in one tile; None if the network needs none."""
        if self.network != "sapnet":
            return None
        return self.clean_piece(as_float(tiles.mosaic(rainy, size)), steps)[1]

    def clean_piece(
        self, rainy: Pixels, steps: int, means: Sequence[Means] | None = None
    ) -> tuple[Pixels, Sequence[Means]]:
        """Clean `(H, W, 3)` float32 in one go; not clipped. With `means` as a piece of a picture, else as a whole.

        The second result are the means of its own features, `(1, 320 steps, 1, 1)`, if the network looks at any: of the
        piece as it is, and mirrored if it is also cleaned so.
        """
        clean, found = self._look(rainy, steps, means[0] if means else None)
        if not self.mirrored:
            return clean, found
        other, found_there = self._look(rainy[:, ::-1], steps, means[1] if means else None)
        return (clean + other[:, ::-1]) / np.float32(2), found + found_there

    def _look(self, rainy: Pixels, steps: int, means: Means | None) -> tuple[Pixels, list[Means]]:
        """What the network makes of a piece, and the means of its features."""
        planes = to_planes(rainy)
        given = {
            "rainy": planes,
            "estimate": planes,
            "means": np.zeros((1, steps * MEANS, 1, 1), np.float32) if means is None else means,
            "trust": np.full((1, 1, 1, 1), means is not None, np.float32),
        }
        engine = self.engine(steps)
        results = engine.run({name: value for name, value in given.items() if name in engine.inputs})
        return to_pixels(results[RESULTS[self.network][0]]), [
            results[name] for name in EACH.values() if name in results
        ]


def opened(
    entry: weights.Entry,
    engine: str = "auto",
    threads: int | None = None,
    precision: str = "fp32",
    mirrored: bool = False,
) -> PictureCleaner:
    """A model of the catalog, or like one, on one engine and in one precision."""
    return PictureCleaner(
        lambda steps: engines.create(entry.graph(precision), RESULTS[entry.network], engine, threads, steps),
        entry.network,
        entry.bytes_per_pixel(engine, precision),
        mirrored,
    )
