"""The depth of a scene whose depth nobody has measured: smooth, random, and nearer at the bottom."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from unrain.rain.ranges import Range


def random_depth(count: int, height: int, width: int, generator: torch.Generator, bounds: Range = (4, 80)) -> Tensor:
    """Depth maps `(N, 1, height, width)` in m within `bounds`; the logarithm is smooth noise over a ramp upwards."""
    device = generator.device
    noise = torch.randn((count, 1, 4, 4), generator=generator, device=device)
    noise = F.interpolate(noise, size=(height, width), mode="bicubic", align_corners=True)
    ramp = torch.linspace(1, -1, height, device=device)[:, None]
    near, far = (math.log(bound) for bound in bounds)
    return torch.exp(near + (far - near) * torch.sigmoid(0.7 * noise + 1.5 * ramp))
