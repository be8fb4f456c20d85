"""UNIQUE: how good a picture looks to people, without the truth, by a network that was trained on many human scores.

The metric and its weights; PyTorch is imported when it is asked for. The network is in `networks/unique.py`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from unrain.evaluation.metrics.files import require_torch, weight_file
from unrain.evaluation.metrics.planes import Pixels, check_picture, check_size

if TYPE_CHECKING:
    from unrain.networks.unique import Unique

_LONGEST_SHORT_SIDE = 768
_MEAN = np.array([0.485, 0.456, 0.406])
_DEVIATION = np.array([0.229, 0.224, 0.225])
_WHAT = "the file model.pt of github.com/zwx8981/UNIQUE (its README links the pre-trained weights)"


class Opinion(NamedTuple):
    """What UNIQUE says of a picture: the expected score, and the variance that it expects of people's scores."""

    mean: float
    variance: float


def unique(result: Pixels, weights: Path | None = None) -> float:
    """UNIQUE (Zhang, Ma, Zhai, Yang, IEEE TIP 2021): the mean of its opinion on a picture, see `opinion`."""
    return opinion(result, weights).mean


def opinion(result: Pixels, weights: Path | None = None) -> Opinion:
    """What UNIQUE's network says of a picture, prepared as in the authors' demo.

    Pictures of at least 768 pixels on both sides are scaled down until the shorter one has 768.

    Args:
        result: `(H, W, 3)` floats, RGB in [0, 1]; H and W at least 32. They are rounded to 8 bits.
        weights: The published checkpoint; without it, the file that the environment variable UNRAIN_UNIQUE names.

    Returns:
        The mean, without bounds, higher for better pictures, and the variance.

    Raises:
        UnrainError: PyTorch or the weights are absent or broken, or the picture is too small.
        ValueError: the picture is not `(H, W, 3)` of floats.
    """
    network = unique_network(weights)
    import torch

    check_picture(result)
    check_size(result, 32, "UNIQUE")
    picture = shrunk(Image.fromarray(np.rint(np.clip(result, 0, 1) * 255).astype(np.uint8)))
    normal = ((np.asarray(picture) / 255 - _MEAN) / _DEVIATION).astype(np.float32)
    with torch.inference_mode():
        mean, variance = network(torch.from_numpy(normal).permute(2, 0, 1)[None])[0].tolist()
    return Opinion(mean, variance)


def unique_network(weights: Path | None = None) -> Unique:
    """The network with its published weights; `UnrainError` where PyTorch or these are not."""
    require_torch("unique")
    return _unique_network(weight_file("unique", "UNRAIN_UNIQUE", weights, _WHAT))


@cache
def _unique_network(file: Path) -> Unique:
    from unrain.networks.unique import Unique
    from unrain.training.checkpoint import load
    from unrain.training.features import load_frozen

    checkpoint = load(file)
    # The authors' training writes the weights into a table with the optimizer; both come from a parallel module.
    state = checkpoint.get("state_dict", checkpoint)
    network = Unique().eval()
    load_frozen(network, {str(name).removeprefix("module."): value for name, value in state.items()}, file)
    return network


def shrunk(picture: Image.Image) -> Image.Image:
    """A picture as the network is shown it: scaled down to 768 pixels on its shorter side if that is longer."""
    short = min(picture.size)
    if short < _LONGEST_SHORT_SIDE:
        return picture
    width, height = (_LONGEST_SHORT_SIDE * side // short for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BILINEAR)
