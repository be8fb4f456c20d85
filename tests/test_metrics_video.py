"""Warping error and flicker: still clips have none, unsteady ones have more, and motion alone is forgiven."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from unrain.errors import UnrainError
from unrain.evaluation.metrics import Pixels
from unrain.evaluation.metrics.video import flicker, flicker_blind, warping

CLIP = 5


@pytest.fixture(scope="module")
def still() -> list[Pixels]:
    with Image.open(Path(__file__).parents[1] / "samples/friends.jpg") as image:
        photo = np.asarray(image.convert("RGB").crop((260, 80, 388, 176))) / np.float32(255)
    return [photo] * CLIP


@pytest.fixture(scope="module")
def moving() -> list[Pixels]:
    """A camera that goes two pixels a frame to the right and one down."""
    with Image.open(Path(__file__).parents[1] / "samples/friends.jpg") as image:
        photo = np.asarray(image.convert("RGB")) / np.float32(255)
    return [photo[80 + t : 176 + t, 260 + 2 * t : 388 + 2 * t] for t in range(CLIP)]


def lit(frames: list[Pixels], by: float) -> list[Pixels]:
    """Every other frame brighter."""
    return [np.clip(frame + np.float32(by * (t % 2)), 0, 1) for t, frame in enumerate(frames)]


def rained(frames: list[Pixels], amount: float) -> list[NDArray[np.float32]]:
    """Bright dots, elsewhere in every frame."""
    random = np.random.default_rng(5)
    return [np.maximum(frame, (random.random((*frame.shape[:2], 1)) < amount)).astype(np.float32) for frame in frames]


def test_a_still_clip_is_steady(still: list[Pixels]) -> None:
    assert warping(still) == [0] * (CLIP - 1)
    assert warping(still, still) == [0] * (CLIP - 1)
    assert flicker(still, still) == [0] * (CLIP - 1)
    assert flicker_blind(still) == [0] * (CLIP - 2)


def test_motion_alone_is_forgiven(moving: list[Pixels]) -> None:
    unaligned = np.mean(np.square(moving[1] - moving[0]))
    assert np.mean(warping(moving)) < 0.05 * unaligned
    assert np.mean(flicker_blind(moving)) < 2
    assert flicker(moving, moving) == [0] * (CLIP - 1)


@pytest.mark.parametrize("clip", ["still", "moving"])
def test_the_more_it_flickers_the_more_is_measured(clip: str, request: pytest.FixtureRequest) -> None:
    frames: list[Pixels] = request.getfixturevalue(clip)
    for spoil, amounts in ((lit, (0.0, 0.02, 0.06)), (rained, (0.0, 0.01, 0.05))):
        spoiled = [spoil(frames, amount) for amount in amounts]
        for measure in (warping, flicker):
            low, middle, high = (np.mean(measure(each, frames)) for each in spoiled)
            assert low < middle < high
        low, middle, high = (np.mean(flicker_blind(each)) for each in spoiled)
        assert low < middle < high


def test_known_values(still: list[Pixels]) -> None:
    dimmed = [frame * np.float32(0.5) + np.float32(0.2) for frame in still]
    brighter = [frame + np.float32(0.1 * (t % 2)) for t, frame in enumerate(dimmed)]
    # Of 0.1 from frame to frame: the square, and the levels.
    assert warping(brighter, dimmed) == pytest.approx([0.01] * (CLIP - 1), rel=1e-4)
    assert flicker(brighter, dimmed) == pytest.approx([25.5] * (CLIP - 1), rel=1e-4)


def test_flicker_has_the_error_of_each_frame_against_the_one_before(moving: list[Pixels]) -> None:
    random = np.random.default_rng(2)
    frames = [frame + random.normal(0, 0.05, frame.shape) for frame in moving]
    errors = [frame - clean for frame, clean in zip(frames, moving, strict=True)]
    written_out = [255 * np.abs(errors[t] - errors[t - 1]).mean() for t in range(1, CLIP)]
    assert flicker(frames, moving) == pytest.approx(written_out, rel=1e-12)


def test_a_lasting_error_is_no_flicker(moving: list[Pixels]) -> None:
    tinted = [frame * np.float32(0.8) + np.array([0.05, 0, 0.1], np.float32) for frame in moving]
    constant = [frame + np.float32(0.1) for frame in moving]
    assert np.mean(flicker(constant, moving)) < 1e-4
    assert np.mean(warping(tinted, moving)) < 2 * np.mean(warping(moving))


def test_a_slow_change_is_no_flicker_to_the_blind_measure(still: list[Pixels]) -> None:
    fading = [frame * np.float32(0.6) + np.float32(0.01 * t) for t, frame in enumerate(still)]
    jumping = [frame * np.float32(0.6) + np.float32(0.04 * (t == 2)) for t, frame in enumerate(still)]
    assert np.mean(flicker_blind(fading)) < 0.3 < 2 < np.mean(flicker_blind(jumping))


def test_the_curve_shows_the_frame_that_jumps(still: list[Pixels]) -> None:
    frames = [*still[:3], np.clip(still[3] + np.float32(0.05), 0, 1), still[4]]
    assert [error > 1e-4 for error in warping(frames, still)] == [False, False, True, True]
    assert [error > 1 for error in flicker(frames, still)] == [False, False, True, True]


def test_what_was_hidden_does_not_count(still: list[Pixels]) -> None:
    random = np.random.default_rng(8)
    texture = random.random((48, 48, 1)).astype(np.float32).repeat(3, axis=2)
    frames = []
    for t in range(3):
        frame = still[0].copy()
        frame[24:72, 20 + 6 * t : 68 + 6 * t] = texture
        frames.append(frame)
    without_mask = np.mean(np.square(frames[1] - frames[0]))
    assert np.mean(warping(frames)) < 0.1 * without_mask


def test_a_real_clip_with_rain_is_less_steady_than_without(shared: Path) -> None:
    def read(kind: str) -> list[Pixels]:
        files = sorted((shared / "data/test/nturain_a1" / kind).iterdir())[:3]
        return [np.asarray(Image.open(file).convert("RGB"))[:240, :320] / np.float32(255) for file in files]

    rainy, clean = read("rainy"), read("clean")
    assert np.mean(warping(rainy, clean)) > 2 * np.mean(warping(clean))
    assert np.mean(warping(rainy)) > 2 * np.mean(warping(clean))
    assert np.mean(flicker_blind(rainy)) > 1.3 * np.mean(flicker_blind(clean))
    assert np.mean(flicker(rainy, clean)) > 2


def test_a_cut_gives_a_finite_number(still: list[Pixels]) -> None:
    other = np.random.default_rng(1).random(still[0].shape, np.float32)
    assert all(math.isfinite(error) for error in warping([still[0], other, still[0]]))


class TestErrors:
    def test_too_few_frames(self, still: list[Pixels]) -> None:
        with pytest.raises(UnrainError, match="warping needs a clip of 2 frames"):
            warping(still[:1])
        with pytest.raises(UnrainError, match="flicker needs a clip of 2 frames"):
            flicker([], [])
        with pytest.raises(UnrainError, match="flicker-blind needs a clip of 3 frames"):
            flicker_blind(still[:2])

    def test_a_truth_that_is_needed(self, still: list[Pixels]) -> None:
        with pytest.raises(UnrainError, match="flicker needs the clean frames; flicker-blind does without"):
            flicker(still, None)

    def test_a_truth_of_another_length(self, still: list[Pixels]) -> None:
        with pytest.raises(UnrainError, match="as many frames"):
            warping(still, still[:3])
        with pytest.raises(UnrainError, match="as many frames"):
            flicker(still[:3], still)

    def test_frames_of_different_sizes(self, still: list[Pixels]) -> None:
        with pytest.raises(UnrainError, match="one size, not 128x96 and 96x96"):
            warping([still[0], still[0][:, :96]])
        with pytest.raises(UnrainError, match="one size, not 128x96 and 128x64"):
            flicker(still, [frame[:64] for frame in still])

    def test_frames_too_small_for_flow(self, still: list[Pixels]) -> None:
        with pytest.raises(UnrainError, match="optical flow needs pictures of at least 16x16 pixels, not 12x96"):
            warping([frame[:, :12] for frame in still])

    def test_what_is_no_picture(self) -> None:
        with pytest.raises(ValueError, match=r"\(H, W, 3\), not \(64, 64\)"):
            warping([np.zeros((64, 64))] * 2)
