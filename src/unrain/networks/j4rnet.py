"""J4R-Net (CVPR 2018): a video, cleaned by one frame step that remembers. Architecture only, no training.

On RGB frames, streamed; the parts are those of the paper. What ships is `j4rnet_half.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unrain.networks.blocks import ResidualUnit, conv3x3

WIDTH = 64
EXTRACTOR_UNITS = 4
STATE = WIDTH
"""Channels that a frame hands to the next: the memory H."""


class FrameOutputs(NamedTuple):
    """What one frame step gives. Pictures are `(N, 3, H, W)`, not clipped.

    background: the clean frame.
    streaks: the rain streaks S that R-Net found.
    logits: `(N, 2, H, W)`, the two classes of D-Net (0 = streaks only, 1 = the rain hides the scene).
    detail: what C-Net reconstructs; its high-pass is that of the clean frame.
    memory: `(N, 64, H, W)`, the state H for the next frame.
    """

    background: Tensor
    streaks: Tensor
    logits: Tensor
    detail: Tensor
    memory: Tensor

    @property
    def degradation(self) -> Tensor:
        """The degradation map α, `(N, 1, H, W)` in [0, 1]: the probability that rain hides the scene."""
        return torch.softmax(self.logits, dim=1)[:, 1:]


class Remembers(Protocol):
    """What a frame step gives, of whichever network."""

    @property
    def memory(self) -> Tensor:
        """The state for the next frame."""


Outputs = TypeVar("Outputs", bound=Remembers)


class DegradationNet(nn.Module):
    """D-Net: classifies each pixel's degradation, and turns the classes into features for the gates."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = conv3x3(2 * WIDTH, WIDTH)
        self.conv2 = conv3x3(WIDTH, 2)
        self.conv3 = conv3x3(2, WIDTH)
        self.conv4 = conv3x3(WIDTH, WIDTH)

    def forward(self, memory: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Take H and F, `(N, 64, H, W)`; give the logits f_2 `(N, 2, H, W)` and the features f_4 `(N, 64, H, W)`."""
        logits = self.conv2(torch.relu(self.conv1(torch.cat((memory, features), dim=1))))
        return logits, self.conv4(torch.relu(self.conv3(logits)))


class FusionNet(nn.Module):
    """F-Net: the gated recurrent unit that decides, pixel by pixel, between the frame and the memory.

        z = σ(W_z F + U_z H + V_z f_d)          update gate
        r = ReLU(W_r F + U_r H + V_r f_d)       read gate (ReLU as in the paper)
        H̃ = tanh(W_h F + U_h (r ⊙ H))
        H' = (1 − z) ⊙ H + z ⊙ H̃

    The convolutions that see the same inputs are one: `gates` gives z and r from cat(F, H, f_d).
    """

    def __init__(self) -> None:
        super().__init__()
        self.gates = conv3x3(3 * WIDTH, 2 * WIDTH)
        self.candidate = conv3x3(2 * WIDTH, WIDTH)

    def read_and_update(self, features: Tensor, memory: Tensor, degradation: Tensor) -> tuple[Tensor, Tensor]:
        """The gates r and z, each `(N, 64, H, W)`."""
        z, r = self.gates(torch.cat((features, memory, degradation), dim=1)).chunk(2, dim=1)
        return torch.relu(r), torch.sigmoid(z)

    def fuse(self, features: Tensor, memory: Tensor, read: Tensor, update: Tensor) -> Tensor:
        """The new memory H' for given gates."""
        candidate = torch.tanh(self.candidate(torch.cat((features, read * memory), dim=1)))
        return (1 - update) * memory + update * candidate

    def forward(self, features: Tensor, memory: Tensor, degradation: Tensor) -> Tensor:
        """F, H and f_d, each `(N, 64, H, W)`, to the new memory of the same shape."""
        return self.fuse(features, memory, *self.read_and_update(features, memory, degradation))


class PictureHead(nn.Module):
    """Residual unit and a convolution to RGB: the shape of R-Net and C-Net."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = ResidualUnit(WIDTH)
        self.conv = conv3x3(WIDTH, 3)

    def forward(self, features: Tensor) -> Tensor:
        """`(N, 64, H, W)` to `(N, 3, H, W)`."""
        picture: Tensor = self.conv(self.unit(features))
        return picture


class JointNet(nn.Module):
    """JRC-Net: joins what the frame says with what the memory says: frame + conv(½ unit(½ (F + H)) + ½ skip)."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = ResidualUnit(WIDTH)
        self.conv = conv3x3(WIDTH, 3)

    def forward(self, frame: Tensor, features: Tensor, memory: Tensor, skip: Tensor) -> Tensor:
        """The background `(N, 3, H, W)`."""
        joined = self.unit(0.5 * (features + memory))
        background: Tensor = frame + self.conv(0.5 * (joined + skip))
        return background


def align(memory: Tensor, motion: Tensor) -> Tensor:
    """Lay `memory` `(N, C, H, W)` where the scene is now: each pixel takes the one at its place + `motion`, linearly.

    motion: `(N, 2, H, W)`, y and x in pixels. What comes from outside takes the nearest pixel inside.
    """
    height, width = memory.shape[2:]
    y = torch.arange(height, device=memory.device, dtype=motion.dtype)[:, None] + motion[:, 0]
    x = torch.arange(width, device=memory.device, dtype=motion.dtype) + motion[:, 1]
    grid = torch.stack((2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1), dim=-1)
    return F.grid_sample(memory, grid, mode="bilinear", padding_mode="border", align_corners=True)


class J4RNetStep(nn.Module):
    """One frame step of J4R-Net. This is the module that is exported as a step graph.

    All that it knows of the frame is the frame, and the memory says the rest, as in the paper. The memory is first laid
    where the scene is now; without motion it stays where it was.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = conv3x3(3, WIDTH)
        self.extractor = nn.Sequential(*(ResidualUnit(WIDTH) for _ in range(EXTRACTOR_UNITS)))
        self.degradation = DegradationNet()
        self.fusion = FusionNet()
        self.removal = PictureHead()
        self.reconstruction = PictureHead()
        self.joint = JointNet()

    def forward(self, frame: Tensor, memory: Tensor, motion: Tensor) -> FrameOutputs:
        """Take a rainy frame `(N, 3, H, W)` in [0, 1], the memory `(N, 64, H, W)` of the frame before, and the motion.

        motion: `(N, 2, H, W)`, where in the frame before was what is here, see `align`.
        """
        memory = align(memory, motion)
        skip, features = self._look(frame)
        logits, degradation = self.degradation(memory, features)
        memory = self.fusion(features, memory, degradation)
        background = self.joint(frame, features, memory, skip)
        return FrameOutputs(background, self.removal(features), logits, self.reconstruction(memory), memory)

    def single_frame(self, frame: Tensor) -> tuple[Tensor, Tensor]:
        """The path without memory, which is trained first: the background and the streaks of one frame."""
        skip, features = self._look(frame)
        # With H = F the joint net sees ½ (F + F): features of the scale that it meets later.
        return self.joint(frame, features, features, skip), self.removal(features)

    def _look(self, frame: Tensor) -> tuple[Tensor, Tensor]:
        """What is seen without the memory H: the long skip, and the features F."""
        skip = self.conv0(frame)
        return skip, self.extractor(skip)


class J4RNet(nn.Module):
    """The recurrent network over a clip: the frame step, repeated over time."""

    def __init__(self) -> None:
        super().__init__()
        self.options: dict[str, object] = {}
        self.step = J4RNetStep()

    def forward(self, clip: Tensor, memory: Tensor | None = None, motion: Tensor | None = None) -> list[FrameOutputs]:
        """Clean `clip`, `(N, T, 3, H, W)` RGB in [0, 1]; returns one `FrameOutputs` per frame, in order.

        motion: `(N, T, 2, H, W)`, from each frame to the one before, see `align`; none if it is left out.
        """
        return over_time(self.step, clip, STATE, memory, motion)


def over_time(
    step: Callable[[Tensor, Tensor, Tensor], Outputs],
    clip: Tensor,
    channels: int,
    memory: Tensor | None,
    motion: Tensor | None,
) -> list[Outputs]:
    """Repeat a frame step over `clip`, `(N, T, 3, H, W)`, from a memory of zeros with `channels`, or the one given."""
    count, _, _, height, width = clip.shape
    memory = clip.new_zeros(count, channels, height, width) if memory is None else memory
    motion = torch.zeros_like(clip[:, :, :2]) if motion is None else motion
    outputs: list[Outputs] = []
    for frame, moved in zip(clip.unbind(dim=1), motion.unbind(dim=1), strict=True):
        outputs.append(step(frame, memory, moved))
        memory = outputs[-1].memory
    return outputs
