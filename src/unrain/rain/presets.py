"""Named kinds of rain as tables of ranges, and `render`, which puts one of them on clean pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from unrain.errors import UnrainError
from unrain.rain.compose import RainyFrames, compose, occlusion, reliance, saturate
from unrain.rain.families import FallingDrops, MotionBlur, Range, uniform
from unrain.rain.streaks import draw_streaks


@dataclass(frozen=True)
class Preset:
    """A kind of rain: a family of streaks, and how much of the picture rain hides (`occluded`, a fraction)."""

    streaks: MotionBlur | FallingDrops
    occluded: Range = (0, 0)


PRESETS: Mapping[str, Preset] = {
    "light": Preset(
        MotionBlur(
            (1, 1), coverage=(0.05, 0.5), length=(8, 45), width=(0.7, 4), spread=5, strength=(0.1, 0.6), softness=(1, 3)
        )
    ),
    "heavy": Preset(
        MotionBlur((1, 5), coverage=(0.5, 2.2), length=(20, 80), width=(1.5, 4), spread=15, strength=(0.2, 0.6))
    ),
    "drops": Preset(FallingDrops()),
    "sheets": Preset(MotionBlur((1, 3), coverage=(0.2, 1.0)), occluded=(0.02, 0.2)),
}


def render(clip: Tensor, preset: str, generator: torch.Generator) -> RainyFrames:
    """Rain on clean frames, `(N, T, 3, H, W)` RGB in [0, 1] on the generator's device; see `RainyFrames`.

    Each of the N clips gets rain of its own within the preset's ranges, which stays the same kind over its T frames.
    Raises `UnrainError` for an unknown preset, `ValueError` for another shape.
    """
    if clip.ndim != 5 or clip.shape[2] != 3:
        raise ValueError(f"a clip has the shape (N, T, 3, H, W); this one is {tuple(clip.shape)}")
    kind = find(preset)
    count, frames, _, height, width = clip.shape
    layers = kind.streaks.draw(count, generator)
    drawn = draw_streaks(layers, frames, height, width, generator).sum(dim=2)[:, :, None]
    if isinstance(kind.streaks, FallingDrops):
        sky = torch.quantile(clip.flatten(1)[:, ::7], 0.95, dim=1).clamp(min=0.5).view(-1, 1, 1, 1, 1)
        streaks = drawn.clamp(max=1) * (sky - clip)
    else:
        streaks = drawn.expand_as(clip)
    streaks = saturate(clip, streaks)
    hidden = uniform(kind.occluded, (count,), generator)
    alpha = occlusion((count, frames, height, width), hidden, generator)
    veil = reliance(clip, streaks)
    return RainyFrames(compose(clip, streaks, alpha, veil), clip, streaks, alpha, veil)


def find(name: str) -> Preset:
    """The preset of this name; `UnrainError` names those that exist."""
    try:
        return PRESETS[name]
    except KeyError:
        raise UnrainError(f"there is no rain preset {name!r}; choose one of {', '.join(PRESETS)}") from None
