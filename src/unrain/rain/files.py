"""Rain on files: photos, videos and folders of them, and the layers that the rain is made of. No printing.

The frames themselves are rendered by `render.py`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from unrain.inference.layout import to_pixels, to_planes
from unrain.media import batch, images, videos
from unrain.media.batch import Listener, Outcome
from unrain.media.files import Job, Kind, kind_of, plan
from unrain.media.memory import check_memory
from unrain.rain.compose import RainyFrames
from unrain.rain.presets import AS_IT_IS, Given, find
from unrain.rain.render import Rain, fall

AnyPath = str | PathLike[str]
Pixels = NDArray[np.float32]
BYTES_PER_PIXEL = 150
"""What the most costly preset needed for 6 megapixels, rounded up."""
LAYERS = ("streaks", "degradation", "reliance")


def rain(
    inputs: AnyPath | Sequence[AnyPath],
    output: AnyPath | None = None,
    preset: str = "heavy",
    seed: int = 0,
    *,
    given: Given = AS_IT_IS,
    layers: bool = False,
    listener: Listener | None = None,
) -> list[Outcome]:
    """Put rain on files: images, videos, and folders of them, whose tree is kept.

    File number k of the batch gets the rain of `seed` + k. Without `output`, results lie beside their sources as
    `NAME_rainy`. With `layers`, the folder `RESULT_layers` beside each result gets pictures of S (where it adds light),
    α and A, one of each per frame. A file that fails does not stop the others: see each `Outcome.error`. Raises
    `UnrainError` where the batch as a whole cannot be planned, or for rain that cannot be.
    """
    find(preset, given)
    paths = [inputs] if isinstance(inputs, str | PathLike) else inputs
    jobs = plan([Path(path) for path in paths], None if output is None else Path(output), "_rainy")
    seeds = {job: seed + number for number, job in enumerate(jobs)}

    def work(job: Job, part: Path, listener: Listener) -> int:
        kind = kind_of(job.source)
        with _layer_folder(job.target, layers) as folder:
            clouds = _Clouds(preset, seeds[job], given, folder)
            return _photo(job, part, clouds, listener) if kind is Kind.IMAGE else _video(job, part, clouds, listener)

    return batch.run(jobs, work, listener)


class _Clouds:
    """Rain for the frames of one file, drawn when the first of them has come."""

    def __init__(self, preset: str, seed: int, given: Given, layers: Path | None) -> None:
        self._preset, self._seed, self._given, self._layers = preset, seed, given, layers
        self._rain: Rain | None = None

    def frames(self, frames: Iterable[Pixels], rate: float | None = None) -> Iterator[Pixels]:
        """Each frame with its rain; `rate` is frames per second."""
        for number, pixels in enumerate(frames):
            if self._rain is None:
                self._rain = self._fall(pixels, rate)
            rendered = self._rain.on(torch.from_numpy(to_planes(pixels))[None], start=number)
            if self._layers is not None:
                _write_layers(self._layers, number, rendered)
            yield to_pixels(rendered.rainy[0].numpy())

    def _fall(self, pixels: Pixels, rate: float | None) -> Rain:
        height, width, _ = pixels.shape
        check_memory(BYTES_PER_PIXEL, height, width)
        given = replace(self._given, pixels=max(height, width), frame_rate=rate)
        return fall(1, height, width, self._preset, torch.Generator().manual_seed(self._seed), given)


def _photo(job: Job, part: Path, clouds: _Clouds, listener: Listener) -> int:
    listener.started(job, Kind.IMAGE, 1)
    picture = images.read_picture(job.source)
    (rainy,) = clouds.frames([picture.pixels])
    images.write_picture(part, replace(picture, levels=rainy))
    return 1


def _video(job: Job, part: Path, clouds: _Clouds, listener: Listener) -> int:
    info = videos.probe(job.source)
    listener.started(job, Kind.VIDEO, info.frames)
    rate = float(info.rate) or None
    return videos.rewrite(job.source, part, lambda frames: clouds.frames(frames, rate), listener.advanced)


@contextmanager
def _layer_folder(target: Path, wanted: bool) -> Iterator[Path | None]:
    """A folder that appears as `TARGET_layers` when the block ends well, and in place of an older one."""
    if not wanted:
        yield None
        return
    folder = target.with_name(f"{target.stem}_layers")
    part = target.with_name(f".{target.stem}_layers.tmp")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        yield part
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_layers(folder: Path, number: int, frames: RainyFrames) -> None:
    for name in LAYERS:
        layer = to_pixels(getattr(frames, name)[0].numpy()).clip(0, 1)
        grey = layer.shape[2] == 1
        picture = images.Picture(np.repeat(layer, 3, axis=2) if grey else layer, grey=grey)
        images.write_picture(folder / f"{name}_{number:06d}.png", picture)
