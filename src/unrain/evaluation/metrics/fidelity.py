"""How close a derained picture is to the truth: PSNR and SSIM, in the two conventions of the deraining papers."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np

from unrain.evaluation.metrics.planes import Pixels, Plane, check_pair, check_size, filtered, gaussian, luma

Convention = Literal["y", "rgb"]

_WINDOW = gaussian(11, 1.5)
_C1 = 0.01**2
_C2 = 0.03**2


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
        UnrainError: the sizes differ.
        ValueError: a picture is not `(H, W, 3)` of floats, or the convention is unknown.
    """
    first, second = _planes(a, b, convention)
    mse = float(np.mean([np.mean(np.square(x - y)) for x, y in zip(first, second, strict=True)]))
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
        UnrainError: the sizes differ, or a picture is smaller than the window.
        ValueError: a picture is not `(H, W, 3)` of floats, or the convention is unknown.
    """
    first, second = _planes(a, b, convention)
    check_size(a, _WINDOW.size, "SSIM")
    return float(np.mean([_ssim_map(x, y).mean() for x, y in zip(first, second, strict=True)]))


def _ssim_map(x: Plane, y: Plane) -> Plane:
    mean_x, mean_y = filtered(x, _WINDOW), filtered(y, _WINDOW)
    xx, yy, xy = mean_x * mean_x, mean_y * mean_y, mean_x * mean_y
    variances = filtered(x * x + y * y, _WINDOW) - xx - yy
    covariance = filtered(x * y, _WINDOW) - xy
    return (2 * xy + _C1) * (2 * covariance + _C2) / ((xx + yy + _C1) * (variances + _C2))


def _planes(a: Pixels, b: Pixels, convention: Convention) -> tuple[list[Plane], list[Plane]]:
    """The planes to measure of both pictures: one of luma, or three of colour."""
    check_pair(a, b)
    if convention == "y":
        return [luma(a)], [luma(b)]
    if convention == "rgb":
        first, second = ([np.array(pixels[..., i], np.float64) for i in range(3)] for pixels in (a, b))
        return first, second
    raise ValueError(f"unknown convention {convention!r}; known are {', '.join(get_args(Convention))}")
