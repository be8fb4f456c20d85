"""What each network is trained to do: from a network and a batch to one loss. The losses are in `losses/`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from unrain.data.batches import Batch
from unrain.errors import RecipeError
from unrain.networks.j4rnet import J4RNet
from unrain.networks.j4rnet_half import J4RNetHalf
from unrain.networks.progressive import ProgressiveNetwork
from unrain.networks.sapnet_fast import SAPNetFast
from unrain.training.features import Backbone, Segmenter
from unrain.training.losses.charbonnier import charbonnier
from unrain.training.losses.contrastive import contrastive_loss
from unrain.training.losses.perceptual import perceptual_loss
from unrain.training.losses.restoration import detection_loss, joint_loss, reconstruction_loss, removal_loss
from unrain.training.losses.segmentation import segmentation_loss
from unrain.training.losses.ssim import ssim

DETECT, RECTIFY, REMOVE = 0.001, 0.0001, 0.0001
SHOW = 0.1
"""What the streaks weigh where the background does not come of them: what people are shown of the rain."""


@dataclass(frozen=True)
class Losses:
    """How much each loss of a picture weighs; 0 leaves it out.

    earlier: SAPNet's stages before the last weigh this much relative to the stage after them; 0 supervises the last
    alone, as the paper does, and more keeps fewer stages usable.
    """

    charbonnier: float = 1.0
    squared: float = 0.0
    ssim: float = 0.2
    segmentation: float = 0.0
    contrastive: float = 0.0
    perceptual: float = 0.0
    earlier: float = 0.5

    def __post_init__(self) -> None:
        negative = [field.name for field in fields(self) if not getattr(self, field.name) >= 0]
        if negative:
            raise RecipeError(f"the weight of {', '.join(negative)} is a number of at least 0")

    @property
    def compares(self) -> bool:
        """Whether features of pictures are compared."""
        return self.contrastive > 0 or self.perceptual > 0


class PictureLoss(nn.Module):
    """The weighted losses of one picture. Its frozen networks are built once, and hold no parameters to train.

    `features` is needed where the weights ask for losses that look at pictures: `RecipeError` without it. The
    segmentation network stands on `backbone`, or on `features` in its place.
    """

    def __init__(self, weights: Losses, features: Backbone | None = None, backbone: Backbone | None = None) -> None:
        super().__init__()
        backbone = features if backbone is None else backbone
        if (weights.compares and features is None) or (weights.segmentation and backbone is None):
            raise RecipeError("this recipe looks at pictures with VGG-16; name the file of its weights with --features")
        self.weights = weights
        self.features = features if weights.compares else None
        self.segmenter = Segmenter(backbone) if weights.segmentation and backbone is not None else None

    def forward(self, estimate: Tensor, clean: Tensor, rainy: Tensor) -> Tensor:
        """A scalar, from three `(N, 3, H, W)`. The SSIM counts as 1 − SSIM, whose gradient is that of −SSIM."""
        with torch.autocast(estimate.device.type, enabled=False):
            return self._judge(estimate.float(), clean, rainy)

    def _judge(self, estimate: Tensor, clean: Tensor, rainy: Tensor) -> Tensor:
        weigh, total = self.weights, estimate.new_zeros(())
        if weigh.charbonnier:
            total = total + weigh.charbonnier * charbonnier(estimate, clean)
        if weigh.squared:
            total = total + weigh.squared * joint_loss(estimate, clean)
        if weigh.ssim:
            total = total + weigh.ssim * (1 - ssim(estimate, clean))
        if self.segmenter is not None:
            total = total + weigh.segmentation * segmentation_loss(self.segmenter(estimate))
        if self.features is not None:
            out = self.features(estimate)
            with torch.no_grad():
                truth, wet = self.features(clean), self.features(rainy) if weigh.contrastive else []
            if weigh.contrastive:
                total = total + weigh.contrastive * contrastive_loss(out, truth, wet)
            if weigh.perceptual:
                total = total + weigh.perceptual * perceptual_loss(out, truth)
        return total


Objective = Callable[[nn.Module, Batch, int, PictureLoss], Tensor]


def sapnet_objective(network: nn.Module, batch: Batch, stages: int, loss: PictureLoss) -> Tensor:
    """The picture loss of the stages, see `Losses.earlier`, as a weighted mean."""
    assert isinstance(network, ProgressiveNetwork)
    rainy, clean = (frames.flatten(0, 1).contiguous(memory_format=torch.channels_last) for frames in batch[:2])
    estimates = network(rainy, stages)
    weights = [loss.weights.earlier ** (stages - 1 - stage) for stage in range(stages)]
    losses = [weight * loss(x, clean, rainy) for weight, x in zip(weights, estimates, strict=True) if weight]
    total: Tensor = torch.stack(losses).sum() / sum(weights)
    return total


def picture_objective(network: nn.Module, batch: Batch, stages: int, loss: PictureLoss) -> Tensor:
    """The picture loss of a network that cleans in one go."""
    assert isinstance(network, SAPNetFast)
    rainy, clean = (frames.flatten(0, 1).contiguous(memory_format=torch.channels_last) for frames in batch[:2])
    total: Tensor = loss(network(rainy), clean, rainy)
    return total


def clip_objective(network: nn.Module, batch: Batch, frames: int, loss: PictureLoss) -> Tensor:
    """The picture loss, and J4R-Net's losses of degradation and streaks, averaged over the frames."""
    assert isinstance(network, J4RNetHalf)
    total = batch.rainy.new_zeros(())
    for time, out in enumerate(network(batch.rainy, motion=batch.motion)):
        total = total + loss(out.background, batch.background[:, time], batch.rainy[:, time])
        total = total + DETECT * detection_loss(out.logits, batch.degradation[:, time])
        total = total + SHOW * removal_loss(out.streaks, batch.streaks[:, time])
    return total / batch.rainy.shape[1]


def j4rnet_single_objective(network: nn.Module, batch: Batch, frames: int, loss: PictureLoss) -> Tensor:
    """The single-frame path: the background, and the streaks with the weight λ_r of the paper."""
    assert isinstance(network, J4RNet)
    rainy, clean, streaks = (part.flatten(0, 1).contiguous(memory_format=torch.channels_last) for part in batch[:3])
    background, removed = network.step.single_frame(rainy)
    joint: Tensor = loss(background, clean, rainy)
    return joint + REMOVE * removal_loss(removed, streaks)


def j4rnet_objective(network: nn.Module, batch: Batch, frames: int, loss: PictureLoss) -> Tensor:
    """l_joint + λ_d l_detect + λ_c l_rect + λ_r l_removal (J4R-Net), averaged over the frames.

    l_joint is the picture loss; the paper's is the squared error.
    """
    assert isinstance(network, J4RNet)
    total = batch.rainy.new_zeros(())
    for time, out in enumerate(network(batch.rainy, motion=batch.motion)):
        clean = batch.background[:, time]
        total = total + loss(out.background, clean, batch.rainy[:, time])
        total = total + DETECT * detection_loss(out.logits, batch.degradation[:, time])
        total = total + RECTIFY * reconstruction_loss(out.detail, clean)
        total = total + REMOVE * removal_loss(out.streaks, batch.streaks[:, time])
    return total / batch.rainy.shape[1]


OBJECTIVES: dict[str, Objective] = {
    "sapnet": sapnet_objective,
    "picture": picture_objective,
    "clip": clip_objective,
    "j4rnet-single": j4rnet_single_objective,
    "j4rnet": j4rnet_objective,
}
