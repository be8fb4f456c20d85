"""The network of UNIQUE (Zhang et al., TIP 2021): ResNet-34, bilinear pooling, one linear layer.

Parameters carry the names of the published checkpoint. The metric is in `evaluation/metrics/unique.py`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unrain.networks.resnet import BasicBlock, ResNet


class Unique(nn.Module):
    """A picture's expected score and its variance.

    Args:
        width: Channels of the first layer, 64 in the published network; smaller ones are for tests.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.backbone = ResNet(BasicBlock, ResNet.RESNET34, width)
        self.fc = nn.Linear((8 * width) ** 2, 2)

    def forward(self, picture: Tensor) -> Tensor:
        """Mean and variance, `(N, 2)`, of `(N, 3, H, W)` with ImageNet's mean and deviation taken off."""
        features = self.backbone(picture)[-1].flatten(2)
        products = features @ features.transpose(1, 2) / features.shape[2]
        pooled = products.sign() * (products.abs() + 1e-8).sqrt()
        mean, spread = self.fc(F.normalize(pooled.flatten(1))).unbind(1)
        return torch.stack([mean, F.softplus(spread)], dim=1)
