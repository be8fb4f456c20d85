"""The driver of stages: one image, the same step graph again and again. Frames of a video are driven by `frames.py`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unrain.inference.engines import Engine
from unrain.inference.layout import to_pixels, to_planes

OUTPUTS = ("estimate_next", "h_next", "c_next")
WIDTH = 32


def run_stages(engine: Engine, rainy: NDArray[np.float32], stages: int) -> NDArray[np.float32]:
    """Clean `rainy`, `(H, W, 3)` RGB in [0, 1], in `stages` stages of SAPNet; the same shape, not clipped.

    The state before the first stage is the rainy picture as the estimate, and zeros.
    """
    picture = to_planes(rainy)
    zeros = np.zeros((1, WIDTH, *picture.shape[2:]), np.float32)
    state = {"estimate": picture, "h": zeros, "c": zeros}
    for _ in range(stages):
        results = engine.run({"rainy": picture, **state})
        state = {name: results[f"{name}_next"] for name in state}
    return to_pixels(state["estimate"])
