"""What a step graph is: the module that is exported, its names, and the way back from a file to a network.

Writing the file is `training/export.py`; running it is the room `inference`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from unrain.errors import WeightsError
from unrain.networks import j4rnet, j4rnet_half
from unrain.networks.j4rnet import FrameOutputs, J4RNet, J4RNetStep
from unrain.networks.j4rnet_half import J4RNetHalf, J4RNetHalfStep
from unrain.networks.prenet import PReNet
from unrain.networks.progressive import WIDTH, ProgressiveStage, StageState
from unrain.networks.sapnet import MEANS, SAPNet, SAPNetStage, mean
from unrain.networks.sapnet_fast import SAPNetFast

Network = SAPNet | SAPNetFast | J4RNet | J4RNetHalf | PReNet


class J4RNetGraph(nn.Module):
    """The frame step of a video network, with the degradation map in place of the logits."""

    def __init__(self, step: J4RNetStep | J4RNetHalfStep) -> None:
        super().__init__()
        self.step = step

    def forward(self, frame: Tensor, memory: Tensor, motion: Tensor) -> tuple[Tensor, ...]:
        """Background, streaks, degradation map, the next memory, and of the paper's network the detail."""
        out = self.step(frame, memory, motion)
        detail = (out.detail,) if isinstance(out, FrameOutputs) else ()
        return out.background, out.streaks, out.degradation, out.memory, *detail


class StageGraph(nn.Module):
    """The stage of a progressive network, under the parameter names of the whole network."""

    def __init__(self, stage: ProgressiveStage) -> None:
        super().__init__()
        self.stage = stage

    def forward(self, rainy: Tensor, estimate: Tensor, h: Tensor, c: Tensor) -> StageState:
        """The next estimate and state."""
        return cast(StageState, self.stage(rainy, estimate, h, c))


class SAPNetGraph(nn.Module):
    """The stage of SAPNet, which can be told what its attention would see of a whole picture, if this is a piece."""

    def __init__(self, stage: SAPNetStage) -> None:
        super().__init__()
        self.stage = stage

    def forward(
        self, rainy: Tensor, estimate: Tensor, h: Tensor, c: Tensor, means: Tensor, trust: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The next estimate and state, and the means of this picture's features, `(1, 320, 1, 1)`.

        With `trust` `(1, 1, 1, 1)` 1, the attention takes `means` in their place, with 0 its own.
        """
        given = iter(means.split(WIDTH, dim=1))
        own: list[Tensor] = []

        def pool(x: Tensor) -> Tensor:
            own.append(mean(x))
            seen: Tensor = own[-1] + trust * (next(given) - own[-1])
            return seen

        state = self.stage(rainy, estimate, h, c, pool)
        return state.estimate, state.h, state.c, torch.cat(own, dim=1)


@dataclass(frozen=True)
class Signature:
    """Names and channels of a step graph's inputs, and names of its outputs; a state `x` comes out as `x_next`.

    inputs: pictures `(1, C, H, W)`. numbers: `(1, C, 1, 1)`. even: whether H and W have to be even.
    """

    inputs: dict[str, int]
    outputs: tuple[str, ...]
    numbers: Mapping[str, int] = field(default_factory=dict)
    even: bool = False


STAGE = Signature({"rainy": 3, "estimate": 3, "h": 32, "c": 32}, ("estimate_next", "h_next", "c_next"))
FRAME = ("background", "streaks", "degradation", "memory_next")
SIGNATURES: Mapping[str, Signature] = {
    "sapnet": Signature(STAGE.inputs, (*STAGE.outputs, "means_found"), {"means": MEANS, "trust": 1}),
    "sapnet-fast": Signature({"rainy": 3}, ("clean",), even=True),
    "j4rnet": Signature({"frame": 3, "memory": j4rnet.STATE, "motion": 2}, (*FRAME, "detail")),
    "j4rnet-half": Signature({"frame": 3, "memory": j4rnet_half.STATE, "motion": 2}, FRAME, even=True),
    "prenet": STAGE,
}

NETWORKS: Mapping[str, type[Network]] = {
    "sapnet": SAPNet,
    "sapnet-fast": SAPNetFast,
    "j4rnet": J4RNet,
    "j4rnet-half": J4RNetHalf,
    "prenet": PReNet,
}


def build(name: str, **options: Any) -> Network:
    """A new network of this name, with random weights; `WeightsError` if there is none.

    `options` are the network's own, such as SAPNet's `dilations`.
    """
    if name not in NETWORKS:
        raise WeightsError(f"there is no network {name!r}; choose one of {', '.join(NETWORKS)}")
    return NETWORKS[name](**options)


def graph_of(network: nn.Module) -> tuple[str, nn.Module]:
    """The network's name, and the module that computes its step graph; `WeightsError` if it has none."""
    if isinstance(network, SAPNet):
        return "sapnet", SAPNetGraph(network.stage)
    if isinstance(network, SAPNetFast):
        return "sapnet-fast", network
    if isinstance(network, PReNet):
        return "prenet", StageGraph(network.stage)
    if isinstance(network, J4RNet | J4RNetHalf):
        return "j4rnet" if isinstance(network, J4RNet) else "j4rnet-half", J4RNetGraph(network.step)
    raise WeightsError(f"{type(network).__name__} has no step graph")


def read_network(path: Path) -> Network:
    """The network that a step graph of ours was exported from, or that a run's .safetensors holds, in float32.

    Reads the file alone, never anything that it points to. Raises `WeightsError` if it is not a file of ours.
    """
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_graph(path)


def _read_graph(path: Path) -> Network:
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        raise WeightsError(f"{path}: cannot be read as a step graph") from error
    about = {entry.key: entry.value for entry in model.metadata_props}
    network = build(about.get("network", "?"), **json.loads(about.get("options", "{}")))
    names = network.state_dict().keys()
    weights = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer if w.name in names}
    load_weights(network, {name: torch.tensor(value, dtype=torch.float32) for name, value in weights.items()})
    return network


def _read_safetensors(path: Path) -> Network:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            about = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
            weights = {name: file.get_tensor(name).float() for name in file.keys()}
    except (OSError, ValueError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot be read as safetensors ({error})") from error
    network = build(about.get("network", "?"), **about.get("options", {}))
    load_weights(network, weights)
    return network


def load_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put `weights` into `network`; `WeightsError` names every missing, unknown or misshapen parameter."""
    own = network.state_dict()
    faults = {
        "missing": sorted(own.keys() - weights.keys()),
        "unknown": sorted(weights.keys() - own.keys()),
        "of another shape": sorted(k for k in own.keys() & weights.keys() if own[k].shape != weights[k].shape),
    }
    if any(faults.values()):
        text = "; ".join(f"{what}: {', '.join(keys)}" for what, keys in faults.items() if keys)
        raise WeightsError(f"the weights do not fit {type(network).__name__}; {text}")
    network.load_state_dict(weights)
