"""Frozen networks that look at pictures for the perceptual losses: VGG-16, and a segmentation network on top of one.

Weights come from a file. The losses are in `losses/`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unrain.errors import WeightsError

MEAN = (123.68, 116.779, 103.939)
"""Mean colour of ImageNet on 0 … 255."""
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


def vgg16(file: Path) -> Features:
    """VGG-16 up to relu4_3 with the weights of a `.safetensors` file under torchvision's names."""
    network = Features()
    load_frozen(network, read_safetensors(file), file)
    return network


def read_safetensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a file; `WeightsError` in one line if it is none."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{file}: cannot be read as safetensors ({error})") from error


def load_frozen(network: nn.Module, weights: Mapping[str, Tensor], file: Path) -> None:
    """Fill a network with weights of whatever precision, and freeze it; `WeightsError` names the first that differs."""
    wanted = network.state_dict()
    for name, value in wanted.items():
        if name not in weights or weights[name].shape != value.shape:
            raise WeightsError(f"{file}: {name} is missing or has another shape than {tuple(value.shape)}")
    network.load_state_dict({name: weights[name].float() for name in wanted})
    network.requires_grad_(False)


class Segmenter(nn.Module):
    """A backbone with a feature pyramid head: which of `classes` each pixel belongs to, as logits.

    The backbone has learned ImageNet, the head nothing: it is drawn once from `seed` and stays as it is, like the
    backbone (SAPNet trains neither). Gradients flow through both into the picture.
    """

    def __init__(self, backbone: Features, classes: int = CLASSES, width: int = 64, seed: int = 0) -> None:
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
