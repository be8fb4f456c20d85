"""A picture in memory, and what its numbers can be turned into: levels of a file, and colours of sRGB.

Reading and writing it are the business of reading.py and writing.py.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from unrain.errors import MediaError
from unrain.media.metadata import NOTHING, Metadata


@dataclass(frozen=True)
class Picture:
    """A picture in memory, upright, with what its file said besides the pixels.

    `levels` is (H, W, 3) RGB: uint8 as 8 bits are read, or float32 in [0, 1]; `pixels` is always the latter. `alpha` is
    (H, W) in the file's own levels (uint8, uint16 or float32) or None. `grey` pictures have three equal channels, and
    are written with one. `bits` per channel are 8, 16, or 32 for floating point. `icc` is the profile that says what
    the numbers mean; there is none for sRGB.

    `tables` are the quantisation tables of the JPEG that it comes from, and `lossless` says that a WebP was.
    """

    levels: NDArray[Any]
    alpha: NDArray[Any] | None = None
    grey: bool = False
    format: str = "PNG"
    bits: int = 8
    icc: bytes | None = None
    metadata: Metadata = NOTHING
    tables: tuple[tuple[int, ...], ...] = ()
    lossless: bool = False

    @property
    def pixels(self) -> NDArray[np.float32]:
        """The levels as float32 in [0, 1]; a new array where they are bytes."""
        return from_uint8(self.levels) if self.levels.dtype == np.uint8 else self.levels


def from_uint8(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """0..255 as float32 in [0, 1], any shape."""
    return pixels.astype(np.float32) / np.float32(255)


def to_uint8(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[0, 1] as 0..255, any shape; see `to_levels`."""
    return to_levels(pixels, 255).astype(np.uint8)


def to_levels(pixels: NDArray[np.float32], top: int) -> NDArray[np.float32]:
    """[0, 1] as whole numbers 0..`top`, any shape: clipped, then rounded, halves up. MediaError for NaN."""
    if np.isnan(pixels).any():
        raise MediaError("the cleaned picture holds values that are not numbers; try precision fp32")
    levels: NDArray[np.float32] = np.floor(np.clip(pixels, 0, 1) * np.float32(top) + np.float32(0.5))
    return levels


def to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image | None:
    """The colours in sRGB, by the profile that belongs to them, or None where there is no usable one."""
    try:
        if image.mode == "LAB":
            source: Any = ImageCms.createProfile("LAB")
        else:
            source = io.BytesIO(icc) if icc else None
        return source and ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC, "RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
