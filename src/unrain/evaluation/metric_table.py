"""The metrics that `unrain eval` knows: PSNR and SSIM, each in y and in rgb.

What a number means is in this table; how it is computed is in `metrics.py`, and averaging is in `results.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from unrain.errors import UnrainError
from unrain.evaluation.metrics import psnr, ssim


@dataclass(frozen=True)
class Metric:
    """One way to measure a result.

    bounds: the lowest and the highest value. convention: what else must be said for the number to be compared with
    others. source: who defined it. truth: whether it needs the clean picture. clip: whether it measures a clip of
    frames rather than one picture. digits: decimals worth printing. measure: takes a picture, `(H, W, 3)` floats, RGB
    in [0, 1], and the truth if it needs one; of clips, it takes the frames and the true ones, or None. prepare: reads
    what it needs; `UnrainError` says what is missing.
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
    measure: Callable[..., float]
    prepare: Callable[[], object] = lambda: None


def _fidelity(name: str, label: str, lowest: float, highest: float, convention: str, source: str) -> Metric:
    measure = partial(psnr if label == "PSNR" else ssim, convention="y" if name.endswith("-y") else "rgb")
    digits = 2 if label == "PSNR" else 4
    return Metric(name, label, "higher", (lowest, highest), convention, source, True, False, digits, measure)


_DECIBELS = "10 log10(255² / MSE)"
_WANG = "Wang et al., IEEE TIP 2004"
_WINDOW = "11×11 Gaussian, σ = 1.5, 'valid' borders"

METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        _fidelity("psnr-y", "PSNR", 0, math.inf, "dB, BT.601 luma as MATLAB's rgb2ycbcr, 8-bit range", _DECIBELS),
        _fidelity("psnr-rgb", "PSNR", 0, math.inf, "dB, one error over RGB, 8-bit range", _DECIBELS),
        _fidelity("ssim-y", "SSIM", -1, 1, f"BT.601 luma as MATLAB's rgb2ycbcr, {_WINDOW}", _WANG),
        _fidelity("ssim-rgb", "SSIM", -1, 1, f"mean over RGB, {_WINDOW}", _WANG),
    )
}


def find(name: str) -> Metric:
    """The metric of this name; `UnrainError` names those that exist."""
    if name not in METRICS:
        raise UnrainError(f"there is no metric {name!r}; choose from {', '.join(METRICS)}")
    return METRICS[name]
