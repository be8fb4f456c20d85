"""Cleaning files: the one way from paths to paths, for the command line, the API and whatever comes. No printing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Protocol

from unrain import weights
from unrain.errors import EngineError, UnrainError, WeightsError
from unrain.inference.model import ImageModel, VideoModel, check_memory
from unrain.media import images, videos
from unrain.media.files import Job, Kind, atomic_output, kind_of, plan

AnyPath = str | PathLike[str]


@dataclass(frozen=True)
class Outcome:
    """What became of one file: `error` is None if `job.target` was written, else one line that says what was wrong."""

    job: Job
    seconds: float
    frames: int = 0
    error: str | None = None


class Listener(Protocol):
    """Hears how a batch goes, to show it to somebody."""

    def planned(self, jobs: Sequence[Job]) -> None:
        """The batch is about to start."""

    def started(self, job: Job, kind: Kind, frames: int | None) -> None:
        """A file is being cleaned; `frames` is how many it probably has, if that is known."""

    def advanced(self, frames: int) -> None:
        """So many frames of the file are done."""

    def finished(self, outcome: Outcome) -> None:
        """A file is done, well or badly."""


class Silent:
    """A listener that tells nobody."""

    def planned(self, jobs: Sequence[Job]) -> None:
        """See `Listener`."""

    def started(self, job: Job, kind: Kind, frames: int | None) -> None:
        """See `Listener`."""

    def advanced(self, frames: int) -> None:
        """See `Listener`."""

    def finished(self, outcome: Outcome) -> None:
        """See `Listener`."""


class Cleaner:
    """Cleans files one after the other; each model is loaded when the first file needs it, and kept."""

    def __init__(self, engine: str = "auto", threads: int | None = None, stages: int | None = None) -> None:
        self._engine, self._threads, self._stages = engine, threads, stages

    @cached_property
    def image_model(self) -> ImageModel:
        """The shipped image model."""
        return ImageModel(weights.find(weights.DEFAULT_IMAGE), self._engine, self._threads)

    @cached_property
    def video_model(self) -> VideoModel:
        """The shipped video model."""
        return VideoModel(weights.find(weights.DEFAULT_VIDEO), self._engine, self._threads)

    def clean(self, job: Job, listener: Listener) -> Outcome:
        """Clean one file. Its target appears whole or not at all; what is wrong with it comes back as `error`.

        Raises `EngineError` or `WeightsError` where no file could be cleaned.
        """
        start = time.perf_counter()
        try:
            frames = self._clean_kind(job, listener)
        except (EngineError, WeightsError):
            raise
        except UnrainError as error:
            return Outcome(job, time.perf_counter() - start, error=str(error))
        except MemoryError:
            return Outcome(job, time.perf_counter() - start, error=f"{job.source}: not enough memory for it")
        return Outcome(job, time.perf_counter() - start, frames)

    def _clean_kind(self, job: Job, listener: Listener) -> int:
        kind = kind_of(job.source)
        with atomic_output(job.target) as part:
            return self._image(job, part, listener) if kind is Kind.IMAGE else self._video(job, part, listener)

    def _image(self, job: Job, part: Path, listener: Listener) -> int:
        listener.started(job, Kind.IMAGE, 1)
        picture = images.read_picture(job.source)
        clean = self.image_model.clean_pixels(picture.pixels, self._stages)
        images.write_picture(part, replace(picture, pixels=clean))
        return 1

    def _video(self, job: Job, part: Path, listener: Listener) -> int:
        info = videos.probe(job.source)
        check_memory(self.video_model.entry, info.height, info.width)
        listener.started(job, Kind.VIDEO, info.frames)
        return videos.rewrite(job.source, part, self.video_model.stream, listener.advanced)


def clean(
    inputs: AnyPath | Sequence[AnyPath],
    output: AnyPath | None = None,
    *,
    engine: str = "auto",
    threads: int | None = None,
    stages: int | None = None,
    listener: Listener | None = None,
) -> list[Outcome]:
    """Take the rain out of files: images, videos, and folders of them, whose tree is kept.

    The kind is found from the content, and the network follows from the kind. Without `output`, results lie beside
    their sources as `NAME_clean`. A file that fails does not stop the others: see each `Outcome.error`. Raises
    `UnrainError` where the batch as a whole cannot be planned.
    """
    listener = listener or Silent()
    paths = [inputs] if isinstance(inputs, str | PathLike) else inputs
    jobs = plan([Path(path) for path in paths], None if output is None else Path(output))
    cleaner = Cleaner(engine, threads, stages)
    listener.planned(jobs)
    outcomes = []
    for job in jobs:
        outcomes.append(cleaner.clean(job, listener))
        listener.finished(outcomes[-1])
    return outcomes
