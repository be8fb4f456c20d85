"""Cells that more than one network uses. The networks themselves have one file each."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv3x3(inputs: int, outputs: int, *, dilation: int = 1) -> nn.Conv2d:
    """A 3x3 convolution that keeps height and width: `(N, inputs, H, W)` to `(N, outputs, H, W)`."""
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=dilation, dilation=dilation)


class ConvLSTM(nn.Module):
    """Convolutional LSTM cell with 3x3 kernels (Shi et al., NeurIPS 2015, eq. 3, without peepholes).

        i, f, g, o = σ, σ, tanh, σ of conv(cat(x, h))
        c' = f · c + i · g
        h' = o · tanh(c')

    The four gates are one convolution to `4 * width` channels, in the order i, f, g, o.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gates = conv3x3(2 * width, 4 * width)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Take features and state, each `(N, width, H, W)`; give the new `h` and `c` of the same shape."""
        i, f, g, o = self.gates(torch.cat((x, h), dim=1)).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class ResidualUnit(nn.Module):
    """The residual unit of J4R-Net: u = ReLU(½ u + ½ conv(ReLU(conv(u)))), 3x3, same width throughout."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv3x3(width, width)
        self.second = conv3x3(width, width)

    def forward(self, u: Tensor) -> Tensor:
        """`(N, width, H, W)` to the same shape."""
        return torch.relu(0.5 * u + 0.5 * self.second(torch.relu(self.first(u))))
