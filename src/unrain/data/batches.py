"""Batches to train on: clean patches and clips, rain rendered on them on the fly, real pairs, and dry pictures.

Batch number k of a seed is always the same, so that a run that was stopped goes on exactly where it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unrain.data import photos
from unrain.data.motion import pan
from unrain.rain.compose import RainyFrames, saturate
from unrain.rain.presets import render

PATCH = 160
PER_PHOTO = 5


@dataclass(frozen=True)
class Mixture:
    """What a batch is made of: presets with their weights, and the fractions of other material.

    pairs: the part of the batch that gets the rain of real pairs, `dry` the part that gets none.
    """

    presets: Mapping[str, float]
    pairs: float = 0.0
    dry: float = 0.0


class Batches:
    """Training batches out of the folder `root` with `photos/`, `clips/` and `pairs/*/{rainy,clean}`."""

    def __init__(self, root: Path, mixture: Mixture, seed: int, device: torch.device) -> None:
        self.mixture, self.seed, self.device = mixture, seed, device
        self.stills = photos.clean_patches(root / "photos", PATCH, PER_PHOTO, seed)
        self.clips = photos.clips(root / "clips") if (root / "clips").is_dir() else []
        folders = sorted((root / "pairs").iterdir()) if (root / "pairs").is_dir() else []
        self.pairs = [pair for folder in folders for pair in photos.pairs(folder)]

    def batch(self, step: int, count: int, frames: int, size: int) -> RainyFrames:
        """Batch number `step`: `count` clips of `frames` frames of `size` x `size` pixels, see `RainyFrames`."""
        random = np.random.default_rng((self.seed, step))
        generator = torch.Generator(self.device).manual_seed(int(random.integers(2**62)))
        clean = self._clean(random, generator, count, frames, size)
        kinds = random.choice(len(self.mixture.presets) + 2, size=count, p=self._weights())
        parts = [self._rain(int(kind), clean[kinds == kind], random, generator) for kind in np.unique(kinds)]
        return RainyFrames(*(torch.cat(layers) for layers in zip(*parts, strict=True)))

    def _weights(self) -> np.ndarray:
        presets = np.array(list(self.mixture.presets.values()), dtype=float)
        rest = 1 - self.mixture.pairs - self.mixture.dry
        return np.concatenate((presets / presets.sum() * rest, [self.mixture.pairs, self.mixture.dry]))

    def _clean(
        self, random: np.random.Generator, generator: torch.Generator, count: int, frames: int, size: int
    ) -> Tensor:
        if frames > 1 and self.clips and random.random() < 0.3:
            clips = np.stack([_flip(self._real_clip(random, frames, size), random) for _ in range(count)])
            return self._tensor(clips).movedim(-1, 2)
        if frames > 1:
            stills = self.stills[random.integers(len(self.stills), size=count)]
            stills = np.stack([_flip(still, random) for still in stills])
            return pan(self._tensor(stills).movedim(-1, 1), frames, size, generator)
        patches = [
            _flip(_window(self.stills[random.integers(len(self.stills))], size, random), random) for _ in range(count)
        ]
        return self._tensor(np.stack(patches)).movedim(-1, 1)[:, None]

    def _real_clip(self, random: np.random.Generator, frames: int, size: int) -> np.ndarray:
        clip = self.clips[random.integers(len(self.clips))]
        start = random.integers(len(clip) - frames + 1)
        return _window(clip[start : start + frames], size, random)

    def _rain(self, kind: int, clean: Tensor, random: np.random.Generator, generator: torch.Generator) -> RainyFrames:
        names = list(self.mixture.presets)
        if kind < len(names):
            return render(clean, names[kind], generator)
        zeros = torch.zeros_like(clean)
        if kind == len(names):
            streaks = torch.stack([self._real_rain(random, clip) for clip in clean])
            streaks = saturate(clean, streaks)
            return RainyFrames(clean + streaks, clean, streaks, zeros[:, :, :1], zeros)
        return RainyFrames(clean, clean, zeros, zeros[:, :, :1], zeros)

    def _real_rain(self, random: np.random.Generator, clean: Tensor) -> Tensor:
        """The rain of real pairs, laid on other pictures: rainy − clean, one random window per frame."""
        size = clean.shape[-1]
        windows = [_dark_window(self.pairs[random.integers(len(self.pairs))], size, random) for _ in range(len(clean))]
        return self._tensor(np.stack(windows)).movedim(-1, 1)

    def _tensor(self, pixels: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device).float() / 255


def _window(pixels: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    height, width = pixels.shape[-3:-1]
    top, left = random.integers(height - size + 1), random.integers(width - size + 1)
    return pixels[..., top : top + size, left : left + size, :]


def _dark_window(pair: tuple[np.ndarray, np.ndarray], size: int, random: np.random.Generator) -> np.ndarray:
    """A window of rainy − clean in 8-bit steps, the darkest of eight: bright places saturate and lose their rain."""
    rainy, clean = pair
    height, width, _ = clean.shape
    places = [(random.integers(height - size + 1), random.integers(width - size + 1)) for _ in range(8)]
    top, left = min(places, key=lambda p: clean[p[0] : p[0] + size : 4, p[1] : p[1] + size : 4].mean())
    window = np.s_[top : top + size, left : left + size]
    streaks: np.ndarray = rainy[window].astype(np.int16) - clean[window]
    return streaks[:, ::-1] if random.random() < 0.5 else streaks


def _flip(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return pixels[..., ::-1, :] if random.random() < 0.5 else pixels
