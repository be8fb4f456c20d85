"""Tiny copies of benchmark sets, made of a shipped photo with bright streaks on it. No tests live here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Bytes = NDArray[np.uint8]

SIZE = (40, 48)


@cache
def _photo() -> Bytes:
    with Image.open(Path(__file__).parents[1] / "samples" / "friends.jpg") as image:
        return np.asarray(image.convert("RGB"))


def clean(number: int, size: tuple[int, int] = SIZE) -> Bytes:
    """A piece of the photo, another one for each number."""
    left, top = 200 + 9 * number, 80 + 7 * number
    return _photo()[top : top + size[0], left : left + size[1]]


def rainy(number: int, size: tuple[int, int] = SIZE) -> Bytes:
    """The same piece with upright streaks, which add light."""
    streaks = np.random.default_rng(number).random(size[1]) > 0.8
    return np.clip(clean(number, size) + np.where(streaks, 70, 0)[None, :, None], 0, 255).astype(np.uint8)


def halves(number: int) -> Bytes:
    """The clean piece and, to its right, the rainy one."""
    return np.concatenate([clean(number), rainy(number)], axis=1)


def write(folder: Path, pictures: Mapping[str, Bytes]) -> Path:
    """Write pictures below a folder, by path."""
    for name, picture in pictures.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return folder


def pairs(folder: Path, count: int = 3) -> Path:
    """A set of pairs in folders called rainy and clean."""
    names = [f"{number:03}.png" for number in range(1, count + 1)]
    write(folder, {f"rainy/{name}": rainy(number) for number, name in enumerate(names)})
    return write(folder, {f"clean/{name}": clean(number) for number, name in enumerate(names)})
