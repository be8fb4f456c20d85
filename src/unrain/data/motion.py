"""A camera that moves over a still: clips out of photos, as paired real videos of rain do not exist.

How the camera moves is a `CameraPath` of the room `rain`, which the rain follows too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from unrain.rain.camera import CameraPath


def film(stills: Tensor, size: int, path: CameraPath, depth: Tensor) -> Tensor:
    """What N cameras see of N stills: `(N, 3, H, W)` in [0, 1] to `(N, T, 3, size, size)`.

    `depth` `(N, 1, size, size)` in m is that of the scene in the frame, which nearer parts cross faster where the
    camera slides. Every frame is sampled (bicubic) from the still itself, so that nothing is blurred twice. Where the
    path leaves the still, it is mirrored at the border.
    """
    count, _, height, width = stills.shape
    frames = path.shift.shape[1]
    cos, sin = torch.cos(path.turn) / path.zoom, torch.sin(path.turn) / path.zoom
    axis = torch.arange(size, device=stills.device) - (size - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    offset = path.shift[..., None, None] + path.slide[..., None, None] / depth[:, None]
    source_y = cos[..., None, None] * y + sin[..., None, None] * x + offset[:, :, 0]
    source_x = cos[..., None, None] * x - sin[..., None, None] * y + offset[:, :, 1]
    grid = torch.stack((source_x * 2 / width, source_y * 2 / height), dim=-1)
    stills = stills[:, None].expand(-1, frames, -1, -1, -1).flatten(0, 1)
    clip = F.grid_sample(stills, grid.flatten(0, 1), mode="bicubic", padding_mode="reflection", align_corners=False)
    return clip.clamp(0, 1).view(count, frames, 3, size, size)
