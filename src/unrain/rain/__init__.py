"""How rain makes a rainy frame out of a clean one. `add` is all that most people need; the parts are in the modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from unrain.rain.presets import NAMES, PRESETS
from unrain.rain.render import render

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NAMES", "PRESETS", "add", "render"]


def add(
    picture: NDArray[np.float32], preset: str = "heavy", seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rain on a clean picture `(H, W, 3)`, RGB float32 in [0, 1]: returns (rainy, truth), of the same shape.

    The same seed gives the same rain. Raises `UnrainError` for an unknown preset.
    """
    clip = torch.from_numpy(np.array(picture, dtype=np.float32)).permute(2, 0, 1)[None, None]
    frames = render(clip, preset, torch.Generator().manual_seed(seed))
    return frames.rainy[0, 0].permute(1, 2, 0).numpy(), picture
