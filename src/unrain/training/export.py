"""From a trained network to a step graph: one ONNX file with the weights inside and the state as inputs and outputs."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

from unrain.errors import WeightsError
from unrain.inference import engines
from unrain.networks.graphs import SIGNATURES, build, graph_of, load_weights, read_network
from unrain.training import checkpoint

OPSET = 20


def export(network: nn.Module, path: Path) -> None:
    """Write the step graph of a `SAPNet`, `J4RNet` or `PReNet` to `path`.

    Height and width are free, the batch is 1. Weights are stored as float16 and used as float32: half the size, for a
    rounding of one in 2000. Raises `WeightsError` for a network that has no step graph, or weights beyond float16.
    """
    name, graph = graph_of(network)
    signature = SIGNATURES[name]
    pictures = [torch.rand(1, channels, 48, 40) for channels in signature.inputs.values()]
    numbers = [torch.rand(1, channels, 1, 1) for channels in signature.numbers.values()]
    height, width = (torch.export.Dim(name, min=2) for name in ("height", "width"))
    size = {2: 2 * height, 3: 2 * width} if signature.even else {2: height, 3: width}
    with _without_chatter():
        program = torch.onnx.export(
            graph.eval().float(),
            (*pictures, *numbers),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[*signature.inputs, *signature.numbers],
            output_names=list(signature.outputs),
            dynamic_shapes=(*(size for _ in pictures), *({} for _ in numbers)),
        )
    assert program is not None
    model = halve_weights(program.model_proto)
    helper.set_model_props(model, {"network": name, "options": json.dumps(network.options)})
    for node in model.graph.node:
        # The exporter leaves stack traces with the paths of the machine that it ran on.
        del node.metadata_props[:]
    del model.graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    part = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        part.write_bytes(model.SerializeToString())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Hide what torch's exporter warns of and logs about itself; its errors come through."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def export_checkpoints(paths: Sequence[Path], graph: Path) -> Iterator[str]:
    """Export the averaged weights of a training run, or the mean of those of several runs, each begun from another.

    A step graph (.onnx) or a run's .safetensors may stand for the run.
    Yields lines that say what was written and how engines agree. Raises `WeightsError` for runs of different networks.
    """
    network = mean_network([averaged_network(path) if path.suffix == ".pt" else read_network(path) for path in paths])
    export(network, graph)
    yield f"{graph} ({graph.stat().st_size / 1e6:.2f} MB)"
    for engine, difference in agreement(network, graph).items():
        yield f"{engine}: differs from the checkpoint by at most {difference:.1e} after one step"


def averaged_network(path: Path) -> nn.Module:
    """The network of a run's checkpoint with its averaged weights; `WeightsError` if it is no such checkpoint."""
    state = checkpoint.load(path)
    if not {"network_name", "average"} <= state.keys():
        raise WeightsError(f"{path}: is not a checkpoint of a training run")
    network = build(state["network_name"], **state.get("options", {}))
    weights = {name.removeprefix("module."): value for name, value in state["average"].items() if name != "n_averaged"}
    load_weights(network, weights)
    return network


def mean_network(networks: Sequence[nn.Module]) -> nn.Module:
    """A network with the mean weights of several: between two ends of one training, it is often better than either."""
    first, *others = networks
    states = [network.state_dict() for network in networks]
    if any(type(other) is not type(first) or other.state_dict().keys() != states[0].keys() for other in others):
        raise WeightsError("checkpoints of different networks have no mean")
    first.load_state_dict({name: torch.stack([state[name] for state in states]).mean(dim=0) for name in states[0]})
    return first


def agreement(network: nn.Module, graph: Path) -> dict[str, float]:
    """For each installed engine, the largest absolute difference between its outputs and the network's."""
    name, module = graph_of(network)
    signature = SIGNATURES[name]
    generator = torch.Generator().manual_seed(0)
    inputs = {key: torch.rand(1, size, 64, 48, generator=generator) for key, size in signature.inputs.items()}
    inputs |= {key: torch.rand(1, size, 1, 1, generator=generator) for key, size in signature.numbers.items()}
    with torch.inference_mode():
        expected = dict(zip(signature.outputs, module.eval()(**inputs), strict=True))
    feeds = {key: value.numpy() for key, value in inputs.items()}
    differences = {}
    for engine in engines.installed():
        results = engines.create(graph, signature.outputs, engine).run(feeds)
        differences[engine] = max(float(np.abs(results[key] - expected[key].numpy()).max()) for key in results)
    return differences


def halve_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store every float32 weight as float16, followed by a cast back, which engines fold when they load the graph."""
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT:
            continue
        name = weight.name
        with np.errstate(over="ignore"):
            half = numpy_helper.to_array(weight).astype(np.float16)
        if not np.isfinite(half).all():
            raise WeightsError(f"{name}: has weights that are too large to export")
        weight.CopyFrom(numpy_helper.from_array(half, name))
        casts.append(helper.make_node("Cast", [name], [f"{name}.float32"], to=onnx.TensorProto.FLOAT))
        _rename_uses(model.graph.node, name, f"{name}.float32")
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)
    return model


def _rename_uses(nodes: Sequence[onnx.NodeProto], old: str, new: str) -> None:
    for node in nodes:
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new
