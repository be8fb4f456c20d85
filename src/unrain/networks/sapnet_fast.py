"""The fast image network: one look at half the resolution, for those who cannot wait for SAPNet's stages.

No recurrence and no pooling over the picture, so that any piece of a picture is cleaned as in the whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unrain.networks.blocks import conv3x3

SCALE = 2
WIDTH = 48
DILATIONS = (1, 2, 4, 2)


class FastUnit(nn.Module):
    """Two convolutions with dilation d around a skip connection: u + conv(ReLU(conv(u)))."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.first = conv3x3(width, width, dilation=dilation)
        self.second = conv3x3(width, width, dilation=dilation)

    def forward(self, u: Tensor) -> Tensor:
        """`(N, width, H, W)` to the same shape."""
        out: Tensor = u + self.second(torch.relu(self.first(u)))
        return out


class SAPNetFast(nn.Module):
    """Each 2x2 pixels are one place of 12 channels; dilated units find the rain there: clean = rainy + out.

    44 thousand multiply-adds per pixel. `width` and `dilations` are for other sizes.
    """

    def __init__(self, width: int = WIDTH, dilations: Sequence[int] = DILATIONS) -> None:
        super().__init__()
        shipped = (width, tuple(dilations)) == (WIDTH, DILATIONS)
        self.options = {} if shipped else {"width": width, "dilations": list(dilations)}
        self.enter = conv3x3(3 * SCALE**2, width)
        self.units = nn.Sequential(*(FastUnit(width, dilation) for dilation in dilations))
        self.leave = conv3x3(width, 3 * SCALE**2)

    def forward(self, rainy: Tensor) -> Tensor:
        """Clean `rainy`, `(N, 3, H, W)` RGB in [0, 1], H and W even; the same shape, not clipped."""
        features = self.units(torch.relu(self.enter(F.pixel_unshuffle(rainy, SCALE))))
        return rainy + F.pixel_shuffle(self.leave(features), SCALE)
