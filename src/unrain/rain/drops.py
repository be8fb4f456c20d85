"""Rain as physics: how many drops of which size are in the air, how fast they fall, and what a camera sees of them.

In: rain rate in mm/h, wind in m/s, a `Camera`. Out: `Streaks`, whose length, width and opacity follow, and `Air`.

Sources: sizes, J. S. Marshall and W. M. Palmer, "The distribution of raindrops with size", 1948; speeds, D. Atlas et
al., "Doppler radar characteristics of precipitation at vertical incidence", 1973; how a drop looks, K. Garg and S. K.
Nayar, "Vision and rain", 2007; extinction, two times the cross-section, as for every sphere that is large against the
wavelength (H. C. van de Hulst, "Light scattering by small particles", 1957).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from unrain.rain.camera import Camera, Lens, draw_lenses
from unrain.rain.ranges import Range, check, log_uniform, normal, scatter, table, uniform
from unrain.rain.streaks import Streaks

_SLICES = 4

DENSITY = 8000.0
"""N₀ of Marshall and Palmer, drops per m³ and mm of diameter."""


def size_slope(rate: Tensor) -> Tensor:
    """Λ in 1/mm of N(D) = N₀ exp(−Λ D) for a rain rate R in mm/h: Λ = 4.1 R^−0.21; infinite where there is no rain."""
    return 4.1 * rate**-0.21


def drops_in_air(slope: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """Drops per m³ with diameters from `low` to `high` mm: ∫ N(D) dD."""
    return DENSITY / slope * (torch.exp(-slope * low) - torch.exp(-slope * high))


def extinction(slope: Tensor) -> Tensor:
    """The light that rain takes out of a ray, 1/m: β = ∫ 2 (π D²/4) N(D) dD = π N₀ / Λ³, in mm²/m³."""
    return math.pi * DENSITY / slope**3 * 1e-6


def diameters(slope: Tensor, low: float | Tensor, high: float | Tensor, generator: torch.Generator) -> Tensor:
    """A diameter in mm, from `low` to `high`, for each slope: the exponential distribution, cut at both ends."""
    part = torch.rand(slope.shape, generator=generator, device=slope.device)
    return low - torch.log1p(-part * (1 - torch.exp(-slope * (high - low)))) / slope


def terminal_speed(diameter: Tensor) -> Tensor:
    """Speed in m/s of a drop of `diameter` mm in still air: v = 9.65 − 10.3 exp(−0.6 D), for 0.6 to 6 mm."""
    return 9.65 - 10.3 * torch.exp(-0.6 * diameter)


class Air(NamedTuple):
    """What the air of N clips does to the light, every field `(N,)`.

    extinction: 1/m. airlight: the brightness of a veil that hides everything, in linear light, at most 1. sky: the
    brightness of a drop, which shows most of the sky, in linear light; 1 is what saturates the camera.
    """

    extinction: Tensor
    airlight: Tensor
    sky: Tensor


@dataclass(frozen=True)
class FallingDrops:
    """Ranges of physical rain. Rate and sky are drawn log-uniformly, the rest uniformly.

    rate: mm/h. wind: m/s across the view, positive to the right. turbulence: standard deviation of each drop's own
    sideways speed, m/s. depths: distances in m between which drops are drawn one by one; those farther away are part of
    the veil. visible: the diameters in mm that are drawn. sky: brightness of a drop in linear light, where 1 saturates
    the camera: an overcast sky is several times brighter than what is exposed for below it. mist: extinction in 1/m
    beside that of the drops, of the droplets and spray that come with heavy rain.
    """

    rate: Range = (10, 50)
    wind: Range = (-3, 3)
    turbulence: float = 0.3
    camera: Camera = field(default_factory=Camera)
    depths: Range = (0.5, 5.0)
    visible: Range = (0.8, 5.0)
    sky: Range = (1.0, 4.0)
    mist: Range = (0, 0)

    def __post_init__(self) -> None:
        check("rate (mm/h)", self.rate, 0)
        check("wind (m/s)", self.wind, -100, 100)
        check("depths (m)", self.depths, 0, above=True)
        check("visible (mm)", self.visible, 0, above=True)
        check("sky", self.sky, 0, above=True)
        check("mist (1/m)", self.mist, 0)


def draw_drops(
    kinds: Sequence[FallingDrops], counts: Sequence[int], height: int, width: int, generator: torch.Generator
) -> tuple[Streaks, Air]:
    """Streaks for frames of `height` x `width` pixels, optical depth being their light, and the air.

    `counts` says for how many clips each kind is drawn; the clips are numbered in that order.

    A drop of w pixels that moves by L pixels hides each pixel on its way for the part w/L of the exposure; the lens
    blurs it to c pixels and makes it w/c times as faint. What it hides, it replaces by the sky: a drop refracts light
    of 165° of the scene (Garg and Nayar).
    """
    of = table(kinds, counts, generator.device)
    count = len(of["rate"])
    rate = log_uniform(of["rate"], (count,), generator)
    wind = uniform(of["wind"], (count,), generator)
    lens = draw_lenses([kind.camera for kind in kinds], counts, generator)
    slope = size_slope(rate)
    smallest, biggest = of["visible"].unbind(1)

    # Slices of depth, each with the margin around the frame that its nearest drops need.
    nearest, farthest = of["depths"][:, :1], of["depths"][:, 1:]
    edges = nearest * (farthest / nearest) ** torch.linspace(0, 1, _SLICES + 1, device=rate.device)
    torus = _torus(lens, wind.abs() + 3 * of["turbulence"], biggest, edges[:, :-1], height, width)
    cubes = edges**3
    # A pixel sees (z/f)² m² at a depth of z m.
    volume = cubes.diff(dim=1) / 3 / lens.focal[:, None] ** 2 * torus.prod(2)
    clip, part = scatter(drops_in_air(slope, smallest, biggest)[:, None] * volume, generator)

    drops = (len(clip),)
    numbers = torch.stack((slope, smallest, biggest, wind, of["turbulence"], lens.exposure, lens.shutter, lens.focal))
    slope, smallest, biggest, wind, turbulence, exposure, shutter, focal = numbers.index_select(1, clip).unbind(0)
    near, far = cubes[clip, part], cubes[clip, part + 1]
    depth = (near + (far - near) * uniform((0, 1), drops, generator)) ** (1 / 3)
    diameter = diameters(slope, smallest, biggest, generator)
    velocity = torch.stack((terminal_speed(diameter), wind + normal(turbulence, drops, generator)), dim=1)
    pixels = focal / depth
    path = velocity * (exposure * pixels)[:, None]
    size = diameter * 1e-3 * pixels
    blur = lens.blur(depth, clip)
    region = torus[clip, part]
    streaks = Streaks(
        clip=clip,
        place=uniform((0, 1), (*drops, 2), generator) * region,
        step=path / shutter[:, None],
        path=path,
        detour=uniform((0.2, 0.8), drops, generator) * width,
        width=size.maximum(blur),
        ramp=size.minimum(blur).clamp(min=1),
        taper=size.maximum(blur).clamp(min=1),
        light=size,
        depth=depth,
        torus=region,
    )
    sky = log_uniform(of["sky"], (count,), generator)
    air = Air(
        extinction=extinction(size_slope(rate)) + uniform(of["mist"], (count,), generator) * (rate > 0),
        airlight=(0.5 * sky).minimum(uniform((0.5, 0.9), (count,), generator)),
        sky=sky,
    )
    return streaks._replace(light=_optical_depth(streaks, size)), air


def _torus(lens: Lens, sideways: Tensor, biggest: Tensor, near: Tensor, height: int, width: int) -> Tensor:
    """The frame and a margin for the longest and widest streak from `near` `(N, S)` on: `(N, S, 2)`."""
    speed = torch.stack((terminal_speed(biggest), sideways), dim=1)
    length = (speed * (lens.exposure * lens.focal)[:, None])[:, None] / near[..., None]
    which = torch.arange(len(near), device=near.device)[:, None]
    widest = (biggest * 1e-3 * lens.focal)[:, None].div(near).maximum(lens.blur(near, which))
    return torch.tensor([height, width], device=near.device) + length + 2 * widest[..., None] + 2


def _optical_depth(streaks: Streaks, size: Tensor) -> Tensor:
    """−log(1 − opacity) of each streak, so that layers behind each other add up, divided by its profile's own peak."""
    length = streaks.path.square().sum(1).sqrt()
    profile = (streaks.width / streaks.ramp).clamp(max=1) * (length / streaks.taper).clamp(max=1)
    opacity = size / length * size / streaks.width * profile
    return -torch.log1p(-opacity.clamp(max=0.98)) / profile
