"""Fixtures that several tests share. Material from outside the project is read in place, and skipped where absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

SHARED = Path(__file__).parents[2] / "shared"
SAMPLES = Path(__file__).parents[1] / "samples"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with benchmark data and published checkpoints."""
    if not SHARED.is_dir():
        pytest.skip("benchmark data and published checkpoints (../shared) are not here")
    return SHARED


@pytest.fixture(scope="session")
def photo() -> NDArray[np.float32]:
    """A small real photo, (80, 96, 3) in [0, 1]."""
    from PIL import Image

    with Image.open(SAMPLES / "friends.jpg") as image:
        return np.asarray(image.convert("RGB").crop((280, 80, 376, 160)), dtype=np.float32) / 255
