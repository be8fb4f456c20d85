"""Frozen networks that look at pictures for the perceptual losses: VGG-16, and a segmentation network on top of one.

Weights come from a file or their publishers. The losses are in `losses/`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unrain.errors import WeightsError
from unrain.networks.resnet import Bottleneck, ResNet
from unrain.training import checkpoint

Net = TypeVar("Net", bound=nn.Module)

MEAN = (123.68, 116.779, 103.939)
"""Mean colour of ImageNet on 0 … 255."""
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours on 0 … 1."""
CLASSES = 21


class Features(nn.Module):
    """Convolutions 3×3 with ReLU in blocks, max pooling between; the last output of each block is a layer.

    With the widths below these are VGG-16's `features[:23]`, under torchvision's names; smaller ones are for tests.
    """

    mean: Tensor
    VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512))

    def __init__(self, blocks: Sequence[Sequence[int]] = VGG16) -> None:
        super().__init__()
        self.features = nn.ModuleDict()
        self.blocks: list[list[str]] = []
        number, channels = 0, 3
        for block in blocks:
            names = []
            for width in block:
                self.features[str(number)] = nn.Conv2d(channels, width, 3, padding=1)
                names.append(str(number))
                number, channels = number + 2, width
            self.blocks.append(names)
            number += 1
        self.requires_grad_(False)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)

    @property
    def widths(self) -> list[int]:
        """Channels of each layer."""
        return [self._convolution(names[-1]).out_channels for names in self.blocks]

    def _convolution(self, name: str) -> nn.Conv2d:
        convolution = self.features[name]
        assert isinstance(convolution, nn.Conv2d)
        return convolution

    def forward(self, picture: Tensor) -> list[Tensor]:
        """V_i of `(N, 3, H, W)` in [0, 1]: `(N, C_i, H/2^i, W/2^i)` for each block i from 0."""
        values = picture * 255 - self.mean
        layers = []
        for number, names in enumerate(self.blocks):
            values = F.max_pool2d(values, 2) if number else values
            for name in names:
                values = F.relu(self._convolution(name)(values))
            layers.append(values)
        return layers


class Residual(ResNet):
    """ResNet-101, which SAPNet's authors let look for segments; fewer blocks and a smaller width are for tests.

    Its batch normalisation never learns.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, counts: Sequence[int] = ResNet.RESNET101, width: int = 64) -> None:
        super().__init__(Bottleneck, counts, width)
        self.requires_grad_(False)
        self.eval()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(IMAGENET_DEVIATION).view(1, 3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> Residual:
        """Stays in evaluation."""
        return super().train(False)

    def forward(self, picture: Tensor) -> list[Tensor]:
        """The features of `(N, 3, H, W)` in [0, 1] at 1/4, 1/8, 1/16 and 1/32 of its size."""
        return super().forward((picture - self.mean) / self.deviation)


Backbone: TypeAlias = Features | Residual
"""What the losses look with: layers `(N, widths[i], H_i, W_i)` of a picture in [0, 1], the finest first."""

PUBLISHED = {
    "vgg16": "https://download.pytorch.org/models/vgg16-397923af.pth",
    "resnet101": "https://download.pytorch.org/models/resnet101-5d3b4d8f.pth",
}
"""Where weights are published; the end of each name begins the file's SHA-256, which is checked."""


def vgg16(source: str) -> Features:
    """VGG-16 up to relu4_3, with the weights that `read_weights` finds."""
    return load_frozen(Features(), read_weights(source), source)


def resnet101(source: str) -> Residual:
    """ResNet-101 without its last layer, with the weights that `read_weights` finds."""
    return load_frozen(Residual(), read_weights(source), source)


def read_weights(source: str) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` or `.pth` file, or of a name in `PUBLISHED`, which is downloaded once.

    Raises `WeightsError` in one line if there is no such file, it is none, or it cannot be had.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if source in PUBLISHED:
            return torch.hub.load_state_dict_from_url(
                PUBLISHED[source], map_location="cpu", check_hash=True, weights_only=True
            )
        if source.endswith(".safetensors"):
            return load_file(source)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{source}: cannot be read as weights ({error})") from error
    return checkpoint.load(Path(source))


def load_frozen(network: Net, weights: Mapping[str, Tensor], source: str | Path) -> Net:
    """Fill a network with weights of whatever precision, and freeze it; `WeightsError` names the first that differs."""
    wanted = network.state_dict()
    for name, value in wanted.items():
        if name not in weights or weights[name].shape != value.shape:
            raise WeightsError(f"{source}: {name} is missing or has another shape than {tuple(value.shape)}")
    network.load_state_dict({name: weights[name].to(value.dtype) for name, value in wanted.items()})
    network.requires_grad_(False)
    return network


class Segmenter(nn.Module):
    """A backbone with a feature pyramid head: which of `classes` each pixel belongs to, as logits.

    The backbone has learned ImageNet, the head nothing: it is drawn once from `seed` and stays as it is, like the
    backbone (SAPNet trains neither). Gradients flow through both into the picture.
    """

    def __init__(self, backbone: Backbone, classes: int = CLASSES, width: int = 64, seed: int = 0) -> None:
        super().__init__()
        self.backbone = backbone
        generator = torch.Generator().manual_seed(seed)
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in backbone.widths)
        self.decide = nn.Conv2d(width, classes, 1)
        with torch.no_grad():
            for convolution in (*self.lateral, self.decide):
                assert isinstance(convolution, nn.Conv2d)
                fan_in = convolution.in_channels
                convolution.weight.copy_(torch.randn(convolution.weight.shape, generator=generator) / math.sqrt(fan_in))
                nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
        self.requires_grad_(False)

    def forward(self, picture: Tensor) -> Tensor:
        """Logits `(N, classes, H, W)` of `(N, 3, H, W)` in [0, 1]."""
        layers = [_scaled(layer) for layer in self.backbone(picture)]
        merged = self.lateral[-1](layers[-1])
        for lateral, layer in zip(reversed(self.lateral[:-1]), reversed(layers[:-1]), strict=True):
            merged = lateral(layer) + F.interpolate(merged, size=layer.shape[-2:], mode="nearest")
        logits: Tensor = self.decide(_scaled(merged))
        return logits


def _scaled(values: Tensor) -> Tensor:
    """To unit variance over each picture, as a trained head's normalisation would."""
    return values / (values.square().mean(dim=(1, 2, 3), keepdim=True).sqrt() + 1e-6)
