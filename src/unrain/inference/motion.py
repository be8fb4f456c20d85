"""How a scene moves from one frame to the next, so that what is remembered can be laid where it is now.

Block by block, by phase correlation: rain, which is elsewhere in each frame, is noise to it. Learns nothing.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]
Plane = NDArray[np.float32]

BLOCK, HOP = 48, 16
WIDEST = 640
"""Frames are reduced to about this width before they are compared."""
SOFTNESS = 10.0
"""Standard deviation of the Gaussian, in cycles per block, that the correlation weighs frequencies with."""
SURE = 0.15
"""Peaks of this height are believed; of lower ones, in part, what the whole frame does."""


def motion(before: Pixels, now: Pixels) -> Plane:
    """Where what is seen in `now` was in `before`: `(2, H, W)`, y and x in pixels, to be added to a pixel's place.

    Both are `(H, W, 3)` RGB in [0, 1]. Frames smaller than a block have no motion.
    """
    height, width, _ = now.shape
    step = max(1, round(width / WIDEST))
    old, new = (_grey(frame, step) for frame in (before, now))
    if min(new.shape) < BLOCK:
        return np.zeros((2, height, width), np.float32)
    shift = _whole(old, new)
    field = _blocks(old, new, shift)
    return _spread(field, new.shape, (height, width)) * np.float32(step)


def _grey(frame: Pixels, step: int) -> Plane:
    """Green-heavy brightness, by block means of `step` pixels."""
    height, width = (side // step * step for side in frame.shape[:2])
    grey = frame[:height, :width] @ np.array([0.3, 0.59, 0.11], np.float32)
    blocks = grey.reshape(height // step, step, width // step, step).mean(axis=(1, 3))
    return np.asarray(blocks, np.float32)


def _whole(old: Plane, new: Plane) -> NDArray[np.int64]:
    """The shift of the whole frame, in whole pixels, from quarter-size frames."""
    small = [_grey(np.repeat(plane[..., None], 3, axis=2), 4) for plane in (old, new)]
    (shift,), (height,) = _correlate(small[0][None], small[1][None])
    return np.rint(4 * shift).astype(np.int64) if height > SURE / 2 else np.zeros(2, np.int64)


def _blocks(old: Plane, new: Plane, shift: NDArray[np.int64]) -> Plane:
    """The shift of each block, `(rows, columns, 2)`; unsure ones follow the frame, and outliers their neighbours."""
    tops, lefts = (_places(side) for side in new.shape)
    top, left = (grid.ravel() for grid in np.meshgrid(tops, lefts, indexing="ij"))
    inner = np.arange(BLOCK)
    rows, columns = top[:, None] + inner, left[:, None] + inner
    there = np.clip(rows + shift[0], 0, new.shape[0] - 1), np.clip(columns + shift[1], 0, new.shape[1] - 1)
    blocks = old[there[0][:, :, None], there[1][:, None, :]], new[rows[:, :, None], columns[:, None, :]]
    found, heights = _correlate(*blocks)
    belief = np.clip(heights / SURE, 0, 1)[:, None]
    centre = np.median(found[heights >= np.median(heights)], axis=0)
    field = (shift + belief * found + (1 - belief) * centre).reshape(len(tops), len(lefts), 2)
    padded = np.pad(field, ((1, 1), (1, 1), (0, 0)), mode="edge")
    around = [padded[i : i + len(tops), j : j + len(lefts)] for i in range(3) for j in range(3)]
    return np.median(around, axis=0).astype(np.float32)


def _places(side: int) -> NDArray[np.int64]:
    """Where blocks begin along a side: all `HOP` pixels, the last at the end."""
    return np.unique(np.append(np.arange(0, side - BLOCK + 1, HOP), side - BLOCK))


def _correlate(old: Plane, new: Plane) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Phase correlation of blocks `(n, h, w)`: by how much the old ones lie elsewhere `(n, 2)`, and how sure `(n,)`."""
    window, weight = _weights(*new.shape[1:])
    spectra = [np.fft.rfft2((block - block.mean(axis=(1, 2), keepdims=True)) * window) for block in (old, new)]
    cross = spectra[0] * spectra[1].conj()
    surface = np.fft.irfft2(cross / (np.abs(cross) + 1e-6) * weight, s=new.shape[1:])
    surface /= np.fft.irfft2(weight, s=new.shape[1:])[0, 0]
    return _peaks(surface)


@cache
def _weights(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    window = np.outer(np.hanning(height), np.hanning(width))
    y, x = np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width)[None] * width
    return window, np.exp(-(y**2 + x**2) / (2 * SOFTNESS**2))


def _peaks(surface: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The highest point of each surface, by a parabola through it and its neighbours, and its height."""
    count, height, width = surface.shape
    number, best = np.arange(count), surface.reshape(count, -1).argmax(axis=1)
    y, x = np.divmod(best, width)
    top = surface[number, y, x]
    place = []
    for at, side, beside in (
        (y, height, [(y - 1, x), ((y + 1) % height, x)]),
        (x, width, [(y, x - 1), (y, (x + 1) % width)]),
    ):
        low, high = (surface[number, a, b] for a, b in beside)
        bend = low - 2 * top + high
        part = np.divide(low - high, 2 * bend, out=np.zeros(count), where=bend < 0)
        place.append((at + part + side / 2) % side - side / 2)
    return np.stack(place, axis=1), top


def _spread(field: Plane, inside: tuple[int, ...], outside: tuple[int, int]) -> Plane:
    """From blocks to pixels: linear between the middles of the blocks, level beyond the outermost."""
    for axis, (small, large) in enumerate(zip(inside, outside, strict=True)):
        middles = _places(small) + (BLOCK - 1) / 2
        at = (np.arange(large) + 0.5) * small / large - 0.5
        place = np.interp(at, middles, np.arange(len(middles)))
        low = np.minimum(place.astype(np.int64), len(middles) - 1)
        high, part = np.minimum(low + 1, len(middles) - 1), place - low
        shape = [1, 1, 1]
        shape[axis] = large
        part = part.reshape(shape).astype(np.float32)
        field = field.take(low, axis) * (1 - part) + field.take(high, axis) * part
    return np.ascontiguousarray(field.transpose(2, 0, 1), dtype=np.float32)
