"""How close a derained picture is to the truth: PSNR and SSIM, in the two conventions of the deraining papers.

Full-reference numbers for one picture live here. Averaging over a set and metrics without a reference do not.
"""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.floating[Any]]
Convention = Literal["y", "rgb"]

_WINDOW = 11
_SIGMA = 1.5
_C1 = 0.01**2
_C2 = 0.03**2


def luma(pixels: Pixels) -> NDArray[np.float64]:
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
    _check_picture(pixels)
    weights = np.array([65.481, 128.553, 24.966]) / 255
    return np.asarray(pixels, np.float64) @ weights + 16 / 255


def psnr(a: Pixels, b: Pixels, convention: Convention = "y") -> float:
    """Peak signal-to-noise ratio, 10 log10(1 / MSE), for a peak of 1.0 (level 255 of 8 bits).

    The peak is 1.0 for luma too, although luma ends at 235/255: the papers measure it so.

    Args:
        a: `(H, W, 3)` floats, RGB in [0, 1]. Values outside are measured as they are.
        b: The picture to compare with, like `a`. The order does not matter.
        convention: `y` measures `luma`; `rgb` takes one mean squared error over all pixels and channels.

    Returns:
        Decibels; `inf` for identical pictures.

    Raises:
        ValueError: a picture is not `(H, W, 3)` of floats, the shapes differ, or the convention is unknown.
    """
    first, second = _channels(a, b, convention)
    mse = float(np.mean(np.square(first - second)))
    return math.inf if mse == 0 else -10 * math.log10(mse)


def ssim(a: Pixels, b: Pixels, convention: Convention = "y") -> float:
    """Mean structural similarity (Wang et al., IEEE TIP 2004, eq. 13 and 17), as the authors' MATLAB code has it.

    Window: 11x11 Gaussian with sigma 1.5, only where it lies inside the picture ('valid'). K1 = 0.01, K2 = 0.03,
    dynamic range 1.0 (255 of 8 bits). The authors' optional downscaling of large pictures is not done.

    Args:
        a: `(H, W, 3)` floats, RGB in [0, 1]; H and W at least 11.
        b: The picture to compare with, like `a`. The order does not matter.
        convention: `y` measures `luma`; `rgb` is the mean over the three channels.

    Returns:
        The mean over the picture, in [-1, 1]; 1 for identical pictures.

    Raises:
        ValueError: a picture is not `(H, W, 3)` of floats or is smaller than the window, the shapes differ, or the
            convention is unknown.
    """
    first, second = _channels(a, b, convention)
    if min(first.shape[1:]) < _WINDOW:
        raise ValueError(f"SSIM needs pictures of at least {_WINDOW}x{_WINDOW} pixels, not of shape {a.shape}")
    return float(np.mean([_ssim_map(x, y).mean() for x, y in zip(first, second, strict=True)]))


def _ssim_map(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    mean_x, mean_y = _blur(x), _blur(y)
    xx, yy, xy = mean_x * mean_x, mean_y * mean_y, mean_x * mean_y
    variances = _blur(x * x + y * y) - xx - yy
    covariance = _blur(x * y) - xy
    return (2 * xy + _C1) * (2 * covariance + _C2) / ((xx + yy + _C1) * (variances + _C2))


def _blur(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    # The Gaussian is separable: 2 x 11 additions per pixel instead of 121.
    distance = np.arange(_WINDOW) - _WINDOW // 2
    kernel = np.exp(-(distance**2) / (2 * _SIGMA**2))
    kernel /= kernel.sum()
    height, width = (side - _WINDOW + 1 for side in plane.shape)
    rows = sum(weight * plane[i : i + height] for i, weight in enumerate(kernel))
    return np.asarray(sum(weight * rows[:, i : i + width] for i, weight in enumerate(kernel)))


def _channels(a: Pixels, b: Pixels, convention: Convention) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two pictures as float64 planes to measure: `(1, H, W)` or `(3, H, W)` each."""
    for pixels in (a, b):
        _check_picture(pixels)
    if a.shape != b.shape:
        raise ValueError(f"pictures to compare must have one shape, not {a.shape} and {b.shape}")
    if convention == "y":
        return luma(a)[None], luma(b)[None]
    if convention == "rgb":
        return np.moveaxis(a.astype(np.float64), 2, 0), np.moveaxis(b.astype(np.float64), 2, 0)
    raise ValueError(f"unknown convention {convention!r}; known are {', '.join(get_args(Convention))}")


def _check_picture(pixels: Pixels) -> None:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise ValueError(f"a picture must have the shape (H, W, 3), not {pixels.shape}")
    # 8-bit pixels would be taken for a range of [0, 255] and give a number that looks sound.
    if not np.issubdtype(pixels.dtype, np.floating):
        raise ValueError(f"a picture of shape {pixels.shape} must be floats in [0, 1], not {pixels.dtype}")
