"""Motion between frames is found where there is any, also under rain, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from unrain.data.motion import film, motion_of
from unrain.inference.motion import motion
from unrain.networks.j4rnet import align
from unrain.rain import render
from unrain.rain.camera import CameraPath

Pixels = NDArray[np.float32]


def window(scene: Pixels, top: int, left: int) -> Pixels:
    return np.ascontiguousarray(scene[top : top + 200, left : left + 260])


def rained_on(frame: Pixels, seed: int) -> Pixels:
    clip = torch.from_numpy(frame).permute(2, 0, 1)[None, None]
    rainy = render(clip, "heavy", torch.Generator().manual_seed(seed)).rainy
    return np.asarray(rainy[0, 0].permute(1, 2, 0).numpy())


def test_scene_that_stands_still_does_not_move(scene: Pixels) -> None:
    frame = window(scene, 40, 40)
    assert np.abs(motion(frame, frame)).max() < 0.01


@pytest.mark.parametrize("shift", [(3, 5), (-17, 8), (0, -40)])
@pytest.mark.parametrize("rain", [False, True])
def test_shift_is_found_to_a_fraction_of_a_pixel(scene: Pixels, shift: tuple[int, int], rain: bool) -> None:
    before, now = window(scene, 50, 60), window(scene, 50 + shift[0], 60 + shift[1])
    if rain:
        before, now = rained_on(before, 1), rained_on(now, 2)
    found = motion(before, now)
    assert found.shape == (2, 200, 260)
    # What is at p now was at p + shift: the window has moved by as much.
    error = np.abs(found - np.array(shift, np.float32)[:, None, None])
    assert np.median(error) < 0.1
    assert np.percentile(error, 80) < 1


def test_large_frames_are_reduced_and_their_motion_is_not(scene: Pixels) -> None:
    large = np.repeat(np.repeat(scene, 4, axis=0), 4, axis=1)
    found = motion(large[40:1000, 40:1400], large[40:1000, 60:1420])
    assert found.shape == (2, 960, 1360)
    assert np.median(found[1]) == pytest.approx(20, abs=0.5)
    assert np.median(found[0]) == pytest.approx(0, abs=0.5)


def test_frame_smaller_than_a_block_has_no_motion(scene: Pixels) -> None:
    assert not motion(scene[:20, :400], scene[:20, :400]).any()


def test_motion_of_a_film_lays_each_frame_on_the_next(scene: Pixels) -> None:
    still = torch.from_numpy(scene).permute(2, 0, 1)[None]
    time = torch.arange(3.0)[None]
    path = CameraPath(
        shift=torch.stack((2 * time, -3 * time), dim=-1),
        slide=torch.stack((10 * time, 0 * time), dim=-1),
        zoom=1 + 0.005 * time,
        turn=0.004 * time,
        shutter=torch.ones(1),
    )
    depth = torch.linspace(5, 15, 160).expand(1, 1, 160, 160)
    clip, moved = film(still, 160, path, depth), motion_of(160, path, depth)
    assert not moved[:, 0].any()
    inside = np.s_[..., 12:-12, 12:-12]
    for time_now in (1, 2):
        now = clip[:, time_now]
        laid, left = align(clip[:, time_now - 1], moved[:, time_now]), clip[:, time_now - 1]
        error, before = ((picture - now)[inside].square().mean() for picture in (laid, left))
        assert error < 0.05 * before
        estimate = motion(*(clip[0, t].permute(1, 2, 0).numpy() for t in (time_now - 1, time_now)))
        assert np.median(np.abs(estimate - moved[0, time_now].numpy())) < 0.3
