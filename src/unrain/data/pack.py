"""A training pack: the data folder made small enough to travel, in the layout of the original.

Photos become crops, the sharpest of several; clips become windows; pairs are copied as they are. Pictures of test sets,
and copies of them, are left out.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from unrain.data.copies import Known
from unrain.data.photos import Pixels, pictures, read_pixels
from unrain.errors import MediaError, UnrainError

CROP, WINDOW = 256, 256
QUALITY = 90
CANDIDATES = 6


def pack(data: Path, target: Path, budget: float, avoid: Path | None = None, seed: int = 0) -> list[str]:
    """Write `data` again as `target`, at most `budget` MB; returns the names of the photos that were left out.

    Photos are left out if one below the folder `avoid` shows the same. Rounds over all photos add a crop of each until
    the budget is full, so that every photo is in before any is in twice. The same seed gives the same pack. Raises
    `UnrainError` where the target exists, or the budget is too small for the clips and pairs.
    """
    if target.exists():
        raise UnrainError(f"{target}: exists already; choose another folder")
    part = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(part, ignore_errors=True)
    try:
        room = budget * 1e6 - _clips(data / "clips", part / "clips") - _pairs(data / "pairs", part / "pairs")
        if room <= 0:
            raise UnrainError(
                f"{budget:g} MB are too little: clips and pairs alone need {(budget * 1e6 - room) / 1e6:.0f} MB"
            )
        taken = Known(avoid)
        left_out = _photos(data / "photos", part / "photos", room, taken, np.random.default_rng(seed))
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return left_out


def _photos(source: Path, target: Path, room: float, taken: Known, random: np.random.Generator) -> list[str]:
    photos, left_out = [], []
    with ThreadPoolExecutor() as pool:
        for path, pixels in zip(pictures(source), pool.map(_or_none, pictures(source)), strict=True):
            if pixels is None or min(pixels.shape[:2]) < CROP:
                continue
            if taken.show(pixels):
                left_out.append(str(path.relative_to(source)))
            else:
                photos.append((path.relative_to(source), pixels))
    number = 0
    while photos:
        for name, pixels in photos:
            encoded = _encode(_sharpest(pixels, random))
            room -= len(encoded)
            if room < 0:
                return left_out
            _write(target / name.with_name(f"{name.stem}-{number}.webp"), encoded)
        number += 1
    raise UnrainError(f"{source}: no photo here is {CROP} pixels wide and high")


def _or_none(path: Path) -> Pixels | None:
    try:
        return read_pixels(path)
    except MediaError:
        return None


def _sharpest(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """Of several random crops, the one with the most detail: skies teach little."""
    height, width, _ = pixels.shape
    corners = random.integers((height - CROP + 1, width - CROP + 1), size=(CANDIDATES, 2))
    crops = [pixels[top : top + CROP, left : left + CROP] for top, left in corners]
    return max(crops, key=lambda crop: float(np.abs(np.diff(crop[::2, ::2].mean(axis=2), axis=0)).mean()))


def _clips(source: Path, target: Path) -> int:
    size = 0
    for folder in sorted(source.iterdir()) if source.is_dir() else []:
        for path, frame in _windows(folder):
            size += _write(target / folder.name / path.with_suffix(".webp").name, _encode(frame))
    return size


def _windows(folder: Path) -> Iterator[tuple[Path, Pixels]]:
    """The same middle window of every frame."""
    for path in pictures(folder):
        pixels = read_pixels(path)
        top, left = (max((side - WINDOW) // 2, 0) for side in pixels.shape[:2])
        yield path, pixels[top : top + WINDOW, left : left + WINDOW]


def _pairs(source: Path, target: Path) -> int:
    if not source.is_dir():
        return 0
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    return sum(path.stat().st_size for path in target.rglob("*") if path.is_file())


def _encode(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "WEBP", quality=QUALITY, method=2)
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return len(content)
