"""Distance of a derained picture from the truth in the features of a VGG-16: LPIPS, and one without learned weights.

PyTorch and the weights are read when a metric is asked for, not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unrain.errors import WeightsError
from unrain.evaluation.metrics.files import require_torch, weight_file
from unrain.evaluation.metrics.planes import Pixels, check_pair, check_size

if TYPE_CHECKING:
    from torch import Tensor

    from unrain.training.features import Features

_BACKBONE = "vgg16-397923af.pth"
_HEADS = "vgg.pth"
# What LPIPS looks at beyond the layers that unrain trains with.
_LAST_BLOCK = (512, 512, 512)
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)


def vgg_distance(result: Pixels, truth: Pixels, weights: Path | None = None) -> float:
    """Distance in the features of an ImageNet classifier, all channels weighing the same. This is not LPIPS.

        D = Σ_l 1/(H_l W_l C_l) Σ_hw ‖ V̂_l(result) − V̂_l(truth) ‖²

    V̂: relu1_2, relu2_2, relu3_3 and relu4_3 of VGG-16 (Simonyan, Zisserman, ICLR 2015; the authors' weights), scaled
    to unit length in each pixel, as Zhang et al. (CVPR 2018) do before they weigh the channels.

    Args:
        result: `(H, W, 3)` floats, RGB in [0, 1]; H and W at least 16.
        truth: The clean picture, of the same shape. The order does not matter.
        weights: VGG-16's convolutions up to relu4_3 under torchvision's names, `.safetensors`; without it, the file
            that the environment variable UNRAIN_VGG16 names.

    Returns:
        At least 0; 0 for identical pictures.

    Raises:
        UnrainError: PyTorch or the weights are absent or broken, the sizes differ or are too small.
        ValueError: a picture is not `(H, W, 3)` of floats.
    """
    return _distance(vgg_network(weights), _batch(result, truth), None)


def lpips(result: Pixels, truth: Pixels, folder: Path | None = None) -> float:
    """LPIPS, version 0.1 on VGG-16 (Zhang, Isola, Efros, Shechtman, Wang, CVPR 2018, eq. 1).

        D = Σ_l 1/(H_l W_l) Σ_hw w_l · (V̂_l(result) − V̂_l(truth))²

    V̂: relu1_2 to relu5_3 of torchvision's VGG-16, scaled to unit length in each pixel; w: learned weights of the
    channels. Many papers report LPIPS on AlexNet, whose numbers are others.

    Args:
        result: `(H, W, 3)` floats, RGB in [0, 1]; H and W at least 16.
        truth: The clean picture, of the same shape. The order does not matter.
        folder: Where torchvision's `vgg16-397923af.pth` and the `vgg.pth` of the `lpips` package (weights/v0.1) lie;
            without it, the folder that the environment variable UNRAIN_LPIPS names.

    Returns:
        At least 0; 0 for identical pictures.

    Raises:
        UnrainError: PyTorch or the weights are absent or broken, the sizes differ or are too small.
        ValueError: a picture is not `(H, W, 3)` of floats.
    """
    network, theta = lpips_network(folder)
    pictures = _batch(result, truth)
    shift, scale = (pictures.new_tensor(values).view(1, 3, 1, 1) for values in (_SHIFT, _SCALE))
    # The authors' normalisation, then what `Features` takes off again, so that its convolutions see the former.
    return _distance(network, ((2 * pictures - 1 - shift) / scale + network.mean) / 255, theta)


def vgg_network(weights: Path | None = None) -> Features:
    """VGG-16 up to relu4_3; `UnrainError` where PyTorch or its weights are not."""
    require_torch("vgg-distance")
    what = "a .safetensors file of VGG-16's convolutions up to relu4_3, under torchvision's names"
    return _vgg_network(weight_file("vgg-distance", "UNRAIN_VGG16", weights, what))


@cache
def _vgg_network(file: Path) -> Features:
    from unrain.training.features import vgg16

    return vgg16(str(file))


def lpips_network(folder: Path | None = None) -> tuple[Features, list[Tensor]]:
    """VGG-16 up to relu5_3, and the root of each layer's channel weights; `UnrainError` where they are not."""
    require_torch("lpips")
    what = f"a folder with torchvision's {_BACKBONE} and the lpips package's weights/v0.1/{_HEADS}"
    return _lpips_network(weight_file("lpips", "UNRAIN_LPIPS", folder, what))


@cache
def _lpips_network(folder: Path) -> tuple[Features, list[Tensor]]:
    from unrain.training.checkpoint import load
    from unrain.training.features import Features, load_frozen

    network = Features((*Features.VGG16, _LAST_BLOCK))
    load_frozen(network, load(folder / _BACKBONE), folder / _BACKBONE)
    heads = load(folder / _HEADS)
    theta = []
    for layer, channels in enumerate(network.widths):
        name = f"lin{layer}.model.1.weight"
        if name not in heads or heads[name].shape != (1, channels, 1, 1):
            raise WeightsError(f"{folder / _HEADS}: {name} is missing or has another shape than (1, {channels}, 1, 1)")
        # The published weights are not below zero; the loss takes their root because it weighs before it squares.
        theta.append(heads[name].float().clamp(min=0).sqrt().flatten())
    return network, theta


def _batch(result: Pixels, truth: Pixels) -> Tensor:
    """Both pictures as one batch, `(2, 3, H, W)`."""
    import torch

    check_pair(result, truth)
    check_size(result, 16, "a distance of features")
    return torch.from_numpy(np.stack([result, truth]).astype(np.float32)).permute(0, 3, 1, 2)


def _distance(network: Features, pictures: Tensor, theta: Sequence[Tensor] | None) -> float:
    import torch

    from unrain.training.losses.perceptual import perceptual_loss

    with torch.inference_mode():
        layers = network(pictures)
        return float(perceptual_loss([layer[:1] for layer in layers], [layer[1:] for layer in layers], theta))
