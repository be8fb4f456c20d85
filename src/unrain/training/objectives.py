"""What each network is trained to do: from a network and a batch to one loss. The losses are in `losses/`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from unrain.networks.j4rnet import J4RNet
from unrain.networks.sapnet import SAPNet
from unrain.rain.compose import RainyFrames
from unrain.training.losses.charbonnier import charbonnier
from unrain.training.losses.restoration import detection_loss, reconstruction_loss, removal_loss
from unrain.training.losses.ssim import ssim

SSIM_WEIGHT = 0.2
EARLIER_STAGE = 0.5
DETECT, RECTIFY, REMOVE = 0.001, 0.0001, 0.0001

Objective = Callable[[nn.Module, RainyFrames, int], Tensor]


def picture_loss(estimate: Tensor, clean: Tensor) -> Tensor:
    """Charbonnier distance plus 0.2 · (1 − SSIM), of `(N, 3, H, W)` batches."""
    return charbonnier(estimate, clean) + SSIM_WEIGHT * (1 - ssim(estimate, clean))


def sapnet_objective(network: nn.Module, batch: RainyFrames, stages: int) -> Tensor:
    """The picture loss of every stage; each stage weighs half as much as the one after it.

    The paper supervises the last stage alone; with all of them, fewer stages at inference still give a clean picture.
    """
    assert isinstance(network, SAPNet)
    rainy, clean = (frames.flatten(0, 1).contiguous(memory_format=torch.channels_last) for frames in batch[:2])
    estimates = network(rainy, stages)
    weights = [EARLIER_STAGE ** (stages - 1 - stage) for stage in range(stages)]
    losses = [weight * picture_loss(x, clean) for weight, x in zip(weights, estimates, strict=True)]
    return torch.stack(losses).sum() / sum(weights)


def j4rnet_single_objective(network: nn.Module, batch: RainyFrames, frames: int) -> Tensor:
    """The single-frame path: the background, and the streaks with the weight λ_r of the paper."""
    assert isinstance(network, J4RNet)
    rainy, clean, streaks = (part.flatten(0, 1).contiguous(memory_format=torch.channels_last) for part in batch[:3])
    background, removed = network.step.single_frame(rainy)
    return picture_loss(background, clean) + REMOVE * removal_loss(removed, streaks)


def j4rnet_objective(network: nn.Module, batch: RainyFrames, frames: int) -> Tensor:
    """l_joint + λ_d l_detect + λ_c l_rect + λ_r l_removal (J4R-Net), averaged over the frames.

    l_joint is the picture loss here, where the paper has the squared error.
    """
    assert isinstance(network, J4RNet)
    total = batch.rainy.new_zeros(())
    for time, out in enumerate(network(batch.rainy)):
        clean = batch.background[:, time]
        total = total + picture_loss(out.background, clean)
        total = total + DETECT * detection_loss(out.logits, batch.degradation[:, time])
        total = total + RECTIFY * reconstruction_loss(out.detail, clean)
        total = total + REMOVE * removal_loss(out.streaks, batch.streaks[:, time])
    return total / batch.rainy.shape[1]


OBJECTIVES: dict[str, Objective] = {
    "sapnet": sapnet_objective,
    "j4rnet-single": j4rnet_single_objective,
    "j4rnet": j4rnet_objective,
}
