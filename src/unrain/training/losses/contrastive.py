"""The perceptual contrastive loss: near to the clean picture, far from the rainy one, in features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4)
"""ω of VGG-16's relu1_2, relu2_2, relu3_3, relu4_3."""


def contrastive_loss(
    derained: Sequence[Tensor],
    clean: Sequence[Tensor],
    rainy: Sequence[Tensor],
    weights: Sequence[float] = WEIGHTS,
    epsilon: float = 1e-7,
) -> Tensor:
    """Distance to the truth over distance to the input (SAPNet): a scalar, at least 0.

        L_pcl = Σ_i ω_i L1(V_i(x^D), V_i(x^G)) / (L1(V_i(x^D), V_i(x^R)) + ε),    L1 the mean absolute difference

    Args:
        derained: features V_i of the network's output, layer by layer, each `(N, C, H, W)`.
        clean: those of the truth x^G.
        rainy: those of the input x^R.
        weights: ω_i, one per layer.
        epsilon: keeps the ratio finite where nothing was changed.
    """
    ratios = [
        weight * F.l1_loss(out, truth) / (F.l1_loss(out, wet) + epsilon)
        for weight, out, truth, wet in zip(weights, derained, clean, rainy, strict=True)
    ]
    return torch.stack(ratios).sum()
