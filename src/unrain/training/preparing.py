"""A step graph as its 8-bit twin is made from it: the same function, in nodes that become fast in 8 bits.

What is rounded and how is the business of `quantize.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper


def prepared(graph: Path) -> onnx.ModelProto:
    """The step graph of a file, with weights in float32, and gates apart."""
    model = onnx.load(graph, load_external_data=False)
    _widen(model)
    _set_apart(model)
    return model


def weights_of(model: onnx.ModelProto, node: NodeProto) -> tuple[int, ...]:
    """The shape of a convolution's weights, `(outputs, inputs, height, width)`."""
    return next(tuple(weight.dims) for weight in model.graph.initializer if weight.name == node.input[1])


def dilation(node: NodeProto) -> int:
    """Of a convolution."""
    return int(next(each.ints[0] for each in node.attribute if each.name == "dilations"))


def _widen(model: onnx.ModelProto) -> None:
    """Weights in float32, as `halve_weights` found them."""
    stored = {weight.name: weight for weight in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in stored:
            wide = numpy_helper.to_array(stored[node.input[0]]).astype(np.float32)
            stored[node.input[0]].CopyFrom(numpy_helper.from_array(wide, node.output[0]))
        else:
            nodes.append(node)
    _replace_nodes(model, nodes)


def _set_apart(model: onnx.ModelProto) -> None:
    """Make a convolution whose output is split into equal parts one convolution for each part.

    Each part then has a range of its own, and nothing has to be copied where an engine keeps channels innermost.
    """
    makers = {node.output[0]: node for node in model.graph.node if node.op_type == "Conv"}
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        maker = makers.get(node.input[0]) if node.op_type == "Split" and len(node.input) == 1 else None
        if maker is None:
            nodes.append(node)
            continue
        nodes.remove(maker)
        parts = [_parts(model, name, len(node.output)) for name in maker.input[1:]]
        for output, *names in zip(node.output, *parts, strict=True):
            part = helper.make_node("Conv", [maker.input[0], *names], [output], name=f"{maker.name}_{output}")
            part.attribute.extend(maker.attribute)
            nodes.append(part)
    _replace_nodes(model, nodes)


def _parts(model: onnx.ModelProto, name: str, count: int) -> list[str]:
    """Cut weights along their outputs; the new names."""
    whole = next(weight for weight in model.graph.initializer if weight.name == name)
    names = [f"{name}.{number}" for number in range(count)]
    arrays = np.split(numpy_helper.to_array(whole), count)
    model.graph.initializer.remove(whole)
    model.graph.initializer.extend(map(numpy_helper.from_array, arrays, names))
    return names


def _replace_nodes(model: onnx.ModelProto, nodes: list[NodeProto]) -> None:
    del model.graph.node[:]
    model.graph.node.extend(nodes)
