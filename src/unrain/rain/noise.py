"""Rain as a look: bright noise, blurred along a direction. What Rain100L, Rain100H and their like are made with.

The physical model is in `drops.py`. Both give `Streaks`; `streaks.py` draws them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unrain.rain.ranges import Range, check, log_uniform, normal, scatter, table, uniform
from unrain.rain.streaks import Streaks


@dataclass(frozen=True)
class MotionBlur:
    """Noise above a threshold, blurred along one to several directions. A bright pixel of that noise becomes a streak.

    Drawn for each clip:
        directions: how many layers fall at once.
        coverage: the mean number of streaks over a pixel, all layers together; 0 is no rain.
        strength: the brightness of the brightest streaks, in [0, 1].
    Drawn for each layer:
        length, width: in pixels.
        ramp: the width of the soft edges. taper: the part of the length that the soft ends take.
        spread: the standard deviation of the degrees by which it leans away from the rain's main direction.
    Drawn for each streak:
        dimmest, contrast: its brightness goes from `dimmest` (relative to the strength) to 1 as u^`contrast`, with u
            uniform in [0, 1].
        wobble: the standard deviation of its angle, in degrees.
        variety: its length varies by a factor of up to 1 ± `variety`.

    In a clip every frame has streaks of its own, as in the published synthetic videos.
    """

    directions: tuple[int, int] = (1, 1)
    coverage: Range = (0.1, 1.0)
    length: Range = (10, 60)
    width: Range = (1, 4)
    spread: float = 0
    strength: Range = (0.1, 0.6)
    ramp: Range = (1, 2)
    taper: Range = (0.1, 0.6)
    dimmest: float = 0.2
    contrast: float = 1
    wobble: float = 1
    variety: float = 0.3

    def __post_init__(self) -> None:
        if not 1 <= self.directions[0] <= self.directions[1]:
            raise ValueError(f"directions is a range of whole numbers from 1; this one is {self.directions}")
        check("coverage", self.coverage, 0)
        check("length", self.length, 0, above=True)
        check("width", self.width, 0, above=True)
        check("strength", self.strength, 0, 1)
        check("ramp", self.ramp, 1)
        check("taper", self.taper, 0, 1)


def draw_looks(
    looks: Sequence[MotionBlur],
    counts: Sequence[int],
    clip: Tensor,
    angle: Tensor,
    height: int,
    width: int,
    generator: torch.Generator,
) -> Streaks:
    """Streaks of several looks for frames of `height` x `width` pixels, added brightness being their light.

    `counts` says for how many clips each of the looks is drawn, R together; `clip` `(R,)` are their numbers, `angle`
    `(R,)` the main directions there, in degrees from vertical; positive leans the top to the right.
    """
    device, rows = generator.device, len(clip)
    of = table(looks, counts, device)
    most = max(look.directions[1] for look in looks)
    fewest, last = of["directions"].unbind(1)
    layers = fewest + torch.floor((last - fewest + 1) * torch.rand(rows, generator=generator, device=device))
    falls = torch.arange(most, device=device) < layers[:, None]
    share = uniform((0.3, 1), (rows, most), generator) * falls
    coverage = log_uniform(of["coverage"], (rows, 1), generator) * share / share.sum(1, keepdim=True)
    angle = angle[:, None] + normal(of["spread"][:, None], (rows, most), generator)
    length = log_uniform(of["length"], (rows, most), generator)
    breadth = log_uniform(of["width"], (rows, most), generator)
    ramp = uniform(of["ramp"], (rows, most), generator)
    taper = uniform(of["taper"], (rows, most), generator)
    strength = uniform(of["strength"], (rows, 1), generator).expand(rows, most)

    longest = (length * (1 + of["variety"][:, None])).amax(1)
    slant = torch.deg2rad(angle.abs().amax(1).clamp(max=90))
    margin = (breadth + ramp).amax(1) + 2
    torus = torch.stack((height + longest + margin, width + longest * torch.sin(slant) + margin), dim=1)
    row, layer = scatter(coverage * torus.prod(1, keepdim=True) / (length * breadth), generator)

    drops = (len(row),)
    of_row = torch.stack((clip.float(), *(of[name] for name in ("wobble", "variety", "dimmest", "contrast"))))
    number, wobble, variety, dimmest, contrast = of_row.index_select(1, row).unbind(0)
    cell = row * most + layer
    of_layer = torch.stack((angle, length, breadth, ramp, taper, strength)).flatten(1)
    tilt, span, broad, soft, ends, light = of_layer.index_select(1, cell).unbind(0)
    span = span * (1 + variety * uniform((-1, 1), drops, generator))
    lean = torch.deg2rad(tilt + normal(wobble, drops, generator))
    bright = dimmest + (1 - dimmest) * uniform((0, 1), drops, generator) ** contrast
    region = torus.index_select(0, row)
    return Streaks(
        clip=number.long(),
        place=uniform((0, 1), (*drops, 2), generator) * region,
        step=uniform((0, 1), (*drops, 2), generator) * region,
        path=torch.stack((torch.cos(lean), -torch.sin(lean)), dim=1) * span[:, None],
        detour=uniform((0, 1), drops, generator) * width,
        width=broad,
        ramp=soft,
        taper=(span * ends).clamp(min=1),
        light=bright * light,
        depth=torch.full(drops, math.inf, device=device),
        torus=region,
    )
