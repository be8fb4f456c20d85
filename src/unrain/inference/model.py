"""The models that people hold: call one, or stream frames through it. Files are `clean.py`'s business."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, overload

import numpy as np

from unrain import weights
from unrain.errors import UnrainError
from unrain.inference import engines, frames, recurrence
from unrain.inference.choice import choose, open_as
from unrain.inference.dryness import Watch, is_dry, light_taken
from unrain.inference.layout import AnyPicture, AnyPixels, Pixels, as_float, as_type, unwrap
from unrain.inference.pictures import DEFAULT_MEMORY


@dataclass(frozen=True)
class Layers:
    """What was taken out of a picture or frame, all `(H, W, C)` float32.

    streaks: rainy = clean + streaks where the rain lets the scene through; an image model's is rainy − clean.
    degradation: the map α in [0, 1], the probability that rain hides the scene, `(H, W, 1)`; None for an image model.
    """

    streaks: Pixels
    degradation: Pixels | None = None


class ImageModel:
    """Takes the rain out of single pictures. Made by `unrain.load`."""

    def __init__(
        self,
        entry: weights.Entry,
        engine: str = "auto",
        threads: int | None = None,
        precision: str = "auto",
        memory: float = DEFAULT_MEMORY,
        mirrored: bool = False,
    ) -> None:
        self.entry = entry
        self.choice = choose(entry, engine, precision, threads)
        self._cleaner = open_as(entry, self.choice, threads, mirrored)
        self._memory = memory

    @property
    def engine(self) -> engines.Engine:
        """What the network runs on."""
        return self._cleaner.engine(self.entry.stages)

    @property
    def precision(self) -> str:
        """What it runs in: fp32 or int8."""
        return self.choice.precision

    @overload
    def __call__(
        self, picture: AnyPicture, *, stages: int | None = None, layers: Literal[False] = False
    ) -> AnyPicture: ...
    @overload
    def __call__(
        self, picture: AnyPicture, *, stages: int | None = None, layers: Literal[True]
    ) -> tuple[AnyPicture, Layers]: ...

    def __call__(self, picture: AnyPicture, *, stages: int | None = None, layers: bool = False) -> Any:
        """Clean one picture: a PIL image, or an RGB array `(H, W, 3)` of uint8 or of floats in [0, 1].

        Returns the same type, and with `layers` also the `Layers` that were taken out. A picture without rain comes
        back as it is; see `dryness.py`. `stages` (default: the model's own) trades quality for time. Large pictures
        are cleaned in tiles. Raises `TypeError` or `ValueError` for another kind of picture, and `UnrainError` where
        this machine's memory is too small for one tile.
        """
        rainy, wrap = unwrap(picture)
        clean = self.clean_pixels(rainy, stages)
        return (wrap(clean), Layers(as_float(rainy) - as_float(clean))) if layers else wrap(clean)

    def clean_pixels(self, rainy: AnyPixels, count: int | None = None) -> AnyPixels:
        """The same for `(H, W, 3)` of uint8, uint16, or float32 in [0, 1], to the same type."""
        clean = self._cleaned(rainy, count)
        if is_dry(rainy, clean):
            np.copyto(clean, rainy)
        return clean

    def _cleaned(self, rainy: AnyPixels, count: int | None = None) -> AnyPixels:
        """The same, dry or not."""
        count = self.entry.stages if count is None else count
        if count < 1:
            raise UnrainError(f"{count} stages cannot clean a picture; use 1 or more")
        if count > 1 and self.entry.stages == 1:
            raise UnrainError(f"the model {self.entry.name} cleans a picture in one go; leave out the stages")
        return self._cleaner.clean(rainy, count, self._memory)

    def check(self, height: int, width: int) -> None:
        """Nothing to check before a video: what does not fit in one piece goes in tiles."""

    def stream(self, pictures: Iterable[AnyPicture], *, layers: bool = False) -> Iterator[Any]:
        """Clean the frames of a video one by one; see `VideoModel.stream`. It remembers of them if they were dry."""
        watch = Watch(frames.LEAD + 1)
        for picture in pictures:
            rainy, wrap = unwrap(picture)
            clean = self._cleaned(rainy)
            if watch.is_dry(light_taken(rainy, clean)):
                np.copyto(clean, rainy)
            yield (wrap(clean), Layers(as_float(rainy) - as_float(clean))) if layers else wrap(clean)


class VideoModel:
    """Takes the rain out of videos. Made by `unrain.load`."""

    def __init__(
        self,
        entry: weights.Entry,
        engine: str = "auto",
        threads: int | None = None,
        precision: str = "auto",
        memory: float = DEFAULT_MEMORY,
    ) -> None:
        self.entry = entry
        self._open = partial(recurrence.opened, entry, engine, threads, precision, memory)
        self._cleaner = self._open()

    @property
    def engine(self) -> engines.Engine:
        """What the network runs on."""
        return self._cleaner.engine

    @property
    def precision(self) -> str:
        """What it runs in: fp32 or int8."""
        return self._cleaner.precision

    def check(self, height: int, width: int) -> None:
        """Raises `UnrainError` where this machine has no memory for a video of this size."""
        self._cleaner.check(height, width)

    @overload
    def stream(self, pictures: Iterable[AnyPicture], *, layers: Literal[False] = False) -> Iterator[AnyPicture]: ...
    @overload
    def stream(
        self, pictures: Iterable[AnyPicture], *, layers: Literal[True]
    ) -> Iterator[tuple[AnyPicture, Layers]]: ...

    def stream(self, pictures: Iterable[AnyPicture], *, layers: bool = False) -> Iterator[Any]:
        """Clean the frames of one video, in order: any iterable of pictures as `ImageModel` takes them.

        Yields one result per frame, of the frame's type; with `layers`, pairs of it and its `Layers`. Frames without
        rain, and with none in the few before, come back as they are. Memory does not grow: the source is read a few
        frames ahead, and nothing is kept of what was yielded.
        """
        if not layers:
            for wrap, clean, _ in _run(pictures, self._cleaner):
                yield wrap(clean)
            return
        for wrap, clean, result in _run(pictures, self._open(layers=True)):
            assert result.streaks is not None
            yield wrap(clean), Layers(result.streaks, result.degradation)


def _run(
    pictures: Iterable[Any], cleaner: recurrence.FrameCleaner
) -> Iterator[tuple[Callable[[AnyPixels], Any], AnyPixels, recurrence.CleanFrame]]:
    """Of each frame, the way back to its type, what it is to be, and all that was found of it."""
    waiting: deque[tuple[AnyPixels, Any]] = deque()

    def unwrapped() -> Iterator[AnyPixels]:
        for number, picture in enumerate(pictures):
            pixels, wrap = unwrap(picture)
            if number == 0:
                cleaner.check(pixels.shape[0], pixels.shape[1])
            waiting.append((pixels, wrap))
            yield pixels

    watch = Watch(frames.LEAD + 1)
    for result in frames.run_frames(cleaner, unwrapped()):
        rainy, wrap = waiting.popleft()
        clean = as_type(result.background, rainy.dtype)
        if watch.is_dry(light_taken(rainy, clean), result.fresh):
            np.copyto(clean, rainy)
            result = _nothing(result)
        yield wrap, clean, result


def _nothing(result: recurrence.CleanFrame) -> recurrence.CleanFrame:
    """Of a dry frame: no streaks, and nothing that rain hides."""
    layers = (result.streaks, result.degradation)
    streaks, degradation = (None if layer is None else np.zeros_like(layer) for layer in layers)
    return recurrence.CleanFrame(result.background, streaks, degradation)


@overload
def load(
    name: Literal["sapnet"] = "sapnet",
    *,
    engine: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
    memory: float = DEFAULT_MEMORY,
    mirrored: bool = False,
) -> ImageModel: ...
@overload
def load(
    name: Literal["j4rnet"],
    *,
    engine: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
    memory: float = DEFAULT_MEMORY,
) -> VideoModel: ...
@overload
def load(
    name: str,
    *,
    engine: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
    memory: float = DEFAULT_MEMORY,
    mirrored: bool = False,
) -> ImageModel | VideoModel: ...


def load(
    name: str = weights.DEFAULT_IMAGE,
    *,
    engine: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
    memory: float = DEFAULT_MEMORY,
    mirrored: bool = False,
) -> ImageModel | VideoModel:
    """A shipped model by name: an `ImageModel` ("sapnet", the default) or a `VideoModel` ("j4rnet").

    `engine` is "openvino", "onnxruntime" or "torch", `precision` "fp32" or "int8"; "auto" takes what is measured to be
    fastest on this machine and loses at most 0.05 dB. `threads` defaults to all cores. `memory` is how many bytes a
    picture or frame may take; larger ones are cleaned in tiles. `mirrored`, for image models, also cleans each picture
    left to right and takes the mean, which is better and takes twice as long. Raises `WeightsError` for an unknown name
    or damaged weights, `EngineError` for an engine or precision that is not there.
    """
    entry = weights.find(name)
    if entry.kind == "image":
        return ImageModel(entry, engine, threads, precision, memory, mirrored)
    if mirrored:
        raise UnrainError(f"{name} cleans videos, which are not cleaned mirrored; leave that out")
    return VideoModel(entry, engine, threads, precision, memory)
