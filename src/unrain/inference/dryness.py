"""Was there any rain? Told from how much light cleaning took away; what was dry stays exactly as it came.

What cleaning does is the models' business; here it is only judged.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from unrain.inference.frames import LEAD
from unrain.inference.layout import AnyPixels

SIDE = 32
"""Pixels of a cell."""
SHARE = 0.3
"""Rain takes up at least this part of a picture."""
LEAST = 0.55 / 255
"""Light that rain adds to a cell on average, at least; `benchmarks/dryness.py` shows what photos and rain have."""
STRIPS = 24
"""Rows of cells that are looked at, spread over the picture."""
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
    starts = np.arange(0, max(1, columns.size - SIDE + 1), SIDE)
    widths = np.diff(np.append(starts, columns.size))
    found: NDArray[np.float64] = np.add.reduceat(columns, starts) / widths
    return found


def is_dry(rainy: AnyPixels, clean: AnyPixels) -> bool:
    """Whether a picture had no rain, which cleaning would have taken away."""
    return light_taken(rainy, clean) < LEAST


class Watch:
    """Says of each frame of a video whether it is dry: if none of the last few had rain, so that nothing flickers."""

    def __init__(self) -> None:
        self._taken: deque[float] = deque(maxlen=LEAD + 1)

    def is_dry(self, taken: float) -> bool:
        """Whether a frame is dry of which so much was taken; see `light_taken`."""
        self._taken.append(taken)
        return max(self._taken) < LEAST
