"""Cleaning files: the one way from paths to paths, for the command line, the API and whatever comes. No printing."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from unrain.errors import MediaError, UnrainError
from unrain.inference.controls import Pixels, blend, cover_hidden
from unrain.inference.layout import AnyPixels
from unrain.inference.model import ImageModel, VideoModel
from unrain.inference.options import AnyPath, Options
from unrain.inference.views import VideoCleaner, preview_of, write_preview
from unrain.media import animations, batch, images, sequences
from unrain.media.animations import Frame
from unrain.media.batch import Listener, Outcome
from unrain.media.files import Job, Kind, kind_of, plan, suffix_for, view_of
from unrain.media.remote import Staging, is_remote
from unrain.media.writing import atomic_output


class Cleaner:
    """Cleans files; each model is loaded when the first file needs it, and kept. To be used by one thread."""

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or Options()

    @cached_property
    def image_model(self) -> ImageModel:
        """What cleans photos."""
        options = self._options
        precision, memory = options.taken_precision, options.memory
        return ImageModel(options.image_entry, options.engine, options.threads, precision, memory, options.mirrored)

    @cached_property
    def video_model(self) -> VideoModel:
        """What cleans videos."""
        options = self._options
        return VideoModel(options.video_entry, options.engine, options.threads, options.taken_precision, options.memory)

    @cached_property
    def _mask(self) -> NDArray[np.float32] | None:
        path = self._options.mask
        return None if path is None else images.read_picture(Path(path)).pixels.mean(axis=2)

    def clean(self, job: Job, part: Path, listener: Listener) -> int:
        """Clean one file into `part`; returns the number of frames. See `batch.run`."""
        if sequences.is_sequence(job.source) or sequences.is_sequence(job.target):
            return self._video_cleaner.clean_sequence(job, part, listener)
        kind = kind_of(job.source)
        if self._options.preview:
            return self._preview(job, kind, part, listener)
        if kind is Kind.VIDEO:
            return self._video_cleaner.clean(job, part, listener)
        count = animations.count_frames(job.source)
        return self._photo(job, part, listener) if count == 1 else self._animation(job, part, listener, count)

    @property
    def _video_cleaner(self) -> VideoCleaner:
        return VideoCleaner(self.video_model, self._options, self._mask)

    def _preview(self, job: Job, kind: Kind, part: Path, listener: Listener) -> int:
        listener.started(job, kind, None)
        if kind is Kind.VIDEO:
            return write_preview(part, self._video_cleaner.preview(job.source))
        picture = images.read_picture(job.source, self._options.max_megapixels)
        return write_preview(part, [(picture.pixels, self._clean_pixels(picture))])

    def _photo(self, job: Job, part: Path, listener: Listener) -> int:
        options = self._options
        listener.started(job, Kind.IMAGE, 1)
        picture = images.read_picture(job.source, options.max_megapixels)
        if options.strip_metadata:
            picture = replace(picture, metadata=picture.metadata.stripped())
        clean = replace(picture, levels=self._clean_levels(picture))
        if not (options.layers or options.side_by_side):
            del picture  # a large one is large
            images.write_picture(part, clean)
            return 1
        images.write_picture(part, clean)
        extra = replace(picture, alpha=None, metadata=picture.metadata.stripped(), bits=min(picture.bits, 16))
        if options.layers:
            _write_beside(job, "streaks", replace(extra, levels=(picture.pixels - clean.pixels).clip(0, 1), icc=None))
        if options.side_by_side:
            _write_beside(job, "side_by_side", replace(extra, levels=np.hstack([picture.pixels, clean.pixels])))
        return 1

    def _clean_levels(self, picture: images.Picture) -> AnyPixels:
        """Bytes from bytes, where nothing else is to be done with them: a quarter of the memory."""
        whole = self._mask is None and self._options.strength == 1 and picture.alpha is None
        if whole and picture.levels.dtype == np.uint8 and not picture.grey:
            return self.image_model.clean_pixels(picture.levels, self._options.stages)
        return self._clean_pixels(picture)

    def _clean_pixels(self, picture: images.Picture) -> Pixels:
        rainy, hidden = picture.pixels, None if picture.alpha is None else picture.alpha == 0
        shown = rainy if hidden is None else cover_hidden(rainy, hidden)
        clean = self._blend(rainy, self.image_model.clean_pixels(shown, self._options.stages))
        return clean if hidden is None else np.where(hidden[..., None], rainy, clean)

    def _animation(self, job: Job, part: Path, listener: Listener, count: int) -> int:
        listener.started(job, Kind.VIDEO, count)
        limit, strip = self._options.max_megapixels, self._options.strip_metadata
        return animations.rewrite(job.source, part, self._clean_moving, listener.advanced, limit, strip)

    def _clean_moving(self, frames: Iterator[Frame]) -> Iterator[Pixels]:
        waiting: deque[Frame] = deque()

        def shown() -> Iterator[Pixels]:
            for frame in frames:
                waiting.append(frame)
                yield frame.pixels if frame.alpha is None else cover_hidden(frame.pixels, frame.alpha == 0)

        for clean in self.video_model.stream(shown()):
            rainy, alpha = waiting.popleft()
            blended = self._blend(rainy, clean)
            yield blended if alpha is None else np.where((alpha == 0)[..., None], rainy, blended)

    def _blend(self, rainy: Pixels, clean: Pixels) -> Pixels:
        return blend(rainy, clean, self._options.strength, self._mask)


def _write_beside(job: Job, what: str, picture: images.Picture) -> None:
    with atomic_output(view_of(job.target, what, ".png")) as part:
        images.write_picture(part, picture)


class _Crew:
    """Cleaners for several threads, one for each, that share the processor."""

    def __init__(self, options: Options, workers: int) -> None:
        if workers > 1 and options.threads is None:
            options = replace(options, threads=max(1, (os.cpu_count() or 1) // workers))
        self._options, self._local = options, threading.local()

    def clean(self, job: Job, part: Path, listener: Listener) -> int:
        """See `Cleaner.clean`."""
        if not hasattr(self._local, "cleaner"):
            self._local.cleaner = Cleaner(self._options)
        cleaner: Cleaner = self._local.cleaner
        return cleaner.clean(job, part, listener)


@dataclass(frozen=True)
class Batch:
    """What is cleaned, where to, and how: see `clean`. Models are loaded once, however often it runs."""

    inputs: tuple[str, ...]
    output: str | None
    overwrite: bool = False
    jobs: int = 1
    options: Options = field(default_factory=Options)

    def __post_init__(self) -> None:
        """Raises `UnrainError` for a mask that cannot be read, which is said once rather than for every file."""
        if self.jobs < 1:
            raise UnrainError(f"{self.jobs} jobs cannot clean anything; use 1 or more")
        if self.options.mask is not None:
            images.read_picture(Path(self.options.mask))

    @cached_property
    def _crew(self) -> _Crew:
        return _Crew(self.options, self.jobs)

    def plan(self) -> list[Job]:
        """The files that there are now; see `files.plan`."""
        output = None if self.output is None else Path(self.output)
        todo = plan([Path(each) for each in self.inputs], output, "_clean", overwrite=self.overwrite)
        if self.options.preview:
            return [replace(job, target=preview_of(job.target)) for job in todo]
        return todo

    def run(self, listener: Listener | None = None, todo: Sequence[Job] | None = None) -> list[Outcome]:
        """Clean all that there is now, or only what is `todo`."""
        if any(is_remote(each) for each in (*self.inputs, self.output or "")):
            return self._run_remotely(listener)
        todo = self.plan() if todo is None else todo
        return batch.run(todo, self._crew.clean, listener, workers=self.jobs, settings=self.options.settings())

    def _run_remotely(self, listener: Listener | None) -> list[Outcome]:
        if self.overwrite:
            raise UnrainError("files that are not on this machine are not overwritten; name an output")
        if self.output is None:
            raise UnrainError("files that are not on this machine need an output; name one with -o")
        with Staging(self.inputs, self.output) as staging:
            todo = plan(staging.inputs, staging.output)

            def work(job: Job, part: Path, listener: Listener) -> int:
                staging.fetch(job)
                return self._crew.clean(job, part, listener)

            settings = self.options.settings()
            return staging.named(
                batch.run(todo, work, listener, workers=self.jobs, settings=settings, delivered=staging.deliver)
            )


def clean(
    inputs: AnyPath | Sequence[AnyPath],
    output: AnyPath | None = None,
    *,
    overwrite: bool = False,
    jobs: int = 1,
    listener: Listener | None = None,
    **options: Any,
) -> list[Outcome]:
    """Take the rain out of files: images, videos, and folders of them, whose tree is kept.

    The kind is found from the content, and the network follows from the kind. Without `output`, results lie beside
    their sources as `NAME_clean`; with `overwrite` they take the place of their sources. `jobs` files are worked on at
    a time. `options` are those of `Options`. Inputs and output may be addresses (`s3://...`) that fsspec knows.

    In an output folder, what is done is remembered, and not done again. A file that fails does not stop the others:
    see each `Outcome.error`. Raises `UnrainError` where the batch as a whole cannot be planned.
    """
    paths = [inputs] if isinstance(inputs, str | PathLike) else inputs
    told = tuple(os.fspath(path) for path in paths)
    place = None if output is None else os.fspath(output)
    return Batch(told, place, overwrite, jobs, Options(**options)).run(listener)


def clean_stream(
    source: BinaryIO,
    target: BinaryIO,
    options: Options | None = None,
    suffix: str = "",
    listener: Listener | None = None,
) -> Outcome:
    """Take the rain out of one file that comes and goes as bytes: a photo or a video.

    It is written in the format of `suffix` (".png"), or else in its own. See `Outcome.error` for what was wrong;
    nothing is written to `target` then.
    """
    with tempfile.TemporaryDirectory(prefix="unrain-") as folder:
        taken, job = Path(folder, "input"), Job(Path("-"), Path("-"))
        with taken.open("wb") as file:
            shutil.copyfileobj(source, file)
        try:
            result = Path(folder, f"result{suffix or suffix_for(taken)}")
        except MediaError as error:
            return Outcome(job, 0.0, error=str(error).replace(str(taken), "standard input"))
        (outcome,) = batch.run([Job(taken, result)], Cleaner(options).clean, listener)
        if outcome.error is not None:
            return replace(outcome, job=job, error=outcome.error.replace(str(taken), "standard input"))
        with result.open("rb") as file:
            shutil.copyfileobj(file, target)
        return replace(outcome, job=job)
