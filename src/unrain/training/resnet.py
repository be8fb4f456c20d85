"""ResNet-101, which SAPNet's authors let look for segments. Frozen; losses and heads are elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours on 0 … 1."""


class Bottleneck(nn.Module):
    """1×1, 3×3 (with the stride), 1×1 to four times the width, each with batch normalisation, around a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """`(N, inputs, H, W)` to `(N, 4 width, H / stride, W / stride)`."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return torch.relu(self.bn3(self.conv3(x)) + shortcut)


class ResNet(nn.Module):
    """A residual network up to its last layer of features (He et al., CVPR 2016), under torchvision's names.

    The blocks below are ResNet-101's; fewer are for tests.
    """

    mean: Tensor
    deviation: Tensor
    RESNET101 = (3, 4, 23, 3)

    def __init__(self, blocks: Sequence[int] = RESNET101, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.widths = [4 * width * 2**number for number in range(len(blocks))]
        inputs = width
        for number, count in enumerate(blocks):
            strides = [1 if number == 0 else 2] + [1] * (count - 1)
            layer = []
            for stride in strides:
                layer.append(Bottleneck(inputs, self.widths[number] // 4, stride))
                inputs = self.widths[number]
            setattr(self, f"layer{number + 1}", nn.Sequential(*layer))
        self.requires_grad_(False)
        self.eval()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> ResNet:
        """Stays in evaluation: its batch normalisation never learns."""
        return super().train(False)

    def forward(self, picture: Tensor) -> list[Tensor]:
        """The features of `(N, 3, H, W)` in [0, 1] at 1/4, 1/8, 1/16 and 1/32 of its size."""
        x = torch.relu(self.bn1(self.conv1((picture - self.mean) / self.deviation)))
        x = nn.functional.max_pool2d(x, 3, stride=2, padding=1)
        layers = []
        for number in range(len(self.widths)):
            x = self.get_submodule(f"layer{number + 1}")(x)
            layers.append(x)
        return layers
