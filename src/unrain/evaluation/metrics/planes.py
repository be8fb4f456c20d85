"""What the metrics share: the checks of pictures, their grey planes, and separable filters over a plane."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from unrain.errors import UnrainError

Pixels: TypeAlias = NDArray[np.floating[Any]]
Plane: TypeAlias = NDArray[np.float64]

# The bicubic kernel (a = -0.5) stretched by two, at the distances 0.5, 1.5, 2.5 and 3.5.
_HALVING = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256


def luma(pixels: Pixels) -> Plane:
    """BT.601 luma in studio range, as MATLAB's `rgb2ycbcr` gives it for a picture of doubles.

        Y = (16 + 65.481 R + 128.553 G + 24.966 B) / 255

    MATLAB rounds Y to whole levels when it is given 8-bit pixels; this does not, so that the result does not depend
    on how the picture was stored.

    Args:
        pixels: `(H, W, 3)` floats, RGB in [0, 1].

    Returns:
        `(H, W)` float64 in [16/255, 235/255].

    Raises:
        ValueError: `pixels` is not `(H, W, 3)` of floats, or is empty.
    """
    check_picture(pixels)
    weights = np.array([65.481, 128.553, 24.966]) / 255
    return np.asarray(pixels, np.float64) @ weights + 16 / 255


def grey(pixels: Pixels) -> Plane:
    """BT.601 grey in full range, in whole levels, as MATLAB's `rgb2gray` gives it for an 8-bit picture.

    Args:
        pixels: `(H, W, 3)` floats, RGB in [0, 1].

    Returns:
        `(H, W)` float64, whole numbers from 0 to 255.

    Raises:
        ValueError: `pixels` is not `(H, W, 3)` of floats, or is empty.
    """
    check_picture(pixels)
    weights = np.array([0.298936021293775, 0.587043074451121, 0.114020904255103])
    levels = np.rint(np.clip(np.asarray(pixels, np.float64), 0, 1) * 255)
    # MATLAB rounds halves up, NumPy to the even number.
    return np.asarray(np.floor(levels @ weights + 0.5))


def gaussian(size: int, sigma: float) -> Plane:
    """A Gaussian of `size` samples, of sum 1; its outer product with itself is MATLAB's `fspecial('gaussian')`."""
    distance = np.arange(size) - size // 2
    kernel = np.exp(-(distance**2) / (2 * sigma**2))
    return np.asarray(kernel / kernel.sum())


def filtered(plane: Plane, kernel: Plane) -> Plane:
    """Correlate with a separable kernel, only where it lies inside the plane.

    Args:
        plane: `(H, W)`, neither side shorter than the kernel.
        kernel: `(k,)`, the same for rows and columns.

    Returns:
        `(H - k + 1, W - k + 1)`.
    """
    # The plane is correlated as one long line, which NumPy does fast; what straddles two rows is dropped.
    for _ in range(2):
        line = np.correlate(plane.ravel(), kernel, "full")[kernel.size - 1 :]
        plane = line.reshape(plane.shape)[:, : plane.shape[1] - kernel.size + 1].T
    return plane


def halved(plane: Plane) -> Plane:
    """Half the size, by the bicubic filter that MATLAB's `imresize(plane, 0.5)` applies, mirrored at the border."""
    return filtered(np.pad(plane, (3, 4), "symmetric"), _HALVING)[::2, ::2]


def check_picture(pixels: Pixels) -> None:
    """Refuse what is no picture with a `ValueError`."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise ValueError(f"a picture must have the shape (H, W, 3), not {pixels.shape}")
    # 8-bit pixels would be taken for a range of [0, 255] and give a number that looks sound.
    if not np.issubdtype(pixels.dtype, np.floating):
        raise ValueError(f"a picture of shape {pixels.shape} must be floats in [0, 1], not {pixels.dtype}")


def check_pair(a: Pixels, b: Pixels) -> None:
    """Refuse pictures that cannot be compared: `UnrainError` if their sizes differ."""
    for pixels in (a, b):
        check_picture(pixels)
    if a.shape != b.shape:
        raise UnrainError(f"pictures to compare must be of one size, not {size(a)} and {size(b)}")


def check_size(pixels: Pixels, least: int, metric: str) -> None:
    """Refuse a picture with a side below `least` pixels with an `UnrainError`."""
    if min(pixels.shape[:2]) < least:
        raise UnrainError(f"{metric} needs pictures of at least {least}x{least} pixels, not {size(pixels)}")


def size(pixels: Pixels) -> str:
    """Width x height, as people write it."""
    return f"{pixels.shape[1]}x{pixels.shape[0]}"
