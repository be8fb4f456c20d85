"""From pictures as people hold them to the arrays that a step graph takes, and back. No guessing of layouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unrain.media.images import to_uint8

Pixels = NDArray[np.float32]
AnyPixels = NDArray[Any]
"""`(H, W, 3)` RGB: uint8, uint16, or float32 in [0, 1]."""
IMAGE_MODES = ("RGB", "RGBA", "L")
AnyPicture = TypeVar("AnyPicture", Image.Image, NDArray[np.uint8], NDArray[np.float32], NDArray[np.float64])


def as_float(pixels: AnyPixels) -> Pixels:
    """float32 in [0, 1], any shape."""
    if pixels.dtype == np.float32:
        return pixels
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def as_type(pixels: Pixels, kind: np.dtype[Any]) -> AnyPixels:
    """The way back from `as_float`: clipped, and rounded to the nearest level, halves up."""
    if kind == np.float32:
        return pixels.clip(0, 1)
    if kind == np.uint8:
        return to_uint8(pixels)
    most = np.iinfo(kind).max
    levels: AnyPixels = np.floor(pixels.clip(0, 1) * np.float32(most) + np.float32(0.5)).clip(0, most).astype(kind)
    return levels


def to_planes(pixels: Pixels) -> Pixels:
    """`(H, W, C)` to a contiguous `(1, C, H, W)`."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32)


def to_pixels(planes: Pixels) -> Pixels:
    """`(1, C, H, W)` to a contiguous `(H, W, C)`."""
    return np.ascontiguousarray(planes[0].transpose(1, 2, 0))


def to_even(pixels: AnyPixels) -> AnyPixels:
    """With the last row and column once more where these are odd, as networks at half the resolution need it."""
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge") if height % 2 or width % 2 else pixels


def unwrap(picture: object) -> tuple[AnyPixels, Callable[[AnyPixels], Any]]:
    """A picture as `(H, W, 3)` uint8, or float32 in [0, 1], and the way back to the type that it had.

    Takes a PIL image of mode RGB, RGBA or L, or an RGB array `(H, W, 3)` of uint8 (0 to 255) or of floats (0 to 1). The
    way back takes the same type of pixels; transparency stays as it was. Raises `TypeError` for another type and
    `ValueError` for another mode or shape, or for values out of range.
    """
    if isinstance(picture, Image.Image):
        return _unwrap_image(picture)
    if isinstance(picture, np.ndarray):
        return _unwrap_array(picture)
    raise TypeError(f"a picture is a PIL image or a NumPy array, not {type(picture).__name__}")


def _unwrap_image(image: Image.Image) -> tuple[AnyPixels, Callable[[AnyPixels], Image.Image]]:
    if image.mode not in IMAGE_MODES:
        raise ValueError(f"an image of mode {image.mode} is not one of {', '.join(IMAGE_MODES)}; convert it first")

    def back(pixels: AnyPixels) -> Image.Image:
        result = Image.fromarray(pixels).convert(image.mode)
        if image.mode == "RGBA":
            result.putalpha(image.getchannel("A"))
        return result

    return np.asarray(image.convert("RGB")), back


def _unwrap_array(array: NDArray[Any]) -> tuple[AnyPixels, Callable[[AnyPixels], NDArray[Any]]]:
    if array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise ValueError(f"an array of a picture has the shape (H, W, 3); this one is {array.shape}")
    if array.dtype == np.uint8:
        return array, lambda result: result
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(f"an array of a picture is uint8 or floating point, not {array.dtype}")
    pixels = array.astype(np.float32)
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError(f"floats of a picture are from 0 to 1; these are from {pixels.min()} to {pixels.max()}")
    return pixels, lambda result: result.astype(array.dtype)
