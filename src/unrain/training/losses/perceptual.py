"""The learned perceptual image similarity loss (LPIPS): distance in features, weighted by channel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def perceptual_loss(
    derained: Sequence[Tensor], clean: Sequence[Tensor], theta: Sequence[Tensor] | None = None
) -> Tensor:
    """The mean over the batch of (SAPNet; Zhang et al., 2018): a scalar, at least 0.

        L_lpisl = Σ_i 1/(H_i W_i) Σ_hw ‖ θ_i ⊙ (V̂_i(x^D) − V̂_i(x^G)) ‖²

    V̂ are features scaled to unit length in each pixel, as in LPIPS.

    Args:
        derained: features V_i of the network's output, layer by layer, each `(N, C_i, H_i, W_i)`.
        clean: those of the truth x^G.
        theta: θ_i, learned weights `(C_i,)` of the channels; without them all channels weigh the same, 1/√C_i.
    """
    total = torch.zeros((), device=derained[0].device)
    for layer, (out, truth) in enumerate(zip(derained, clean, strict=True)):
        channels = out.shape[1]
        weight = out.new_full((channels,), channels**-0.5) if theta is None else theta[layer]
        difference = (_unit(out) - _unit(truth)) * weight.view(1, -1, 1, 1)
        total = total + difference.square().sum(dim=1).mean()
    return total


def _unit(features: Tensor, epsilon: float = 1e-10) -> Tensor:
    return features * torch.rsqrt(features.square().sum(dim=1, keepdim=True) + epsilon)
