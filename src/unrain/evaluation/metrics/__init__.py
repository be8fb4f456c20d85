"""The metrics as data: what each is called, how it is measured and by which convention, and where it comes from.

One file for each kind: `fidelity.py`, `perceptual.py`, `natural.py`, `unique.py`, `video.py`. What a metric needs
beyond NumPy is imported and read when it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

from unrain.errors import UnrainError
from unrain.evaluation.metrics import natural, perceptual, unique, video
from unrain.evaluation.metrics.fidelity import Convention, psnr, ssim
from unrain.evaluation.metrics.planes import Pixels, luma

__all__ = ["METRICS", "Convention", "Metric", "Pixels", "curve", "find", "luma", "psnr", "ssim"]


@dataclass(frozen=True)
class Metric:
    """How something about a result is measured.

    Pictures are `(H, W, 3)` floats, RGB in [0, 1]. A metric of pictures is `measure(result, truth)`, or
    `measure(result)` where it needs no truth; a metric of clips is `measure(frames, truth)`, both iterables of
    pictures, the truth None where there is none. What cannot be measured raises an `UnrainError` in one line, or a
    `ValueError` if it is no picture at all. A metric is pickled by its name.
    """

    name: str
    """How it is asked for."""
    label: str
    """How a table calls it."""
    better: Literal["higher", "lower"]
    bounds: tuple[float, float]
    """Lowest and highest possible value."""
    convention: str
    """What else must be said for the number to be compared with others."""
    source: str
    """The paper, and the tool that it agrees with."""
    truth: bool
    """Whether it needs the clean picture. A metric of clips that does not may use it all the same."""
    clip: bool
    """Whether it measures a clip of frames rather than one picture."""
    digits: int
    """Decimals worth printing."""
    measure: Callable[..., float]
    curve: Callable[..., list[float]] | None = None
    """Of a metric of clips: the values over time that `measure` is the mean of."""
    prepare: Callable[[], object] = lambda: None
    """Reads the packages and files that it needs; `UnrainError` says in one line what is missing and how to get it."""

    def __reduce__(self) -> tuple[Callable[[str], Metric], tuple[str]]:
        return find, (self.name,)


_ALL = (
    Metric(
        name="psnr-y",
        label="PSNR",
        better="higher",
        bounds=(0, math.inf),
        convention="dB, BT.601 luma, 8-bit range",
        source="10 log10(255² / MSE) on MATLAB's rgb2ycbcr of doubles; agrees with Octave",
        truth=True,
        clip=False,
        digits=2,
        measure=partial(psnr, convention="y"),
    ),
    Metric(
        name="psnr-rgb",
        label="PSNR",
        better="higher",
        bounds=(0, math.inf),
        convention="dB, one error over RGB, 8-bit range",
        source="10 log10(255² / MSE); agrees with Octave and scikit-image",
        truth=True,
        clip=False,
        digits=2,
        measure=partial(psnr, convention="rgb"),
    ),
    Metric(
        name="ssim-y",
        label="SSIM",
        better="higher",
        bounds=(-1, 1),
        convention="BT.601 luma, 11x11 Gaussian, valid borders",
        source="Wang et al., IEEE TIP 2004; agrees with Octave and scikit-image",
        truth=True,
        clip=False,
        digits=4,
        measure=partial(ssim, convention="y"),
    ),
    Metric(
        name="ssim-rgb",
        label="SSIM",
        better="higher",
        bounds=(-1, 1),
        convention="mean over RGB, 11x11 Gaussian, valid borders",
        source="Wang et al., IEEE TIP 2004; agrees with Octave and scikit-image",
        truth=True,
        clip=False,
        digits=4,
        measure=partial(ssim, convention="rgb"),
    ),
    Metric(
        name="lpips",
        label="LPIPS",
        better="lower",
        bounds=(0, math.inf),
        convention="version 0.1 on VGG-16",
        source="Zhang et al., CVPR 2018; with the weights of the lpips package",
        truth=True,
        clip=False,
        digits=4,
        measure=perceptual.lpips,
        prepare=perceptual.lpips_network,
    ),
    Metric(
        name="vgg-distance",
        label="VGG distance",
        better="lower",
        bounds=(0, math.inf),
        convention="VGG-16 relu1_2 to relu4_3, unit length, channels unweighted; not LPIPS",
        source="after Zhang et al., CVPR 2018; weights of Simonyan and Zisserman, ICLR 2015",
        truth=True,
        clip=False,
        digits=5,
        measure=perceptual.vgg_distance,
        prepare=perceptual.vgg_network,
    ),
    Metric(
        name="brisque",
        label="BRISQUE",
        better="lower",
        bounds=(-math.inf, math.inf),
        convention="the authors' model (LIVE), about 0 to 100",
        source="Mittal et al., IEEE TIP 2012; agrees with the authors' formulas in Octave and with libsvm",
        truth=False,
        clip=False,
        digits=2,
        measure=natural.brisque,
        prepare=natural.brisque_model,
    ),
    Metric(
        name="niqe",
        label="NIQE",
        better="lower",
        bounds=(0, math.inf),
        convention="parameters fitted on unrain's training photos, not MATLAB's",
        source="Mittal et al., IEEE SPL 2013; features agree with the authors' formulas in Octave",
        truth=False,
        clip=False,
        digits=2,
        measure=natural.niqe,
        prepare=natural.niqe_model,
    ),
    Metric(
        name="unique",
        label="UNIQUE",
        better="higher",
        bounds=(-math.inf, math.inf),
        convention="mean of the opinion, shorter side at most 768 pixels",
        source="Zhang et al., IEEE TIP 2021; with the authors' weights",
        truth=False,
        clip=False,
        digits=3,
        measure=unique.unique,
        prepare=unique.unique_network,
    ),
    Metric(
        name="warping",
        label="Warping error",
        better="lower",
        bounds=(0, 1),
        convention="mean square in [0, 1], DIS flow of the truth where there is one, else of the frames",
        source="Lai et al., ECCV 2018; DIS instead of FlowNet 2",
        truth=False,
        clip=True,
        digits=5,
        measure=partial(video.mean_of, video.warping),
        curve=video.warping,
        prepare=video.opencv,
    ),
    Metric(
        name="flicker",
        label="Flicker",
        better="lower",
        bounds=(0, 510),
        convention="mean change of the error from frame to frame, levels of 8 bits",
        source="unrain's own definition",
        truth=True,
        clip=True,
        digits=2,
        measure=partial(video.mean_of, video.flicker),
        curve=video.flicker,
    ),
    Metric(
        name="flicker-blind",
        label="Flicker, no truth",
        better="lower",
        bounds=(0, 255),
        convention="mean distance from the neighbours along DIS flow, levels of 8 bits",
        source="unrain's own definition",
        truth=False,
        clip=True,
        digits=2,
        measure=partial(video.mean_of, video.flicker_blind),
        curve=video.flicker_blind,
        prepare=video.opencv,
    ),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})
"""All metrics by name, in the order in which a table shows them."""


def find(name: str) -> Metric:
    """The metric of that name; `UnrainError` names those that there are."""
    if name not in METRICS:
        raise UnrainError(f"there is no metric {name!r}; choose from {', '.join(METRICS)}")
    return METRICS[name]


def curve(metric: Metric, frames: Iterable[Pixels], truth: Iterable[Pixels] | None = None) -> list[float]:
    """A metric over the time of a clip.

    Args:
        metric: Any metric; one of pictures measures each frame.
        frames: The frames of the result.
        truth: As many clean frames, where there are any.

    Returns:
        One value per frame. Metrics of clips have none for the first frame, and flicker-blind none for the last.

    Raises:
        UnrainError: the metric needs a truth and there is none, the counts differ, or a frame cannot be measured.
    """
    if metric.truth and truth is None:
        raise UnrainError(f"{metric.name} needs the clean frames")
    if metric.curve:
        return metric.curve(frames, truth)
    if not metric.truth:
        return [metric.measure(frame) for frame in frames]
    return [metric.measure(*pair) for pair in video.paired(frames, truth or ())]
