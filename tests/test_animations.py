"""Moving pictures: worked through as clips, and what of them stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_samples import picture
from numpy.typing import NDArray
from PIL import Image

from unrain.errors import MediaError
from unrain.media.animations import Frame, count_frames, rewrite

DURATIONS = [40, 120, 400]


def untouched(frames: Iterator[Frame]) -> Iterator[NDArray[np.float32]]:
    for frame in frames:
        yield frame.pixels


def moving(path: Path, transparent: bool = False) -> Path:
    """Three frames of few colours, shown for different times, twice."""
    frames = [Image.fromarray(picture(24, 32, seed)).quantize(60).convert("RGB") for seed in range(3)]
    if transparent:
        for number, frame in enumerate(frames):
            hole = Image.new("L", frame.size, 255)
            hole.paste(0, (number, 0, number + 9, 9))
            frame.putalpha(hole)
    options: dict[str, Any] = {"lossless": True} if path.suffix == ".webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=DURATIONS, loop=2, **options)
    return path


def frames_of(path: Path) -> tuple[list[NDArray[np.uint8]], list[float]]:
    with Image.open(path) as image:
        shown, times = [], []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            pixels = np.asarray(image.convert("RGBA")).copy()
            pixels[pixels[..., 3] == 0] = 0
            shown.append(pixels)
            times.append(image.info["duration"])
        return shown, times


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_frames_times_repetitions_and_transparency_stay(tmp_path: Path, suffix: str, transparent: bool) -> None:
    source, target = moving(tmp_path / f"in{suffix}", transparent), tmp_path / f"out{suffix}"
    told: list[int] = []
    assert rewrite(source, target, untouched, told.append) == 3
    assert told == [1, 2, 3]
    (before, times), (after, again) = frames_of(source), frames_of(target)
    assert again == times == DURATIONS
    for old, new in zip(before, after, strict=True):
        assert np.array_equal(old, new)
    with Image.open(source) as old_image, Image.open(target) as new_image:
        assert old_image.info["loop"] == new_image.info["loop"]


def test_frames_are_counted_without_decoding(tmp_path: Path) -> None:
    assert count_frames(moving(tmp_path / "in.gif")) == 3
    Image.fromarray(picture()).save(tmp_path / "still.png")
    assert count_frames(tmp_path / "still.png") == 1


def test_all_frames_together_count_against_the_limit(tmp_path: Path) -> None:
    source = moving(tmp_path / "in.gif")
    with pytest.raises(MediaError, match=r"megapixels in 3 frames, more than the 0\.002 .* --max-megapixels"):
        rewrite(source, tmp_path / "out.gif", untouched, max_megapixels=0.002)


def test_a_format_that_cannot_move_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"which a \.jpg file cannot; write a \.gif"):
        rewrite(moving(tmp_path / "in.gif"), tmp_path / "out.jpg", untouched)
    assert not (tmp_path / "out.jpg").exists()


def test_a_moving_picture_that_ends_too_early_is_one_line(tmp_path: Path) -> None:
    source = moving(tmp_path / "in.webp")
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    with pytest.raises(MediaError, match=r"in\.webp"):
        rewrite(source, tmp_path / "out.webp", untouched)
