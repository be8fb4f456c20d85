"""Finding copies: whether a photo shows what one of a test set shows, in whatever size. Nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unrain.data.photos import Pixels, pictures, read_pixels

THUMBNAIL = 16
ALIKE = 0.97
"""Thumbnails that correlate more than this show the same picture."""


class Known:
    """The pictures below a folder that must not be trained on; with None there are none."""

    def __init__(self, folder: Path | None) -> None:
        files = pictures(folder) if folder is not None else []
        self._thumbnails = np.stack([thumbnail(read_pixels(path)) for path in files]) if files else None

    def show(self, pixels: Pixels) -> bool:
        """Whether one of them, or its mirror image, shows what `(H, W, 3)` 8-bit pixels show."""
        if self._thumbnails is None:
            return False
        sides = (pixels, np.ascontiguousarray(pixels[:, ::-1]))
        return any(float((self._thumbnails @ thumbnail(side)).max()) > ALIKE for side in sides)


def thumbnail(pixels: Pixels) -> NDArray[np.float32]:
    """What a picture shows, roughly: 16 x 16 grey levels, of mean 0 and length 1."""
    small = Image.fromarray(pixels).convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    levels = np.asarray(small, dtype=np.float32).ravel()
    levels = levels - levels.mean()
    unit: NDArray[np.float32] = levels / np.float32(max(float(np.linalg.norm(levels)), 1e-6))
    return unit
