"""The comparison figure: what it shows is really in the pictures, at every size and shape of picture."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from unrain.errors import UnrainError
from unrain.evaluation.figure import Region, compare_figure, side_by_side, zoom_regions

Pixels: TypeAlias = NDArray[np.float32]
Bytes: TypeAlias = NDArray[np.uint8]

SIZES = [(120, 300), (300, 260), (48, 64), (64, 40), (32, 32), (900, 1100), (40, 1500), (9000, 33)]


def scene(height: int, width: int, seed: int = 0) -> tuple[Pixels, Pixels]:
    """A rainy and a clean picture: smooth ramps with fine texture, and bright bars as rain."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0.2, 0.6, width, dtype=np.float32)[None, :, None]
    clean = (ramp + 0.1 * rng.random((height, width, 3), dtype=np.float32)).astype(np.float32)
    rain = 0.3 * (rng.random((1, width, 1)) > 0.9)
    return (clean + rain).astype(np.float32), clean


def to_bytes(pixels: Pixels) -> Bytes:
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def places(figure: Bytes, picture: Bytes) -> list[tuple[int, int]]:
    """Where the top left 8x8 pixels of the picture are found in the figure: (row, column) of each."""
    patch = picture[:8, :8]
    windows = np.lib.stride_tricks.sliding_window_view(figure, patch.shape[:2], axis=(0, 1))
    rough = np.argwhere((windows[..., 0, 0] == patch[0, 0]).all(axis=2))
    return [(y, x) for y, x in rough if np.array_equal(figure[y : y + 8, x : x + 8], patch)]


def beside_regions(shape: tuple[int, ...], regions: Sequence[Region], rim: int = 6) -> NDArray[np.bool_]:
    """True where no outline of a region can be."""
    free = np.ones(shape[:2], bool)
    for left, top, width, height in regions:
        free[max(0, top - rim) : top + height + rim, max(0, left - rim) : left + width + rim] = False
        free[top : top + height, left : left + width] = True
    return free


def overlap(a: Region, b: Region) -> bool:
    return (
        a.left < b.left + b.width
        and b.left < a.left + a.width
        and a.top < b.top + b.height
        and b.top < a.top + a.height
    )


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("size", SIZES)
def test_regions_lie_in_the_picture_and_apart(size: tuple[int, int], count: int) -> None:
    regions = zoom_regions(*scene(*size), count)
    assert len(regions) == count
    for left, top, right, bottom in (region.box for region in regions):
        assert 0 <= left < right <= size[1]
        assert 0 <= top < bottom <= size[0]
    assert not any(overlap(a, b) for a, b in itertools.combinations(regions, 2))
    assert len({(region.width, region.height) for region in regions}) == 1


def test_regions_are_where_the_rain_was() -> None:
    _, clean = scene(200, 300)
    rainy = clean.copy()
    rainy[120:150, 200:240] += 0.3
    rainy[40:70, 30:70] += 0.3
    first, second = sorted(zoom_regions(rainy, clean, 2))
    assert overlap(first, type(first)(30, 40, 40, 30))
    assert overlap(second, type(first)(200, 120, 40, 30))


def test_regions_are_where_the_texture_is_if_there_was_no_rain() -> None:
    flat = np.full((200, 300, 3), 0.5, np.float32)
    flat[80:120, 130:170] += np.random.default_rng(0).random((40, 40, 3), dtype=np.float32) / 4
    (region,) = zoom_regions(flat, flat, 1)
    assert overlap(region, type(region)(130, 80, 40, 40))


def test_regions_of_a_featureless_picture() -> None:
    flat = np.zeros((100, 100, 3), np.float32)
    first, second = zoom_regions(flat, flat, 2)
    assert not overlap(first, second)


@pytest.mark.parametrize("size", [(180, 300), (300, 260)])
@pytest.mark.parametrize("with_truth", [False, True])
def test_whole_pictures_are_shown_pixel_for_pixel(size: tuple[int, int], with_truth: bool) -> None:
    rainy, clean = scene(*size)
    truth = scene(*size, seed=1)[1] if with_truth else None
    figure = np.asarray(compare_figure(rainy, clean, truth=truth))
    free = beside_regions(rainy.shape, zoom_regions(rainy, clean, 2))
    columns = []
    for pixels in [to_bytes(p) for p in (rainy, clean, truth) if p is not None]:
        ((y, x),) = places(figure, pixels)
        shown = figure[y : y + size[0], x : x + size[1]]
        np.testing.assert_array_equal(shown[free], pixels[free])
        assert (shown[~free] != pixels[~free]).any(), "no region is outlined"
        columns.append(x)
    assert columns == sorted(columns)
    assert len(columns) == 2 + with_truth


def test_tiny_pictures_are_enlarged_by_a_whole_factor() -> None:
    rainy, clean = scene(48, 64)[0], scene(48, 64, seed=1)[1]
    figure = np.asarray(side_by_side(rainy, clean))
    for pixels in (to_bytes(rainy), to_bytes(clean)):
        ((y, x),) = places(figure, np.kron(pixels[:2, :2], np.ones((4, 4, 1), np.uint8)))
        np.testing.assert_array_equal(figure[y : y + 4 * 48 : 4, x : x + 4 * 64 : 4], pixels)


@pytest.mark.parametrize("size", SIZES)
def test_every_size_gives_a_figure_of_sensible_size(size: tuple[int, int]) -> None:
    rainy, clean = scene(*size)
    for zooms in (1, 4):
        figure = compare_figure(rainy, clean, truth=clean, zooms=zooms, title="A title that is long\n" * 9)
        assert figure.mode == "RGB"
        assert 700 < figure.width <= 2000
        assert figure.height < 4000
        pixels = np.asarray(figure)
        for edge in (pixels[:15], pixels[-15:], pixels[:, :15], pixels[:, -15:]):
            assert (edge == 255).all(), "something is drawn in the margin"


def test_a_large_picture_is_scaled_down_whole() -> None:
    _, clean = scene(1500, 2400)
    clean[:, :1200], clean[:, 1200:] = 0.25, 0.75
    pixels = np.asarray(side_by_side(clean, clean))
    assert 1900 < pixels.shape[1] <= 2000
    dark, light = ((pixels == level).all(axis=2).sum() for level in (64, 191))
    assert dark == pytest.approx(light, rel=0.02)
    assert dark + light > 0.75 * pixels.shape[0] * pixels.shape[1]


def bottom_row(figure: Image.Image) -> dict[tuple[int, ...], int]:
    """Colours and their counts along a line through the last row of zooms, in the right half of the figure."""
    pixels = np.asarray(figure)
    bottom = np.flatnonzero((pixels < 255).any(axis=(1, 2)))[-1]
    line = pixels[bottom - 20, pixels.shape[1] // 2 + 10 :]
    return {tuple(colour.tolist()): n for colour, n in zip(*np.unique(line, axis=0, return_counts=True), strict=True)}


def test_the_rain_panel_is_black_where_nothing_was_removed() -> None:
    _, clean = scene(200, 300)
    colours = bottom_row(compare_figure(clean, clean))
    assert colours.pop((0, 0, 0)) > 250
    # Paper and the two frames are all that is left.
    assert len(colours) == 3
    assert (255, 255, 255) in colours


def test_the_rain_panel_hides_what_was_made_brighter() -> None:
    _, clean = scene(200, 300)
    assert bottom_row(compare_figure(clean - 0.1, clean))[0, 0, 0] > 250


@pytest.mark.parametrize(("rain", "factor"), [(0.05, 8), (0.2, 4), (0.4, 2), (0.7, 1)])
def test_the_rain_panel_is_brightened_by_the_largest_factor_that_fits(rain: float, factor: int) -> None:
    clean = np.full((200, 300, 3), 0.1, np.float32)
    level = round(255 * rain * factor)
    assert bottom_row(compare_figure(clean + np.float32(rain), clean))[level, level, level] > 250


def test_the_same_pictures_give_the_same_figure() -> None:
    rainy, clean = scene(150, 200)
    first, second = (compare_figure(rainy.copy(), clean.copy(), title="again") for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_the_pictures_are_left_as_they_were() -> None:
    rainy, clean = scene(100, 120)
    before = rainy.copy(), clean.copy()
    compare_figure(rainy, clean, truth=clean)
    np.testing.assert_array_equal(rainy, before[0])
    np.testing.assert_array_equal(clean, before[1])


def test_a_title_adds_a_line() -> None:
    rainy, clean = scene(150, 260)
    plain, titled = compare_figure(rainy, clean), compare_figure(rainy, clean, title="Title")
    assert titled.width == plain.width
    assert titled.height > plain.height
    # Below the title nothing differs.
    assert np.array_equal(np.asarray(titled)[-300:], np.asarray(plain)[-300:])


@pytest.mark.parametrize("draw", [compare_figure, side_by_side, lambda a, b: zoom_regions(a, b, 2)])
class TestErrors:
    def test_different_sizes(self, draw: Callable[..., object]) -> None:
        with pytest.raises(UnrainError, match=r"differ in size: 60x50, 50x60; give"):
            draw(scene(50, 60)[0], scene(60, 50)[1])

    def test_too_small(self, draw: Callable[..., object]) -> None:
        with pytest.raises(UnrainError, match="60x31 is too small"):
            draw(*scene(31, 60))

    def test_no_picture(self, draw: Callable[..., object]) -> None:
        with pytest.raises(ValueError, match=r"\(H, W, 3\), not \(50, 60\)"):
            draw(np.zeros((50, 60), np.float32), np.zeros((50, 60), np.float32))

    def test_integers(self, draw: Callable[..., object]) -> None:
        with pytest.raises(ValueError, match="uint8"):
            draw(np.zeros((50, 60, 3), np.uint8), np.zeros((50, 60, 3), np.uint8))


def test_a_truth_of_another_size() -> None:
    with pytest.raises(UnrainError, match="60x50, 60x50, 60x51"):
        compare_figure(*scene(50, 60), truth=scene(51, 60)[1])


@pytest.mark.parametrize("count", [-1, 0, 5])
def test_a_count_of_regions_out_of_range(count: int) -> None:
    with pytest.raises(ValueError, match=f"1 to 4 regions, not {count}"):
        compare_figure(*scene(50, 60), zooms=count)
