"""The fast video network: sapnet-fast with a memory. Architecture only, no training.

One step cleans a frame at half the resolution, as `SAPNetFast` does, and also sees what it made of the frame before.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unrain.networks.blocks import conv3x3
from unrain.networks.j4rnet import UNTRUSTED, align
from unrain.networks.sapnet_fast import DILATIONS, SCALE, WIDTH, FastUnit, SAPNetFast

NOTES = 5
STATE = 3 + NOTES
"""Channels that a frame hands to the next: the clean picture, and notes that the network leaves for itself."""


class FastFrame(NamedTuple):
    """What one frame step gives.

    background: the clean frame `(N, 3, H, W)`, not clipped.
    memory: `(N, 8, H, W)`, the state for the next frame: the background, and the notes.
    """

    background: Tensor
    memory: Tensor


class J4RNetFastStep(nn.Module):
    """One frame step. This is the module that is exported as a step graph.

    As in J4R-Net, the memory is laid where the scene is now, and each pixel's trust m says how much of it comes from
    the background before: background = (1 − m) frame + m past + detail.
    """

    def __init__(self) -> None:
        super().__init__()
        places = SCALE**2
        self.enter = conv3x3((3 + STATE) * places, WIDTH)
        self.units = nn.Sequential(*(FastUnit(WIDTH, dilation) for dilation in DILATIONS))
        self.leave = conv3x3(WIDTH, (3 + 1 + NOTES) * places)
        # Training begins from the frame, and not from a past with noise on it.
        trust = slice(3 * places, 4 * places)
        with torch.no_grad():
            self.leave.weight[trust] = 0
            self.leave.bias[trust] = UNTRUSTED  # type: ignore[index]

    def forward(self, frame: Tensor, memory: Tensor, motion: Tensor) -> FastFrame:
        """Take a rainy frame `(N, 3, H, W)` in [0, 1], H and W even, the memory of the frame before, and the motion.

        motion: `(N, 2, H, W)`, where in the frame before was what is here, see `align`.
        """
        memory = align(memory, motion)
        seen = F.pixel_unshuffle(torch.cat((frame, memory), dim=1), SCALE)
        found = F.pixel_shuffle(self.leave(self.units(torch.relu(self.enter(seen)))), SCALE)
        detail, trust, notes = found.split((3, 1, NOTES), dim=1)
        background = frame + torch.sigmoid(trust) * (memory[:, :3] - frame) + detail
        return FastFrame(background, torch.cat((background, notes), dim=1))

    @torch.no_grad()
    def begin_from(self, picture: SAPNetFast) -> None:
        """Take over what a network for pictures has learned: the same results at first, but for some trust in the past.

        Raises `RuntimeError` for a network of another size.
        """
        own = self.state_dict()  # the weights themselves, not copies
        for name, weight in picture.state_dict().items():
            own[name][tuple(slice(side) for side in weight.shape)].copy_(weight)
        own["enter.weight"][:, picture.enter.in_channels :] = 0


class J4RNetFast(nn.Module):
    """The recurrent network over a clip. 53 thousand multiply-adds per pixel, a 28th of J4R-Net over SAPNet."""

    def __init__(self) -> None:
        super().__init__()
        self.options: dict[str, object] = {}
        self.step = J4RNetFastStep()

    def forward(self, clip: Tensor, memory: Tensor | None = None, motion: Tensor | None = None) -> list[FastFrame]:
        """Clean `clip`, `(N, T, 3, H, W)` RGB in [0, 1], H and W even; one `FastFrame` per frame, in order.

        motion: `(N, T, 2, H, W)`, from each frame to the one before, see `align`; none if it is left out.
        """
        count, _, _, height, width = clip.shape
        memory = clip.new_zeros(count, STATE, height, width) if memory is None else memory
        motion = torch.zeros_like(clip[:, :, :2]) if motion is None else motion
        frames: list[FastFrame] = []
        for frame, moved in zip(clip.unbind(dim=1), motion.unbind(dim=1), strict=True):
            frames.append(self.step(frame, memory, moved))
            memory = frames[-1].memory
        return frames
