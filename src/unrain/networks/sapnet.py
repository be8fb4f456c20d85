"""SAPNet (WACV 2022): one image, cleaned by one stage that is repeated. Architecture only, no training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from unrain.networks.blocks import conv3x3
from unrain.networks.progressive import WIDTH, ProgressiveNetwork, ProgressiveStage, StageState, rename

DILATIONS = (1, 2, 4, 8, 16)
MEANS = 2 * len(DILATIONS) * WIDTH
"""Numbers that one stage's attention knows of the whole picture."""

Pool = Callable[[Tensor], Tensor]
"""From features `(N, width, H, W)` to what stands for their means over the whole picture, `(N, width, 1, 1)`."""


def mean(x: Tensor) -> Tensor:
    """The `Pool` of a picture that is there as a whole."""
    return x.mean(dim=(2, 3), keepdim=True)


class ChannelResidualAttention(nn.Module):
    """Channel residual attention (CRA): each channel is scaled by a gate that sees all of the picture.

        y = mean of x over H, W;   gate = σ(W2 ReLU(W1 y) + W3 y);   out = x · gate

    The matrices have no biases.
    """

    def __init__(self, width: int, bottleneck: int = 2) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(width, bottleneck, kernel_size=1, bias=False)
        self.excite = nn.Conv2d(bottleneck, width, kernel_size=1, bias=False)
        self.residual = nn.Conv2d(width, width, kernel_size=1, bias=False)

    def forward(self, x: Tensor, pool: Pool = mean) -> Tensor:
        """`(N, width, H, W)` to the same shape."""
        y = pool(x)
        return x * torch.sigmoid(self.excite(torch.relu(self.squeeze(y))) + self.residual(y))


class DilatedUnit(nn.Module):
    """One progressive dilated unit (PDU): [conv with dilation d, CRA, ReLU] twice, around a skip connection."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(width, width, dilation=dilation)
        self.attention1 = ChannelResidualAttention(width)
        self.conv2 = conv3x3(width, width, dilation=dilation)
        self.attention2 = ChannelResidualAttention(width)

    def forward(self, x: Tensor, pool: Pool = mean) -> Tensor:
        """`(N, width, H, W)` to the same shape: ReLU(x + unit(x))."""
        unit = torch.relu(self.attention1(self.conv1(x), pool))
        unit = torch.relu(self.attention2(self.conv2(unit), pool))
        return torch.relu(x + unit)


class SAPNetStage(ProgressiveStage):
    """One stage of SAPNet: its units are dilated progressively (d = 1, 2, 4, 8, 16)."""

    def __init__(self, dilations: Sequence[int] = DILATIONS) -> None:
        super().__init__(DilatedUnit(WIDTH, dilation) for dilation in dilations)

    def forward(self, rainy: Tensor, estimate: Tensor, h: Tensor, c: Tensor, pool: Pool = mean) -> StageState:
        """See `ProgressiveStage.forward`; `pool` is asked once by each attention, in order."""
        h, c = self.remember(rainy, estimate, h, c)
        x = h
        for unit in self.units:
            x = unit(x, pool)
        return StageState(rainy + self.conv(x), h, c)


class SAPNet(ProgressiveNetwork):
    """The segmentation-aware progressive network."""

    stage: SAPNetStage

    def __init__(self, dilations: Sequence[int] = DILATIONS) -> None:
        options = {} if tuple(dilations) == DILATIONS else {"dilations": list(dilations)}
        super().__init__(SAPNetStage(dilations), options)


def from_published(checkpoint: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the state dict that SAPNet's authors released to the names of our `SAPNet`.

    Raises `WeightsError` naming every key that is missing or that we do not know.
    """
    return rename(checkpoint, dict(_published_units()), "SAPNet")


def _published_units() -> Iterator[tuple[str, tuple[str, ...]]]:
    for index in range(len(DILATIONS)):
        for half, position in ((1, 0), (2, 3)):
            unit, theirs = f"stage.units.{index}", f"res_conv{index + 1}"
            for part in ("weight", "bias"):
                yield f"{unit}.conv{half}.{part}", (f"{theirs}.{position}.{part}",)
            for ours, published in (("squeeze", "conv_du.0"), ("excite", "conv_du.2"), ("residual", "conv_1_1")):
                yield f"{unit}.attention{half}.{ours}.weight", (f"{theirs}.{position + 1}.{published}.weight",)
