"""One still out of any file, and figures into files: for looking at things. Cleaning does not pass through here."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unrain.errors import MediaError
from unrain.media.files import Kind, kind_of
from unrain.media.images import read_picture
from unrain.media.videos import read_frames
from unrain.media.writing import atomic_output

FIGURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def read_still(path: Path, frame: int = 0) -> NDArray[np.float32]:
    """A photo, or frame number `frame` of a video: `(H, W, 3)` RGB in [0, 1]. `MediaError` if there is none."""
    if kind_of(path) is Kind.IMAGE:
        return read_picture(path).pixels
    still = next(islice(read_frames(path), frame, None), None)
    if still is None:
        raise MediaError(f"{path}: has no frame {frame}")
    return still


def write_figure(path: Path, figure: Image.Image) -> None:
    """Write a figure, whole or not at all; `MediaError` for a suffix that is none of .png, .jpg, .webp."""
    if path.suffix.lower() not in FIGURE_SUFFIXES:
        raise MediaError(f"{path}: a figure is written as one of {', '.join(FIGURE_SUFFIXES)}")
    with atomic_output(path) as part:
        figure.save(part, quality=92)
