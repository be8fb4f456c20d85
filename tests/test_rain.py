"""Rain: seeded, composed by the hybrid equation, and of the asked kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import unrain
from unrain.errors import UnrainError
from unrain.rain.compose import compose, occlusion
from unrain.rain.families import FallingDrops, MotionBlur
from unrain.rain.presets import PRESETS, render
from unrain.rain.streaks import StreakLayers, draw_streaks, streak_kernel


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def clip(photo: NDArray[np.float32]) -> torch.Tensor:
    """Two clips of three equal frames of a real photo, (2, 3, 3, 80, 96)."""
    return torch.from_numpy(photo).permute(2, 0, 1).expand(2, 3, -1, -1, -1).contiguous()


def layer(**changes: float) -> StreakLayers:
    values = {"coverage": 0.2, "length": 21.0, "width": 3.0, "angle": 0.0, "strength": 0.5, "softness": 1.0} | changes
    return StreakLayers(**{name: torch.tensor([[value]]) for name, value in values.items()})


@pytest.mark.parametrize("preset", PRESETS)
def test_frame_recomposes_exactly_by_the_hybrid_equation(clip: torch.Tensor, preset: str) -> None:
    frames = render(clip, preset, seeded(1))
    recomposed = compose(frames.background, frames.streaks, frames.degradation, frames.reliance)
    assert torch.equal(frames.rainy, recomposed)
    assert torch.equal(frames.background, clip)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_layer_is_in_its_range(clip: torch.Tensor, preset: str) -> None:
    frames = render(clip, preset, seeded(2))
    for picture in (frames.rainy, frames.reliance, frames.background + frames.streaks):
        assert picture.min() >= 0
        assert picture.max() <= 1 + 1e-6
    assert set(frames.degradation.unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("preset", PRESETS)
def test_same_seed_gives_the_same_bits_and_another_seed_other_rain(clip: torch.Tensor, preset: str) -> None:
    first, again, other = (render(clip, preset, seeded(seed)).rainy for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_drops_of_each_frame_are_new_but_of_one_kind(clip: torch.Tensor) -> None:
    rain = render(clip, "heavy", seeded(5)).streaks[0]
    assert not torch.equal(rain[0], rain[1])
    assert rain[0].mean() == pytest.approx(rain[1].mean(), rel=1)


def test_no_coverage_is_no_rain_exactly() -> None:
    assert torch.equal(draw_streaks(layer(coverage=0), 2, 40, 50, seeded(6)), torch.zeros(1, 2, 1, 40, 50))


def test_coverage_times_mean_brightness_is_the_mean_of_the_rain() -> None:
    drawn = draw_streaks(layer(), 8, 128, 128, seeded(7))
    # Drops are 0.2 to 1 of the strength, 0.6 on average.
    assert drawn.mean() == pytest.approx(0.2 * 0.5 * 0.6, rel=0.15)


def test_streak_has_its_length_width_and_direction() -> None:
    upright = streak_kernel(layer(), 64, 64)[0, 0]
    assert (upright.sum(0) > 0).sum() == 3
    assert (upright.sum(1) > 0).sum() == 21
    assert upright.sum() == pytest.approx(63)
    lying = streak_kernel(layer(angle=90), 64, 64)[0, 0]
    torch.testing.assert_close(lying, upright.T, atol=1e-5, rtol=0)


def test_streak_that_leans_right_has_its_top_on_the_right() -> None:
    kernel = torch.fft.fftshift(streak_kernel(layer(angle=30), 64, 64)[0, 0])
    rows = torch.arange(64) - 32
    top = kernel[rows < -5].sum(0)
    assert (top * rows).sum() > 0


def test_benchmark_rain_has_one_to_five_directions() -> None:
    layers = MotionBlur(directions=(1, 5)).draw(200, seeded(8))
    falling = (layers.coverage > 0).sum(dim=1)
    assert set(falling.tolist()) == {1, 2, 3, 4, 5}


def test_more_millimetres_an_hour_are_more_rain() -> None:
    drizzle, storm = (FallingDrops(rate=(rate, rate)).draw(400, seeded(9)).coverage.mean() for rate in (2.0, 100.0))
    assert storm > 2 * drizzle


def test_longer_exposure_draws_longer_and_fainter_streaks() -> None:
    short, long = (FallingDrops(exposure=(time, time)).draw(100, seeded(10)) for time in (1 / 1000, 1 / 100))
    assert torch.all(long.length >= short.length)
    assert torch.all(long.strength <= short.strength)


def test_drops_brighten_a_dark_scene_more_than_a_bright_one() -> None:
    dark, bright = (torch.full((1, 1, 3, 64, 64), level) for level in (0.1, 0.45))
    gains = [render(scene, "drops", seeded(11)).streaks.mean() for scene in (dark, bright)]
    assert gains[0] > gains[1] > 0


def test_occlusion_hides_the_asked_part_of_each_clip() -> None:
    alpha = occlusion((2, 3, 40, 50), torch.tensor([0.1, 0.0]), seeded(12))
    assert alpha[0].mean() == pytest.approx(0.1, abs=0.01)
    assert alpha[1].sum() == 0


def test_unknown_preset_names_the_known_ones(clip: torch.Tensor) -> None:
    with pytest.raises(UnrainError, match="choose one of light, heavy"):
        render(clip, "hail", seeded(0))


def test_picture_in_place_of_a_clip_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(N, T, 3, H, W\)"):
        render(torch.rand(1, 3, 8, 8), "light", seeded(0))


def test_add_is_the_short_way_for_one_picture(photo: NDArray[np.float32]) -> None:
    rainy, truth = unrain.rain.add(photo, preset="heavy", seed=7)
    assert np.array_equal(truth, photo)
    assert rainy.shape == photo.shape
    assert rainy.dtype == np.float32
    assert np.array_equal(rainy, unrain.rain.add(photo, preset="heavy", seed=7)[0])
    assert rainy.mean() > photo.mean()
