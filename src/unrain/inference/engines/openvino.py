"""OpenVINO: the fastest engine on most processors. Only this file imports it."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import platformdirs
from numpy.typing import NDArray

from unrain.errors import EngineError
from unrain.inference.engines import EACH, NEXT, Arrays, needed, state_of

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

    def __init__(
        self, step: ov.Model, known: Sequence[str], outputs: Sequence[str], threads: int | None, steps: int
    ) -> None:
        self._core = ov.Core()
        self._step, self._outputs, self._steps = step, outputs, steps
        self.inputs: Mapping[str, int] = {
            port.get_any_name(): port.partial_shape[1].get_length() for port in step.inputs
        }
        self._state = frozenset(state_of(self.inputs, known))
        self._config: dict[str, object] = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads:
            self._config["INFERENCE_NUM_THREADS"] = threads
        self._compiled_for: tuple[Shape, frozenset[str]] | None = None
        self._request: ov.InferRequest | None = None
        self.device = str(self._core.get_property("CPU", "FULL_DEVICE_NAME"))

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        """See `Engine.run`."""
        empty = self._state - frozenset(inputs)
        request = self._compiled(next(iter(inputs.values())).shape[2:], empty)
        results = request.infer(dict(inputs), share_inputs=True)
        return {output.get_any_name(): np.asarray(value) for output, value in results.items()}

    def _compiled(self, shape: tuple[int, ...], empty: frozenset[str]) -> ov.InferRequest:
        if self._request is None or (shape, empty) != self._compiled_for:
            height, width = shape
            model = repeated(sized(self._step, height, width), self._outputs, self._steps, empty)
            self._request = self._core.compile_model(model, "CPU", self._config | _cache()).create_infer_request()
            self._compiled_for = (height, width), empty
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


def repeated(step: ov.Model, outputs: Sequence[str], steps: int, empty: Collection[str] = ()) -> ov.Model:
    """So many steps as one graph that gives `outputs`; the first is given no `empty` inputs. See `Engine.run`."""
    inputs = {port.get_any_name(): port for port in step.inputs if port.get_any_name() not in empty}
    own = {name: inputs[name] for name in EACH if name in inputs}
    parameters = {}
    for name, port in inputs.items():
        shape = list(port.shape)
        parameters[name] = ops.parameter([1, steps * shape[1], *shape[2:]] if name in own else shape, np.float32)
        parameters[name].output(0).set_names({name})
    values = {name: parameter.output(0) for name, parameter in parameters.items()}
    parts = {name: ops.split(parameters[name], ops.constant(1), steps) for name in own}
    found: dict[str, list[ov.Output]] = {}
    names = [port.get_any_name() for port in step.outputs]
    for number in range(steps):
        values |= {name: split.output(number) for name, split in parts.items()}
        own_step = step.clone() if number else without(step.clone(), empty)
        now = dict(zip(names, _attached(own_step, values), strict=True))
        values |= {name.removesuffix(NEXT): value for name, value in now.items() if name.endswith(NEXT)}
        for name, value in now.items():
            found.setdefault(name, []).append(value)
    results = []
    for name in outputs:
        results.append(ops.result(ops.concat(found[name], 1) if name in EACH.values() else found[name][-1]))
        results[-1].output(0).set_names({name})
    return ov.Model(results, list(parameters.values()), "steps")


def _attached(step: ov.Model, values: Mapping[str, ov.Output]) -> list[ov.Output]:
    """Let a graph read `values` in place of its inputs; its outputs."""
    for port in step.inputs:
        if port.get_any_name() in values:
            _lead(port, values[port.get_any_name()])
    return [port.get_node().input(0).get_source_output() for port in step.outputs]


def without(step: ov.Model, empty: Collection[str]) -> ov.Model:
    """The step, changed so that it no longer needs the inputs that are `empty`: all zeros.

    A sum is its other part, a product is empty too, and convolutions see only the channels that are not.
    """
    zeros = {port.get_node().get_friendly_name() for port in step.inputs if port.get_any_name() in empty}
    for node in step.get_ordered_ops():
        sources = [port.get_source_output() for port in node.inputs()]
        full = [source for source in sources if source.get_node().get_friendly_name() not in zeros]
        if len(full) == len(sources):
            continue
        kind = node.get_type_name()
        if kind == "Multiply":
            zeros.add(node.get_friendly_name())
        elif kind == "Add":
            _lead(node.output(0), full[0])
        elif kind == "Concat":
            _narrow(node, sources, full)
    step.validate_nodes_and_infer_types()
    return step


def _narrow(joined: ov.Node, sources: Sequence[ov.Output], full: Sequence[ov.Output]) -> None:
    """Leave parts of a concatenation of channels out, and of the weights that see them."""
    kept = np.concatenate([np.full(source.partial_shape[1].get_length(), source in full) for source in sources])
    for weight in _weights_seeing(joined):
        _lead(weight.output(0), ops.constant(np.ascontiguousarray(weight.data[:, kept])).output(0))
    _lead(joined.output(0), full[0] if len(full) == 1 else ops.concat(list(full), 1).output(0))


def _weights_seeing(node: ov.Node) -> Iterator[ov.Node]:
    """The constants that convolutions multiply what a node gives by, once it is rounded or not."""
    for reader in (port.get_node() for port in node.output(0).get_target_inputs()):
        if reader.get_type_name() != "Convolution":
            yield from _weights_seeing(reader)
            continue
        weight = reader.input_value(1).get_node()
        while weight.get_type_name() != "Constant":
            weight = weight.input_value(0).get_node()
        yield weight


def _lead(away: ov.Output, to: ov.Output) -> None:
    """Let whatever reads one value read another."""
    for reader in list(away.get_target_inputs()):
        reader.replace_source_output(to)


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
    return OpenVINOEngine(model, known, outputs, threads, steps)
