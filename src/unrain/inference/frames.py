"""The driver of frames: a video, one frame after the other, with what the network remembers of those before.

Knows when there is no past (the first frame, a scene cut) and makes one. Files are the business of `clean.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from unrain.errors import UnrainError
from unrain.inference.layout import AnyPixels, Pixels
from unrain.inference.recurrence import CleanFrame, FrameCleaner, Past, Seen

Frame = TypeVar("Frame")

WARM_UP = 4
"""How many frames ahead are run backwards through the memory where there is no past."""
LEAD = 4
"""How many frames before a piece of a video rebuild the memory at its start; docs/videos.md says how well."""
GRID = (18, 32)
_DARK = 0.02
CUT_CHANGE, CUT_LIKENESS = 0.15, 0.65
"""A cut changes the frame by more than this part of its brightness, and leaves less than this correlation."""


def run_frames(cleaner: FrameCleaner, frames: Iterable[AnyPixels], warm_up: int = WARM_UP) -> Iterator[CleanFrame]:
    """Clean frames `(H, W, 3)` of uint8, uint16, or float32 in [0, 1], one result per frame, in order.

    Holds `warm_up` frames ahead and no more, however long the video is. A frame that is the same as the one before gets
    the same result and leaves the memory alone, to which rain that stands still would look like scene. Raises
    `UnrainError` where a frame has another size than those before.
    """
    cuts = CutDetector()
    past: Past | None = None
    result: CleanFrame | None = None
    for frame, ahead in look_ahead(map(cleaner.see, frames), warm_up):
        if past is not None and past.frame.pixels.shape != frame.pixels.shape:
            sizes = [f"{seen.pixels.shape[1]} x {seen.pixels.shape[0]}" for seen in (frame, past.frame)]
            raise UnrainError(f"a frame of the size {sizes[0]} follows frames of the size {sizes[1]}")
        if past is None or result is None or not np.array_equal(frame.pixels, past.frame.pixels):
            if cuts.starts_scene(frame.floats) or past is None:
                past = _imagined_past(cleaner, frame, ahead)
            result, past = cleaner.clean(frame, past)
        yield result


def look_ahead(frames: Iterable[Frame], count: int) -> Iterator[tuple[Frame, list[Frame]]]:
    """Each frame with up to `count` frames that follow it; at the end there are fewer."""
    window: deque[Frame] = deque()
    for frame in frames:
        window.append(frame)
        if len(window) > count:
            yield window.popleft(), list(window)
    while window:
        yield window.popleft(), list(window)


def _imagined_past(cleaner: FrameCleaner, frame: Seen, ahead: list[Seen]) -> Past:
    """A past that mirrors the future: the frames ahead, up to the next cut, run backwards."""
    cuts = CutDetector()
    cuts.starts_scene(frame.floats)
    scene = []
    for later in ahead:
        if later.pixels.shape != frame.pixels.shape or cuts.starts_scene(later.floats):
            break
        scene.append(later)
    past = cleaner.nothing(scene[-1] if scene else frame)
    for later in reversed(scene):
        _, past = cleaner.clean(later, past)
    return past


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
