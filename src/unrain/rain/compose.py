"""The hybrid rain model of J4R-Net: how background, streaks and occlusion make the frame that a camera sees."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class RainyFrames(NamedTuple):
    """A rendered clip and what it is made of; pictures are `(N, T, 3, H, W)`.

    rainy: the frame O in [0, 1]. background: B, the clean frame in [0, 1]. streaks: S, such that B + S is in [0, 1].
    degradation: α, `(N, T, 1, H, W)`, 1 where rain hides the scene, else 0. reliance: A in [0, 1].
    """

    rainy: Tensor
    background: Tensor
    streaks: Tensor
    degradation: Tensor
    reliance: Tensor


def compose(background: Tensor, streaks: Tensor, degradation: Tensor, reliance: Tensor) -> Tensor:
    """The hybrid rain model: O = (1 − α)(B + S) + α A (J4R-Net, eq. 4)."""
    return (1 - degradation) * (background + streaks) + degradation * reliance


def saturate(background: Tensor, streaks: Tensor) -> Tensor:
    """The streaks that a camera records: S cut so that B + S stays in [0, 1]."""
    return (background + streaks).clamp(0, 1) - background


def occlusion(shape: tuple[int, int, int, int], amount: Tensor, generator: torch.Generator) -> Tensor:
    """Degradation maps α, `(N, T, 1, H, W)` of zeros and ones, for `shape` = (N, T, H, W).

    Sheets of rain are large and soft: smooth noise, drawn out vertically, above the quantile that leaves `amount`
    `(N,)` of the pixels occluded.
    """
    count, frames, height, width = shape
    device = generator.device
    coarse = (max(height // 24, 2), max(width // 8, 2))
    noise = torch.randn((count * frames, 1, *coarse), generator=generator, device=device)
    noise = F.interpolate(noise, size=(height, width), mode="bicubic", align_corners=False)
    noise = noise.view(count, frames, 1, height, width)
    rank = noise.flatten(1).argsort(dim=1).argsort(dim=1).view_as(noise) / noise[0].numel()
    return (rank >= 1 - amount.view(-1, 1, 1, 1, 1)).to(noise.dtype)


def reliance(background: Tensor, streaks: Tensor) -> Tensor:
    """The rain reliance map A, what the lens sees of a sheet of rain: the scene's mean light, veined by its streaks."""
    light = background.mean(dim=(2, 3, 4), keepdim=True)
    return (0.6 * light + 0.25 + 0.5 * streaks.clamp(min=0)).clamp(0, 1)
