"""ESPNetv2 for segmentation (Mehta et al., CVPR 2019), scale 2.0: to measure with. Architecture only, no training.

Modules are named as in the checkpoint for Pascal VOC that the authors published with EdgeNets, which so loads as it is.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = 21
CHANNELS = (32, 128, 256, 512)
"""Of the encoder's levels, at 1/2, 1/4, 1/8 and 1/16 of the picture's size."""
DECODER = (64, 48, 32)
BRANCHES = 4
WIDE, NARROW = (1, 2, 3, 4), (1, 1, 2, 3)
"""Dilations of the branches; the deepest level looks less far around itself."""
PYRAMID = (2.0, 1.5, 1.0, 0.5, 0.1)
PYRAMID_WIDTH = 10
SMALLEST = 5


class EESP(nn.Module):
    """The unit of the encoder, an extremely efficient spatial pyramid (section 3 of the paper).

    A grouped 1x1 convolution narrows the features; four depthwise convolutions with rising dilations look at them, each
    adding to the one before; a grouped 1x1 convolution merges the four. With stride 1 there is a skip connection; with
    stride 2 the result goes as it is to the `Downsampler`.
    """

    def __init__(self, inputs: int, outputs: int, dilations: Sequence[int], stride: int = 1) -> None:
        super().__init__()
        width = outputs // BRANCHES
        self.skips = stride == 1
        self.proj_1x1 = _conv_bn_act(inputs, width, groups=BRANCHES)
        self.spp_dw = nn.ModuleList(
            _named(conv=_conv(width, width, 3, stride=stride, groups=width, dilation=dilation))
            for dilation in dilations
        )
        self.conv_1x1_exp = _conv_bn(outputs, outputs, groups=BRANCHES)
        self.br_after_cat = _named(bn=nn.BatchNorm2d(outputs), act=nn.PReLU(outputs))
        # The published weights have this one in units with stride 2 too, where nothing uses it.
        self.module_act = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, inputs, H, W)` to `(N, outputs, H, W)`, or half of that size with stride 2."""
        narrow = self.proj_1x1(x)
        looks: list[Tensor] = []
        for branch in self.spp_dw:
            look = branch(narrow)
            looks.append(look + looks[-1] if looks else look)
        merged: Tensor = self.conv_1x1_exp(self.br_after_cat(torch.cat(looks, dim=1)))
        activated: Tensor = self.module_act(merged + x) if self.skips else merged
        return activated


class Downsampler(nn.Module):
    """Halves the size: average pooling beside an `EESP`, reinforced by the picture itself, pooled to that size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.eesp = EESP(inputs, outputs - inputs, WIDE, stride=2)
        self.inp_reinf = nn.Sequential(_conv_bn_act(3, 3, 3), _conv_bn(3, outputs))
        self.act = nn.PReLU(outputs)

    def forward(self, x: Tensor, picture: Tensor) -> Tensor:
        """`(N, inputs, H, W)` and the picture `(N, 3, H/2, W/2)` to `(N, outputs, H/2, W/2)`."""
        halved = torch.cat((_halve(x), self.eesp(x)), dim=1)
        activated: Tensor = self.act(halved + self.inp_reinf(picture))
        return activated


class Encoder(nn.Module):
    """The ImageNet network without its last level."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third, fourth = CHANNELS
        self.level1 = _conv_bn_act(3, first, 3, stride=2)
        self.level2_0 = Downsampler(first, second)
        self.level3_0 = Downsampler(second, third)
        self.level3 = nn.Sequential(*(EESP(third, third, WIDE) for _ in range(3)))
        self.level4_0 = Downsampler(third, fourth)
        self.level4 = nn.Sequential(*(EESP(fourth, fourth, NARROW) for _ in range(7)))

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The features of the four levels."""
        quarter = _halve(_halve(picture))
        eighth = _halve(quarter)
        first = self.level1(picture)
        second = self.level2_0(first, quarter)
        third = self.level3(self.level3_0(second, eighth))
        return first, second, third, self.level4(self.level4_0(third, _halve(eighth)))


class PyramidPool(nn.Module):
    """Looks at narrowed features on five scales with depthwise convolutions, and merges what they see."""

    def __init__(self, inputs: int, outputs: int, *, last: bool = False) -> None:
        super().__init__()
        width, all_scales = PYRAMID_WIDTH, PYRAMID_WIDTH * len(PYRAMID)
        self.projection_layer = _decoder_block(inputs, width)
        self.stages = nn.ModuleList(_conv(width, width, 3, groups=width) for _ in PYRAMID)
        self.merge_layer = nn.Sequential(
            _named(br=nn.Sequential(nn.BatchNorm2d(all_scales), nn.PReLU(all_scales))),
            # Puts the five scales of one channel side by side, for the grouped convolution.
            nn.ChannelShuffle(len(PYRAMID)),
            _decoder_block(all_scales, width, 3, groups=width),
            nn.Conv2d(width, outputs, 1, bias=last),
        )
        self.br = nn.Identity() if last else _named(br=nn.Sequential(nn.BatchNorm2d(outputs), nn.PReLU(outputs)))

    def forward(self, x: Tensor) -> Tensor:
        """`(N, inputs, H, W)` to `(N, outputs, H, W)`."""
        x = self.projection_layer(x)
        looks = [_look(stage, x, scale) for stage, scale in zip(self.stages, PYRAMID, strict=True)]
        merged: Tensor = self.br(self.merge_layer(torch.cat(looks, dim=1)))
        return merged


class Bridge(nn.Module):
    """From the encoder to the decoder: a grouped convolution, scaled by a gate that sees all of the level."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.wt_layer = nn.Sequential(nn.AdaptiveAvgPool2d(1), _conv(inputs, outputs), nn.Sigmoid())
        self.expansion_layer = _decoder_block(inputs, outputs, 3, groups=math.gcd(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """`(N, inputs, H, W)` to `(N, outputs, H, W)`."""
        bridged: Tensor = self.expansion_layer(x) * self.wt_layer(x)
        return bridged


class ESPNetv2(nn.Module):
    """Which of the 21 classes of Pascal VOC each pixel belongs to; class 0 is the background."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third, fourth = CHANNELS
        self.base_net = Encoder()
        self.bu_dec_l1 = PyramidPool(fourth, DECODER[0])
        self.bu_dec_l2 = PyramidPool(DECODER[0], DECODER[1])
        self.bu_dec_l3 = PyramidPool(DECODER[1], DECODER[2])
        self.bu_dec_l4 = PyramidPool(DECODER[2], CLASSES, last=True)
        self.merge_enc_dec_l2 = Bridge(third, DECODER[0])
        self.merge_enc_dec_l3 = Bridge(second, DECODER[1])
        self.merge_enc_dec_l4 = Bridge(first, DECODER[2])
        self.bu_br_l2 = nn.Sequential(nn.BatchNorm2d(DECODER[0]), nn.PReLU(DECODER[0]))
        self.bu_br_l3 = nn.Sequential(nn.BatchNorm2d(DECODER[1]), nn.PReLU(DECODER[1]))
        self.bu_br_l4 = nn.Sequential(nn.BatchNorm2d(DECODER[2]), nn.PReLU(DECODER[2]))

    def forward(self, picture: Tensor) -> Tensor:
        """Logits `(N, 21, H, W)` of `(N, 3, H, W)` RGB, normalised; H and W are multiples of 16."""
        first, second, third, fourth = self.base_net(picture)
        x = self.bu_dec_l1(fourth)
        x = self.bu_dec_l2(self.bu_br_l2(_resize(x, third) + self.merge_enc_dec_l2(third)))
        x = self.bu_dec_l3(self.bu_br_l3(_resize(x, second) + self.merge_enc_dec_l3(second)))
        x = self.bu_dec_l4(self.bu_br_l4(_resize(x, first) + self.merge_enc_dec_l4(first)))
        return _resize(x, picture)


def _named(**parts: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(parts))


def _conv(
    inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Conv2d:
    padding = dilation * (kernel // 2)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)


def _conv_bn(inputs: int, outputs: int, *, groups: int = 1) -> nn.Sequential:
    return _named(conv=_conv(inputs, outputs, groups=groups), bn=nn.BatchNorm2d(outputs))


def _conv_bn_act(inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = _conv(inputs, outputs, kernel, stride=stride, groups=groups)
    return _named(conv=convolution, bn=nn.BatchNorm2d(outputs), act=nn.PReLU(outputs))


def _decoder_block(inputs: int, outputs: int, kernel: int = 1, *, groups: int = 1) -> nn.Sequential:
    """The same as `_conv_bn_act`, under the names that the decoder's have."""
    parts = _conv(inputs, outputs, kernel, groups=groups), nn.BatchNorm2d(outputs), nn.PReLU(outputs)
    return _named(cbr=nn.Sequential(*parts))


def _halve(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, kernel_size=3, stride=2, padding=1)


def _resize(x: Tensor, like: Tensor | tuple[int, int]) -> Tensor:
    size = tuple(like.shape[2:]) if isinstance(like, Tensor) else like
    return F.interpolate(x, size, mode="bilinear", align_corners=True)


def _look(stage: nn.Module, x: Tensor, scale: float) -> Tensor:
    """What a convolution sees on this scale, at the size of `x`: averages where there is less of it, else bilinear."""
    height, width = x.shape[2:]
    size = max(SMALLEST, math.ceil(height * scale)), max(SMALLEST, math.ceil(width * scale))
    if scale > 1:
        return F.adaptive_avg_pool2d(stage(_resize(x, size)), (height, width))
    if scale < 1:
        return _resize(stage(F.adaptive_avg_pool2d(x, size)), x)
    look: Tensor = stage(x)
    return look
