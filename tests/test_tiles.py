"""Pictures that are cleaned in tiles come out as in one piece, whatever their size, within the memory that is given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from unrain import weights
from unrain.evaluation.metrics import psnr
from unrain.inference import recurrence, tiles
from unrain.inference.frames import run_frames
from unrain.inference.layout import as_float, as_type
from unrain.inference.pictures import PictureCleaner, opened
from unrain.media.images import read_picture, to_uint8

SIDES = st.integers(1, 900)


@settings(deadline=None)
@given(height=SIDES, width=SIDES, pixels=st.integers(130**2, 600**2))
def test_tiles_fill_the_picture_once_and_are_alike(height: int, width: int, pixels: int) -> None:
    size = tiles.fit(height, width, pixels, 128)
    filled = np.zeros((height, width), int)
    for tile in tiles.cut(height, width, size):
        filled[tile.kept] += 1
        place = np.arange(height * width).reshape(height, width)
        assert place[tile.seen].shape == size
        assert np.array_equal(place[tile.seen][tile.inner], place[tile.kept])
    assert (filled == 1).all()


@settings(deadline=None)
@given(height=SIDES, width=SIDES, pixels=st.integers(130**2, 600**2))
def test_tiles_see_their_halo_and_begin_at_even_places(height: int, width: int, pixels: int) -> None:
    size = tiles.fit(height, width, pixels, 128)
    for tile in tiles.cut(height, width, size):
        for seen, kept, length in zip(tile.seen, tile.kept, (height, width), strict=True):
            assert seen.start % 2 == 0 or seen.stop == length
            assert kept.start - seen.start >= tiles.HALO - 1 or seen.start == 0
            assert seen.stop - kept.stop >= tiles.HALO - 1 or seen.stop == length


@settings(deadline=None)
@given(height=st.integers(128, 2000), width=st.integers(128, 2000))
def test_tiles_are_as_large_as_the_memory_allows_and_no_larger(height: int, width: int) -> None:
    size = tiles.fit(height, width, 256**2, 128)
    assert size[0] * size[1] <= 256**2 or size == (height, width)


@given(
    height=st.integers(200, 900), width=st.integers(200, 900), rows=st.integers(130, 200), columns=st.integers(1, 60)
)
def test_a_mosaic_is_one_tile_of_pieces_from_everywhere(height: int, width: int, rows: int, columns: int) -> None:
    picture = np.arange(height * width, dtype=np.int64).reshape(height, width, 1)
    sample = tiles.mosaic(picture, (rows, columns + 128))
    assert sample.shape == (rows, columns + 128, 1)
    assert len(np.unique(sample)) == sample.size


@pytest.fixture(scope="module")
def cleaner() -> PictureCleaner:
    return opened(weights.find("sapnet"), "openvino")


@pytest.fixture(scope="module")
def rainy(shared: Path) -> NDArray[np.uint8]:
    return to_uint8(read_picture(sorted((shared / "data/test/rain100h/rainy").iterdir())[3]).pixels)


def decibels(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    return float(-10 * np.log10(max(1e-12, np.mean((as_float(a) - as_float(b)) ** 2))))


@settings(max_examples=3, deadline=None)
@given(st.integers(150, 260), st.integers(150, 300), st.integers(136, 200))
def test_tiled_equals_whole_to_60_decibels(
    cleaner: PictureCleaner, rainy: NDArray[np.uint8], height: int, width: int, side: int
) -> None:
    picture = rainy[:height, :width]
    size = tiles.fit(height, width, side**2, 128)
    means = cleaner.sampled(picture, size, 3)
    whole, _ = cleaner.clean_piece(as_float(picture), 3, means)
    tiled = cleaner.clean(picture.astype(np.float32) / np.float32(255), 3, memory=side**2 * cleaner.memory)
    assert decibels(tiled, whole.clip(0, 1)) > 60


@pytest.mark.parametrize("name", ["j4rnet", "j4rnet-fast"])
@settings(max_examples=2, deadline=None)
@given(st.integers(-9, 9), st.integers(-9, 9), st.integers(150, 200))
def test_frames_in_tiles_equal_whole_ones_to_60_decibels(
    scene: NDArray[np.float32], name: str, down: int, right: int, side: int
) -> None:
    """Also where the camera moves, so that tiles need what others remember."""
    clip = [scene[60 + down * time :, 60 + right * time :][:200, :260] for time in range(4)]
    whole = recurrence.opened(weights.find(name), "openvino", precision="fp32")
    tiled = replace(whole, budget=side**2 * whole.memory)
    for one, other in zip(run_frames(whole, clip, 1), run_frames(tiled, clip, 1), strict=True):
        assert decibels(other.background.clip(0, 1), one.background.clip(0, 1)) > 60


def test_sampled_means_serve_as_well_as_those_of_the_whole(
    cleaner: PictureCleaner, rainy: NDArray[np.uint8], shared: Path
) -> None:
    truth = read_picture(sorted((shared / "data/test/rain100h/clean").iterdir())[3]).pixels
    whole, tiled = cleaner.clean(rainy, 3), cleaner.clean(rainy, 3, memory=256**2 * cleaner.memory)
    assert not np.array_equal(whole, tiled)
    assert abs(psnr(as_float(whole), truth) - psnr(as_float(tiled), truth)) < 0.3


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_levels_survive_the_way_through_floats(kind: type[np.uint8 | np.uint16]) -> None:
    levels = np.arange(np.iinfo(kind).max + 1).astype(kind)
    assert np.array_equal(as_type(as_float(levels), levels.dtype), levels)
