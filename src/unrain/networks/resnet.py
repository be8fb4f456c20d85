"""Residual networks for classification (He et al., CVPR 2016), up to their last features. Others build on them.

Parameters carry torchvision's names, so that published weights load.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """3×3 (with the stride) and 3×3, each with batch normalisation, around a shortcut: ResNet-18 and -34."""

    expansion: ClassVar[int] = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, inputs, H, W)` to `(N, width, H / stride, W / stride)`."""
        inner = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(inner + self.downsample(x))


class Bottleneck(nn.Module):
    """1×1, 3×3 (with the stride), 1×1 to four times the width, each normalised, around a shortcut: ResNet-50 on."""

    expansion: ClassVar[int] = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = self.expansion * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, inputs, H, W)` to `(N, 4 width, H / stride, W / stride)`."""
        inner = torch.relu(self.bn1(self.conv1(x)))
        inner = torch.relu(self.bn2(self.conv2(inner)))
        return torch.relu(self.bn3(self.conv3(inner)) + self.downsample(x))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    if stride == 1 and inputs == outputs:
        return nn.Sequential()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    """A stem and one layer of blocks for each of `counts`, each but the first of half the size and twice the width.

    Args:
        block: What the layers are made of.
        counts: Blocks in each layer; see RESNET34 and RESNET101.
        width: Channels of the stem, 64 in the published networks; smaller ones are for tests.
    """

    RESNET34: ClassVar = (3, 4, 6, 3)
    RESNET101: ClassVar = (3, 4, 23, 3)

    def __init__(self, block: type[BasicBlock | Bottleneck], counts: Sequence[int], width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.widths = [block.expansion * width * 2**number for number in range(len(counts))]
        """Channels of each layer's features."""
        inputs = width
        for number, (count, outputs) in enumerate(zip(counts, self.widths, strict=True)):
            first = block(inputs, width * 2**number, 2 if number else 1)
            rest = (block(outputs, width * 2**number, 1) for _ in range(count - 1))
            self.add_module(f"layer{number + 1}", nn.Sequential(first, *rest))
            inputs = outputs

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Features `(N, widths[i], H / 2^(i+2), W / 2^(i+2))` of `(N, 3, H, W)`, ImageNet's colours normalised."""
        x = torch.relu(self.bn1(self.conv1(picture)))
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        layers: list[Tensor] = []
        for number in range(len(self.widths)):
            x = self.get_submodule(f"layer{number + 1}")(x)
            layers.append(x)
        return layers
