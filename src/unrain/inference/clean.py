"""Cleaning files: the one way from paths to paths, for the command line, the API and whatever comes. No printing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from os import PathLike
from pathlib import Path

from unrain import weights
from unrain.inference.model import ImageModel, VideoModel
from unrain.inference.views import VideoCleaner, preview_of, write_preview
from unrain.media import batch, images, sequences
from unrain.media.batch import Listener, Outcome
from unrain.media.files import Job, Kind, kind_of, plan
from unrain.media.videos import VideoOptions

AnyPath = str | PathLike[str]


class Cleaner:
    """Cleans files one after the other; each model is loaded when the first file needs it, and kept."""

    def __init__(
        self,
        engine: str = "auto",
        threads: int | None = None,
        stages: int | None = None,
        video: VideoOptions | None = None,
    ) -> None:
        self._engine, self._threads, self._stages = engine, threads, stages
        self._options = video or VideoOptions()

    @cached_property
    def image_model(self) -> ImageModel:
        """The shipped image model."""
        return ImageModel(weights.find(weights.DEFAULT_IMAGE), self._engine, self._threads)

    @cached_property
    def video_model(self) -> VideoModel:
        """The shipped video model."""
        return VideoModel(weights.find(weights.DEFAULT_VIDEO), self._engine, self._threads)

    def clean(self, job: Job, part: Path, listener: Listener) -> int:
        """Clean one file into `part`; returns the number of frames. See `batch.run`."""
        if sequences.is_sequence(job.source) or sequences.is_sequence(job.target):
            return VideoCleaner(self.video_model, self._options).clean_sequence(job, part, listener)
        kind = kind_of(job.source)
        if self._options.preview:
            return self._preview(job, kind, part, listener)
        clean = self._image if kind is Kind.IMAGE else self._video
        return clean(job, part, listener)

    def _image(self, job: Job, part: Path, listener: Listener) -> int:
        listener.started(job, Kind.IMAGE, 1)
        picture = images.read_picture(job.source)
        clean = self.image_model.clean_pixels(picture.pixels, self._stages)
        images.write_picture(part, replace(picture, pixels=clean))
        return 1

    def _video(self, job: Job, part: Path, listener: Listener) -> int:
        return VideoCleaner(self.video_model, self._options).clean(job, part, listener)

    def _preview(self, job: Job, kind: Kind, part: Path, listener: Listener) -> int:
        listener.started(job, kind, None)
        if kind is Kind.IMAGE:
            rainy = images.read_picture(job.source).pixels
            return write_preview(part, [(rainy, self.image_model.clean_pixels(rainy, self._stages))])
        return write_preview(part, VideoCleaner(self.video_model, self._options).preview(job.source))


def clean(
    inputs: AnyPath | Sequence[AnyPath],
    output: AnyPath | None = None,
    *,
    engine: str = "auto",
    threads: int | None = None,
    stages: int | None = None,
    video: VideoOptions | None = None,
    listener: Listener | None = None,
) -> list[Outcome]:
    """Take the rain out of files: images, videos, and folders of them, whose tree is kept.

    The kind is found from the content, and the network follows from the kind. Without `output`, results lie beside
    their sources as `NAME_clean`. `video` holds what may be chosen for videos. A file that fails does not stop
    the others: see each `Outcome.error`. Raises `UnrainError` where the batch as a whole cannot be planned.
    """
    paths = [inputs] if isinstance(inputs, str | PathLike) else inputs
    jobs = plan([Path(path) for path in paths], None if output is None else Path(output), "_clean")
    if video is not None and video.preview:
        jobs = [Job(job.source, preview_of(job.target)) for job in jobs]
    return batch.run(jobs, Cleaner(engine, threads, stages, video).clean, listener)
