"""OpenVINO: the fastest engine on most processors. Only this file imports it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from unrain.errors import EngineError
from unrain.inference.engines import Arrays

# importing OpenVINO sends a report of its use over the network, unless this package seems to be missing
cast(dict[str, Any], sys.modules).setdefault("openvino_telemetry", None)

import openvino as ov  # noqa: E402

Shape = tuple[int, int]


class OpenVINOEngine:
    """Compiles the graph for each picture size that it meets, and keeps the last one: fixed shapes run faster."""

    name = "openvino"

    def __init__(self, model: ov.Model, threads: int | None) -> None:
        self._core = ov.Core()
        self._model = model
        self._config: dict[str, object] = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads:
            self._config["INFERENCE_NUM_THREADS"] = threads
        self._shape: Shape | None = None
        self._request: ov.InferRequest | None = None
        self.device = str(self._core.get_property("CPU", "FULL_DEVICE_NAME"))

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        """See `Engine.run`."""
        request = self._compiled(next(iter(inputs.values())).shape[2:])
        results = request.infer(dict(inputs), share_inputs=True)
        return {output.get_any_name(): np.asarray(value) for output, value in results.items()}

    def _compiled(self, shape: tuple[int, ...]) -> ov.InferRequest:
        if self._request is None or shape != self._shape:
            height, width = shape
            sizes = {port: [1, port.partial_shape[1].get_length(), height, width] for port in self._model.inputs}
            self._model.reshape(sizes)
            self._request = self._core.compile_model(self._model, "CPU", self._config).create_infer_request()
            self._shape = (height, width)
        return self._request


def open_graph(graph: Path, outputs: Sequence[str], threads: int | None) -> OpenVINOEngine:
    """An engine for this graph; `EngineError` if OpenVINO cannot read it."""
    try:
        whole = ov.Core().read_model(graph)
        wanted = [whole.output(name) for name in outputs]
        parameters = [port.get_node() for port in whole.inputs]
        model = ov.Model([port.get_node() for port in wanted], parameters, "step")
    except RuntimeError as error:
        raise EngineError(f"{graph}: OpenVINO cannot read this step graph") from error
    return OpenVINOEngine(model, threads)
