"""What people can see of a cleaned video: the result, before beside after, the layers, and a preview of few frames."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from unrain.errors import MediaError
from unrain.inference.controls import Plane, blend
from unrain.inference.frames import LEAD, WARM_UP
from unrain.inference.layout import Pixels
from unrain.inference.model import Layers, VideoModel
from unrain.inference.options import Options
from unrain.media import images, sequences, videos
from unrain.media.batch import Listener
from unrain.media.files import Job, Kind, view_of
from unrain.media.videos import Keeping
from unrain.media.videos.segments import LENGTH, fingerprint
from unrain.media.writing import atomic_output

LAYERS = ("streaks", "degradation")
"""What else is known of a cleaned frame, in the order of `shown`."""
MOMENTS = (0.1, 0.5, 0.9)
"""Where in a video a preview looks, as parts of its length."""
_WIDEST = 1000
_GAP = 4
_GREY = (128, 128, 128)


class VideoCleaner:
    """Cleans videos with one model, and writes the further views that were asked for.

    mask: the one that the options name, `(H, W)`; see `controls.blend`.
    """

    def __init__(self, model: VideoModel, options: Options, mask: Plane | None = None) -> None:
        self._model, self._options, self._mask = model, options, mask

    def clean(self, job: Job, part: Path, listener: Listener) -> int:
        """Clean a video into `part`, and each view beside `job.target`; returns the number of frames.

        Finished segments are kept beside the target until it is whole.
        """
        info = videos.probe(job.source)
        self._model.check(info.height, info.width)
        listener.started(job, Kind.VIDEO, info.frames)
        with ExitStack() as stack:
            views = [stack.enter_context(atomic_output(path)) for path in self._views_of(job.target)]
            clean = self._tuples if views else self._frames
            keeping = self._keeping(job, job.source)
            options = self._options.video
            return videos.rewrite(
                job.source, part, clean, listener.advanced, options=options, views=views, keeping=keeping
            )

    def clean_sequence(self, job: Job, part: Path, listener: Listener) -> int:
        """The same where the source, the target or both are numbered pictures."""
        if self._options.side_by_side or self._options.layers:
            raise MediaError(f"{job.target}: side by side and layers are made for videos only; leave them out")
        first, count = job.source, None
        if sequences.is_sequence(job.source):
            found = sequences.numbered(job.source)
            first, count = found[0][1], len(found)
            height, width, _ = images.read_picture(first).pixels.shape
        else:
            info = videos.probe(job.source)
            height, width, count = info.height, info.width, info.frames
        self._model.check(height, width)
        listener.started(job, Kind.VIDEO, count)
        keeping = self._keeping(job, first)
        options = self._options.video
        return sequences.rewrite(job.source, part, self._frames, listener.advanced, options=options, keeping=keeping)

    def preview(self, source: Path) -> list[tuple[Pixels, Pixels]]:
        """A few frames of a video, rainy and clean, upright."""
        info = videos.probe(source)
        self._model.check(info.height, info.width)
        start = float(self._options.video.start or 0)
        end = float(self._options.video.end or info.duration or start)
        pairs = []
        for moment in MOMENTS if end > start else (0.0,):
            frames = videos.frames_at(source, start + moment * (end - start), 1 + WARM_UP)
            pairs += [(frames[0], next(self._frames(iter(frames))))] if frames else []
        if not pairs:
            raise MediaError(f"{source}: has no frame in the part that was asked for; choose another start or end")
        return pairs

    def _views_of(self, target: Path) -> list[Path]:
        names = ["side_by_side"] if self._options.side_by_side else []
        names += LAYERS if self._options.layers else []
        return [view_of(target, name, target.suffix) for name in names]

    def _frames(self, frames: Iterator[Pixels]) -> Iterator[Pixels]:
        for _, clean, _ in self.results(frames):
            yield clean

    def _tuples(self, frames: Iterator[Pixels]) -> Iterator[tuple[Pixels, ...]]:
        for rainy, clean, layers in self.results(frames):
            beside = [np.concatenate([rainy, clean], axis=1)] if self._options.side_by_side else []
            yield clean, *beside, *layers

    def results(self, frames: Iterator[Pixels]) -> Iterator[tuple[Pixels, Pixels, tuple[Pixels, ...]]]:
        """Each frame as it was, as it is to be, and its `LAYERS` as they are shown, if these are wanted."""
        waiting: deque[Pixels] = deque()

        def watched() -> Iterator[Pixels]:
            for frame in frames:
                waiting.append(frame)
                yield frame

        if not self._options.layers:
            for clean in self._model.stream(watched()):
                rainy = waiting.popleft()
                yield rainy, self._blend(rainy, clean), ()
            return
        for clean, layers in self._model.stream(watched(), layers=True):
            rainy = waiting.popleft()
            yield rainy, self._blend(rainy, clean), shown(layers)

    def _blend(self, rainy: Pixels, clean: Pixels) -> Pixels:
        return blend(rainy, clean, self._options.strength, self._mask)

    def _keeping(self, job: Job, first: Path) -> Keeping:
        engine, settings = self._model.engine, json.dumps(self._options.settings())
        key = fingerprint(first, [engine.name, engine.device, job.target.name, settings])
        return Keeping(job.target.parent / f".{job.target.name}.unrain", key, LENGTH, LEAD)


def shown(layers: Layers) -> tuple[Pixels, Pixels]:
    """The `LAYERS` of a frame as pictures `(H, W, 3)`: S where it adds light, as none has negative values, and α."""
    assert layers.degradation is not None
    return layers.streaks.clip(0, 1), np.repeat(layers.degradation.clip(0, 1), 3, axis=2)


def preview_of(target: Path) -> Path:
    """Where the preview of a result is written: the target itself if it is a picture's name."""
    return target if target.suffix.lower() in images.SUFFIXES else target.with_name(f"{target.name}.preview.png")


def write_preview(path: Path, pairs: Sequence[tuple[Pixels, Pixels]]) -> int:
    """Draw one row for each pair, before on the left and after on the right; return the number of rows."""
    rows = [[Image.fromarray(images.to_uint8(pixels)) for pixels in pair] for pair in pairs]
    width, height = rows[0][0].size
    scale = min(1.0, _WIDEST / width)
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    figure = Image.new("RGB", (2 * width + _GAP, len(rows) * (height + _GAP) - _GAP), _GREY)
    for row, pair in enumerate(rows):
        for column, picture in enumerate(pair):
            resized = picture.resize((width, height), Image.Resampling.LANCZOS)
            figure.paste(resized, (column * (width + _GAP), row * (height + _GAP)))
    draw = ImageDraw.Draw(figure)
    font = ImageFont.load_default(max(12, height // 25))
    for column, word in enumerate(("before", "after")):
        place = (column * (width + _GAP) + width // 60, height // 60)
        draw.text(place, word, fill="white", font=font, stroke_width=2, stroke_fill="black")
    figure.save(path)
    return len(rows)
