"""Rain: seeded, composed by the hybrid equation, continuous in time, physical in its units, like what it imitates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import unrain
from unrain.data.motion import film
from unrain.data.photos import pairs
from unrain.errors import UnrainError
from unrain.evaluation.metrics import psnr
from unrain.rain import NAMES, PRESETS, Given, RainyFrames, fall, render
from unrain.rain.camera import Camera, CameraPath, draw_lenses, random_path
from unrain.rain.compose import compose, saturate, see_through
from unrain.rain.drops import (
    Air,
    FallingDrops,
    diameters,
    draw_drops,
    drops_in_air,
    extinction,
    size_slope,
    terminal_speed,
)
from unrain.rain.noise import MotionBlur, draw_looks
from unrain.rain.ranges import scatter
from unrain.rain.scene import random_depth
from unrain.rain.statistics import describe, distances, rain_layer
from unrain.rain.streaks import Streaks, draw


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def clip(photo: NDArray[np.float32]) -> torch.Tensor:
    """Four clips of three equal frames of a real photo, (4, 3, 3, 80, 96)."""
    return torch.from_numpy(photo).permute(2, 0, 1).expand(4, 3, -1, -1, -1).contiguous()


def streak(**changes: float | tuple[float, float]) -> Streaks:
    """One streak in the middle of a frame of 64 x 64 pixels that stands still."""
    values: dict[str, float | tuple[float, float]] = {
        "place": (64, 64),
        "step": (0, 0),
        "path": (20, 0),
        "detour": 0,
        "width": 3,
        "ramp": 1,
        "taper": 1,
        "light": 0.5,
        "depth": 2,
        "torus": (128, 128),
    }
    fields = {name: torch.tensor([value], dtype=torch.float32) for name, value in (values | changes).items()}
    return Streaks(clip=torch.tensor([0]), **fields)


def picture(streaks: Streaks, time: int = 0, camera: CameraPath | None = None) -> torch.Tensor:
    return draw(streaks, 1, torch.tensor([time]), 64, 64, camera)[0, 0]


# The frame that a camera sees


@pytest.mark.parametrize("preset", NAMES)
def test_frame_recomposes_exactly_by_the_hybrid_equation(clip: torch.Tensor, preset: str) -> None:
    frames = render(clip, preset, seeded(1))
    assert torch.equal(frames.rainy, compose(*frames[1:]))
    assert torch.equal(frames.background, clip)


def test_mist_can_be_a_part_of_the_scene(clip: torch.Tensor) -> None:
    storm, misty = (render(clip, "storm", seeded(1), keep_mist=kept) for kept in (False, True))
    torch.testing.assert_close(misty.rainy, storm.rainy, atol=2e-3, rtol=0)
    assert torch.equal(misty.rainy, compose(*misty[1:]))
    assert (misty.background - clip).abs().mean() > 0.01
    assert misty.streaks.abs().mean() < 0.8 * storm.streaks.abs().mean()
    drawn, kept = (render(clip, "rain100h", seeded(1), keep_mist=kept) for kept in (False, True))
    assert torch.equal(drawn.rainy, kept.rainy)


@pytest.mark.parametrize("preset", NAMES)
def test_every_layer_is_in_its_range(clip: torch.Tensor, preset: str) -> None:
    frames = render(clip, preset, seeded(2))
    for part in (frames.rainy, frames.reliance, frames.background + frames.streaks):
        assert part.min() >= 0
        assert part.max() <= 1
    assert set(frames.degradation.unique().tolist()) <= {0.0, 1.0}
    assert frames.degradation.shape == (4, 3, 1, 80, 96)


@pytest.mark.parametrize("preset", NAMES)
def test_same_seed_gives_the_same_bits_and_another_seed_other_rain(clip: torch.Tensor, preset: str) -> None:
    first, again, other = (render(clip, preset, seeded(seed)) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.rainy, other.rainy)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_gpu_gives_the_same_bits_twice_and_the_statistics_of_a_processor(photo: NDArray[np.float32]) -> None:
    frames = torch.from_numpy(photo).permute(2, 0, 1).expand(128, 1, -1, -1, -1)

    def rain(device: str) -> torch.Tensor:
        generator = torch.Generator(device).manual_seed(1)
        return render(frames.to(device), "rain100h", generator).rainy.cpu() - frames

    ours, again, theirs = rain("cuda"), rain("cuda"), rain("cpu")
    assert torch.equal(ours, again)
    assert ours.mean().item() == pytest.approx(theirs.mean().item(), rel=0.1)
    assert ours.square().mean().item() == pytest.approx(theirs.square().mean().item(), rel=0.1)


def test_reliance_is_what_is_seen_where_nothing_is_hidden(clip: torch.Tensor) -> None:
    frames = render(clip, "complex25", seeded(5))
    assert 0.02 < frames.degradation.mean() < 0.3
    seen = (1 - frames.degradation) * (frames.background + frames.streaks - frames.reliance)
    assert not seen.any()


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset.drops])
def test_zero_rate_gives_the_input_back_exactly(clip: torch.Tensor, name: str) -> None:
    frames = fall(4, 80, 96, name, seeded(6), Given(rate=0)).on(clip)
    assert torch.equal(frames.rainy, clip)
    assert not frames.streaks.any()
    assert not frames.degradation.any()


def test_no_coverage_is_no_rain_exactly() -> None:
    dry = draw_looks([MotionBlur(coverage=(0, 0))], [3], torch.arange(3), torch.zeros(3), 40, 50, seeded(6))
    assert not draw(dry, 3, torch.arange(2), 40, 50).any()


@given(st.floats(0, 1, width=32), st.floats(-2, 2, width=32))
def test_camera_saturates_at_exactly_black_and_white(background: float, streaks: float) -> None:
    scene = torch.tensor([background])
    recorded = scene + saturate(scene, torch.tensor([streaks]))
    assert 0 <= recorded <= 1
    assert recorded == pytest.approx(min(max(background + streaks, 0), 1), abs=1e-6)


# Streaks


def test_streak_has_its_length_width_direction_and_place() -> None:
    upright = picture(streak())
    assert (upright.sum(0) > 0).sum() in (3, 4)
    assert (upright.sum(1) > 0).sum() in (20, 21)
    assert upright.sum() == pytest.approx(0.5 * 60, rel=1e-3)
    assert upright.max() == pytest.approx(0.5, abs=1e-4)
    lying = picture(streak(path=(0, 20)))
    torch.testing.assert_close(lying, upright.T)


@settings(max_examples=60, derandomize=True)
@given(st.floats(0, 360), st.floats(1, 40), st.floats(0.3, 9), st.floats(1, 6), st.floats(-0.5, 0.5))
def test_streak_in_any_direction_keeps_its_light_and_its_middle(
    angle: float, length: float, width: float, ramp: float, shift: float
) -> None:
    radians = np.deg2rad(angle)
    path = (length * float(np.cos(radians)), length * float(np.sin(radians)))
    drawn = picture(streak(path=path, width=width, ramp=ramp, place=(64 + shift, 64 - shift))).double()
    assert drawn.sum() == pytest.approx(0.5 * length * width, rel=0.2, abs=0.4)
    rows = torch.arange(64, dtype=torch.float64)
    assert (drawn.sum(1) * rows).sum() / drawn.sum() == pytest.approx(32 + shift, abs=0.35)
    assert (drawn.sum(0) * rows).sum() / drawn.sum() == pytest.approx(32 - shift, abs=0.35)


def test_streaks_that_cross_add_up() -> None:
    one, other = streak(), streak(path=(10, 10))
    both = Streaks(*(torch.cat(fields) for fields in zip(one, other, strict=True)))
    assert torch.equal(picture(both), picture(one) + picture(other))


def test_coverage_times_mean_brightness_is_the_mean_of_the_rain() -> None:
    look = MotionBlur(coverage=(0.4, 0.4), strength=(0.5, 0.5), dimmest=1, length=(20, 20), width=(3, 3))
    rain = draw_looks([look], [16], torch.arange(16), torch.full((16,), 10.0), 128, 128, seeded(7))
    drawn = draw(rain, 16, torch.arange(2), 128, 128)
    assert drawn.mean() == pytest.approx(0.4 * 0.5, rel=0.05)
    # As much at the border as in the middle.
    assert drawn[..., :8, :].mean() == pytest.approx(drawn.mean().item(), rel=0.2)
    assert drawn[..., -8:].mean() == pytest.approx(drawn.mean().item(), rel=0.2)


def test_clip_drawn_in_parts_is_the_clip_drawn_at_once(clip: torch.Tensor) -> None:
    for name in NAMES:
        rain = fall(4, 80, 96, name, seeded(8))
        whole = rain.on(clip)
        parts = [rain.on(clip[:, time : time + 1], start=time) for time in range(3)]
        for at_once, *pieces in zip(whole, *parts, strict=True):
            # Some units of the sum's 2^-16 apart: a fraction of an 8-bit level.
            torch.testing.assert_close(at_once, torch.cat(pieces, dim=1), atol=2e-4, rtol=0)


# Motion


def test_drop_goes_on_from_frame_to_frame() -> None:
    moving = streak(place=(44, 64), step=(12, 3))
    now, later = picture(moving, 0), picture(moving, 1)
    torch.testing.assert_close(now.roll((12, 3), (0, 1)), later)


def test_drop_that_left_comes_back_elsewhere() -> None:
    falling = streak(place=(64, 64), step=(128, 0), detour=9)
    torch.testing.assert_close(picture(falling, 0).roll(9, 1), picture(falling, 1))


def test_number_of_drops_in_the_frame_stays() -> None:
    rain = fall(1, 120, 160, "heavy", seeded(9))
    still = torch.full((1, 12, 3, 120, 160), 0.2)
    amounts = rain.on(still).streaks.mean(dim=(0, 2, 3, 4))
    assert amounts.std() / amounts.mean() < 0.3
    assert rain.on(still[:, :1], start=100_000).streaks.mean() == pytest.approx(amounts.mean().item(), rel=0.4)


def path_of(frames: int, **changes: torch.Tensor) -> CameraPath:
    path = CameraPath(
        shift=torch.zeros(1, frames, 2),
        slide=torch.zeros(1, frames, 2),
        zoom=torch.ones(1, frames),
        turn=torch.zeros(1, frames),
        shutter=torch.tensor([0.1]),
    )
    return path._replace(**changes)


def test_camera_moves_scene_and_streaks_alike(photo: NDArray[np.float32]) -> None:
    stills = torch.zeros(1, 3, 96, 96)
    stills[:, :, 47:50, 46:51] = 1
    far = torch.full((1, 1, 64, 64), 2.0)
    for path in (
        path_of(2, shift=torch.tensor([[[0.0, 0.0], [4.0, -7.0]]])),
        path_of(2, slide=torch.tensor([[[0.0, 0.0], [8.0, 10.0]]])),
        path_of(2, shift=torch.tensor([[[9.0, 5.0], [9.0, 5.0]]]), turn=torch.tensor([[0.0, 0.5]])),
        path_of(2, shift=torch.tensor([[[9.0, 5.0], [9.0, 5.0]]]), zoom=torch.tensor([[1.0, 1.3]])),
    ):
        scene = film(stills, 64, path, far)[0, :, 0]
        rain = [picture(streak(path=(3, 0)), time, path) for time in (0, 1)]
        for seen, drawn in zip(scene, rain, strict=True):
            rows, columns = torch.arange(64.0)[:, None], torch.arange(64.0)
            for axis in (rows, columns):
                expected = (seen * axis).sum() / seen.sum()
                assert (drawn * axis).sum() / drawn.sum() == pytest.approx(expected.item(), abs=0.8)


def test_camera_that_pans_while_the_shutter_is_open_slants_the_streaks() -> None:
    path = path_of(2, shift=torch.tensor([[[0.0, 0.0], [0.0, 100.0]]]))
    still, slanted = picture(streak(), 0), picture(streak(), 0, path)
    assert (slanted.sum(0) > 0).sum() > (still.sum(0) > 0).sum() + 6


def test_nearer_drops_move_more_when_the_camera_slides() -> None:
    path = path_of(2, slide=torch.tensor([[[0.0, 0.0], [0.0, 20.0]]]))
    columns = torch.arange(64.0)
    moves = []
    for depth in (2.0, 8.0):
        drawn = picture(streak(depth=depth, path=(3, 0)), 1, path)
        moves.append(32 - float((drawn.sum(0) * columns).sum() / drawn.sum()))
    assert moves == pytest.approx([10, 2.5], abs=0.3)


def test_random_camera_paths_differ_and_move_smoothly() -> None:
    path = random_path(5, 9, seeded(10), speed=3)
    steps = path.shift.diff(dim=1)
    assert steps.abs().max() < 3 + 2.1
    assert (path.shift[0] != path.shift[1]).all()
    assert (path.zoom > 0.9).all()


# Physics


def test_drop_sizes_follow_marshall_and_palmer() -> None:
    slope = size_slope(torch.tensor(25.0))
    assert slope == pytest.approx(4.1 * 25**-0.21)
    sizes = torch.linspace(1, 5, 40_001, dtype=torch.float64)
    density = 8000 * torch.exp(-slope.double() * sizes)
    assert drops_in_air(slope, 1, 5) == pytest.approx(torch.trapezoid(density, sizes).item(), rel=1e-4)
    drawn = diameters(slope.expand(200_000), 1.0, 5.0, seeded(11))
    assert drawn.min() >= 1
    assert drawn.max() <= 5
    assert drawn.mean() == pytest.approx(
        (torch.trapezoid(density * sizes, sizes) / torch.trapezoid(density, sizes)).item(), rel=0.01
    )


def test_rain_that_fell_is_the_rate() -> None:
    # What reaches the ground in an hour: the sum of the drops' volumes times their speeds; the published size
    # distribution and speeds agree with its own rate within a fifth.
    sizes = torch.linspace(0.3, 8, 20_001, dtype=torch.float64)
    for rate in (2.0, 10.0, 50.0):
        number = 8000 * torch.exp(-size_slope(torch.tensor(rate)).double() * sizes)
        flux = torch.pi / 6 * (sizes * 1e-3) ** 3 * terminal_speed(sizes).clamp(min=0) * number
        assert torch.trapezoid(flux, sizes) * 1000 * 3600 == pytest.approx(rate, rel=0.2)


def test_extinction_is_twice_the_cross_section() -> None:
    slope = size_slope(torch.tensor(10.0)).double()
    sizes = torch.linspace(0, 30, 200_001, dtype=torch.float64)
    total = torch.trapezoid(2 * torch.pi / 4 * sizes**2 * 8000 * torch.exp(-slope * sizes), sizes) * 1e-6
    assert extinction(slope) == pytest.approx(total.item(), rel=1e-4)
    # The visual range in such rain is kilometres.
    assert 500 < 3.9 / extinction(slope) < 5000


def only(**changes: Any) -> FallingDrops:
    camera = Camera((6, 6), (2.8, 2.8), (1 / 250, 1 / 250), (25, 25), (1e6, 1e6))
    return replace(FallingDrops(camera=camera, wind=(0, 0), turbulence=0, depths=(2, 4)), **changes)


def test_streaks_have_the_length_and_width_that_the_lens_makes_of_them() -> None:
    streaks, _ = draw_drops([only()], [1], 400, 400, seeded(12))
    focal = 6 / 6.4 * 1280
    length = streaks.path[:, 0] * streaks.depth / focal * 250
    assert length.min() >= terminal_speed(torch.tensor(0.8)) - 1e-3
    assert length.max() <= terminal_speed(torch.tensor(5.0)) + 1e-3
    # Focused at infinity, a drop is as wide as the aperture, or as itself if it is larger.
    width = streaks.width * streaks.depth / focal
    assert width.min() == pytest.approx(6e-3 / 2.8, rel=1e-3)
    assert width.max() <= 5e-3
    assert streaks.depth.min() >= 2
    assert streaks.depth.max() <= 4


def test_longer_exposure_draws_longer_and_fainter_streaks_of_the_same_light() -> None:
    fast, slow = (
        draw_drops([only(camera=replace(only().camera, exposure=(time, time)))], [1], 300, 300, seeded(13))[0]
        for time in (1 / 500, 1 / 50)
    )
    assert slow.path[:, 0].mean() == pytest.approx(10 * fast.path[:, 0].mean().item(), rel=0.05)
    assert slow.light.mean() < 0.2 * fast.light.mean()
    # A drop moves on by the same way from frame to frame.
    assert slow.step[:, 0].mean() == pytest.approx(fast.step[:, 0].mean().item(), rel=0.05)


def test_exposure_is_never_longer_than_a_frame() -> None:
    lens = draw_lenses([Camera(exposure=(1, 1), rate=(50, 50))], [3], seeded(14))
    assert torch.allclose(lens.exposure, torch.tensor(1 / 50))
    assert torch.allclose(lens.shutter, torch.tensor(1.0))


def test_wind_slants_the_streaks() -> None:
    streaks, _ = draw_drops([only(wind=(4, 4))], [1], 300, 300, seeded(15))
    assert (streaks.path[:, 1] > 0).all()
    speed = terminal_speed(torch.tensor(2.0))
    slant = (streaks.path[:, 1] / streaks.path[:, 0]).median()
    assert 0.5 * 4 / speed < slant < 2 * 4 / speed


def test_open_aperture_blurs_what_is_out_of_focus() -> None:
    lens = draw_lenses([only().camera, replace(only().camera, f_number=(8, 8))], [1, 1], seeded(16))
    near = torch.tensor([0.5, 0.5])
    wide, narrow = lens.blur(near, torch.arange(2))
    assert wide == pytest.approx(narrow.item() * 8 / 2.8, rel=1e-4)
    assert lens.blur(lens.focus, torch.arange(2)).abs().max() < 1e-6


def test_more_millimetres_an_hour_are_more_rain(clip: torch.Tensor) -> None:
    amounts = [
        fall(4, 80, 96, "heavy", seeded(17), Given(rate=rate)).on(clip).streaks.abs().mean() for rate in (2, 20, 200)
    ]
    assert amounts[0] < amounts[1] < amounts[2]


def test_drops_brighten_a_dark_scene_more_than_a_bright_one() -> None:
    scenes = (torch.full((1, 1, 3, 64, 64), level) for level in (0.1, 0.5, 0.9))
    gains = [fall(1, 64, 64, "steady", seeded(18)).on(scene).streaks.mean() for scene in scenes]
    assert gains[0] > gains[1] > gains[2] > -0.01


def test_veil_is_thicker_where_the_scene_is_farther() -> None:
    depth = torch.tensor([5.0, 50.0]).view(1, 1, 1, 1, 2)
    air = Air(torch.tensor([0.01]), torch.tensor([0.8]), torch.tensor([2.0]))
    added = see_through(torch.full((1, 1, 3, 1, 2), 0.2), torch.zeros(1, 1, 1, 1, 2), depth, air)
    linear = 0.2**2 * np.exp(-0.01 * 50) + 0.8 * (1 - np.exp(-0.01 * 50))
    assert added[..., 1] == pytest.approx(np.sqrt(linear) - 0.2, abs=1e-4)
    assert (added[..., 1] > 4 * added[..., 0]).all()


def test_scene_is_nearer_at_the_bottom() -> None:
    depth = random_depth(50, 32, 40, seeded(19))
    assert depth.min() >= 4
    assert depth.max() <= 80
    assert depth[..., -1, :].mean() < 0.4 * depth[..., 0, :].mean()


def test_scatter_draws_as_many_as_asked_on_average() -> None:
    row, column = scatter(torch.tensor([[3.0, 0.0], [50.0, 400.0]]).expand(2, 2), seeded(20))
    counts = torch.zeros(2, 2).index_put((row, column), torch.ones(len(row)), accumulate=True)
    assert counts[0, 1] == 0
    assert counts[1, 1] == pytest.approx(400, abs=100)


# What people call


def test_add_is_the_short_way_for_one_picture(photo: NDArray[np.float32]) -> None:
    rainy, truth = unrain.rain.add(photo, preset="heavy", seed=7)
    assert truth is photo
    assert rainy.shape == photo.shape
    assert rainy.dtype == np.float32
    assert np.array_equal(rainy, unrain.rain.add(photo, preset="heavy", seed=7)[0])
    assert not np.array_equal(rainy, photo)


def test_add_takes_and_gives_images_and_bytes(photo: NDArray[np.float32]) -> None:
    levels = (photo * 255).round().astype(np.uint8)
    image, _ = unrain.rain.add(Image.fromarray(levels), seed=7, rate=40, wind=3)
    array, _ = unrain.rain.add(levels, seed=7, rate=40, wind=3)
    assert np.array_equal(np.asarray(image), array)
    assert array.dtype == np.uint8


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"preset": "hail"}, "choose one of rain12"),
        ({"rate": -1}, "rate"),
        ({"rate": float("nan")}, "rate"),
        ({"exposure": 0}, "exposure"),
        ({"wind": 1000}, "wind"),
        ({"preset": "rain100h", "rate": 5}, "a look"),
    ],
)
def test_rain_that_cannot_be_is_one_clear_error(
    photo: NDArray[np.float32], arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(UnrainError, match=says) as error:
        unrain.rain.add(photo, **arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (torch.rand(1, 3, 8, 8), r"\(N, T, 3, H, W\)"),
        (torch.rand(1, 1, 4, 8, 8), r"\(N, T, 3, H, W\)"),
        (torch.rand(1, 1, 3, 8, 8) + 1, "from 0 to 1"),
        (torch.full((1, 1, 3, 8, 8), torch.nan), "from 0 to 1"),
        (torch.ones(1, 1, 3, 8, 8, dtype=torch.uint8), "floats"),
    ],
)
def test_what_is_no_clip_is_refused(wrong: torch.Tensor, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        render(wrong, "rain12", seeded(0))


@pytest.mark.parametrize(
    "changes",
    [{"coverage": (-1, 1)}, {"length": (0, 3)}, {"width": (2, 1)}, {"strength": (0, 2)}, {"directions": (0, 1)}],
)
def test_look_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        MotionBlur(**changes)


# Likeness


def test_benchmark_presets_are_as_hard_as_the_published_sets(photo: NDArray[np.float32]) -> None:
    # A coarse check on one photo; benchmarks/rain.py measures this properly.
    clean = torch.from_numpy(photo).permute(2, 0, 1).expand(40, 1, -1, -1, -1).contiguous()
    levels = {}
    for name in ("rain12", "rain100l", "light25", "complex25", "rain100h"):
        rainy = render(clean, name, seeded(21)).rainy.permute(0, 1, 3, 4, 2)[:, 0].numpy()
        levels[name] = np.mean([psnr(each, photo, "rgb") for each in rainy])
    assert list(levels) == sorted(levels, key=lambda name: -levels[name])
    assert 26 < levels["rain12"] < 32
    assert 10 < levels["rain100h"] < 15


def test_statistics_measure_what_was_drawn() -> None:
    look = MotionBlur(coverage=(0.1, 0.1), length=(30, 30), width=(4, 4), ramp=(1, 1), variety=0, wobble=0.5)
    layers = []
    for angle in (0.0, 15.0):
        rain = draw_looks([look], [4], torch.arange(4), torch.full((4,), angle), 160, 200, seeded(22))
        layers.append([layer.double().numpy() for layer in draw(rain, 4, torch.arange(1), 160, 200)[:, 0]])
    upright, slanted = (describe(each) for each in layers)
    # The autocorrelation of a bar falls to a half at half its length.
    assert upright.length == pytest.approx(15, rel=0.2)
    assert upright.width == pytest.approx(2, rel=0.3)
    assert slanted.length == pytest.approx(15, rel=0.2)
    assert upright.mean == pytest.approx(np.mean(layers[0]), rel=0.02)
    assert np.abs(np.argmax(slanted.orientation) - np.argmax(upright.orientation)) in (2, 3, 4)
    same, other = distances(upright, upright), distances(slanted, upright)
    assert all(abs(value) < 1e-9 for value in same.values())
    assert other["orientation"] == pytest.approx(15, abs=3)


def test_rain100h_looks_like_the_pairs_it_imitates(shared: Path) -> None:
    published = pairs(shared / "data" / "train" / "pairs" / "rain_train_h")
    cleans = [clean.astype(np.float32) / np.float32(255) for _, clean in published]
    theirs = describe(rain_layer(rainy / 255, clean) for (rainy, _), clean in zip(published, cleans, strict=True))
    ours = describe(rain_layer(unrain.rain.add(clean, "rain100h", seed)[0], clean) for seed, clean in enumerate(cleans))
    gap = distances(ours, theirs)
    assert abs(gap["brightness"]) < 0.06
    assert abs(gap["spread"]) < 2
    assert abs(gap["length"]) < 0.35
    assert abs(gap["width"]) < 0.25
    assert gap["along"] < 0.12
    assert gap["across"] < 0.12


def test_physical_rain_is_seen_but_does_not_hide_the_scene(clip: torch.Tensor) -> None:
    def change(frames: RainyFrames) -> float:
        return float((frames.rainy - frames.background).square().mean().sqrt())

    levels = [change(render(clip, name, seeded(23))) for name in ("drizzle", "steady", "heavy", "storm")]
    assert levels == sorted(levels)
    assert levels[0] > 0.001
    assert levels[-1] < 0.35
