"""Fixtures that several tests share. Material from outside the project is read in place, and skipped where absent."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

SHARED = Path(__file__).parents[2] / "shared"
SAMPLES = Path(__file__).parents[1] / "samples"


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What tests and the programs that they start remember of this machine stays among the tests."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with benchmark data and published checkpoints."""
    if not SHARED.is_dir():
        pytest.skip("benchmark data and published checkpoints (../shared) are not here")
    return SHARED


@pytest.fixture(scope="session")
def photo() -> NDArray[np.float32]:
    """A small real photo, (80, 96, 3) in [0, 1]."""
    with Image.open(SAMPLES / "friends.jpg") as image:
        return np.asarray(image.convert("RGB").crop((280, 80, 376, 160)), dtype=np.float32) / np.float32(255)


@pytest.fixture(scope="session")
def scene() -> NDArray[np.float32]:
    """A larger real photo, (300, 400, 3) in [0, 1]."""
    with Image.open(SAMPLES / "friends.jpg") as image:
        return np.asarray(image.convert("RGB").crop((100, 60, 500, 360)), dtype=np.float32) / np.float32(255)


@pytest.fixture(scope="session")
def training_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder laid out as the training data: two photos, a clip and a pair, out of a shipped photo."""
    root = tmp_path_factory.mktemp("train")
    with Image.open(SAMPLES / "friends.jpg") as image:
        photo = image.convert("RGB")
    files = {
        "photos/set/a.png": photo.crop((0, 0, 200, 170)),
        "photos/set/b.png": photo.crop((200, 100, 500, 400)),
        "photos/set/small.png": photo.crop((0, 0, 50, 50)),
        "pairs/set/clean/0.png": photo.crop((300, 200, 420, 320)),
        "pairs/set/rainy/0.png": photo.crop((300, 200, 420, 320)).point(lambda value: min(value + 40, 255)),
    } | {f"clips/walk/{time:03}.png": photo.crop((time, 0, 128 + time, 96)) for time in range(5)}
    for name, picture in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(root / name)
    return root
