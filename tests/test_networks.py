"""The networks are those of the two papers."""

from __future__ import annotations

import math
from pathlib import Path

import layer_table
import numpy as np
import pytest
import torch

from unrain.errors import WeightsError
from unrain.networks.graphs import build, load_weights
from unrain.networks.j4rnet import J4RNet, J4RNetStep, align
from unrain.networks.j4rnet_half import J4RNetHalf
from unrain.networks.sapnet import SAPNet, from_published
from unrain.networks.sapnet_fast import SAPNetFast


def published(shared: Path) -> dict[str, torch.Tensor]:
    path = shared / "peers/sapnet/net_latest.pth"
    return dict(torch.load(path, map_location="cpu", weights_only=True))


@pytest.mark.parametrize("size", [(40, 56), (33, 47)])
def test_published_sapnet_checkpoint_gives_the_output_of_the_layer_table(shared: Path, size: tuple[int, int]) -> None:
    checkpoint = published(shared)
    network = SAPNet()
    load_weights(network, from_published(checkpoint))
    rainy = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    weights = {name.removeprefix("module."): value.double().numpy() for name, value in checkpoint.items()}
    expected = layer_table.sapnet(weights, rainy[0].double().numpy(), stages=6)
    with torch.inference_mode():
        estimates = network(rainy, stages=6)
    for estimate, truth in zip(estimates, expected, strict=True):
        np.testing.assert_allclose(estimate[0].numpy(), truth, atol=1e-5)


def test_published_checkpoint_with_other_keys_is_refused_by_name(shared: Path) -> None:
    checkpoint = published(shared)
    checkpoint["module.conv9.weight"] = checkpoint.pop("module.conv_g.0.bias")
    with pytest.raises(WeightsError, match=r"missing: conv_g\.0\.bias; unknown: conv9\.weight"):
        from_published(checkpoint)


def test_weights_with_other_keys_or_shapes_are_refused_by_name() -> None:
    weights = SAPNet().state_dict()
    weights["stage.conv1.weight"] = weights.pop("stage.conv0.weight")
    weights["stage.conv.bias"] = torch.zeros(4)
    with pytest.raises(
        WeightsError,
        match=r"missing: stage\.conv0\.weight; unknown: stage\.conv1\.weight; of another shape: stage\.conv\.bias",
    ):
        load_weights(SAPNet(), weights)


def test_there_is_no_network_of_another_name() -> None:
    with pytest.raises(WeightsError, match="choose one of sapnet, sapnet-fast, j4rnet"):
        build("unet")


def test_sapnet_has_the_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in SAPNet().parameters()) == 180_483


def test_sapnet_gives_one_estimate_per_stage_and_more_stages_continue_fewer() -> None:
    network, rainy = SAPNet().eval(), torch.rand(2, 3, 20, 24)
    with torch.inference_mode():
        two, four = network(rainy, stages=2), network(rainy, stages=4)
    assert len(four) == 4
    assert all(torch.equal(a, b) for a, b in zip(two, four, strict=False))


@pytest.fixture(scope="module")
def j4rnet_inputs() -> tuple[J4RNetStep, torch.Tensor, torch.Tensor]:
    """A frame step with random weights, features F and a memory H, both (1, 64, 12, 16)."""
    torch.manual_seed(0)
    return J4RNetStep().eval(), torch.rand(1, 64, 12, 16), torch.randn(1, 64, 12, 16)


def test_read_gate_closed_and_update_gate_open_forgets_the_past(
    j4rnet_inputs: tuple[J4RNetStep, torch.Tensor, torch.Tensor],
) -> None:
    step, features, memory = j4rnet_inputs
    zeros, ones = torch.zeros_like(memory), torch.ones_like(memory)
    from_frame = torch.nn.functional.conv2d(
        features, step.fusion.candidate.weight[:, :64], step.fusion.candidate.bias, padding=1
    )
    with torch.inference_mode():
        fused = step.fusion.fuse(features, memory, read=zeros, update=ones)
    torch.testing.assert_close(fused, torch.tanh(from_frame))


def test_update_gate_closed_keeps_the_memory(
    j4rnet_inputs: tuple[J4RNetStep, torch.Tensor, torch.Tensor],
) -> None:
    step, features, memory = j4rnet_inputs
    with torch.inference_mode():
        fused = step.fusion.fuse(features, memory, read=torch.ones_like(memory), update=torch.zeros_like(memory))
    assert torch.equal(fused, memory)


def test_gates_are_the_papers_equations(j4rnet_inputs: tuple[J4RNetStep, torch.Tensor, torch.Tensor]) -> None:
    step, features, memory = j4rnet_inputs
    degradation = torch.randn_like(memory)
    weight, bias = step.fusion.gates.weight, step.fusion.gates.bias
    assert bias is not None

    def sum_of_three(rows: slice) -> torch.Tensor:
        parts = zip((features, memory, degradation), weight[rows].split(64, dim=1), strict=True)
        total = sum(torch.nn.functional.conv2d(x, w, padding=1) for x, w in parts)
        assert isinstance(total, torch.Tensor)
        return total + bias[rows].view(1, -1, 1, 1)

    with torch.inference_mode():
        read, update = step.fusion.read_and_update(features, memory, degradation)
        torch.testing.assert_close(update, torch.sigmoid(sum_of_three(slice(0, 64))), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(read, torch.relu(sum_of_three(slice(64, 128))), atol=1e-5, rtol=1e-5)


def test_j4rnet_gives_all_layers_of_every_frame() -> None:
    with torch.inference_mode():
        outputs = J4RNet().eval()(torch.rand(1, 3, 3, 16, 20))
    assert len(outputs) == 3
    for out in outputs:
        assert out.background.shape == out.streaks.shape == out.detail.shape == (1, 3, 16, 20)
        assert out.degradation.shape == (1, 1, 16, 20)
        assert out.memory.shape == (1, 64, 16, 20)
        assert ((out.degradation >= 0) & (out.degradation <= 1)).all()


@pytest.mark.parametrize("kind", [J4RNet, J4RNetHalf])
def test_clip_in_two_parts_with_memory_is_the_clip_in_one(kind: type[J4RNet | J4RNetHalf]) -> None:
    torch.manual_seed(0)
    network, clip = kind().eval(), torch.rand(1, 4, 3, 16, 20)
    with torch.inference_mode():
        whole = network(clip)
        first = network(clip[:, :2])
        second = network(clip[:, 2:], first[-1].memory)
    for a, b in zip(whole, first + second, strict=True):
        assert torch.equal(a.background, b.background)


def test_half_resolution_begins_with_what_the_fast_image_network_gives() -> None:
    torch.manual_seed(0)
    picture, network, clip = SAPNetFast().eval(), J4RNetHalf().eval(), torch.rand(1, 2, 3, 16, 20)
    network.step.begin_from(picture)
    with torch.inference_mode():
        outputs = network(clip)
        alone = [picture(frame) for frame in clip.unbind(dim=1)]
    # Of the background before, which is black at first, it takes one part in 21.
    part = 1 / (1 + math.exp(3))
    for time, past in enumerate((torch.zeros_like(clip[:, 0]), outputs[0].background)):
        torch.testing.assert_close(outputs[time].background, alone[time] + part * (past - clip[:, time]))


def test_a_wider_and_longer_trunk_begins_with_what_a_smaller_one_gives() -> None:
    torch.manual_seed(0)
    small, large = J4RNetHalf(8, (1, 2)).eval(), J4RNetHalf(12, (1, 2, 4)).eval()
    large.step.begin_from(small.step)
    clip, motion = torch.rand(1, 3, 3, 16, 20), torch.randn(1, 3, 2, 16, 20)
    with torch.inference_mode():
        for one, other in zip(small(clip, motion=motion), large(clip, motion=motion), strict=True):
            torch.testing.assert_close(other.background, one.background)
            torch.testing.assert_close(other.memory, one.memory)
            torch.testing.assert_close(other.degradation, one.degradation)


def test_memory_is_laid_where_the_scene_is_now() -> None:
    memory = torch.rand(1, 5, 12, 16)
    still = align(memory, torch.zeros(1, 2, 12, 16))
    torch.testing.assert_close(still, memory)
    # The scene moved two pixels down and three to the left: what is here was above and to the right.
    motion = torch.tensor([-2.0, 3.0]).view(1, 2, 1, 1).expand(1, 2, 12, 16)
    moved = align(memory, motion)
    torch.testing.assert_close(moved[:, :, 2:, :-3], memory[:, :, :-2, 3:])
    torch.testing.assert_close(moved[:, :, :2, :-3], memory[:, :, :1, 3:].expand(-1, -1, 2, -1))
