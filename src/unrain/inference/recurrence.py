"""One frame of a video through the step graph of a video network, whole or in tiles, with what was remembered.

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
from unrain.inference.choice import Choice, choose
from unrain.inference.dryness import fresh_light, light_map
from unrain.inference.engines import Arrays, Engine
from unrain.inference.layout import AnyPixels, Pixels, as_float, to_even, to_pixels, to_planes
from unrain.inference.motion import motion
from unrain.inference.pictures import DEFAULT_MEMORY
from unrain.media.memory import check_memory, room

NETWORKS = ("j4rnet", "j4rnet-half")
"""Networks that have such a step."""
BACKGROUND = ("background", "memory_next")
SHOWN = ("background", "streaks", "degradation")
LAYERS = (*SHOWN, "memory_next")
LEAST = 128
"""Tiles are not made smaller than this."""
KEPT = 180
"""Bytes per pixel that stay in memory between tiles beside two states in half precision: the frames that wait."""

Plane = NDArray[np.float32]


class CleanFrame(NamedTuple):
    """One frame's result, `(H, W, 3)` in [0, 1] but not clipped; the layers are None if the engine leaves them out.

    degradation is the map α, `(H, W, 1)`. fresh: see `fresh_light`; None if nothing was cleaned before.
    """

    background: Pixels
    streaks: Pixels | None
    degradation: Pixels | None
    fresh: float | None = None

    def cut(self, size: tuple[int, int]) -> CleanFrame:
        """What lies within a height and a width."""
        part = slice(size[0]), slice(size[1])
        streaks, degradation = (None if layer is None else layer[part] for layer in (self.streaks, self.degradation))
        return CleanFrame(self.background[part], streaks, degradation, self.fresh)


class Seen:
    """A frame as it came in.

    size: its height and width before it was made even.
    """

    def __init__(self, pixels: AnyPixels, even: bool) -> None:
        self.size = pixels.shape[:2]
        self.pixels = to_even(pixels) if even else pixels

    @cached_property
    def floats(self) -> Pixels:
        """`(H, W, 3)` float32 in [0, 1]."""
        return as_float(self.pixels)


class Past(NamedTuple):
    """The frame before as it came in, and the memory `(1, C, H, W)` that it left, in single or half precision.

    taken: the light that was taken from it, see `light_map`; None if it was not cleaned.
    """

    frame: Seen
    memory: NDArray[np.floating]
    taken: Plane | None = None


@dataclass
class FrameCleaner:
    """A network for videos on one engine.

    memory: bytes per pixel of a frame. budget: the bytes that one frame may take; larger ones are cleaned in tiles.
    precision: what it runs in. even: the network takes frames of even sizes alone.
    """

    engine: Engine
    memory: float
    budget: float = DEFAULT_MEMORY
    precision: str = "fp32"
    even: bool = False
    _sizes: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict, init=False)

    def see(self, pixels: AnyPixels) -> Seen:
        """A frame of the video."""
        return Seen(pixels, self.even)

    def check(self, height: int, width: int) -> None:
        """Raises `UnrainError` where this machine has no memory for a video of this size."""
        check_memory(KEPT + 4 * self.engine.inputs["memory"], height, width)

    def nothing(self, frame: Seen) -> Past:
        """The past of a frame that has none: an empty memory."""
        return Past(frame, np.zeros((1, self.engine.inputs["memory"], *frame.pixels.shape[:2]), np.float32))

    def clean(self, frame: Seen, past: Past) -> tuple[CleanFrame, Past]:
        """The result of a frame, and the past of the one after it."""
        height, width = frame.pixels.shape[:2]
        moved = motion(past.frame.floats, frame.floats)
        size = self._tile(height, width)
        if size == (height, width):
            results = self._step(frame.floats, np.asarray(past.memory, np.float32), moved)
            result, memory = _result(results), results["memory_next"]
        else:
            result, memory = self._in_tiles(frame, past, moved, size)
        taken = light_map(frame.floats, result.background)
        fresh = None if past.taken is None else fresh_light(taken, past.taken, moved)
        return result.cut(frame.size)._replace(fresh=fresh), Past(frame, memory, taken)

    def _tile(self, height: int, width: int) -> tuple[int, int]:
        """The size of tiles for frames of this size, which stays, however much memory others take meanwhile."""
        if (height, width) not in self._sizes:
            pixels = room(self.memory, self.budget, LEAST)
            self._sizes[height, width] = tiles.fit(height, width, pixels, LEAST)
        return self._sizes[height, width]

    def _in_tiles(
        self, frame: Seen, past: Past, moved: Plane, size: tuple[int, int]
    ) -> tuple[CleanFrame, NDArray[np.floating]]:
        height, width = frame.pixels.shape[:2]
        whole: dict[str, NDArray[np.floating]] = {}
        for tile in tiles.cut(height, width, size):
            memory, rest = _laid(past.memory, moved, tile.seen)
            results = self._step(frame.floats[tile.seen], memory, rest)
            for name, value in results.items():
                kind = np.float16 if name == "memory_next" else np.float32
                if name not in whole:
                    whole[name] = np.empty((*value.shape[:2], height, width), kind)
                whole[name][:, :, *tile.kept] = value[:, :, *tile.inner]
        memory_next = whole.pop("memory_next")
        layers = {name: np.asarray(value, np.float32) for name, value in whole.items()}
        return _result(layers), memory_next

    def _step(self, frame: Pixels, memory: Plane, moved: Plane) -> Arrays:
        return self.engine.run({"frame": to_planes(frame), "memory": memory, "motion": moved[None]})


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
    found = {name: to_pixels(planes) for name, planes in results.items() if name in SHOWN}
    return CleanFrame(found["background"], found.get("streaks"), found.get("degradation"))


def opened(
    entry: weights.Entry,
    engine: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
    budget: float = DEFAULT_MEMORY,
    layers: bool = False,
) -> FrameCleaner:
    """A model of the catalog, or like one, on the engine and in the precision that are fastest for it.

    layers: it is also to give those of each frame.
    """
    choice = choose(entry, engine, precision, threads, open_frame)
    return _open(entry, choice, threads, budget, LAYERS if layers else BACKGROUND)


def open_frame(entry: weights.Entry, choice: Choice, threads: int | None) -> Callable[[Pixels], object]:
    """What a video model does with a frame, to be measured."""
    cleaner = _open(entry, choice, threads)

    def clean(pixels: Pixels) -> object:
        frame = cleaner.see(pixels)
        return cleaner.clean(frame, cleaner.nothing(frame))

    return clean


def _open(
    entry: weights.Entry,
    choice: Choice,
    threads: int | None,
    budget: float = DEFAULT_MEMORY,
    outputs: Sequence[str] = BACKGROUND,
) -> FrameCleaner:
    step = engines.create(entry.graph(choice.precision), outputs, choice.engine, threads)
    memory = entry.bytes_per_pixel(choice.engine, choice.precision)
    return FrameCleaner(step, memory, budget, choice.precision, even=entry.network == "j4rnet-half")
