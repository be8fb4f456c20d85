"""Was there any rain? Told from where and how much light cleaning took away; what was dry stays exactly as it came.

What cleaning does is the models' business; here it is only judged.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from unrain.inference.layout import AnyPixels, Pixels

SIDE = 32
"""Pixels of a cell."""
SHARE = 0.3
"""Rain takes up at least this part of a picture."""
LEAST = 0.55 / 255
"""Light that rain adds to a cell on average, at least; `benchmarks/dryness.py` shows what photos and rain have."""
FRESH = 0.26 / 255
"""Of a video, light that rain adds at least where there was none in the frame before."""
STRIPS = 24
"""Rows of cells that are looked at, spread over the picture."""
Plane = NDArray[np.float32]
LUMA = np.array([0.299, 0.587, 0.114])


def light_taken(rainy: AnyPixels, clean: AnyPixels) -> float:
    """How much darker cleaning has made a picture, of 1: in 30 % of its cells it was more.

    Both are `(H, W, 3)` of one type, as in `layout.py`. Rain adds light (R = O − B ≥ 0) all over a picture, while
    what a network mistakes for rain is here and there, or changes the picture without making it darker.
    """
    rows = np.linspace(0, max(0, rainy.shape[0] - SIDE), min(STRIPS, max(1, rainy.shape[0] // SIDE)), dtype=int)
    taken = [_cells(rainy[row : row + SIDE]) - _cells(clean[row : row + SIDE]) for row in rows]
    most = 1 if rainy.dtype == np.float32 else np.iinfo(rainy.dtype).max
    return float(np.quantile(np.concatenate(taken), 1 - SHARE)) / most


def _cells(strip: AnyPixels) -> NDArray[np.float64]:
    """Mean luma of the cells of a strip that is as high as one."""
    columns = strip.sum(axis=0, dtype=np.float64) @ LUMA / strip.shape[0]
    means: NDArray[np.float64] = _means(columns[None], SIDE)[0]
    return means


def _means(plane: NDArray[np.floating], side: int) -> NDArray[np.float64]:
    """Means of square cells; what is left over at the end belongs to the last of them."""
    starts = [np.arange(0, max(1, length - side + 1), side) for length in plane.shape]
    sums = np.add.reduceat(np.add.reduceat(plane, starts[0], axis=0, dtype=np.float64), starts[1], axis=1)
    heights, widths = (np.diff(np.append(*ends)) for ends in zip(starts, plane.shape, strict=True))
    means: NDArray[np.float64] = sums / np.outer(heights, widths)
    return means


def is_dry(rainy: AnyPixels, clean: AnyPixels) -> bool:
    """Whether a picture had no rain, which cleaning would have taken away."""
    return light_taken(rainy, clean) < LEAST


def light_map(rainy: Pixels, clean: Pixels) -> Plane:
    """How much darker cleaning has made every other pixel of every other row of `(H, W, 3)` in [0, 1]."""
    taken: Plane = (rainy[::2, ::2] - clean[::2, ::2].clip(0, 1)) @ LUMA.astype(np.float32)
    return taken


def fresh_light(taken: Plane, before: Plane, moved: Plane) -> float:
    """How much light was taken from a frame where none was taken from the one before; in 30 % of its cells it was more.

    Rain is elsewhere in each frame. What a network mistakes for it stays, or moves with the scene. What became lighter
    is noise, and so is as much of what became darker.

    taken, before: `light_map` of both frames. moved: `(2, H, W)`, see `motion.motion`.
    """
    height, width = taken.shape
    y, x = np.rint(moved[:, ::2, ::2] / 2).astype(np.intp)
    laid = before[(y + np.arange(height)[:, None]).clip(0, height - 1), (x + np.arange(width)).clip(0, width - 1)]
    fresh = np.maximum(taken - np.maximum(laid, 0), 0) - np.maximum(-taken, 0)
    return float(np.quantile(_means(fresh, SIDE // 2), 1 - SHARE))


class Watch:
    """Says of each frame of a video whether it is dry: none of the last `count` had rain, so that nothing flickers."""

    def __init__(self, count: int) -> None:
        self._wet: deque[bool] = deque(maxlen=count)

    def is_dry(self, taken: float, fresh: float | None = None) -> bool:
        """Whether a frame is dry from which so much was taken; see `light_taken`, and `fresh_light` if it is known."""
        self._wet.append(taken >= LEAST and (fresh is None or fresh >= FRESH))
        return not any(self._wet)
