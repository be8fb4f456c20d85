"""A camera that moves over a still: clips out of photos, as paired real videos of rain do not exist."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def pan(stills: Tensor, frames: int, size: int, generator: torch.Generator, speed: float = 3.0) -> Tensor:
    """Film each still with a camera of its own: `(N, 3, H, W)` in [0, 1] to `(N, frames, 3, size, size)`.

    The camera drifts up to `speed` pixels a frame in any direction, zooms up to 1 % and turns up to half a degree a
    frame, and shakes by up to half a pixel. Every frame is sampled (bicubic) from the still itself, so that nothing is
    blurred twice. Where the path leaves the still, it is mirrored at the border.
    """
    count, _, height, width = stills.shape
    device = generator.device

    def draw(*shape: int) -> Tensor:
        return 2 * torch.rand(shape, generator=generator, device=device) - 1

    time = torch.arange(frames, device=device) - (frames - 1) / 2
    room = torch.tensor([width - size, height - size], device=device) / 4
    place = draw(count, 1, 2) * room
    shift = place + draw(count, 1, 2) * speed * time[None, :, None] + 0.5 * draw(count, frames, 2)
    zoom = 1 + 0.01 * draw(count, 1) * time
    turn = torch.deg2rad(0.5 * draw(count, 1) * time)
    cos, sin = torch.cos(turn) / zoom, torch.sin(turn) / zoom

    axis = torch.arange(size, device=device) - (size - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    source_x = cos[..., None, None] * x - sin[..., None, None] * y + shift[..., 0, None, None]
    source_y = sin[..., None, None] * x + cos[..., None, None] * y + shift[..., 1, None, None]
    grid = torch.stack((source_x * 2 / width, source_y * 2 / height), dim=-1)
    stills = stills[:, None].expand(-1, frames, -1, -1, -1).flatten(0, 1)
    clip = F.grid_sample(stills, grid.flatten(0, 1), mode="bicubic", padding_mode="reflection", align_corners=False)
    return clip.clamp(0, 1).view(count, frames, 3, size, size)
