"""Rain on clips: `fall` draws once what falls on each of N clips, `Rain.on` renders any of their frames.

The kinds of rain are in `presets.py`, the way that light takes in `compose.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from unrain.rain.camera import CameraPath
from unrain.rain.compose import RainyFrames, compose, saturate, see_through, shine
from unrain.rain.drops import Air, draw_drops
from unrain.rain.noise import MotionBlur, draw_looks
from unrain.rain.presets import AS_IT_IS, Given, Preset, find
from unrain.rain.ranges import table, uniform
from unrain.rain.scene import random_depth
from unrain.rain.streaks import Streaks, draw

# Where drops cover a pixel for more than half of the exposure, the scene behind is lost.
_HIDDEN = 0.5


class Group(NamedTuple):
    """The clips, by their numbers `(n,)`, that get rain of one preset."""

    preset: Preset
    clips: Tensor


class Looks(NamedTuple):
    """Streaks whose brightness is added, on the clips numbered `clips` `(n,)`; the streaks are numbered within them."""

    clips: Tensor
    streaks: Streaks


class Drops(NamedTuple):
    """Physical rain on some of the clips, with the air and the depth of their scenes in m, `(n, 1, 1, H, W)`."""

    clips: Tensor
    streaks: Streaks
    air: Air
    depth: Tensor


class Hiding(NamedTuple):
    """Streaks that nothing is seen through, on some of the clips, and how much brighter than the scene `(n,)`."""

    clips: Tensor
    streaks: Streaks
    glow: Tensor


class Rain(NamedTuple):
    """What falls on N clips, from the first frame to the last."""

    looks: Looks | None
    drops: Drops | None
    hiding: Hiding | None

    def on(
        self, clip: Tensor, start: int = 0, camera: CameraPath | None = None, keep_mist: bool = False
    ) -> RainyFrames:
        """Frames `start`, `start` + 1 … of the N clips with their rain; `clip` is `(N, T, 3, H, W)` in [0, 1].

        Frames can be rendered in parts, and come out as in one go. With a `camera`, the rain moves as the scene does.
        To `keep_mist` is to take what the air does to the light for a part of the background, and not of the rain.
        """
        if keep_mist and self.drops is not None:
            clip, drops = self._through_air(clip, self.drops)
            return self._replace(drops=drops).on(clip, start, camera)
        count, frames, _, height, width = clip.shape
        time = torch.arange(start, start + frames, device=clip.device)

        def fallen(part: Looks | Drops | Hiding) -> Tensor:
            path = None if camera is None else camera.part(part.clips)
            return draw(part.streaks, len(part.clips), time, height, width, path)[:, :, None]

        streaks = torch.zeros_like(clip)
        alpha = clip.new_zeros((count, frames, 1, height, width))
        if self.drops is not None:
            opacity = 1 - torch.exp(-fallen(self.drops))
            scene = _take(clip, self.drops.clips)
            _put(streaks, self.drops.clips, see_through(scene, opacity, self.drops.depth, self.drops.air))
            _put(alpha, self.drops.clips, (opacity >= _HIDDEN).to(clip.dtype))
        if self.looks is not None:
            _put(streaks, self.looks.clips, _take(streaks, self.looks.clips) + fallen(self.looks))
        streaks = saturate(clip, streaks)
        seen = clip + streaks
        if self.hiding is None:
            return RainyFrames(seen, clip, streaks, alpha, seen)
        thickness = fallen(self.hiding)
        hidden = (thickness >= _HIDDEN).to(clip.dtype)
        rainy, reliance = seen, seen.clone()
        there = _take(seen, self.hiding.clips)
        covered = there * (1 - hidden) + shine(there, thickness, self.hiding.glow) * hidden
        _put(alpha, self.hiding.clips, hidden)
        _put(reliance, self.hiding.clips, covered)
        _put(rainy, self.hiding.clips, compose(there, torch.zeros(()), hidden, covered))
        return RainyFrames(rainy, clip, streaks, alpha, reliance)

    @staticmethod
    def _through_air(clip: Tensor, drops: Drops) -> tuple[Tensor, Drops]:
        """The clips as they are seen in the mist without drops, and the drops in clear air."""
        misty, scene = clip.clone(), _take(clip, drops.clips)
        nothing = scene.new_zeros((*scene.shape[:2], 1, *scene.shape[3:]))
        _put(misty, drops.clips, scene + see_through(scene, nothing, drops.depth, drops.air))
        clear = drops.air._replace(extinction=torch.zeros_like(drops.air.extinction))
        return misty.clamp_(0, 1), drops._replace(air=clear)


def _take(clips: Tensor, numbers: Tensor) -> Tensor:
    return clips if len(numbers) == len(clips) else clips.index_select(0, numbers)


def _put(clips: Tensor, numbers: Tensor, values: Tensor) -> None:
    clips.index_copy_(0, numbers, values.expand(-1, *clips.shape[1:]))


def fall(
    count: int,
    height: int,
    width: int,
    preset: str,
    generator: torch.Generator,
    given: Given = AS_IT_IS,
    depth: Tensor | None = None,
) -> Rain:
    """Draw what falls on `count` clips of frames of `height` x `width` pixels.

    Each clip gets rain of its own within the preset's ranges; of `mixed`, it gets one of its presets. `depth`
    `(count, 1, height, width)` in m is the scene's; without it, scenes have smooth random depths. Raises `UnrainError`
    as `presets.find` does.
    """
    chosen = find(preset, given)
    weights = torch.tensor(list(chosen.values()), device=generator.device)
    kind = torch.multinomial(weights, count, replacement=True, generator=generator)
    groups = [Group(each, (kind == number).nonzero()[:, 0]) for number, each in enumerate(chosen)]
    groups = [group for group in groups if len(group.clips)]
    of = table([group.preset for group in groups], [len(group.clips) for group in groups], generator.device)
    angle, intensity = (uniform(of[name], (count,), generator) for name in ("angle", "intensity"))
    order = torch.cat([group.clips for group in groups])
    angle, intensity = (value.index_select(0, order.argsort()) for value in (angle, intensity))

    size = (height, width)
    looks = _fall([(group.clips, group.preset.looks) for group in groups], angle, size, generator)
    if looks is not None:
        streaks = looks.streaks
        bright = intensity.index_select(0, looks.clips.index_select(0, streaks.clip))
        looks = looks._replace(streaks=streaks._replace(light=streaks.light * bright))
    hiding = _fall([(group.clips, group.preset.hiding) for group in groups], angle, size, generator)
    if hiding is not None:
        glow = uniform((1.2, 2), (len(hiding.clips),), generator)
    return Rain(
        looks=looks,
        drops=_drops(groups, size, generator, depth),
        hiding=None if hiding is None else Hiding(*hiding, glow),
    )


def _fall(
    groups: list[tuple[Tensor, tuple[MotionBlur, ...]]],
    angle: Tensor,
    size: tuple[int, int],
    generator: torch.Generator,
) -> Looks | None:
    groups = [(clips, looks) for clips, looks in groups if looks]
    if not groups:
        return None
    clips = torch.cat([numbers for numbers, _ in groups])
    looks = [look for _, several in groups for look in several]
    counts = [len(numbers) for numbers, several in groups for _ in several]
    places = torch.arange(len(clips), device=clips.device).split([len(numbers) for numbers, _ in groups])
    row = torch.cat([place for place, (_, several) in zip(places, groups, strict=True) for _ in several])
    return Looks(clips, draw_looks(looks, counts, row, angle[clips[row]], *size, generator))


def _drops(
    groups: list[Group], size: tuple[int, int], generator: torch.Generator, depth: Tensor | None
) -> Drops | None:
    falling = [(group.clips, group.preset.drops) for group in groups if group.preset.drops is not None]
    if not falling:
        return None
    clips = torch.cat([numbers for numbers, _ in falling])
    counts = [len(numbers) for numbers, _ in falling]
    streaks, air = draw_drops([drops for _, drops in falling], counts, *size, generator)
    depth = random_depth(len(clips), *size, generator) if depth is None else depth[clips]
    return Drops(clips, streaks, air, depth[:, None])


def render(
    clip: Tensor,
    preset: str,
    generator: torch.Generator,
    camera: CameraPath | None = None,
    depth: Tensor | None = None,
    keep_mist: bool = False,
) -> RainyFrames:
    """Rain on clean frames, `(N, T, 3, H, W)` RGB in [0, 1] on the generator's device; see `Rain.on` and `fall`.

    Raises `UnrainError` for an unknown preset, `ValueError` for another shape or range.
    """
    check_clip(clip)
    count, _, _, height, width = clip.shape
    return fall(count, height, width, preset, generator, depth=depth).on(clip, camera=camera, keep_mist=keep_mist)


def check_clip(clip: Tensor) -> None:
    """Raise `ValueError` unless these are pictures `(N, T, 3, H, W)` of floats in [0, 1]."""
    if clip.ndim != 5 or clip.shape[2] != 3 or clip.numel() == 0:
        raise ValueError(f"a clip has the shape (N, T, 3, H, W); this one is {tuple(clip.shape)}")
    if not clip.is_floating_point():
        raise ValueError(f"a clip holds floats in [0, 1], not {clip.dtype}")
    low, high = clip.aminmax()
    if not (low >= 0 and high <= 1):
        raise ValueError(f"the values of a clip are from 0 to 1; these are from {low:g} to {high:g}")
