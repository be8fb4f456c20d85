"""One frame of a video through J4R-Net's step graph, whole or in tiles, with what was remembered of the one before.

Which frames follow each other, and when there is no past, is `frames.py`'s business; pictures are `pictures.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrain import weights
from unrain.inference import engines, tiles
from unrain.inference.choice import allows, choose, open_as
from unrain.inference.engines import Arrays, Engine
from unrain.inference.layout import AnyPixels, Pixels, as_float, to_pixels, to_planes
from unrain.inference.motion import motion
from unrain.inference.pictures import DEFAULT_MEMORY
from unrain.media.memory import check_memory, room

BACKGROUND = ("background", "memory_next")
LAYERS = ("background", "streaks", "degradation", "memory_next")
STATE = 67
"""Channels of the memory."""
LEAST = 128
"""Tiles are not made smaller than this."""
KEPT = 450
"""Bytes per pixel that stay in memory between tiles: two states in half precision, and the frames that wait."""

OURS = 0.6
"""The part of the memory that the step takes, and not its front."""

Plane = NDArray[np.float32]


class CleanFrame(NamedTuple):
    """One frame's result, `(H, W, 3)` in [0, 1] but not clipped; the layers are None if the engine leaves them out.

    degradation is the map α, `(H, W, 1)`.
    """

    background: Pixels
    streaks: Pixels | None
    degradation: Pixels | None


class Seen:
    """A frame as it came in, and what the front makes of it, which is found once."""

    def __init__(self, pixels: AnyPixels, front: Callable[[Pixels], Pixels]) -> None:
        self.pixels = pixels
        self._front = front

    @cached_property
    def floats(self) -> Pixels:
        """`(H, W, 3)` float32 in [0, 1]."""
        return as_float(self.pixels)

    @cached_property
    def estimate(self) -> Pixels:
        """The first estimate of the clean frame."""
        return self._front(self.floats)

    def forget(self) -> None:
        """Let go of the estimate, as the frame is done; it would be made again."""
        self.__dict__.pop("estimate", None)


class Past(NamedTuple):
    """The frame before as it came in, and the memory `(1, 67, H, W)` that it left, in single or half precision."""

    frame: Seen
    memory: NDArray[np.floating]


@dataclass
class FrameCleaner:
    """A network for videos on one engine.

    front: makes the first estimate of a frame, `(H, W, 3)` float32 to the same. memory: bytes per pixel of a frame.
    budget: the bytes that one frame may take; larger ones are cleaned in tiles. precision: what it all runs in.
    """

    engine: Engine
    front: Callable[[Pixels], Pixels]
    memory: float
    budget: float = DEFAULT_MEMORY
    precision: str = "fp32"
    _sizes: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict, init=False)

    def see(self, pixels: AnyPixels) -> Seen:
        """A frame of the video."""
        return Seen(pixels, self.front)

    def check(self, height: int, width: int) -> None:
        """Raises `UnrainError` where this machine has no memory for a video of this size."""
        check_memory(KEPT, height, width)

    def nothing(self, frame: Seen) -> Past:
        """The past of a frame that has none: an empty memory."""
        return Past(frame, np.zeros((1, STATE, *frame.pixels.shape[:2]), np.float32))

    def clean(self, frame: Seen, past: Past) -> tuple[CleanFrame, Past]:
        """The result of a frame, and the past of the one after it."""
        height, width = frame.pixels.shape[:2]
        moved = motion(past.frame.floats, frame.floats)
        size = self._tile(height, width)
        if size == (height, width):
            results = self._step(frame.floats, frame.estimate, np.asarray(past.memory, np.float32), moved)
            return _result(results), Past(frame, results["memory_next"])
        return self._in_tiles(frame, past, moved, size)

    def _tile(self, height: int, width: int) -> tuple[int, int]:
        """The size of tiles for frames of this size, which stays, however much memory others take meanwhile."""
        if (height, width) not in self._sizes:
            pixels = room(self.memory, self.budget, LEAST)
            self._sizes[height, width] = tiles.fit(height, width, pixels, LEAST)
        return self._sizes[height, width]

    def _in_tiles(self, frame: Seen, past: Past, moved: Plane, size: tuple[int, int]) -> tuple[CleanFrame, Past]:
        height, width = frame.pixels.shape[:2]
        whole: dict[str, NDArray[np.floating]] = {}
        for tile in tiles.cut(height, width, size):
            memory, rest = _laid(past.memory, moved, tile.seen)
            results = self._step(frame.floats[tile.seen], frame.estimate[tile.seen], memory, rest)
            for name, value in results.items():
                kind = np.float16 if name == "memory_next" else np.float32
                if name not in whole:
                    whole[name] = np.empty((*value.shape[:2], height, width), kind)
                whole[name][:, :, *tile.kept] = value[:, :, *tile.inner]
        memory_next = whole.pop("memory_next")
        return _result({name: np.asarray(value, np.float32) for name, value in whole.items()}), Past(frame, memory_next)

    def _step(self, frame: Pixels, estimate: Pixels, memory: Plane, moved: Plane) -> Arrays:
        return self.engine.run(
            {"frame": to_planes(frame), "estimate": to_planes(estimate), "memory": memory, "motion": moved[None]}
        )


def _laid(memory: NDArray[np.floating], moved: Plane, seen: tiles.Region) -> tuple[Plane, Plane]:
    """The memory that a tile needs, moved by whole pixels, and the motion that is left, so that the halo is enough."""
    motion_there = moved[:, *seen]
    way = np.rint(np.median(motion_there, axis=(1, 2))).astype(np.int64)
    rows, columns = (
        (np.arange(part.start, part.stop) + step).clip(0, length - 1)
        for part, step, length in zip(seen, way, memory.shape[2:], strict=True)
    )
    there = np.ascontiguousarray(memory[:, :, rows[:, None], columns], np.float32)
    return there, np.ascontiguousarray(motion_there - way[:, None, None].astype(np.float32))


def _result(results: Arrays) -> CleanFrame:
    layers = (to_pixels(results[name]) if name in results else None for name in ("streaks", "degradation"))
    return CleanFrame(to_pixels(results["background"]), *layers)


def opened(
    entry: weights.Entry,
    engine: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
    budget: float = DEFAULT_MEMORY,
    outputs: Sequence[str] = BACKGROUND,
) -> FrameCleaner:
    """A model of the catalog, or like one: on the engine and in the precision that are fastest for its front."""
    if entry.front is None:
        kind = "int8" if precision == "int8" else "fp32"
        step = engines.create(entry.graph(kind), outputs, engine, threads)
        return FrameCleaner(step, lambda frame: frame, entry.bytes_per_pixel(step.name, kind), budget, kind)
    front = weights.find(entry.front)
    taken = choose(front, engine, precision if allows(entry, precision) else "fp32", threads)
    helper = open_as(front, taken, threads)
    step = engines.create(entry.graph(taken.precision), outputs, taken.engine, threads)
    ours, fronts = OURS * budget, (1 - OURS) * budget  # both hold on to what they took
    memory = entry.bytes_per_pixel(taken.engine, taken.precision)
    return FrameCleaner(step, lambda frame: helper.estimate(frame, front.stages, fronts), memory, ours, taken.precision)
