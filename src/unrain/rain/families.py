"""The two families of streaks: the look of the benchmark sets, and drops that fall through air. Parameters only.

Each function draws `StreakLayers` for N pictures from ranges; `streaks.py` draws the pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unrain.rain.streaks import StreakLayers

Range = tuple[float, float]


def uniform(bounds: Range, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Uniform random numbers in `bounds`, on the generator's device."""
    low, high = bounds
    return low + (high - low) * torch.rand(tuple(shape), generator=generator, device=generator.device)


@dataclass(frozen=True)
class MotionBlur:
    """Noise, thresholded and blurred along a direction: what Rain100L, Rain100H and their like are made with.

    Every range is drawn from uniformly. `directions` is how many layers fall at once (1 to 5), `angle` (degrees) the
    main direction, `spread` how far the others lean away from it; the rest is as in `StreakLayers`.
    """

    directions: tuple[int, int] = (1, 5)
    coverage: Range = (0.1, 1.0)
    length: Range = (10, 60)
    width: Range = (1, 4)
    angle: Range = (-30, 30)
    spread: float = 20
    strength: Range = (0.1, 0.6)
    softness: Range = (1, 2)

    def draw(self, count: int, generator: torch.Generator) -> StreakLayers:
        """Parameters for `count` pictures, `(count, L)` with L the largest number of directions."""
        fewest, depth = self.directions
        shape = (count, depth)
        used = torch.randint(fewest, depth + 1, (count, 1), generator=generator, device=generator.device)
        falls = torch.arange(depth, device=generator.device)[None] < used
        lean = uniform((-self.spread, self.spread), shape, generator)
        lean[:, 0] = 0
        coverage = uniform(self.coverage, (count, 1), generator) * uniform((0.3, 1), shape, generator)
        return StreakLayers(
            coverage=torch.where(falls, coverage / used, 0.0),
            length=uniform(self.length, shape, generator),
            width=uniform(self.width, shape, generator),
            angle=uniform(self.angle, (count, 1), generator) + lean,
            strength=uniform(self.strength, (count, 1), generator) * uniform((0.6, 1), shape, generator),
            softness=uniform(self.softness, shape, generator),
        )


@dataclass(frozen=True)
class FallingDrops:
    """Drops of Marshall-Palmer sizes at terminal speed, seen by a camera: a simple physical model.

    rate: mm/h. wind: m/s across the view. exposure: s. focal: focal length in pixels. depths: the middles of the
    layers of air that are drawn, in m, near to far. visible: the diameters in mm that are drawn, smaller drops being
    mist.

    Drop sizes follow N(D) = 8000 exp(−4.1 R^−0.21 D) per m³ and mm (Marshall and Palmer, 1948); speeds
    v(D) = 9.65 − 10.3 exp(−0.6 D) m/s (Atlas et al., 1973, D in mm). A drop refracts a wide field of view, so it looks
    like the sky, and it covers a pixel for the part of the exposure that it needs to pass its own size (Garg and
    Nayar, 2007): the opacity of a streak is D / (v · exposure).
    """

    rate: Range = (20, 200)
    wind: Range = (-3, 3)
    exposure: Range = (1 / 1500, 1 / 120)
    focal: Range = (600, 1600)
    depths: tuple[float, ...] = (0.7, 1.5, 3.0, 6.0, 12.0)
    visible: Range = (1.0, 5.0)

    def draw(self, count: int, generator: torch.Generator) -> StreakLayers:
        """Parameters for `count` pictures, `(count, L)` with one layer per depth."""
        depth = torch.tensor(self.depths, device=generator.device).expand(count, -1)
        rate = uniform(self.rate, (count, 1), generator)
        exposure = uniform(self.exposure, (count, 1), generator)
        focal = uniform(self.focal, (count, 1), generator)
        wind = uniform(self.wind, (count, 1), generator)
        slope = 4.1 * rate**-0.21
        # The drops that a camera resolves are those above the visible diameter; above it sizes are exponential again.
        diameter = (
            self.visible[0] - torch.log(torch.rand(depth.shape, generator=generator, device=depth.device)) / slope
        )
        diameter = diameter.clamp(max=self.visible[1])
        speed = 9.65 - 10.3 * torch.exp(-0.6 * diameter)
        per_cubic_metre = 8000 / slope * torch.exp(-slope * self.visible[0])
        length = (torch.hypot(speed, wind) * exposure * focal / depth).clamp(min=1)
        width = diameter * 1e-3 * focal / depth
        # Air seen by one pixel in a layer as thick as it is far away holds depth · (depth/focal)² m³.
        drops_per_pixel = per_cubic_metre * depth * (depth / focal) ** 2
        # Out of focus, near drops are wider than their size and as much fainter.
        blurred = width + 1.0
        opacity = (diameter * 1e-3 / (speed * exposure)).clamp(max=1) * width / blurred
        return StreakLayers(
            coverage=drops_per_pixel * length * blurred,
            length=length,
            width=blurred,
            angle=torch.atan2(wind, speed) * (180 / math.pi),
            strength=opacity.clamp(max=1),
            softness=blurred.clamp(min=1),
        )
