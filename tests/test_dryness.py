"""What was dry stays as it came: which pictures and frames pass for dry, and what is left of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage import data

import unrain
from unrain.inference.dryness import LEAST, Watch, is_dry, light_taken
from unrain.inference.layout import as_type
from unrain.media.images import read_picture, write_picture
from unrain.rain.render import render

Pixels = NDArray[np.float32]
Bytes = NDArray[np.uint8]


def rained_on(frames: Sequence[Pixels], preset: str) -> list[Bytes]:
    """The frames with rain, in bytes."""
    clip = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)[None]
    wet = render(clip, preset, torch.Generator().manual_seed(3)).rainy[0]
    return list(np.rint(wet.permute(0, 2, 3, 1).numpy() * 255).astype(np.uint8))


@pytest.fixture(scope="module")
def dry() -> Pixels:
    """A real photo without rain, (300, 400, 3) in [0, 1]."""
    return np.asarray(data.astronaut()[:300, 50:450] / np.float32(255), np.float32)


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
    rainy = np.rint(255 * dry.clip(0.1, 1)) / np.float32(255)
    given = [as_type(picture, np.dtype(kind)) for picture in (rainy, rainy - np.float32(5 / 255))]
    assert light_taken(*given) == pytest.approx(5 / 255, abs=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (5, 200), (31, 33), (64, 1000), (2000, 40)])
def test_pictures_of_any_size_are_judged(size: tuple[int, int]) -> None:
    rainy = np.full((*size, 3), 100, np.uint8)
    assert light_taken(rainy, rainy - 3) == pytest.approx(3 / 255)
    assert light_taken(rainy, rainy) == 0


def test_a_watch_waits_until_the_last_few_frames_were_dry() -> None:
    watch = Watch(5)
    assert [watch.is_dry(taken) for taken in [0, 2 * LEAST, *[0] * 5]] == [True, *[False] * 5, True]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".bmp", ".jpg"])
def test_files_without_rain_keep_their_colours(dry: Pixels, tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    Image.fromarray(as_bytes(dry)).save(source, quality=95)
    (outcome,) = unrain.clean(source, target)
    assert outcome.error is None
    before, after = (read_picture(path).pixels for path in (source, target))
    assert np.abs(255 * (after - before).mean(axis=(0, 1))).max() < 0.1
    if suffix in (".png", ".tif", ".bmp"):
        assert np.array_equal(before, after)


def test_a_photo_of_16_bits_without_rain_keeps_them_all(dry: Pixels, tmp_path: Path) -> None:
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(as_bytes(dry)).save(source)
    noise = np.random.default_rng(1).integers(0, 256, dry.shape)
    levels = ((np.rint(dry * 65280) + noise) / 65535).astype(np.float32)
    write_picture(source, replace(read_picture(source), levels=levels, bits=16))
    unrain.clean(source, target)
    assert np.array_equal(read_picture(target).pixels, read_picture(source).pixels)
    assert len(np.unique(read_picture(target).pixels)) > 10000
