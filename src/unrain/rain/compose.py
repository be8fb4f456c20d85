"""The hybrid rain model of J4R-Net: how background, streaks and occlusion make the frame that a camera sees.

What falls, and how much of it, comes from `noise.py` and `drops.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from unrain.rain.drops import Air


class RainyFrames(NamedTuple):
    """A rendered clip and what it is made of; pictures are `(N, T, 3, H, W)`.

    rainy: the frame O in [0, 1]. background: B, the clean frame in [0, 1]. streaks: S, all that rain adds to the light
    of the scene (streaks, and a veil, which also takes light away), in [-1, 1] and such that B + S is in [0, 1].
    degradation: α, `(N, T, 1, H, W)`, 1 where rain hides the scene, else 0. reliance: A in [0, 1], what the lens sees
    where α is 1; elsewhere it is B + S.
    """

    rainy: Tensor
    background: Tensor
    streaks: Tensor
    degradation: Tensor
    reliance: Tensor


def compose(background: Tensor, streaks: Tensor, degradation: Tensor, reliance: Tensor) -> Tensor:
    """The hybrid rain model: O = (1 − α)(B + S) + α A (J4R-Net)."""
    return (1 - degradation) * (background + streaks) + degradation * reliance


def saturate(background: Tensor, streaks: Tensor) -> Tensor:
    """The streaks that a camera records: S cut so that B + S stays in [0, 1]."""
    return (background + streaks).clamp_(0, 1).sub_(background)


def see_through(background: Tensor, opacity: Tensor, depth: Tensor, air: Air) -> Tensor:
    """S of physical rain: the scene's light, thinned by the air, and covered by drops that show the sky.

        B + S = gamma((1 − τ) (t B' + (1 − t) A') + τ sky'),    t = exp(−β z),    with ' for linear light

    Args:
        background: `(N, T, 3, H, W)` in [0, 1]; B' = B², a simple gamma of 2.
        opacity: τ, the part of the exposure during which drops cover a pixel, `(N, T, 1, H, W)` in [0, 1].
        depth: z of the scene in m, `(N, 1 or T, 1, H, W)`.
        air: β, A' and sky'.

    Returns:
        S, `(N, T, 3, H, W)`, exactly 0 where nothing falls through clear air.
    """
    extinction, airlight, sky = (value.view(-1, 1, 1, 1, 1) for value in air)
    through = torch.exp(-extinction * depth)
    clear = 1 - opacity
    added = clear * (1 - through) * airlight + opacity * sky
    # With a² − b² = (a − b)(a + b), S is exactly 0 where nothing is kept back and nothing added.
    change = background.square().mul_(clear * through - 1).add_(added)
    seen = background.square().add_(change).clamp_(0, 1).sqrt_()
    return change.div_(seen.add_(background).add_(1e-6))


def shine(seen: Tensor, thickness: Tensor, glow: Tensor) -> Tensor:
    """The rain reliance map A of thick rain, `(N, T, 3, H, W)` in [0, 1].

    Rain that hides the scene shows the light of all of it (Garg and Nayar): the mean colour of the frame, `glow` `(N,)`
    times as bright where the rain is thickest.
    """
    ambient = seen.mean(dim=(3, 4), keepdim=True) * glow.view(-1, 1, 1, 1, 1)
    return (ambient * (0.8 + 0.2 * thickness.clamp(max=1))).clamp(max=1)
