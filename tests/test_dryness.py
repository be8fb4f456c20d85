"""What was dry stays as it came: which pictures and frames pass for dry, and what is left of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import unrain
from unrain.inference.dryness import LEAST, Watch, is_dry, light_taken
from unrain.rain.render import render

Pixels = NDArray[np.float32]
Bytes = NDArray[np.uint8]


def rained_on(frames: Sequence[Pixels], preset: str) -> list[Bytes]:
    """The frames with rain, in bytes."""
    clip = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)[None]
    wet = render(clip, preset, torch.Generator().manual_seed(3)).rainy[0]
    return list(np.rint(wet.permute(0, 2, 3, 1).numpy() * 255).astype(np.uint8))


@pytest.fixture(scope="module")
def dry(scene: Pixels) -> Pixels:
    """The photo of the fixture `scene`, which has rain, without it."""
    return unrain.load("sapnet")(scene)


def as_bytes(picture: Pixels) -> Bytes:
    return np.rint(picture * 255).astype(np.uint8)


@pytest.mark.parametrize("name", ["sapnet", "sapnet-fast"])
def test_a_dry_photo_comes_back_as_it_is(dry: Pixels, name: str) -> None:
    model = unrain.load(name)
    assert isinstance(model, unrain.ImageModel)
    photo = as_bytes(dry)
    clean, layers = model(photo, layers=True)
    assert np.array_equal(clean, photo)
    assert not layers.streaks.any()
    assert not np.shares_memory(clean, photo)


@pytest.mark.parametrize("preset", ["rain12", "rain100l", "heavy"])
def test_a_photo_with_rain_does_not(dry: Pixels, preset: str) -> None:
    (wet,) = rained_on([dry], preset)
    clean = unrain.load("sapnet")(wet)
    assert np.abs(clean.astype(float) - as_bytes(dry)).mean() < np.abs(wet.astype(float) - as_bytes(dry)).mean()


def test_rain_in_two_fifths_of_a_photo_is_found(dry: Pixels) -> None:
    (wet,) = rained_on([dry], "rain100l")
    photo = as_bytes(dry)
    photo[-120:] = wet[-120:]
    assert not np.array_equal(unrain.load("sapnet")(photo), photo)


def test_dry_frames_come_back_as_they_are_and_rainy_ones_do_not(dry: Pixels) -> None:
    model = unrain.load("sapnet-fast")
    still = [dry[10:200, 20 + time : 260 + time] for time in range(9)]
    wet = rained_on(still[:2], "rain100l")
    frames = [*wet, *map(as_bytes, still[2:])]
    same = [np.array_equal(clean, frame) for clean, frame in zip(model.stream(frames), frames, strict=True)]
    # the four after the last rainy one do not flicker
    assert same == [False] * 6 + [True] * 3


def test_a_stain_in_a_corner_is_no_rain(dry: Pixels) -> None:
    stained = dry.copy()
    stained[:60, :80] *= 0.3
    assert is_dry(dry, stained)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_light_is_measured_alike_in_all_types(dry: Pixels, kind: type) -> None:
    most = 1 if kind is np.float32 else np.iinfo(kind).max
    rainy: NDArray[Any] = (dry.clip(0.1, 1) * most).astype(kind)
    clean: NDArray[Any] = ((dry.clip(0.1, 1) - 0.02) * most).astype(kind)
    assert light_taken(rainy, clean) == pytest.approx(0.02, rel=0.01)


@pytest.mark.parametrize("size", [(1, 1), (5, 200), (31, 33), (64, 1000), (2000, 40)])
def test_pictures_of_any_size_are_judged(size: tuple[int, int]) -> None:
    rainy = np.full((*size, 3), 100, np.uint8)
    assert light_taken(rainy, rainy - 3) == pytest.approx(3 / 255)
    assert light_taken(rainy, rainy) == 0


def test_a_watch_waits_until_the_last_few_frames_were_dry() -> None:
    watch = Watch()
    assert [watch.is_dry(taken) for taken in [0, 2 * LEAST, *[0] * 5]] == [True, *[False] * 5, True]
