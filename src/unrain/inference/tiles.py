"""Cutting a picture into tiles that a network sees one by one: sizes and places only, no network.

What a tile sees around its own part, its halo, is so wide that the network does not feel where the tile ends: SAPNet's
stages could see further, but beyond 32 pixels they do not look (`tests/test_tiles.py`: 60 dB).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from unrain.inference.layout import AnyPixels

HALO = 32
STEP = 8
"""Tiles are multiples of this, and begin at even places, as networks at half the resolution need it."""
PIECE = 128
"""About how wide the pieces of a mosaic are."""

Region = tuple[slice, slice]


@dataclass(frozen=True)
class Tile:
    """What a tile sees of the picture, what of the picture it is to fill, and where in the tile that is."""

    seen: Region
    kept: Region
    inner: Region


def fit(height: int, width: int, pixels: float, least: int) -> tuple[int, int]:
    """The size of the tiles for a picture, of at most about `pixels`; the picture's own if it needs no tiles."""
    if height * width <= pixels:
        return height, width
    side = max(least, int(math.sqrt(pixels)) // STEP * STEP)
    if height <= side:
        return height, _even_parts(width, max(least, int(pixels / height) // STEP * STEP))
    if width <= side:
        return _even_parts(height, max(least, int(pixels / width) // STEP * STEP)), width
    return _even_parts(height, side), _even_parts(width, side)


def _even_parts(length: int, side: int) -> int:
    """The smallest tile that needs no more of them than tiles of `side` do."""
    if side >= length:
        return length
    count = math.ceil((length - 2 * HALO) / (side - 2 * HALO))
    return min(side, math.ceil((math.ceil((length - 2 * HALO) / count) + 2 * HALO) / STEP) * STEP)


def cut(height: int, width: int, size: tuple[int, int]) -> Iterator[Tile]:
    """Tiles of one size that fill a picture, row by row."""
    columns = list(_spans(width, size[1]))
    for top in _spans(height, size[0]):
        for left in columns:
            seen, kept, inner = zip(top, left, strict=True)
            yield Tile((seen[0], seen[1]), (kept[0], kept[1]), (inner[0], inner[1]))


def _spans(length: int, side: int) -> Iterator[tuple[slice, slice, slice]]:
    """Seen, kept and inner along one direction. Neighbours share what both see, half and half."""
    count = 1 if side >= length else math.ceil((length - 2 * HALO) / (side - 2 * HALO))
    starts = [round(number * (length - side) / max(1, count - 1) / 2) * 2 for number in range(count)]
    starts[-1] = max(0, length - side)
    borders = [0, *((start + side + after) // 2 for start, after in pairwise(starts)), length]
    for start, first, last in zip(starts, borders[:-1], borders[1:], strict=True):
        yield slice(start, start + side), slice(first, last), slice(first - start, last - start)


def mosaic(picture: AnyPixels, size: tuple[int, int]) -> AnyPixels:
    """One tile full of pieces from all over the picture, `(*size, 3)`."""
    rows, columns = (_pieces(length, side) for length, side in zip(picture.shape[:2], size, strict=True))
    return np.concatenate(
        [np.concatenate([picture[row, column] for column in columns], axis=1) for row in rows], axis=0
    )


def _pieces(length: int, side: int) -> list[slice]:
    """Where pieces that are `side` together lie in `length`, evenly spread."""
    count = max(1, side // PIECE)
    edges = [number * side // count for number in range(count + 1)]
    gap = (length - side) / count
    return [
        slice(start + (shift := round((number + 0.5) * gap)), end + shift)
        for number, (start, end) in enumerate(pairwise(edges))
    ]
