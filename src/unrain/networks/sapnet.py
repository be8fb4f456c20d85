"""SAPNet (WACV 2022): one image, cleaned by one stage that is repeated. Architecture only, no training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from unrain.errors import WeightsError
from unrain.networks.blocks import ConvLSTM, conv3x3

WIDTH = 32
DILATIONS = (1, 2, 4, 8, 16)
STAGES = 6


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

    def forward(self, x: Tensor) -> Tensor:
        """`(N, width, H, W)` to the same shape."""
        y = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.excite(torch.relu(self.squeeze(y))) + self.residual(y))


class DilatedUnit(nn.Module):
    """One progressive dilated unit (PDU): [conv with dilation d, CRA, ReLU] twice, around a skip connection."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(width, width, dilation=dilation)
        self.attention1 = ChannelResidualAttention(width)
        self.conv2 = conv3x3(width, width, dilation=dilation)
        self.attention2 = ChannelResidualAttention(width)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, width, H, W)` to the same shape: ReLU(x + unit(x))."""
        unit = torch.relu(self.attention1(self.conv1(x)))
        unit = torch.relu(self.attention2(self.conv2(unit)))
        return torch.relu(x + unit)


class StageState(NamedTuple):
    """What one stage hands to the next.

    `estimate` is the picture so far, `(N, 3, H, W)`; `h` and `c` are the ConvLSTM's state, `(N, 32, H, W)`.
    """

    estimate: Tensor
    h: Tensor
    c: Tensor


class SAPNetStage(nn.Module):
    """One stage of SAPNet. This is the module that is exported as a step graph; its weights are all of SAPNet's.

    The features of cat(x, estimate) pass the ConvLSTM and five dilated units (d = 1, 2, 4, 8, 16); the last
    convolution's output is added to the rainy picture: x^s = x + out.
    """

    def __init__(self, dilations: Sequence[int] = DILATIONS) -> None:
        super().__init__()
        self.conv0 = conv3x3(6, WIDTH)
        self.lstm = ConvLSTM(WIDTH)
        self.units = nn.ModuleList(DilatedUnit(WIDTH, dilation) for dilation in dilations)
        self.conv = conv3x3(WIDTH, 3)

    def forward(self, rainy: Tensor, estimate: Tensor, h: Tensor, c: Tensor) -> StageState:
        """Take the rainy picture in [0, 1] and the state; give the next state. The estimate is not clipped."""
        x = torch.relu(self.conv0(torch.cat((rainy, estimate), dim=1)))
        h, c = self.lstm(x, h, c)
        x = h
        for unit in self.units:
            x = unit(x)
        return StageState(rainy + self.conv(x), h, c)

    @staticmethod
    def start(rainy: Tensor) -> StageState:
        """The state before the first stage: the rainy picture itself, and zeros."""
        zeros = torch.zeros_like(rainy[:, :1]).expand(-1, WIDTH, -1, -1)
        return StageState(rainy, zeros, zeros)


class SAPNet(nn.Module):
    """The progressive recurrent network: one stage, repeated over the same picture."""

    def __init__(self, dilations: Sequence[int] = DILATIONS) -> None:
        super().__init__()
        self.options = {} if tuple(dilations) == DILATIONS else {"dilations": list(dilations)}
        self.stage = SAPNetStage(dilations)

    def forward(self, rainy: Tensor, stages: int = STAGES) -> list[Tensor]:
        """Clean `rainy`, `(N, 3, H, W)` RGB in [0, 1].

        Returns the estimate after each stage, the last one being the result; none is clipped to [0, 1].
        """
        return clean(self.stage, rainy, stages)


def clean(stage: SAPNetStage, rainy: Tensor, stages: int) -> list[Tensor]:
    """The estimates of so many repetitions of one stage, see `SAPNet`."""
    state = stage.start(rainy)
    estimates = []
    for _ in range(stages):
        state = stage(rainy, *state)
        estimates.append(state.estimate)
    return estimates


def from_published(checkpoint: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the state dict that SAPNet's authors released to the names of our `SAPNet`.

    Raises `WeightsError` naming every key that is missing or that we do not know.
    """
    ours = dict(_published_names())
    theirs = {key.removeprefix("module."): value for key, value in checkpoint.items()}
    wanted = {name for names in ours.values() for name in names}
    missing, extra = sorted(wanted - theirs.keys()), sorted(theirs.keys() - wanted)
    if missing or extra:
        parts = [f"{what}: {', '.join(keys)}" for what, keys in (("missing", missing), ("unknown", extra)) if keys]
        raise WeightsError(f"this is not a SAPNet checkpoint; {'; '.join(parts)}")
    # The four gates are published as four convolutions; here they are one, stacked on the output channels.
    return {name: torch.cat([theirs[source] for source in sources]) for name, sources in ours.items()}


def _published_names() -> list[tuple[str, tuple[str, ...]]]:
    """Pairs of our parameter name and the published names that make it up, in order."""
    names: list[tuple[str, tuple[str, ...]]] = []
    for part in ("weight", "bias"):
        names.append((f"stage.conv0.{part}", (f"conv0.0.{part}",)))
        names.append((f"stage.lstm.gates.{part}", tuple(f"conv_{gate}.0.{part}" for gate in "ifgo")))
        names.append((f"stage.conv.{part}", (f"conv.0.{part}",)))
    for index in range(len(DILATIONS)):
        for half, position in ((1, 0), (2, 3)):
            unit, theirs = f"stage.units.{index}", f"res_conv{index + 1}"
            names += [(f"{unit}.conv{half}.{part}", (f"{theirs}.{position}.{part}",)) for part in ("weight", "bias")]
            attention = (("squeeze", "conv_du.0"), ("excite", "conv_du.2"), ("residual", "conv_1_1"))
            names += [
                (f"{unit}.attention{half}.{ours}.weight", (f"{theirs}.{position + 1}.{published}.weight",))
                for ours, published in attention
            ]
    return names
