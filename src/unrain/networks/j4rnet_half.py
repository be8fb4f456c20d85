"""J4R-Net at half the resolution: the video network that ships, in two sizes. Architecture only, no training.

What the paper asks of its parts is here found by one trunk of dilated units, from the frame and from what was made of
the frame before: what hides the scene (D-Net), the streaks (R-Net), and what the past shows there (C-Net, F-Net).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unrain.networks.blocks import conv3x3
from unrain.networks.j4rnet import align, over_time
from unrain.networks.sapnet_fast import DILATIONS, SCALE, WIDTH, FastUnit

NOTES = 5
STATE = 3 + NOTES
"""Channels that a frame hands to the next: the clean picture, and notes that the network leaves for itself."""
FOUND = (3, 1, NOTES, 3, 2)
"""Channels of what is found of a frame: detail, trust in the past, notes, streaks, and the two classes."""
UNTRUSTED = -3.0
"""The logit with which training begins to trust: one part in 21 of the background before."""


class HalfFrame(NamedTuple):
    """What one frame step gives. Pictures are `(N, 3, H, W)`, not clipped.

    background: the clean frame.
    streaks: the rain streaks S.
    logits: `(N, 2, H, W)`, the two classes of D-Net (0 = streaks only, 1 = the rain hides the scene).
    memory: `(N, 8, H, W)`, the state for the next frame: the background, and the notes.
    """

    background: Tensor
    streaks: Tensor
    logits: Tensor
    memory: Tensor

    @property
    def degradation(self) -> Tensor:
        """The degradation map α, `(N, 1, H, W)` in [0, 1]: the probability that rain hides the scene."""
        return torch.softmax(self.logits, dim=1)[:, 1:]


class J4RNetHalfStep(nn.Module):
    """One frame step. This is the module that is exported as a step graph.

    The memory is first laid where the scene is now. Each pixel's trust m then says how much of it comes from the
    background before: background = (1 − m) frame + m past + detail.
    """

    def __init__(self, width: int, dilations: Sequence[int]) -> None:
        super().__init__()
        places = SCALE**2
        self.enter = conv3x3((3 + STATE) * places, width)
        self.units = nn.Sequential(*(FastUnit(width, dilation) for dilation in dilations))
        self.leave = conv3x3(width, sum(FOUND) * places)
        # Training begins from the frame, and not from a past with noise on it.
        trust = slice(3 * places, 4 * places)
        with torch.no_grad():
            self.leave.weight[trust] = 0
            self.leave.bias[trust] = UNTRUSTED  # type: ignore[index]

    def forward(self, frame: Tensor, memory: Tensor, motion: Tensor) -> HalfFrame:
        """Take a rainy frame `(N, 3, H, W)` in [0, 1], H and W even, the memory of the frame before, and the motion.

        motion: `(N, 2, H, W)`, where in the frame before was what is here, see `align`.
        """
        memory = align(memory, motion)
        seen = F.pixel_unshuffle(torch.cat((frame, memory), dim=1), SCALE)
        found = F.pixel_shuffle(self.leave(self.units(torch.relu(self.enter(seen)))), SCALE)
        detail, trust, notes, streaks, logits = found.split(FOUND, dim=1)
        background = frame + torch.sigmoid(trust) * (memory[:, :3] - frame) + detail
        return HalfFrame(background, streaks, logits, torch.cat((background, notes), dim=1))

    @torch.no_grad()
    def begin_from(self, known: nn.Module) -> None:
        """Take over what a narrower or shorter trunk has learned, or a `SAPNetFast`: the same results at first.

        But for some trust in the past, which a network for pictures has not. Raises `RuntimeError` for a wider one.
        """
        own = self.state_dict()  # the weights themselves, not copies
        for name, weight in known.state_dict().items():
            own[name][tuple(slice(side) for side in weight.shape)].copy_(weight)
            if weight.dim() == 4:
                own[name][: weight.shape[0], weight.shape[1] :] = 0
        for name in own.keys() - known.state_dict().keys():
            if ".second." in name:
                own[name].zero_()


class J4RNetHalf(nn.Module):
    """The recurrent network over a clip: the frame step, repeated over time.

    With the width and dilations of `SAPNetFast` it takes 58 thousand multiply-adds per pixel.
    """

    def __init__(self, width: int = WIDTH, dilations: Sequence[int] = DILATIONS) -> None:
        super().__init__()
        self.options = {"width": width, "dilations": list(dilations)}
        self.step = J4RNetHalfStep(width, dilations)

    def forward(self, clip: Tensor, memory: Tensor | None = None, motion: Tensor | None = None) -> list[HalfFrame]:
        """Clean `clip`, `(N, T, 3, H, W)` RGB in [0, 1], H and W even; one `HalfFrame` per frame, in order.

        motion: `(N, T, 2, H, W)`, from each frame to the one before, see `align`; none if it is left out.
        """
        return over_time(self.step, clip, STATE, memory, motion)
