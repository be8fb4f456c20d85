"""Batches to train on: clean patches and clips, rain rendered on them on the fly, real pairs, and dry pictures.

Batch number k of a seed is always the same, so that a run that was stopped goes on exactly where it was.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from unrain.data import photos
from unrain.data.copies import Known
from unrain.data.motion import film, motion_of
from unrain.inference.motion import motion
from unrain.media.images import from_uint8
from unrain.rain.camera import CameraPath, random_path
from unrain.rain.compose import RainyFrames, saturate
from unrain.rain.ranges import normal
from unrain.rain.render import render
from unrain.rain.scene import random_depth

PATCH = 160
PER_PHOTO = 5
WRONG = 0.1
"""The part of the frames whose motion is misjudged."""
NOISE = 0.3
"""The part of the broken frames that is noise."""
REAL_CLIPS = 0.3
"""The part of the batches of clips that comes from real videos; the others are photos filmed by a moving camera."""


@dataclass(frozen=True)
class Mixture:
    """What a batch is made of: the preset of its rain, and the fractions of other material.

    pairs: the part of the batch that gets the rain of real pairs, `dry` the part that gets none. mist: whether the mist
    of physical rain is to be taken away too, or stays in the truth. broken: the part of the clips in which one frame
    shows something else: another clip, or noise; the truth is then that.
    """

    rain: str = "mixed"
    pairs: float = 0.0
    dry: float = 0.0
    mist: bool = True
    broken: float = 0.0


class Batch(NamedTuple):
    """Clips to train on; what the first four are, `RainyFrames` says.

    motion: `(N, T, 2, H, W)`, where each pixel was in the frame before, as a video's reader would estimate it.
    """

    rainy: Tensor
    background: Tensor
    streaks: Tensor
    degradation: Tensor
    motion: Tensor


class _Scene(NamedTuple):
    """What is filmed, `(N, T, 3, H, W)`, how it moves, and, where known, the camera and the depth `(N, 1, H, W)`."""

    clean: Tensor
    motion: Tensor
    camera: CameraPath | None = None
    depth: Tensor | None = None

    def part(self, places: np.ndarray) -> _Scene:
        """Some of the clips."""
        index = torch.from_numpy(places).to(self.clean.device)
        camera = None if self.camera is None else self.camera.part(index)
        return _Scene(self.clean[index], self.motion[index], camera, None if self.depth is None else self.depth[index])


class Batches:
    """Training batches out of the folder `root` with `photos/`, `clips/` and `pairs/*/{rainy,clean}`.

    Photos that show a picture below the folder `avoid` are left out.
    """

    def __init__(
        self, root: Path, mixture: Mixture, seed: int, device: torch.device, avoid: Path | None = None
    ) -> None:
        self.mixture, self.seed, self.device = mixture, seed, device
        self.stills = photos.clean_patches(root / "photos", PATCH, PER_PHOTO, seed, Known(avoid).show)
        self.clips = photos.clips(root / "clips") if (root / "clips").is_dir() else []
        folders = sorted((root / "pairs").iterdir()) if (root / "pairs").is_dir() else []
        self.pairs = [pair for folder in folders for pair in photos.pairs(folder)]

    def batch(self, step: int, count: int, frames: int, size: int) -> Batch:
        """Batch number `step`: `count` clips of `frames` frames of `size` x `size` pixels."""
        random = np.random.default_rng((self.seed, step))
        generator = torch.Generator(self.device).manual_seed(int(random.integers(2**62)))
        scene = self._scene(random, generator, count, frames, size)
        wet = 1 - self.mixture.pairs - self.mixture.dry
        kinds = random.choice(3, size=count, p=(wet, self.mixture.pairs, self.mixture.dry))
        places = [np.flatnonzero(kinds == kind) for kind in range(3)]
        order = torch.from_numpy(np.argsort(np.concatenate(places)))
        kinds_of_rain = (self._rendered, self._real_rain, self._dry)
        parts = [
            rain(scene.part(place), random, generator)
            for rain, place in zip(kinds_of_rain, places, strict=True)
            if len(place)
        ]
        whole = RainyFrames(*(torch.cat(layers)[order] for layers in zip(*parts, strict=True)))
        if self.mixture.broken and frames > 1:
            _break(whole, self.mixture.broken, random, generator)
        moved = _misjudged(scene.motion, generator)
        return Batch(whole.rainy, whole.background, whole.streaks, whole.degradation, moved)

    def _scene(
        self, random: np.random.Generator, generator: torch.Generator, count: int, frames: int, size: int
    ) -> _Scene:
        if frames > 1 and self.clips and random.random() < REAL_CLIPS:
            clips = [_flip(self._real_clip(random, frames, size), random) for _ in range(count)]
            pixels, moved = (np.stack(parts) for parts in zip(*clips, strict=True))
            motion = torch.from_numpy(moved).to(self.device).float().movedim(-1, 2)
            return _Scene(self._tensor(pixels).movedim(-1, 2), motion)
        if frames > 1:
            chosen = self.stills[random.integers(len(self.stills), size=count)]
            stills = self._tensor(np.stack([_mirror(still, random) for still in chosen])).movedim(-1, 1)
            room = (stills.shape[-1] - size) / 4
            camera = random_path(count, frames, generator, room=(room, room))
            depth = random_depth(count, size, size, generator)
            return _Scene(film(stills, size, camera, depth), motion_of(size, camera, depth), camera, depth)
        patches = [
            _mirror(_window(self.stills[random.integers(len(self.stills))], size, random), random) for _ in range(count)
        ]
        clean = self._tensor(np.stack(patches)).movedim(-1, 1)[:, None]
        return _Scene(clean, torch.zeros_like(clean[:, :, :2]))

    def _real_clip(self, random: np.random.Generator, frames: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        number = random.integers(len(self.clips))
        pixels, moved = self.clips[number], self._motions[number]
        start = random.integers(len(pixels) - frames + 1)
        top, left = _corner(pixels, size, random)
        window = np.s_[start : start + frames, top : top + size, left : left + size]
        return pixels[window], moved[window]

    @cached_property
    def _motions(self) -> list[np.ndarray]:
        """How each real clip moves, `(T, H, W, 2)` in half precision; 0 for its first frame."""

        def of(clip: np.ndarray) -> np.ndarray:
            frames = from_uint8(clip)
            moved = [motion(*pair).transpose(1, 2, 0) for pair in pairwise(frames)]
            return np.stack([np.zeros_like(moved[0]), *moved]).astype(np.float16)

        with ThreadPoolExecutor() as pool:
            return list(pool.map(of, self.clips))

    def _rendered(self, scene: _Scene, _: np.random.Generator, generator: torch.Generator) -> RainyFrames:
        return render(scene.clean, self.mixture.rain, generator, scene.camera, scene.depth, not self.mixture.mist)

    def _real_rain(self, scene: _Scene, random: np.random.Generator, _: torch.Generator) -> RainyFrames:
        """The rain of real pairs, laid on other pictures: rainy − clean, one random window per frame."""
        count, frames, _channels, size, _width = scene.clean.shape
        windows = [
            _dark_window(self.pairs[random.integers(len(self.pairs))], size, random) for _ in range(count * frames)
        ]
        rain = self._tensor(np.stack(windows)).movedim(-1, 1).view_as(scene.clean)
        streaks = saturate(scene.clean, rain)
        rainy = scene.clean + streaks
        return RainyFrames(rainy, scene.clean, streaks, torch.zeros_like(rainy[:, :, :1]), rainy)

    def _dry(self, scene: _Scene, _: np.random.Generator, _generator: torch.Generator) -> RainyFrames:
        zeros = torch.zeros_like(scene.clean)
        return RainyFrames(scene.clean, scene.clean, zeros, zeros[:, :, :1], scene.clean)

    def _tensor(self, pixels: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device).float() / 255


def _break(clips: RainyFrames, part: float, random: np.random.Generator, generator: torch.Generator) -> None:
    """Let one frame of some clips be that of the next clip, or noise, as where a recording is damaged."""
    count, frames = clips.rainy.shape[:2]
    whole = [layer.clone() for layer in clips]
    for number in np.flatnonzero(random.random(count) < part):
        time = int(random.integers(1, frames))
        for layer, others in zip(clips, whole, strict=True):
            layer[number, time] = others[(number + 1) % count, time]
        if random.random() < NOISE:
            clips.rainy[number, time] = torch.rand(
                clips.rainy.shape[2:], generator=generator, device=clips.rainy.device
            )
            clips.background[number, time] = clips.rainy[number, time]
            clips.streaks[number, time] = 0
            clips.degradation[number, time] = 0


def _misjudged(motion: Tensor, generator: torch.Generator) -> Tensor:
    """Motion with errors as estimates have them: a third of a pixel, and in one of ten frames quite wrong."""
    count, frames = motion.shape[:2]
    wrong = torch.rand((count, frames), generator=generator, device=motion.device) < WRONG
    error = normal(0.3, (count, frames, 2), generator) * torch.where(wrong, 20, 1)[..., None]
    return motion + error[..., None, None]


def _window(pixels: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    top, left = _corner(pixels, size, random)
    return pixels[..., top : top + size, left : left + size, :]


def _corner(pixels: np.ndarray, size: int, random: np.random.Generator) -> tuple[int, int]:
    height, width = pixels.shape[-3:-1]
    return int(random.integers(height - size + 1)), int(random.integers(width - size + 1))


def _dark_window(pair: tuple[np.ndarray, np.ndarray], size: int, random: np.random.Generator) -> np.ndarray:
    """A window of rainy − clean in 8-bit steps, the darkest of eight: bright places saturate and lose their rain."""
    rainy, clean = pair
    height, width, _ = clean.shape
    places = [(random.integers(height - size + 1), random.integers(width - size + 1)) for _ in range(8)]
    top, left = min(places, key=lambda p: clean[p[0] : p[0] + size : 4, p[1] : p[1] + size : 4].mean())
    window = np.s_[top : top + size, left : left + size]
    streaks: np.ndarray = rainy[window].astype(np.int16) - clean[window]
    return streaks[:, ::-1] if random.random() < 0.5 else streaks


def _mirror(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return pixels[..., ::-1, :] if random.random() < 0.5 else pixels


def _flip(clip: tuple[np.ndarray, np.ndarray], random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and motion `(T, H, W, C)`, or their mirror images."""
    pixels, moved = clip
    if random.random() < 0.5:
        return pixels, moved
    return pixels[:, :, ::-1], moved[:, :, ::-1] * np.array([1, -1], moved.dtype)
