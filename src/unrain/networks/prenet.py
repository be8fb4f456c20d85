"""PReNet (CVPR 2019), the network that SAPNet grew from: to compare with. Architecture only, no training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from unrain.networks.blocks import conv3x3
from unrain.networks.progressive import WIDTH, ProgressiveNetwork, ProgressiveStage, rename

UNITS = 5


class PlainUnit(nn.Module):
    """The residual unit of PReNet: ReLU(x + ReLU(conv(ReLU(conv(x)))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(width, width)
        self.conv2 = conv3x3(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, width, H, W)` to the same shape."""
        return torch.relu(x + torch.relu(self.conv2(torch.relu(self.conv1(x)))))


class PReNet(ProgressiveNetwork):
    """The progressive recurrent network with a ConvLSTM (Ren et al., CVPR 2019)."""

    def __init__(self) -> None:
        super().__init__(ProgressiveStage(PlainUnit(WIDTH) for _ in range(UNITS)), options={})


def from_published(checkpoint: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the state dict that PReNet's authors released to the names of our `PReNet`.

    Raises `WeightsError` naming every key that is missing or that we do not know.
    """
    units = {
        f"stage.units.{index}.conv{half}.{part}": (f"res_conv{index + 1}.{position}.{part}",)
        for index in range(UNITS)
        for half, position in ((1, 0), (2, 2))
        for part in ("weight", "bias")
    }
    return rename(checkpoint, units, "PReNet")
