"""The network of UNIQUE: ResNet-34 (He et al., CVPR 2016), bilinear pooling, one linear layer. Needs PyTorch.

Parameters carry the names of the published checkpoint, which are torchvision's.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS = (3, 4, 6, 3)
"""Residual blocks in each of ResNet-34's four layers."""


class Unique(nn.Module):
    """A picture's expected score and its variance.

    Args:
        width: Channels of the first layer, 64 in the published network; smaller ones are for tests.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.backbone = _Backbone(width)
        self.fc = nn.Linear((8 * width) ** 2, 2)

    def forward(self, picture: Tensor) -> Tensor:
        """Mean and variance, `(N, 2)`, of `(N, 3, H, W)` with ImageNet's mean and deviation taken off."""
        features = self.backbone(picture).flatten(2)
        products = features @ features.transpose(1, 2) / features.shape[2]
        pooled = products.sign() * (products.abs() + 1e-8).sqrt()
        mean, spread = self.fc(F.normalize(pooled.flatten(1))).unbind(1)
        return torch.stack([mean, F.softplus(spread)], dim=1)


class _Backbone(nn.Module):
    """ResNet-34 without its classifier: `(N, 8 width, H/32, W/32)`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        entering = width
        for number, blocks in enumerate(BLOCKS):
            leaving = width << number
            first = _Block(entering, leaving, stride=2 if number else 1)
            rest = (_Block(leaving, leaving) for _ in range(blocks - 1))
            self.add_module(f"layer{number + 1}", nn.Sequential(first, *rest))
            entering = leaving

    def forward(self, picture: Tensor) -> Tensor:
        values = F.max_pool2d(F.relu(self.bn1(self.conv1(picture))), 3, stride=2, padding=1)
        for number in range(len(BLOCKS)):
            values = self.get_submodule(f"layer{number + 1}")(values)
        return values


class _Block(nn.Module):
    """Two convolutions 3×3 and what goes around them."""

    def __init__(self, entering: int, leaving: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(entering, leaving, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(leaving)
        self.conv2 = nn.Conv2d(leaving, leaving, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(leaving)
        self.downsample = nn.Sequential()
        if stride != 1:
            around = nn.Conv2d(entering, leaving, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(around, nn.BatchNorm2d(leaving))

    def forward(self, values: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(values)))))
        return F.relu(inner + self.downsample(values))
