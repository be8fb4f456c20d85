"""Training data: the same batch for the same step, and a camera that moves without blurring twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from unrain.data import photos
from unrain.data.batches import Batches, Mixture
from unrain.data.motion import film
from unrain.data.pack import pack
from unrain.errors import MediaError, UnrainError
from unrain.rain.camera import CameraPath, random_path
from unrain.rain.scene import random_depth


@pytest.fixture(scope="module")
def batches(training_folder: Path) -> Batches:
    mixture = Mixture("mixed", pairs=0.25, dry=0.25)
    return Batches(training_folder, mixture, seed=3, device=torch.device("cpu"))


@pytest.mark.parametrize("frames", [1, 4])
def test_batch_of_a_step_is_always_the_same(batches: Batches, frames: int) -> None:
    first, again, next_ = (batches.batch(step, 6, frames, 32) for step in (9, 9, 10))
    assert first.rainy.shape == (6, frames, 3, 32, 32)
    assert first.degradation.shape == (6, frames, 1, 32, 32)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.rainy, next_.rainy)


def test_dry_part_of_the_batches_stays_dry(training_folder: Path) -> None:
    dry = Batches(training_folder, Mixture("heavy", dry=1.0), 0, torch.device("cpu")).batch(0, 4, 1, 32)
    assert torch.equal(dry.rainy, dry.background)
    assert not dry.streaks.any()


def test_rain_of_pairs_is_laid_on_other_photos(training_folder: Path) -> None:
    batch = Batches(training_folder, Mixture("heavy", pairs=1.0), 0, torch.device("cpu")).batch(0, 4, 1, 32)
    assert torch.equal(batch.rainy, batch.background + batch.streaks)
    assert batch.rainy.max() <= 1
    assert batch.streaks.max() == pytest.approx(40 / 255, abs=1e-6)


def test_photos_too_small_for_a_patch_are_passed_over(training_folder: Path) -> None:
    assert photos.clean_patches(training_folder / "photos", 160, per_photo=2, seed=0).shape == (4, 160, 160, 3)


def test_folder_without_photos_and_photo_that_is_broken_are_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no pictures"):
        photos.pictures(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(MediaError, match=r"broken\.png"):
        photos.read_pixels(tmp_path / "broken.png")


def test_broken_photo_among_others_is_named_and_passed_over(
    tmp_path: Path, photo: NDArray[np.float32], caplog: pytest.LogCaptureFixture
) -> None:
    Image.fromarray((photo * 255).astype(np.uint8)).save(tmp_path / "good.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "good.png").read_bytes()[:900])
    assert photos.clean_patches(tmp_path, 32, per_photo=3, seed=0).shape == (3, 32, 32, 3)
    assert "broken.png" in caplog.text


def path_of(frames: int, seed: int) -> tuple[CameraPath, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return random_path(1, frames, generator), random_depth(1, 48, 48, generator)


def test_camera_that_stands_still_films_the_still(photo: NDArray[np.float32]) -> None:
    still = torch.from_numpy(photo).permute(2, 0, 1)[None, :, :80, :80]
    rest = CameraPath(torch.zeros(1, 3, 2), torch.zeros(1, 3, 2), torch.ones(1, 3), torch.zeros(1, 3), torch.ones(1))
    clip = film(still, 48, rest, torch.ones(1, 1, 48, 48))
    torch.testing.assert_close(clip, still[:, None, :, 16:64, 16:64].expand(1, 3, -1, -1, -1), atol=1e-5, rtol=0)


def test_camera_moves_smoothly_and_sharply(photo: NDArray[np.float32]) -> None:
    still = torch.from_numpy(photo).permute(2, 0, 1)[None, :, :80, :80]
    path, depth = path_of(7, seed=1)
    clip = film(still, 48, path, depth)[0]
    steps = (clip[1:] - clip[:-1]).abs().mean(dim=(1, 2, 3))
    assert (steps > 0).all()
    assert steps.max() < 0.25
    sharpness = [(frame[..., 1:] - frame[..., :-1]).abs().mean() for frame in clip]
    assert min(sharpness) > 0.8 * max(sharpness)


def test_pack_is_a_small_data_folder_without_the_test_pictures(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    folder, test = tmp_path / "data" / "photos", tmp_path / "test"
    for root in (folder, test):
        root.mkdir(parents=True)
    scenes = [
        Image.fromarray(random.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize(
            (400, 300), Image.Resampling.BICUBIC
        )
        for _ in range(3)
    ]
    for name, scene in zip("abc", scenes, strict=True):
        scene.save(folder / f"{name}.png")
    # A smaller and brighter mirror image of b.
    scenes[1].transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((200, 150)).point(lambda v: v * 0.8 + 40).save(
        test / "0.jpg", quality=70
    )
    assert pack(tmp_path / "data", tmp_path / "pack", budget=0.1, avoid=test) == ["b.png"]
    crops = photos.pictures(tmp_path / "pack" / "photos")
    assert {path.name[0] for path in crops} == {"a", "c"}
    assert len(crops) > 4
    assert 0.05e6 < sum(path.stat().st_size for path in crops) <= 0.1e6
    assert photos.read_pixels(crops[0]).shape == (256, 256, 3)
    with pytest.raises(UnrainError, match="exists"):
        pack(tmp_path / "data", tmp_path / "pack", budget=0.1)


def test_pack_trains_like_the_folder_it_came_from(training_folder: Path, tmp_path: Path) -> None:
    pack(training_folder, tmp_path / "pack", budget=1)
    batches = Batches(tmp_path / "pack", Mixture("rain100l", pairs=0.3), 0, torch.device("cpu"))
    assert batches.batch(0, 4, 3, 32).rainy.shape == (4, 3, 3, 32, 32)
    with pytest.raises(UnrainError, match="too little"):
        pack(training_folder, tmp_path / "small", budget=0.001)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pack"]
