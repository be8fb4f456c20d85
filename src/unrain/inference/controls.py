"""What a network is shown of a picture, and how much of its answer is taken: strength, mask, transparency.

Pure functions over pixels, for photos and frames alike; files are the business of `clean.py`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unrain.errors import UnrainError

Pixels = NDArray[np.float32]
Plane = NDArray[np.float32]


def blend(rainy: Pixels, clean: Pixels, strength: float = 1.0, mask: Plane | None = None) -> Pixels:
    """The picture rainy + strength · mask · (clean − rainy), all (H, W, 3).

    `mask` is (H, W) in [0, 1], 1 where to work; None is 1 everywhere. Where nothing is to be done, the pixels are
    exactly those of `rainy`. Raises `UnrainError` where the mask has another size.
    """
    if mask is not None and mask.shape != rainy.shape[:2]:
        sizes = [f"{shape[1]} x {shape[0]}" for shape in (mask.shape, rainy.shape)]
        raise UnrainError(f"the mask has {sizes[0]} pixels, the picture {sizes[1]}; they must agree")
    if mask is None:
        return clean if strength == 1 else rainy + np.float32(strength) * (clean - rainy)
    weight = np.float32(strength) * mask[..., None]
    return np.where(weight == 1, clean, rainy + weight * (clean - rainy))


def cover_hidden(pixels: Pixels, hidden: NDArray[np.bool_]) -> Pixels:
    """The picture (H, W, 3) with what is `hidden`, (H, W), painted over in the colours that are seen around it.

    Under full transparency a file may hold anything, and a network that sees it draws it into what is visible.
    """
    if not hidden.any() or hidden.all():
        return pixels
    return np.where(hidden[..., None], _spread(pixels, ~hidden), pixels)


def _spread(pixels: Pixels, seen: NDArray[np.bool_]) -> Pixels:
    """The mean of what is seen in the smallest block around, of 2, 4, 8, ... pixels, that shows anything."""
    height, width = seen.shape
    weight = np.pad(seen.astype(np.float32), ((0, height % 2), (0, width % 2)))[..., None]
    colour = np.pad(pixels * seen[..., None], ((0, height % 2), (0, width % 2), (0, 0)))
    sums, counts = (_halved(each) for each in (colour, weight))
    means = sums / np.maximum(counts, np.float32(1))
    known = counts[..., 0] > 0
    if not known.all():
        means = np.where(known[..., None], means, _spread(np.asarray(means, np.float32), known))
    return np.asarray(means.repeat(2, axis=0).repeat(2, axis=1)[:height, :width], np.float32)


def _halved(values: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width, channels = values.shape
    return np.asarray(values.reshape(height // 2, 2, width // 2, 2, channels).sum(axis=(1, 3)), np.float32)
