"""Losses: each against a transcription of its formula in double precision, and its gradient against differences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from unrain.errors import WeightsError
from unrain.evaluation.metrics import ssim as ssim_metric
from unrain.training.features import Features, Residual, Segmenter, resnet101, vgg16
from unrain.training.losses.charbonnier import charbonnier
from unrain.training.losses.contrastive import contrastive_loss
from unrain.training.losses.perceptual import perceptual_loss
from unrain.training.losses.restoration import detection_loss, high_pass, joint_loss, reconstruction_loss, removal_loss
from unrain.training.losses.segmentation import segmentation_loss
from unrain.training.losses.ssim import ssim

TINY = ((4,), (6, 6), (8,))


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layers(seed: int) -> list[Tensor]:
    return [random(2, channels, size, size, seed=seed + size) for channels, size in ((3, 6), (5, 3))]


def test_ssim_is_the_metric_of_the_papers() -> None:
    a, b = random(2, 3, 20, 24), random(2, 3, 20, 24, seed=1)
    metric = np.mean(
        [ssim_metric(x, y, "rgb") for x, y in zip(*(p.permute(0, 2, 3, 1).numpy() for p in (a, b)), strict=True)]
    )
    assert ssim(a, b).item() == pytest.approx(metric, abs=1e-12)
    assert ssim(a, a).item() == pytest.approx(1)


def test_segmentation_loss_is_the_focal_loss_of_the_networks_own_decision() -> None:
    logits = 4 * random(2, 5, 3, 4)
    total = 0.0
    for pixel in logits.permute(0, 2, 3, 1).reshape(-1, 5).numpy():
        odds = np.exp(pixel) / np.exp(pixel).sum()
        total += -0.7 * (1 - odds[pixel.argmax()]) ** 3 * np.log(odds[pixel.argmax()])
    assert segmentation_loss(logits, alpha=0.7, gamma=3).item() == pytest.approx(total / (2 * 3 * 4), abs=1e-12)
    assert segmentation_loss(100 * logits).item() < 1e-3


def test_contrastive_loss_is_distance_to_the_truth_over_distance_to_the_rain() -> None:
    derained, clean, rainy = layers(0), layers(1), layers(2)
    expected = sum(
        weight * np.abs((d - g).numpy()).mean() / (np.abs((d - r).numpy()).mean() + 1e-7)
        for weight, d, g, r in zip((0.25, 0.5), derained, clean, rainy, strict=True)
    )
    assert contrastive_loss(derained, clean, rainy, (0.25, 0.5)).item() == pytest.approx(expected, abs=1e-12)
    assert contrastive_loss(clean, clean, rainy, (0.25, 0.5)).item() == 0
    assert torch.isfinite(contrastive_loss(rainy, clean, rainy, (0.25, 0.5)))


def test_perceptual_loss_counts_every_picture_and_weighs_channels() -> None:
    derained, clean = layers(0), layers(1)
    theta = [random(3, seed=5), random(5, seed=6)]
    expected = 0.0
    for out, truth, weight in zip(derained, clean, theta, strict=True):
        for n in range(2):
            for y in range(out.shape[2]):
                for x in range(out.shape[3]):
                    a, b = (
                        v[n, :, y, x].numpy() / np.sqrt((v[n, :, y, x].numpy() ** 2).sum() + 1e-10)
                        for v in (out, truth)
                    )
                    expected += ((weight.numpy() * (a - b)) ** 2).sum() / (2 * out.shape[2] * out.shape[3])
    assert perceptual_loss(derained, clean, theta).item() == pytest.approx(expected, abs=1e-12)
    alone = [perceptual_loss([f[n : n + 1] for f in derained], [f[n : n + 1] for f in clean]) for n in (0, 1)]
    assert perceptual_loss(derained, clean).item() == pytest.approx(float(sum(alone)) / 2, abs=1e-12)


def test_restoration_losses_are_their_formulas() -> None:
    a, b = random(2, 3, 6, 7), random(2, 3, 6, 7, seed=1)
    square = ((a - b).numpy() ** 2).mean()
    assert joint_loss(a, b).item() == pytest.approx(square, abs=1e-14)
    assert removal_loss(a, b).item() == pytest.approx(square, abs=1e-14)
    logits, alpha = 3 * random(2, 2, 6, 7), (random(2, 1, 6, 7, seed=3) > 0.5).double()
    odds = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(axis=1, keepdims=True)
    truth = alpha[:, 0].numpy()
    expected = -(truth * np.log(odds[:, 1]) + (1 - truth) * np.log(odds[:, 0])).mean()
    assert detection_loss(logits, alpha).item() == pytest.approx(expected, abs=1e-12)


def test_high_pass_sees_edges_and_neither_level_nor_slope() -> None:
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(7.0), indexing="ij")
    assert not high_pass((0.3 + 0.1 * y - 0.2 * x).expand(1, 3, -1, -1)).abs().gt(1e-6).any()
    point = torch.zeros(1, 1, 5, 5)
    point[0, 0, 2, 2] = 1
    assert torch.equal(high_pass(point)[0, 0], torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]]))
    assert reconstruction_loss(point + 0.5, point).item() == pytest.approx(0)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: charbonnier(x, random(2, 3, 12, 12, seed=1)),
        lambda x: ssim(x, random(2, 3, 12, 12, seed=1)),
        lambda x: segmentation_loss(5 * x),
        lambda x: contrastive_loss([x], [random(2, 3, 12, 12, seed=1)], [random(2, 3, 12, 12, seed=2)], [1.0]),
        lambda x: perceptual_loss([x], [random(2, 3, 12, 12, seed=1)]),
        lambda x: reconstruction_loss(x, random(2, 3, 12, 12, seed=1)),
        lambda x: joint_loss(x, random(2, 3, 12, 12, seed=1)),
        lambda x: detection_loss(x[:, :2], (random(2, 1, 12, 12, seed=1) > 0.5).double()),
    ],
)
def test_gradient_is_the_slope(loss: Callable[[Tensor], Tensor]) -> None:
    assert torch.autograd.gradcheck(loss, random(2, 3, 12, 12).requires_grad_(), fast_mode=True)


def test_features_are_pooled_block_by_block() -> None:
    network = Features(TINY)
    shapes = [tuple(layer.shape) for layer in network(torch.rand(2, 3, 32, 24))]
    assert shapes == [(2, 4, 32, 24), (2, 6, 16, 12), (2, 8, 8, 6)]
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_vgg16_is_read_and_sees_edges(shared: Path) -> None:
    network = vgg16(str(shared / "peers/features/vgg16_relu4_3.fp16.safetensors"))
    assert network.widths == [64, 128, 256, 512]
    flat = torch.full((1, 3, 32, 32), 0.5)
    striped = flat + 0.4 * (torch.arange(32) // 4 % 2 - 0.5)
    plain, edgy = ([float(layer[0].std(dim=(1, 2)).mean()) for layer in network(p)[:3]] for p in (flat, striped))
    assert all(b > 1.5 * a for a, b in zip(plain, edgy, strict=True))


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    state = Features(TINY).state_dict()
    save_file(state, tmp_path / "small.safetensors")
    with pytest.raises(WeightsError, match=r"features\.0\.weight"):
        vgg16(str(tmp_path / "small.safetensors"))
    (tmp_path / "broken.safetensors").write_bytes(b"not weights")
    with pytest.raises(WeightsError, match="broken"):
        vgg16(str(tmp_path / "broken.safetensors"))


def test_segmenter_is_frozen_seeded_and_lets_gradients_through() -> None:
    torch.manual_seed(0)
    backbone = Features(TINY)
    one, same, other = (Segmenter(backbone, width=8, seed=seed) for seed in (1, 1, 2))
    picture = torch.rand(2, 3, 32, 24, requires_grad=True)
    logits = one(picture)
    assert logits.shape == (2, 21, 32, 24)
    assert torch.equal(logits, same(picture))
    assert not torch.equal(logits, other(picture))
    segmentation_loss(logits).backward()
    assert picture.grad is not None
    assert picture.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in one.parameters())


def test_resnet101_has_the_published_parameters_and_never_learns(tmp_path: Path) -> None:
    network = Residual()
    # The published network has 44,549,160 parameters, its last layer 2048 x 1000 and 1000 of them.
    assert sum(parameter.numel() for parameter in network.parameters()) == 44_549_160 - 2_049_000
    assert {"layer1.0.downsample.0.weight", "layer3.22.bn3.running_var"} <= network.state_dict().keys()
    small = Residual((1, 2), width=4).train()
    before = {name: value.clone() for name, value in small.state_dict().items()}
    layers = small(torch.rand(2, 3, 64, 48))
    assert [layer.shape for layer in layers] == [(2, 16, 16, 12), (2, 32, 8, 6)]
    assert all(torch.equal(value, before[name]) for name, value in small.state_dict().items())
    torch.save(small.state_dict(), tmp_path / "small.pth")
    with pytest.raises(WeightsError, match="conv1"):
        resnet101(str(tmp_path / "small.pth"))
    torch.save(network.state_dict(), tmp_path / "whole.pth")
    assert torch.equal(resnet101(str(tmp_path / "whole.pth")).conv1.weight, network.conv1.weight)
