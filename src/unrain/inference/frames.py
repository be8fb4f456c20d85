"""The driver of frames: a video, one frame after the other, with what the network remembers of those before.

Knows when there is no past (the first frame, a scene cut) and makes one. Files are the business of `clean.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrain.errors import UnrainError
from unrain.inference.engines import Arrays, Engine
from unrain.inference.layout import Pixels, to_pixels, to_planes
from unrain.inference.motion import motion

BACKGROUND = ("background", "memory_next")
LAYERS = ("background", "streaks", "degradation", "memory_next")
STATE = 67
"""Channels of the memory."""
WARM_UP = 4
"""How many frames ahead are run backwards through the memory where there is no past."""
LEAD = 4
"""How many frames before a piece of a video rebuild the memory at its start; docs/videos.md says how well."""
GRID = (18, 32)
_DARK = 0.02
CUT_CHANGE, CUT_LIKENESS = 0.15, 0.65
"""A cut changes the frame by more than this part of its brightness, and leaves less than this correlation."""


class CleanFrame(NamedTuple):
    """One frame's result, `(H, W, 3)` in [0, 1] but not clipped; the layers are None if the engine leaves them out.

    degradation is the map α, `(H, W, 1)`.
    """

    background: Pixels
    streaks: Pixels | None
    degradation: Pixels | None


class Past(NamedTuple):
    """The frame before, `(H, W, 3)` as it came in, and the memory `(1, 67, H, W)` that it left."""

    frame: Pixels
    memory: NDArray[np.float32]


def run_frames(engine: Engine, frames: Iterable[Pixels], warm_up: int = WARM_UP) -> Iterator[CleanFrame]:
    """Clean frames `(H, W, 3)` RGB in [0, 1], one result per frame, in order.

    Holds `warm_up` frames ahead and no more, however long the video is. A frame that is the same as the one before gets
    the same result and leaves the memory alone, to which rain that stands still would look like scene. Raises
    `UnrainError` where a frame has another size than those before.
    """
    cuts = CutDetector()
    past: Past | None = None
    result: CleanFrame | None = None
    for frame, ahead in look_ahead(frames, warm_up):
        if past is not None and past.frame.shape != frame.shape:
            sizes = [f"{seen.shape[1]} x {seen.shape[0]}" for seen in (frame, past.frame)]
            raise UnrainError(f"a frame of the size {sizes[0]} follows frames of the size {sizes[1]}")
        if past is None or result is None or not np.array_equal(frame, past.frame):
            if cuts.starts_scene(frame) or past is None:
                past = _imagined_past(engine, frame, ahead)
            results = _step(engine, frame, past)
            past, result = Past(frame, results["memory_next"]), _result(results)
        yield result


def look_ahead(frames: Iterable[Pixels], count: int) -> Iterator[tuple[Pixels, list[Pixels]]]:
    """Each frame with up to `count` frames that follow it; at the end there are fewer."""
    window: deque[Pixels] = deque()
    for frame in frames:
        window.append(frame)
        if len(window) > count:
            yield window.popleft(), list(window)
    while window:
        yield window.popleft(), list(window)


def _imagined_past(engine: Engine, frame: Pixels, ahead: list[Pixels]) -> Past:
    """A past that mirrors the future: the frames ahead, up to the next cut, run backwards."""
    cuts = CutDetector()
    cuts.starts_scene(frame)
    scene = []
    for later in ahead:
        if later.shape != frame.shape or cuts.starts_scene(later):
            break
        scene.append(later)
    past = Past(scene[-1] if scene else frame, np.zeros((1, STATE, *frame.shape[:2]), np.float32))
    for later in reversed(scene):
        past = Past(later, _step(engine, later, past)["memory_next"])
    return past


def _step(engine: Engine, frame: Pixels, past: Past) -> Arrays:
    moved = motion(past.frame, frame)[None]
    return engine.run({"frame": to_planes(frame), "memory": past.memory, "motion": moved})


def _result(results: Arrays) -> CleanFrame:
    layers = (to_pixels(results[name]) if name in results else None for name in ("streaks", "degradation"))
    return CleanFrame(to_pixels(results["background"]), *layers)


class CutDetector:
    """Says where a new scene starts: the brightness of a coarse grid changes by much, and its pattern is another one.

    Neither a flash (the pattern stays) nor heavy rain (averaged out in a cell) nor a fast pan is taken for one.
    """

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None

    def starts_scene(self, frame: Pixels) -> bool:
        """Whether `frame` starts a scene after those that were shown before; the very first does not."""
        small, last = _thumbnail(frame), self._last
        self._last = small
        if last is None:
            return False
        change = float(np.abs(small - last).mean()) / (float(small.mean() + last.mean()) / 2 + _DARK)
        return change > CUT_CHANGE and _likeness(small, last) < CUT_LIKENESS


def _likeness(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The correlation of two grids; flat ones are like nothing."""
    one, other = (grid.mean(axis=2) - grid.mean() for grid in (one, other))
    return float((one * other).sum() / (np.sqrt((one**2).sum() * (other**2).sum()) + _DARK))


def _thumbnail(frame: Pixels) -> NDArray[np.float32]:
    """Block means on a coarse grid: rain averages out, and the scene's layout stays."""
    rows, columns = (min(cells, size) for cells, size in zip(GRID, frame.shape, strict=False))
    height, width = frame.shape[0] // rows * rows, frame.shape[1] // columns * columns
    blocks = frame[:height, :width].reshape(rows, height // rows, columns, width // columns, 3)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)
