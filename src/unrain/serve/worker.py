"""The process that opens what strangers sent: it looks at files, and cleans them. Started and spoken to by jobs.py.

Orders come as lines of JSON on standard input, and events go back on standard output. When the service dies, however
it dies, standard input ends, and so does this process.
"""

from __future__ import annotations

import json
import math
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import UnidentifiedImageError

from unrain.errors import MediaError, UnrainError
from unrain.inference.clean import Cleaner
from unrain.inference.layout import AnyPixels, Pixels, as_float
from unrain.inference.model import ImageModel, VideoModel
from unrain.inference.options import Options
from unrain.inference.views import LAYERS, VideoCleaner
from unrain.media import images, videos
from unrain.media.batch import Outcome
from unrain.media.files import Job, Kind, kind_of
from unrain.media.writing import atomic_output
from unrain.serve.clips import Clip

Order = dict[str, Any]
Event = dict[str, Any]

_VIDEO_SUFFIXES = {"mov": ".mp4", "matroska": ".mkv", "avi": ".mkv", "mpegts": ".ts"}
_TRIAL = (128, 128)
_TELLING = 0.2
"""Seconds between two words about progress."""


class Cancelled(Exception):
    """The job is to stop."""


class _ImageModel(ImageModel):
    """An image model that remembers what it took out, if somebody wants that."""

    keeps_streaks = False
    streaks: Pixels | None = None

    def clean_pixels(self, rainy: AnyPixels, count: int | None = None) -> AnyPixels:
        """See `ImageModel`."""
        clean = super().clean_pixels(rainy, count)
        self.streaks = as_float(rainy) - as_float(clean) if self.keeps_streaks else None
        return clean


class Worker:
    """Does one order after the other. `say` is how events leave; `cancel` stops the order that is being done."""

    def __init__(self, engine: str, threads: int | None, pixels: int, say: Callable[[Event], None]) -> None:
        self._engine, self._threads, self._pixels, self._say = engine, threads, pixels, say
        self._stop = threading.Event()
        self._images: dict[str, _ImageModel] = {}
        self._videos: dict[str, VideoModel] = {}

    def cancel(self) -> None:
        """Stop at the next chance."""
        self._stop.set()

    def do(self, order: Order) -> None:
        """Do one order, and say how it ended: done, cancelled or failed."""
        self._stop.clear()
        try:
            answer = {"look": self.look, "load": self.load, "clean": self.clean, "preview": self.preview}[order["do"]](
                order
            )
        except Cancelled:
            self._say({"event": "cancelled"})
        except (UnrainError, MemoryError, OSError) as error:
            self._say({"event": "failed", "error": _told(error, order)})
        else:
            self._say({"event": "done", **answer})

    def look(self, order: Order) -> Event:
        """What a file is: kind, size, length, and the suffix under which its result is written."""
        path = Path(order["source"])
        if kind_of(path) is Kind.IMAGE:
            width, height = self._size(path)
            return {"kind": "image", "width": width, "height": height, "suffix": images.suffix_of(path)}
        info = videos.probe(path)
        seconds = info.duration or (info.frames / float(info.rate) if info.frames else None)
        return {
            "kind": "video",
            "width": info.width,
            "height": info.height,
            "frames": info.frames,
            "seconds": seconds,
            "suffix": _video_suffix(path),
        }

    def _size(self, path: Path) -> tuple[int, int]:
        limit = self._pixels / 1e6
        try:
            with images.open_picture(path, limit) as image:
                return image.width, image.height
        except UnidentifiedImageError:  # a TIFF that only our own reader knows
            height, width, _ = images.read_picture(path, limit).pixels.shape
            return width, height

    def load(self, order: Order) -> Event:
        """Load an image model, so that the first photo need not wait; tell its seconds per megapixel and stage."""
        model = self._image_model(self._options({"quality": order["quality"], "strength": 1.0}))
        picture = np.full((*_TRIAL, 3), 0.5, np.float32)
        model.clean_pixels(picture, 1)
        start = time.perf_counter()
        model.clean_pixels(picture, 1)
        return {"pace": (time.perf_counter() - start) / (_TRIAL[0] * _TRIAL[1] / 1e6)}

    def clean(self, order: Order) -> Event:
        """Clean `source` into `target`, as the command line does, and with `layers` write these beside it."""
        source, target, chosen = Path(order["source"]), Path(order["target"]), order["options"]
        start = time.perf_counter()
        photo = order["kind"] == "image"
        options = self._options(chosen, layers=chosen["layers"] and not photo)
        cleaner = Cleaner(options)
        if photo:
            still = cleaner.image_model = self._image_model(options)
            still.keeps_streaks = chosen["layers"]
        else:
            cleaner.video_model = self._video_model(options)
        listener = _Listener(self._say, self._stop, order.get("most_frames"))
        with atomic_output(target) as part:
            frames = cleaner.clean(Job(source, target), part, listener)
        if photo and frames == 1 and still.streaks is not None:
            _write_streaks(target.with_name("streaks.jpg"), still.streaks * np.float32(chosen["strength"]))
        # a picture that moves is a video to the cleaner too
        used = cleaner.video_model if "video_model" in vars(cleaner) else cleaner.image_model
        return self._ran(used, frames, time.perf_counter() - start)

    def preview(self, order: Order) -> Event:
        """Clean the first second of a video into short clips: rainy, clean, streaks, degradation."""
        source, folder = Path(order["source"]), Path(order["target"]).parent
        info = videos.probe(source)
        count = min(info.frames or 10**9, math.ceil(info.rate))
        self._say({"event": "started", "total": count})
        frames = 0
        options = self._options(order["options"], layers=True)
        model = self._video_model(options)
        start = time.perf_counter()
        with ExitStack() as stack:
            names = ("rainy", "clean", *LAYERS)
            clips = _clips(stack, info, folder, [f"preview-{name}" for name in names])
            pictures = islice(videos.read_frames(source), count)
            for rainy, clean, others in VideoCleaner(model, options).results(pictures):
                for clip, picture in zip(clips, (rainy, clean, *others), strict=True):
                    clip.write(picture)
                frames += 1
                if self._stop.is_set():
                    raise Cancelled
                self._say({"event": "advanced", "done": frames})
                if time.perf_counter() - start > order["seconds"]:
                    break
        return self._ran(model, frames, time.perf_counter() - start)

    def _options(self, chosen: dict[str, Any], layers: bool = False) -> Options:
        return Options(
            quality=chosen["quality"],
            engine=self._engine,
            threads=self._threads,
            stages=chosen.get("stages"),
            strength=chosen["strength"],
            layers=layers,
            max_megapixels=self._pixels / 1e6,
        )

    def _image_model(self, options: Options) -> _ImageModel:
        """The model for photos, loaded when it is first needed."""
        if options.quality not in self._images:
            self._images[options.quality] = _ImageModel(
                options.image_entry,
                self._engine,
                self._threads,
                options.taken_precision,
                mirrored=options.mirrored,
            )
        model = self._images[options.quality]
        model.streaks = None
        return model

    def _video_model(self, options: Options) -> VideoModel:
        """The model for videos, loaded when it is first needed."""
        if options.quality not in self._videos:
            precision = options.taken_precision
            self._videos[options.quality] = VideoModel(options.video_entry, self._engine, self._threads, precision)
        return self._videos[options.quality]

    def _ran(self, model: ImageModel | VideoModel, frames: int, seconds: float) -> Event:
        return {
            "frames": frames,
            "ran": {
                "model": model.entry.name,
                "engine": model.engine.name,
                "device": model.engine.device,
                "precision": model.precision,
                "seconds": round(seconds, 2),
            },
        }


class _Listener:
    """Tells of progress, and stops the work where it is to be stopped. See `batch.Listener`."""

    def __init__(self, say: Callable[[Event], None], stop: threading.Event, most: int | None) -> None:
        self._say, self._stop, self._most = say, stop, most
        self._told = 0.0

    def planned(self, jobs: Sequence[Job]) -> None:
        """See `Listener`."""

    def started(self, job: Job, kind: Kind, frames: int | None) -> None:
        """See `Listener`."""
        self._say({"event": "started", "total": frames})

    def advanced(self, frames: int) -> None:
        """See `Listener`. Raises `Cancelled`, and `MediaError` for a video that is longer than it said."""
        if self._stop.is_set():
            raise Cancelled
        if self._most is not None and frames > self._most:
            raise MediaError(f"the video has more than {self._most} frames, the most that this service takes")
        if time.monotonic() - self._told > _TELLING:
            self._told = time.monotonic()
            self._say({"event": "advanced", "done": frames})

    def finished(self, outcome: Outcome) -> None:
        """See `Listener`."""


def _clips(stack: ExitStack, info: videos.VideoInfo, folder: Path, names: Sequence[str]) -> list[Clip]:
    """Clips that appear when the stack ends well."""
    rate, turned = info.rate.limit_denominator(10_000), info.rotation % 180 != 0
    aspect = 1 / info.sample_aspect if turned else info.sample_aspect
    parts = [stack.enter_context(atomic_output(folder / f"{name}.mp4")) for name in names]
    return [stack.enter_context(Clip(part, rate, aspect)) for part in parts]


def _write_streaks(path: Path, streaks: Pixels) -> None:
    with atomic_output(path) as part:
        images.write_picture(part, images.Picture(streaks.clip(0, 1)))


def _video_suffix(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(1024)
    container = videos.container_of(head)
    if container == "mov" and head[8:12] == b"qt  ":
        return ".mov"
    if container == "matroska" and b"webm" in head[:64]:
        return ".webm"
    return _VIDEO_SUFFIXES[str(container)]


def _told(error: BaseException, order: Order) -> str:
    """An error's text without the paths of this machine."""
    if isinstance(error, MemoryError):
        return "not enough memory for this file; make it smaller"
    if isinstance(error, OSError):
        return f"the file cannot be worked on: {error.strerror}"
    folder = re.escape(str(Path(order["source"]).parent))
    text = re.sub(rf"{folder}[^\s:;,)]*", "the file", str(error))
    return re.sub(r"^the file: (?=(is|has|holds|cannot|does)\b)", "the file ", text).removeprefix("the file: ")


def _limit_files(most: int) -> None:
    """No file that this process writes grows beyond `most` bytes, where the system can say so."""
    with suppress(ImportError, ValueError, OSError):
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def main() -> None:
    """Do orders from standard input until it ends. Arguments: engine, threads (0: all), pixels, bytes of a file."""
    engine, threads, pixels, most = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    _limit_files(most)
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    speaking = threading.Lock()

    def say(event: Event) -> None:
        with speaking:
            events.write(json.dumps(event) + "\n")

    worker = Worker(engine, threads or None, pixels, say)
    orders: queue.SimpleQueue[Order] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            order = json.loads(line)
            worker.cancel() if order["do"] == "cancel" else orders.put(order)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        worker.do(orders.get())


if __name__ == "__main__":
    main()
