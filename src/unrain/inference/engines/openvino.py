"""OpenVINO: the fastest engine on most processors. Only this file imports it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import platformdirs
from numpy.typing import NDArray

from unrain.errors import EngineError
from unrain.inference.engines import EACH, Arrays, needed

# importing OpenVINO sends a report of its use over the network, unless this package seems to be missing
cast(dict[str, Any], sys.modules).setdefault("openvino_telemetry", None)

import openvino as ov  # noqa: E402
from openvino import opset13 as ops  # noqa: E402

Shape = tuple[int, int]

KEPT = 24
"""Compiled graphs on the disk, of two to ten megabytes each: one for each size of pictures."""


class OpenVINOEngine:
    """Compiles the steps into one graph for each picture size that it meets, and keeps the last: fixed shapes are fast.

    Between the steps of a run, the state stays where and how the engine likes it.
    """

    name = "openvino"

    def __init__(self, step: ov.Model, outputs: Sequence[str], threads: int | None, steps: int) -> None:
        self._core = ov.Core()
        self._step, self._outputs, self._steps = step, outputs, steps
        self.inputs: Sequence[str] = [port.get_any_name() for port in step.inputs]
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
            model = repeated(sized(self._step, height, width), self._outputs, self._steps)
            self._request = self._core.compile_model(model, "CPU", self._config | _cache()).create_infer_request()
            self._shape = (height, width)
        return self._request


def _cache() -> dict[str, object]:
    """The setting that keeps compiled graphs for the next process, the newest of them; none where that cannot be."""
    folder = Path(platformdirs.user_cache_dir("unrain")) / "openvino"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        blobs = sorted(folder.glob("*.blob"), key=lambda blob: blob.stat().st_mtime, reverse=True)
        for old in blobs[KEPT - 1 :]:
            old.unlink(missing_ok=True)
    except OSError:
        return {}
    return {"CACHE_DIR": str(folder)}


def sized(step: ov.Model, height: int, width: int) -> ov.Model:
    """The same graph for pictures of one size."""
    model = step.clone()
    pictures = [port for port in model.inputs if port.partial_shape[2].is_dynamic]
    model.reshape({port: [1, port.partial_shape[1].get_length(), height, width] for port in pictures})
    return model


def repeated(step: ov.Model, outputs: Sequence[str], steps: int) -> ov.Model:
    """So many steps as one graph that gives `outputs`; see `Engine.run`."""
    inputs = {port.get_any_name(): port for port in step.inputs}
    own = {name: inputs[name] for name in EACH if name in inputs}
    parameters = {}
    for name, port in inputs.items():
        shape = list(port.shape)
        parameters[name] = ops.parameter([1, steps * shape[1], *shape[2:]] if name in own else shape, np.float32)
        parameters[name].output(0).set_names({name})
    values = {name: parameter.output(0) for name, parameter in parameters.items()}
    parts = {name: ops.split(parameters[name], ops.constant(1), steps) for name in own}
    found: dict[str, list[ov.Output]] = {}
    for number in range(steps):
        values |= {name: split.output(number) for name, split in parts.items()}
        now = _attached(step.clone(), values)
        values |= {name.removesuffix("_next"): value for name, value in now.items() if name.endswith("_next")}
        for name, value in now.items():
            found.setdefault(name, []).append(value)
    results = []
    for name in outputs:
        results.append(ops.result(ops.concat(found[name], 1) if name in EACH.values() else found[name][-1]))
        results[-1].output(0).set_names({name})
    return ov.Model(results, list(parameters.values()), "steps")


def _attached(step: ov.Model, values: Mapping[str, ov.Output]) -> dict[str, ov.Output]:
    """Let a graph read `values` in place of its inputs; its outputs by name."""
    for port in step.inputs:
        for reader in list(port.get_target_inputs()):
            reader.replace_source_output(values[port.get_any_name()])
    return {port.get_any_name(): port.get_node().input(0).get_source_output() for port in step.outputs}


def open_graph(graph: Path, outputs: Sequence[str], threads: int | None, steps: int) -> OpenVINOEngine:
    """An engine for this graph; `EngineError` if OpenVINO cannot read it."""
    try:
        whole = ov.Core().read_model(graph)
        known = [port.get_any_name() for port in whole.outputs]
        wanted = [whole.output(name) for name in needed(outputs, known, steps)]
        parameters = [port.get_node() for port in whole.inputs]
        model = ov.Model([port.get_node() for port in wanted], parameters, "step")
    except RuntimeError as error:
        raise EngineError(f"{graph}: OpenVINO cannot read this step graph") from error
    return OpenVINOEngine(model, outputs, threads, steps)
