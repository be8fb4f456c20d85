"""The metrics that `unrain eval` knows: PSNR and SSIM, each in y and in rgb.

What a number means is in this table; how it is computed is in `metrics.py`, and averaging is in `results.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from unrain.errors import UnrainError
from unrain.evaluation.metrics import psnr, ssim


@dataclass(frozen=True)
class Metric:
    """One way to measure a picture or a clip.

    bounds: the worst and the best value. convention: on what it is computed. source: who defined it. truth: whether it
    needs the ground truth. clip: whether it needs all frames of a clip. digits: after the point, in a table. measure
    takes the picture (or the list of frames) and, where it needs one, the truth: `(H, W, 3)` floats, RGB in [0, 1].
    """

    name: str
    label: str
    better: Literal["higher", "lower"]
    bounds: tuple[float, float]
    convention: str
    source: str
    truth: bool
    clip: bool
    digits: int
    measure: Callable[..., Any]


_LUMA = "BT.601 luma as MATLAB's rgb2ycbcr gives it, of 8-bit pictures"
_RGB = "all three channels of 8-bit pictures"
_WINDOW = "11×11 Gaussian, σ = 1.5, 'valid' borders"
_PSNR = "10 log10(255² / MSE)"
_SSIM = "Wang et al., IEEE TIP 2004"
_INFINITE = float("inf")

METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "psnr-y", "PSNR y", "higher", (0, _INFINITE), _LUMA, _PSNR, True, False, 2, partial(psnr, convention="y")
        ),
        Metric(
            "psnr-rgb",
            "PSNR rgb",
            "higher",
            (0, _INFINITE),
            _RGB,
            _PSNR,
            True,
            False,
            2,
            partial(psnr, convention="rgb"),
        ),
        Metric(
            "ssim-y",
            "SSIM y",
            "higher",
            (-1, 1),
            f"{_LUMA}; {_WINDOW}",
            _SSIM,
            True,
            False,
            4,
            partial(ssim, convention="y"),
        ),
        Metric(
            "ssim-rgb",
            "SSIM rgb",
            "higher",
            (-1, 1),
            f"mean over {_RGB}; {_WINDOW}",
            _SSIM,
            True,
            False,
            4,
            partial(ssim, convention="rgb"),
        ),
    )
}


def find(name: str) -> Metric:
    """The metric of this name; `UnrainError` names those that exist."""
    if name not in METRICS:
        raise UnrainError(f"there is no metric {name!r}; choose from {', '.join(METRICS)}")
    return METRICS[name]
