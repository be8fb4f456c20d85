"""8-bit twins: weights are rounded for what they see, and the twin does nearly what its step graph does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from unrain import weights
from unrain.errors import MediaError, WeightsError
from unrain.inference.model import ImageModel, VideoModel
from unrain.training import quantize as quantizing
from unrain.training.preparing import prepared
from unrain.training.quantize import quantize
from unrain.training.rounding import LEVELS, Matrix, rounded, windows

Pixels = NDArray[np.float32]


@pytest.fixture
def features(photo: Pixels) -> NDArray[np.float32]:
    """16 channels that a network might have made of a real photo, (16, 80, 96)."""
    mixing = torch.randn(16, 3, 3, 3, generator=torch.Generator().manual_seed(1))
    planes = torch.from_numpy(photo).permute(2, 0, 1)[None]
    return torch.relu(torch.nn.functional.conv2d(planes, mixing, padding=1))[0].numpy()


@pytest.fixture
def weight() -> NDArray[np.float32]:
    return torch.randn(8, 16, 3, 3, generator=torch.Generator().manual_seed(2)).numpy()


@pytest.mark.parametrize("dilation", [1, 4])
def test_windows_are_what_a_convolution_sees(
    features: NDArray[np.float32], weight: NDArray[np.float32], dilation: int
) -> None:
    places = np.array([0, 95, 96, 40 * 96 + 30, 80 * 96 - 1])
    expected = torch.nn.functional.conv2d(
        torch.from_numpy(features)[None], torch.from_numpy(weight), padding=dilation, dilation=dilation
    )
    found = weight.reshape(8, -1) @ windows(features, dilation, places)
    np.testing.assert_allclose(found, expected[0].numpy().reshape(8, -1)[:, places], atol=1e-4)


def test_rounded_weights_lie_on_the_grid_that_the_largest_one_sets(
    features: NDArray[np.float32], weight: NDArray[np.float32]
) -> None:
    found = rounded(weight, gram(features, seed=3))
    largest = np.abs(weight).max(axis=(1, 2, 3), keepdims=True)
    levels = found / largest * LEVELS
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-3)
    np.testing.assert_allclose(np.abs(found).max(axis=(1, 2, 3), keepdims=True), largest, rtol=1e-6)


def test_rounding_by_what_is_seen_leaves_a_tenth_of_the_error_on_pixels_that_it_has_not_seen(
    features: NDArray[np.float32], weight: NDArray[np.float32]
) -> None:
    step = np.abs(weight).max(axis=(1, 2, 3), keepdims=True) / LEVELS
    nearest = np.rint(weight / step) * step
    unseen = windows(features, 1, np.random.default_rng(4).integers(80 * 96, size=500))

    def error(found: NDArray[np.float32]) -> float:
        return float((((found - weight).reshape(8, -1) @ unseen) ** 2).mean())

    assert error(rounded(weight, gram(features, seed=3))) < 0.1 * error(nearest)


def gram(features: NDArray[np.float32], seed: int) -> Matrix:
    seen = windows(features, 1, np.random.default_rng(seed).integers(80 * 96, size=3000))
    return seen @ seen.T


def test_a_channel_of_zeros_stays_one() -> None:
    assert not rounded(np.zeros((2, 4, 3, 3), np.float32), np.zeros((36, 36))).any()


def test_gates_apart_are_the_same_function() -> None:
    whole = weights.find("sapnet").graph("fp32")
    model = prepared(whole)
    convolutions = [sum(node.op_type == "Conv" for node in each.graph.node) for each in (onnx.load(whole), model)]
    assert convolutions[1] > convolutions[0]
    before, after = (InferenceSession(each) for each in (whole.read_bytes(), model.SerializeToString()))
    random = np.random.default_rng(5)
    inputs = {
        port.name: random.random([side if isinstance(side, int) else 24 for side in port.shape], dtype=np.float32)
        for port in before.get_inputs()
    }
    for one, other in zip(before.run(None, inputs), after.run(None, inputs), strict=True):
        np.testing.assert_allclose(other, one, atol=1e-4)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few small pieces calibrate a twin well enough for a test."""
    for name, value in {"COUNT": 2, "SIDE": 64, "FRAMES": 2}.items():
        monkeypatch.setattr(quantizing, name, value)


@pytest.mark.parametrize("name", ["sapnet", "sapnet-fast"])
@pytest.mark.usefixtures("small")
def test_the_twin_of_an_image_model_does_nearly_the_same(
    training_folder: Path, tmp_path: Path, photo: Pixels, name: str
) -> None:
    entry = weights.find(name)
    quantize(entry.graph("fp32"), training_folder / "photos", tmp_path / "twin.onnx", stages=2)
    expected = ImageModel(entry, "onnxruntime")(photo)
    found = ImageModel(twin_of(entry, tmp_path), "onnxruntime", precision="int8")(photo)
    assert 1e-5 < float(np.abs(found - expected).mean()) < 0.004


@pytest.mark.parametrize("name", ["j4rnet", "j4rnet-fast"])
@pytest.mark.usefixtures("small")
def test_the_twin_of_a_video_model_does_nearly_the_same(
    training_folder: Path, tmp_path: Path, scene: Pixels, name: str
) -> None:
    entry = weights.find(name)
    quantize(entry.graph("fp32"), training_folder / "clips", tmp_path / "twin.onnx", stages=1)
    frames = [np.ascontiguousarray(scene[time : time + 64, time : time + 80]) for time in range(3)]
    expected = list(VideoModel(entry, "onnxruntime").stream(frames))
    found = list(VideoModel(twin_of(entry, tmp_path), "onnxruntime", precision="int8").stream(frames))
    assert 1e-5 < float(np.abs(np.stack(found) - np.stack(expected)).mean()) < 0.004


def twin_of(entry: weights.Entry, folder: Path) -> weights.Entry:
    twin = weights.Twin(str(folder / "twin.onnx"), weights.file_hash(folder / "twin.onnx"), 0.0)
    return replace(entry, int8=twin)


def test_too_few_photos_and_other_graphs_are_refused(training_folder: Path, tmp_path: Path) -> None:
    graph = weights.find("sapnet").graph("fp32")
    with pytest.raises(MediaError, match="has 2 photos of at least 160 x 160 pixels, and 24 are needed"):
        quantize(graph, training_folder / "photos", tmp_path / "twin.onnx", stages=1)
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], [])), tmp_path / "other.onnx")
    with pytest.raises(WeightsError, match="is not a step graph"):
        quantize(tmp_path / "other.onnx", training_folder, tmp_path / "twin.onnx", stages=1)
    assert not (tmp_path / "twin.onnx").exists()
