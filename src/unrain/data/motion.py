"""A camera that moves over a still: clips out of photos, as paired real videos of rain do not exist; and their motion.

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
    source_y, source_x = _looked_at(size, path, depth).unbind(dim=2)
    grid = torch.stack((source_x * 2 / width, source_y * 2 / height), dim=-1)
    stills = stills[:, None].expand(-1, frames, -1, -1, -1).flatten(0, 1)
    clip = F.grid_sample(stills, grid.flatten(0, 1), mode="bicubic", padding_mode="reflection", align_corners=False)
    return clip.clamp(0, 1).view(count, frames, 3, size, size)


def motion_of(size: int, path: CameraPath, depth: Tensor) -> Tensor:
    """How what `film` sees moves: where each pixel was in the frame before, `(N, T, 2, size, size)`, 0 for the first.

    y and x in pixels, to be added to the pixel's place. To first order in zoom, turn and parallax from frame to frame.
    """
    place = _looked_at(size, path, depth)
    turned = torch.stack((torch.cos(path.turn) * path.zoom, torch.sin(path.turn) * path.zoom))[..., None, None]
    y, x = (place[:, 1:] - place[:, :-1]).unbind(dim=2)
    cos, sin = turned[:, :, :-1]
    # Back from the still's axes to those of the frame before.
    moved = torch.stack((cos * y - sin * x, sin * y + cos * x), dim=2)
    return torch.cat((torch.zeros_like(moved[:, :1]), moved), dim=1)


def _looked_at(size: int, path: CameraPath, depth: Tensor) -> Tensor:
    """Where in the still each pixel of each frame looks: y and x from its centre, `(N, T, 2, size, size)`."""
    cos, sin = torch.cos(path.turn) / path.zoom, torch.sin(path.turn) / path.zoom
    axis = torch.arange(size, device=depth.device) - (size - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    offset = path.shift[..., None, None] + path.slide[..., None, None] / depth[:, None]
    source_y = cos[..., None, None] * y + sin[..., None, None] * x + offset[:, :, 0]
    source_x = cos[..., None, None] * x - sin[..., None, None] * y + offset[:, :, 1]
    return torch.stack((source_y, source_x), dim=2)
