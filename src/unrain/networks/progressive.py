"""The recurrence that PReNet began and SAPNet refined: one stage, repeated over the same picture.

What the networks do not share, the units of their stages, is in their own files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unrain.errors import WeightsError
from unrain.networks.blocks import ConvLSTM, conv3x3

WIDTH = 32
STAGES = 6

PublishedNames = Mapping[str, tuple[str, ...]]
"""Our parameter names, and the published names that make each of them up, in order."""


class StageState(NamedTuple):
    """What one stage hands to the next.

    `estimate` is the picture so far, `(N, 3, H, W)`; `h` and `c` are the ConvLSTM's state, `(N, 32, H, W)`.
    """

    estimate: Tensor
    h: Tensor
    c: Tensor


class ProgressiveStage(nn.Module):
    """One stage. This is the module that is exported as a step graph; its weights are all of the network's.

    The features of cat(x, estimate) pass the ConvLSTM and the units, each `(N, 32, H, W)` to the same shape; the last
    convolution's output is added to the rainy picture: x^s = x + out.
    """

    def __init__(self, units: Iterable[nn.Module]) -> None:
        super().__init__()
        self.conv0 = conv3x3(6, WIDTH)
        self.lstm = ConvLSTM(WIDTH)
        self.units = nn.ModuleList(units)
        self.conv = conv3x3(WIDTH, 3)

    def forward(self, rainy: Tensor, estimate: Tensor, h: Tensor, c: Tensor) -> StageState:
        """Take the rainy picture in [0, 1] and the state; give the next state. The estimate is not clipped."""
        h, c = self.remember(rainy, estimate, h, c)
        x = h
        for unit in self.units:
            x = unit(x)
        return StageState(rainy + self.conv(x), h, c)

    def remember(self, rainy: Tensor, estimate: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """The ConvLSTM's next h and c; h is what the units work on."""
        x = torch.relu(self.conv0(torch.cat((rainy, estimate), dim=1)))
        return self.lstm(x, h, c)  # type: ignore[no-any-return]

    @staticmethod
    def start(rainy: Tensor) -> StageState:
        """The state before the first stage: the rainy picture itself, and zeros."""
        zeros = torch.zeros_like(rainy[:, :1]).expand(-1, WIDTH, -1, -1)
        return StageState(rainy, zeros, zeros)


class ProgressiveNetwork(nn.Module):
    """A network that is one stage, repeated over the same picture; `options` are what it was built with."""

    def __init__(self, stage: ProgressiveStage, options: dict[str, Any]) -> None:
        super().__init__()
        self.options = options
        self.stage = stage

    def forward(self, rainy: Tensor, stages: int = STAGES) -> list[Tensor]:
        """Clean `rainy`, `(N, 3, H, W)` RGB in [0, 1].

        Returns the estimate after each stage, the last one being the result; none is clipped to [0, 1].
        """
        return clean(self.stage, rainy, stages)


def clean(stage: ProgressiveStage, rainy: Tensor, stages: int) -> list[Tensor]:
    """The estimates of so many repetitions of one stage, see `ProgressiveNetwork`."""
    state = stage.start(rainy)
    estimates = []
    for _ in range(stages):
        state = stage(rainy, *state)
        estimates.append(state.estimate)
    return estimates


def rename(checkpoint: Mapping[str, Tensor], units: PublishedNames, network: str) -> dict[str, Tensor]:
    """A published state dict under our names. `units` names the parameters of the units alone.

    Raises `WeightsError` naming every key that is missing or that we do not know.
    """
    ours = {**dict(_stage_names()), **units}
    theirs = {key.removeprefix("module."): value for key, value in checkpoint.items()}
    wanted = {name for names in ours.values() for name in names}
    missing, extra = sorted(wanted - theirs.keys()), sorted(theirs.keys() - wanted)
    if missing or extra:
        parts = [f"{what}: {', '.join(keys)}" for what, keys in (("missing", missing), ("unknown", extra)) if keys]
        raise WeightsError(f"this is not a {network} checkpoint; {'; '.join(parts)}")
    # The four gates are published as four convolutions; here they are one, stacked on the output channels.
    return {name: torch.cat([theirs[source] for source in sources]) for name, sources in ours.items()}


def _stage_names() -> Iterator[tuple[str, tuple[str, ...]]]:
    for part in ("weight", "bias"):
        yield f"stage.conv0.{part}", (f"conv0.0.{part}",)
        yield f"stage.lstm.gates.{part}", tuple(f"conv_{gate}.0.{part}" for gate in "ifgo")
        yield f"stage.conv.{part}", (f"conv.0.{part}",)
