"""Clean photos, rainy/clean pairs and clean clips from folders into memory, as 8-bit patches to train on.

Nothing here makes rain or moves a camera; see `motion.py` and the room `rain`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unrain.errors import MediaError

_log = logging.getLogger(__name__)

Pixels = NDArray[np.uint8]
SUFFIXES = frozenset({".webp", ".png", ".jpg", ".jpeg", ".bmp"})


def read_pixels(path: Path) -> Pixels:
    """One picture as `(H, W, 3)` 8-bit RGB; `MediaError` names a file that cannot be decoded."""
    try:
        with Image.open(path, formats=["WEBP", "PNG", "JPEG", "BMP"]) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise MediaError(f"{path}: cannot be decoded ({error})") from error


def pictures(folder: Path) -> list[Path]:
    """All pictures below `folder`, sorted; `MediaError` if there are none."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise MediaError(f"{folder}: no pictures in this folder")
    return found


def clean_patches(
    folder: Path, size: int, per_photo: int, seed: int, leave_out: Callable[[Pixels], bool] = lambda pixels: False
) -> Pixels:
    """Random square patches of every photo below `folder` that is large enough: `(M, size, size, 3)`, 8-bit.

    The same seed gives the same patches. Photos smaller than `size` are passed over, and so, with a warning in the log,
    are those that cannot be read and those to `leave_out`.
    """
    random = np.random.default_rng(seed)
    with ThreadPoolExecutor() as pool:
        patches = [
            patch
            for path, pixels in zip(pictures(folder), pool.map(_readable, pictures(folder)), strict=True)
            if pixels is not None and not _is_left_out(path, pixels, leave_out)
            for patch in _crops(pixels, size, per_photo, random)
        ]
    if not patches:
        raise MediaError(f"{folder}: no photo here is {size} pixels wide and high")
    return np.stack(patches)


def _readable(path: Path) -> Pixels | None:
    """A broken photo among many costs a line in the log and no run."""
    try:
        return read_pixels(path)
    except MediaError as error:
        _log.warning("passed over: %s", error)
        return None


def _is_left_out(path: Path, pixels: Pixels, leave_out: Callable[[Pixels], bool]) -> bool:
    left_out = leave_out(pixels)
    if left_out:
        _log.warning("left out: %s shows a picture that must not be trained on", path)
    return left_out


def _crops(pixels: Pixels, size: int, count: int, random: np.random.Generator) -> Iterator[Pixels]:
    height, width, _ = pixels.shape
    if min(height, width) < size:
        return
    for _ in range(count):
        top, left = random.integers(height - size + 1), random.integers(width - size + 1)
        yield pixels[top : top + size, left : left + size].copy()


def pairs(folder: Path) -> list[tuple[Pixels, Pixels]]:
    """Rainy/clean pairs: files of the same name below `folder/rainy` and `folder/clean`, as (rainy, clean)."""
    return [(read_pixels(path), read_pixels(folder / "clean" / path.name)) for path in pictures(folder / "rainy")]


def clips(folder: Path) -> list[Pixels]:
    """Clean clips, one per subfolder of pictures in order: each `(T, H, W, 3)`, 8-bit."""
    return [np.stack([read_pixels(path) for path in pictures(clip)]) for clip in sorted(folder.iterdir())]
