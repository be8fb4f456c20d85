"""Streak layers: what many drops, each smeared along its path, add up to. Units here are pixels and degrees.

Where the numbers come from (a look, or physics) is in `families.py`; what the streaks do to a picture in `compose.py`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class StreakLayers(NamedTuple):
    """Parameters of L streak layers for each of N pictures; every field is `(N, L)`.

    coverage: mean number of streaks over a pixel (0 is no rain).
    length, width: of a streak, in pixels; at least 1 and more than 0.
    angle: degrees from vertical; positive leans the top of the streak to the right.
    strength: brightness that one streak adds or opacity that it has, in [0, 1].
    softness: width in pixels of the edge's ramp; 1 is a plain antialiased edge.
    """

    coverage: Tensor
    length: Tensor
    width: Tensor
    angle: Tensor
    strength: Tensor
    softness: Tensor


def streak_kernel(layers: StreakLayers, height: int, width: int) -> Tensor:
    """The picture of one streak per layer, `(N, L, height, width)`, peak at most 1, centred on pixel (0, 0).

    The grid is a torus: what lies left of or above the centre comes in from the other side, as an FFT wants it.
    """
    device = layers.length.device
    y = torch.fft.fftfreq(height, d=1 / height, device=device)[:, None]
    x = torch.fft.fftfreq(width, d=1 / width, device=device)[None, :]
    angle = layers.angle[..., None, None] * (math.pi / 180)
    along = y * torch.cos(angle) - x * torch.sin(angle)
    across = y * torch.sin(angle) + x * torch.cos(angle)
    return _ramp(along, layers.length, layers.softness) * _ramp(across, layers.width, layers.softness)


def _ramp(distance: Tensor, extent: Tensor, softness: Tensor) -> Tensor:
    """Coverage of a pixel at `distance` from the middle of a bar: 1 inside, 0 outside, a ramp between."""
    extent, softness = extent[..., None, None], softness[..., None, None]
    inside = (extent / 2 - distance.abs()) / softness + 0.5
    # A bar that is thinner than its edge can never cover a whole pixel.
    return inside.clamp(min=0).minimum((extent / softness).clamp(max=1))


def draw_streaks(layers: StreakLayers, frames: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Draw rain with these parameters: `(N, T, L, height, width)`, at least 0, each frame with drops of its own.

    Drops fall at random pixels (a Bernoulli field), each with a brightness between 0.2 and 1 of its layer's strength,
    and the field is convolved with the layer's streak. Streaks that cross add up. The same generator state gives the
    same bits on one device.
    """
    count, depth = layers.length.shape
    device = layers.length.device
    area = (layers.length * layers.width).clamp(min=1)
    density = (layers.coverage / area).clamp(max=1)[:, None, :, None, None]
    shape = (count, frames, depth, height, width)
    drops = torch.rand(shape, generator=generator, device=device) < density
    brightness = 0.2 + 0.8 * torch.rand(shape, generator=generator, device=device)
    field = drops * brightness * layers.strength[:, None, :, None, None]
    kernel = streak_kernel(layers, height, width)[:, None]
    streaks = torch.fft.irfft2(torch.fft.rfft2(field) * torch.fft.rfft2(kernel), s=(height, width))
    # Rounding of the transform leaves dust where no streak is; a picture without rain must stay exactly as it is.
    return torch.where(streaks > 1e-5, streaks, 0.0)
