"""From pictures as people hold them to the arrays that a step graph takes, and back. No guessing of layouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unrain.media.images import from_uint8, to_uint8

Pixels = NDArray[np.float32]
IMAGE_MODES = ("RGB", "RGBA", "L")
AnyPicture = TypeVar("AnyPicture", Image.Image, NDArray[np.uint8], NDArray[np.float32], NDArray[np.float64])


def to_planes(pixels: Pixels) -> Pixels:
    """`(H, W, C)` to a contiguous `(1, C, H, W)`."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32)


def to_pixels(planes: Pixels) -> Pixels:
    """`(1, C, H, W)` to a contiguous `(H, W, C)`."""
    return np.ascontiguousarray(planes[0].transpose(1, 2, 0))


def unwrap(picture: object) -> tuple[Pixels, Callable[[Pixels], Any]]:
    """A picture as `(H, W, 3)` float32 in [0, 1], and the way back to the type that it had.

    Takes a PIL image of mode RGB, RGBA or L, or an RGB array `(H, W, 3)` of uint8 (0 to 255) or of floats (0 to 1). The
    way back clips, and rounds where the type is 8-bit; transparency stays as it was. Raises `TypeError` for another
    type and `ValueError` for another mode or shape, or for values out of range.
    """
    if isinstance(picture, Image.Image):
        return _unwrap_image(picture)
    if isinstance(picture, np.ndarray):
        return _unwrap_array(picture)
    raise TypeError(f"a picture is a PIL image or a NumPy array, not {type(picture).__name__}")


def _unwrap_image(image: Image.Image) -> tuple[Pixels, Callable[[Pixels], Image.Image]]:
    if image.mode not in IMAGE_MODES:
        raise ValueError(f"an image of mode {image.mode} is not one of {', '.join(IMAGE_MODES)}; convert it first")

    def back(pixels: Pixels) -> Image.Image:
        result = Image.fromarray(to_uint8(pixels)).convert(image.mode)
        if image.mode == "RGBA":
            result.putalpha(image.getchannel("A"))
        return result

    return from_uint8(np.asarray(image.convert("RGB"))), back


def _unwrap_array(array: NDArray[Any]) -> tuple[Pixels, Callable[[Pixels], NDArray[Any]]]:
    if array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise ValueError(f"an array of a picture has the shape (H, W, 3); this one is {array.shape}")
    if array.dtype == np.uint8:
        return from_uint8(array), to_uint8
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(f"an array of a picture is uint8 or floating point, not {array.dtype}")
    pixels = array.astype(np.float32)
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError(f"floats of a picture are from 0 to 1; these are from {pixels.min()} to {pixels.max()}")
    return pixels, lambda result: result.clip(0, 1).astype(array.dtype)
