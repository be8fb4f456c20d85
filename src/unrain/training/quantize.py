"""From a step graph to one of 8-bit integers, whose ranges are measured on rainy training photos. Nothing is trained.

Running it is the engines' business: those with fast 8-bit convolutions are then some two times faster.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime import InferenceSession
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from unrain import weights
from unrain.data.photos import clips, pictures, read_pixels
from unrain.errors import MediaError, WeightsError
from unrain.inference import engines, recurrence
from unrain.inference.engines import Arrays, Engine
from unrain.inference.frames import run_frames
from unrain.inference.layout import to_planes
from unrain.inference.pictures import MEANS
from unrain.networks.progressive import WIDTH
from unrain.rain.render import render
from unrain.training.preparing import dilation, prepared, weights_of
from unrain.training.rounding import Matrix, rounded, windows
from unrain.training.validation import middle

COUNT, FRAMES, SIDE, SEED = 24, 4, 160, 0
"""How many photos, or frames of each clip, how large a piece of each, and the rain's first seed."""
PLACES = 1000
"""Windows of each step that weights are rounded by."""


def quantize(graph: Path, material: Path, target: Path, stages: int) -> None:
    """Write the 8-bit twin of a step graph.

    The 3x3 convolutions between the first and the last one become 8-bit, channel by channel (see `rounding.py`);
    attention, state and picture stay in float32. Ranges are the widest over `stages` stages of 24 photos below
    `material`, or for a video network over 4 frames of each clip in it, with rain of all kinds and one in eight
    without. Raises `WeightsError` for another graph, `MediaError` if there are too few photos.
    """
    known = {port.name for port in onnx.load(graph, load_external_data=False).graph.input}
    if not known & {"rainy", "frame"}:
        raise WeightsError(f"{graph}: is not a step graph of a network of ours")
    if "frame" in known:
        inputs = partial(_frame_inputs, graph, material)
    else:
        inputs = partial(_inputs, graph, list(rainy_pieces(material)), stages)
    with tempfile.TemporaryDirectory() as folder, _quietly():
        plain = Path(folder) / "plain.onnx"
        model = prepared(graph)
        _round(model, inputs())
        onnx.save(model, plain)
        quantize_static(
            plain,
            target,
            _Steps(inputs()),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=_left_in_float(model),
            # 8 bits for what convolutions give would be 5 to 8 % faster and take less memory, but lose as much again
            extra_options={"OpTypesToExcludeOutputQuantization": ["Conv"]},
        )


def rainy_pieces(photos: Path) -> Iterator[NDArray[np.float32]]:
    """The middles of photos of all folders alike, `(160, 160, 3)` in [0, 1], with rain; every eighth without."""
    paths = pictures(photos)
    found = 0
    for path in paths[:: max(1, len(paths) // (2 * COUNT))]:
        pixels = read_pixels(path)
        top, left = ((side - SIDE) // 2 for side in pixels.shape[:2])
        if min(top, left) < 0 or found == COUNT:
            continue
        piece = torch.from_numpy(pixels[top : top + SIDE, left : left + SIDE].copy()).float() / 255
        if found % 8:
            generator = torch.Generator().manual_seed(SEED + found)
            piece = render(piece.permute(2, 0, 1)[None, None], "mixed", generator).rainy[0, 0].permute(1, 2, 0)
        found += 1
        yield piece.numpy()
    if found < COUNT:
        raise MediaError(f"{photos}: has {found} photos of at least {SIDE} x {SIDE} pixels, and {COUNT} are needed")


class _Steps(CalibrationDataReader):  # type: ignore[misc]
    """All inputs that a step graph meets."""

    def __init__(self, inputs: Iterator[Arrays]) -> None:
        self._inputs = inputs

    def get_next(self) -> Arrays | None:
        return next(self._inputs, None)


def _inputs(graph: Path, pieces: Sequence[NDArray[np.float32]], stages: int) -> Iterator[Arrays]:
    model = onnx.load(graph, load_external_data=False).graph
    states = [port.name for port in model.output if port.name.endswith("_next")]
    engine = engines.create(graph, states, "onnxruntime") if states else None
    for piece in pieces:
        rainy = to_planes(piece)
        zeros = np.zeros((1, WIDTH, *rainy.shape[2:]), np.float32)
        values = {"rainy": rainy, "estimate": rainy, "h": zeros, "c": zeros}
        values |= {"means": np.zeros((1, MEANS, 1, 1), np.float32), "trust": np.zeros((1, 1, 1, 1), np.float32)}
        for _ in range(stages if engine else 1):
            yield {port.name: values[port.name] for port in model.input}
            if engine is not None:
                results = engine.run({name: values[name] for name in engine.inputs})
                values |= {name.removesuffix("_next"): value for name, value in results.items()}


def _frame_inputs(graph: Path, folder: Path) -> Iterator[Arrays]:
    network = {entry.key: entry.value for entry in onnx.load(graph, load_external_data=False).metadata_props}["network"]
    entry = replace(weights.of_network(network), file=str(graph.absolute()), sha256=weights.file_hash(graph))
    cleaner = recurrence.opened(entry, "onnxruntime", precision="fp32")
    recorder = _Recorder(cleaner.engine)
    cleaner.engine = recorder
    for frames in rainy_clips(folder):
        for _ in run_frames(cleaner, frames, warm_up=1):
            yield from recorder.taken()


def rainy_clips(folder: Path) -> Iterator[list[NDArray[np.float32]]]:
    """The middles of some frames of each clip, `(160, 160, 3)` in [0, 1], with rain; every eighth without."""
    for number, frames in enumerate(clips(folder)):
        piece = middle(frames[(len(frames) - FRAMES) // 2 :][:FRAMES], (SIDE, SIDE))
        clip = torch.from_numpy(piece.copy()).permute(0, 3, 1, 2)[None].float() / 255
        generator = torch.Generator().manual_seed(SEED + number)
        wet = render(clip, "mixed", generator).rainy if number % 8 else clip
        yield list(wet[0].permute(0, 2, 3, 1).numpy())


class _Recorder:
    """An engine that remembers what it was given."""

    def __init__(self, engine: Engine) -> None:
        self.name, self.device, self.inputs = engine.name, engine.device, engine.inputs
        self._engine, self._given = engine, list[Arrays]()

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        """See `Engine.run`."""
        self._given.append(dict(inputs))
        return self._engine.run(inputs)

    def taken(self) -> list[Arrays]:
        """What it was given since the last time."""
        given, self._given = self._given, []
        return given


def _round(model: onnx.ModelProto, inputs: Iterator[Arrays]) -> None:
    """Put the weights of the convolutions that become 8-bit onto their grid, by what they see in these steps."""
    kept = set(_left_in_float(model))
    convolutions = [node for node in model.graph.node if node.op_type == "Conv" and node.name not in kept]
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    seen = dict.fromkeys(node.input[0] for node in convolutions)
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in seen)
    session = InferenceSession(shown.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = {port.name for port in session.get_inputs()}
    random = np.random.default_rng(SEED)
    # Gates look at the same windows.
    grams: dict[tuple[str, int], Matrix | int] = dict.fromkeys(map(_sight, convolutions), 0)
    for values in inputs:
        features = session.run(list(seen), {name: value for name, value in values.items() if name in wanted})
        found = {name: feature[0] for name, feature in zip(seen, features, strict=True)}
        for name, reach in grams:
            places = random.integers(found[name].shape[1] * found[name].shape[2], size=PLACES)
            window = windows(found[name], reach, places)
            grams[name, reach] += window @ window.T
    sights = {node.input[1]: _sight(node) for node in convolutions}
    for weight in model.graph.initializer:
        if weight.name in sights:
            on_grid = rounded(numpy_helper.to_array(weight), np.asarray(grams[sights[weight.name]]))
            weight.CopyFrom(numpy_helper.from_array(on_grid, weight.name))


def _sight(node: onnx.NodeProto) -> tuple[str, int]:
    """What a convolution looks at, and with which dilation."""
    return node.input[0], dilation(node)


def _left_in_float(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions that see or make a picture, and of those of the attention.

    Features come in multiples of 16 channels; pictures do not.
    """
    convolutions = {node.name: weights_of(model, node) for node in model.graph.node if node.op_type == "Conv"}
    return [
        name for name, (outputs, inputs, *size) in convolutions.items() if size == [1, 1] or inputs % 16 or outputs % 16
    ]


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the advice that the quantiser logs for other kinds of networks."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
