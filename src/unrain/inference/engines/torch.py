"""PyTorch, for those who have it: our network classes with the step graph's weights, which `onnx` reads."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from unrain.errors import EngineError, WeightsError
from unrain.inference.engines import Arrays, needed, state_of, step_by_step, with_state
from unrain.networks.graphs import SIGNATURES, Signature, graph_of, read_network


class TorchEngine:
    """Runs the step module under `inference_mode`, on a GPU if there is one."""

    name = "torch"

    def __init__(self, step: torch.nn.Module, signature: Signature, outputs: Sequence[str], steps: int) -> None:
        self._place = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._module, self._signature, self._outputs = (
            step.to(self._place),
            signature,
            needed(outputs, signature.outputs, steps),
        )
        self._steps = steps
        self.inputs: Mapping[str, int] = {**signature.inputs, **signature.numbers}
        self._state = state_of(signature.inputs, signature.outputs)
        self.device = torch.cuda.get_device_name() if self._place.type == "cuda" else platform.machine()

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        """See `Engine.run`."""
        return step_by_step(self._step, with_state(inputs, self._state), self._steps)

    def _step(self, inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        with torch.inference_mode():
            values = self._module(**{name: torch.from_numpy(value).to(self._place) for name, value in inputs.items()})
        values = (values,) if isinstance(values, torch.Tensor) else values
        named = dict(zip(self._signature.outputs, values, strict=True))
        return {name: named[name].cpu().numpy() for name in named if name in self._outputs}


def open_graph(graph: Path, outputs: Sequence[str], threads: int | None, steps: int) -> TorchEngine:
    """An engine for this graph; `EngineError` if it is not one of our step graphs."""
    if threads:
        torch.set_num_threads(threads)
    try:
        name, step = graph_of(read_network(graph))
    except WeightsError as error:
        raise EngineError(str(error)) from error
    return TorchEngine(step.eval(), SIGNATURES[name], outputs, steps)
