"""From pictures as people hold them to the arrays that a step graph takes, and back. No guessing of layouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unrain.media.images import from_uint8, to_uint8

Pixels = NDArray[np.float32]
AnyPicture = TypeVar("AnyPicture", Image.Image, NDArray[np.generic])


def to_planes(pixels: Pixels) -> Pixels:
    """`(H, W, C)` to a contiguous `(1, C, H, W)`."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32)


def to_pixels(planes: Pixels) -> Pixels:
    """`(1, C, H, W)` to a contiguous `(H, W, C)`."""
    return np.ascontiguousarray(planes[0].transpose(1, 2, 0))


def unwrap(picture: AnyPicture) -> tuple[Pixels, Callable[[Pixels], AnyPicture]]:
    """A picture as `(H, W, 3)` float32 in [0, 1], and the way back to the type that it had.

    Takes a PIL image, or an RGB array `(H, W, 3)` of uint8 (0 to 255) or of floats (0 to 1). The way back clips, and
    rounds where the type is 8-bit. Raises `TypeError` for another type and `ValueError` for another shape or for
    values out of range.
    """
    if isinstance(picture, Image.Image):
        return from_uint8(np.asarray(picture.convert("RGB"))), _to_image
    if not isinstance(picture, np.ndarray):
        raise TypeError(f"a picture is a PIL image or a NumPy array, not {type(picture).__name__}")
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
        raise ValueError(f"an array of a picture has the shape (H, W, 3); this one is {picture.shape}")
    if picture.dtype == np.uint8:
        return from_uint8(picture), to_uint8
    if not np.issubdtype(picture.dtype, np.floating):
        raise TypeError(f"an array of a picture is uint8 or floating point, not {picture.dtype}")
    pixels = picture.astype(np.float32)
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError(f"floats of a picture are from 0 to 1; these are from {pixels.min()} to {pixels.max()}")
    dtype = picture.dtype
    return pixels, lambda result: result.clip(0, 1).astype(dtype)


def _to_image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(to_uint8(pixels))
