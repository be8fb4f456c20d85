"""From a video to its cleaned copy: frames go to a cleaner piece by piece, and what comes back goes onto a shelf."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from itertools import count
from pathlib import Path
from threading import RLock
from typing import Protocol, Self

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from unrain.errors import MediaError
from unrain.media.videos.encoding import Encoding, VideoOptions, add_stream, choose
from unrain.media.videos.joining import Copier
from unrain.media.videos.reading import Look, Reel, blame, look_at
from unrain.media.videos.segments import Keeping, Note, Shelf, shelf
from unrain.media.videos.turning import as_coded

Pixels = NDArray[np.float32]
Frames = Iterator[Pixels]
Clean = Callable[[Frames], Iterator[Pixels] | Iterator[tuple[Pixels, ...]]]
Progress = Callable[[int], None]


def rewrite(
    source: Path,
    target: Path,
    clean: Clean,
    progress: Progress | None = None,
    *,
    options: VideoOptions | None = None,
    views: Sequence[Path] = (),
    keeping: Keeping | None = None,
) -> int:
    """Write `source` again as `target` with every frame replaced by what `clean` makes of it; return their number.

    `clean` gets an iterator of (H, W, 3) RGB float32 frames in [0, 1], upright, and yields one frame of the same
    shape for each, in order; it may read a few frames ahead. Memory does not grow with the length. `progress` is
    called with the number of frames written so far. With `views`, `clean` yields tuples: the frame, and one picture of
    any size for each further file that is written.

    Sound, subtitles and other streams are copied bit for bit. Kept are also each frame's timestamp (to the
    millisecond in Matroska and WebM), rotation, pixel aspect, depth, colour tags and HDR data, metadata and chapters.
    Data streams and attachments that the target format has no place for are left out with a warning in the log.

    With `keeping`, `clean` is called for each segment anew, and segments that an earlier call finished are not made
    again; see there. Without it, `clean` is called once.

    Damaged packets cost their own frames only. Raises MediaError for a file that cannot be read, is interlaced, or
    holds something that the target cannot; ValueError if `clean` breaks its contract.
    """
    options = options or VideoOptions()
    look = look_at(source)
    reel = Reel(source, look, options.start, options.end)
    number = write_video(iter(reel), look, source, [target, *views], clean, progress, options, keeping)
    reel.report()
    return number


def write_video(
    shots: Iterator[AnyShot],
    look: Look,
    source: Path | None,
    targets: Sequence[Path],
    clean: Clean,
    progress: Progress | None,
    options: VideoOptions,
    keeping: Keeping | None,
) -> int:
    """What `rewrite` does, with frames from anywhere, and all else from `source`, if there is one."""
    outlets = [_Outlet(path, choose(look, source, path, options)) for path in targets]
    for outlet in outlets:
        if source is not None and os.path.realpath(source) == os.path.realpath(outlet.path):
            raise MediaError(f"{outlet.path}: would overwrite the input; choose another output")
        outlet.copier = Copier(source, outlet.path, look, outlet.encoding, options)
        outlet.copier.check((look.info.width, look.info.height))
    with shelf(targets[0], keeping) as found, closing(Tape(shots)) as tape:
        clean_pieces(tape, clean, found, lambda number: _Piece(found, number, outlets, look), progress)
        if not found.notes:
            raise MediaError(f"{source}: has no frame in the part that was asked for; choose another start or end")
        for view, outlet in enumerate(outlets):
            outlet.copier.join(found, view)
        return found.frames


class _Outlet:
    """One file that is written."""

    copier: Copier

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self.path, self.encoding = path, encoding


class AnyShot(Protocol):
    """A frame that has a time, and pixels when they are asked for: `reading.Shot`, or a picture."""

    @property
    def time(self) -> int:
        """In ticks."""
        ...

    @property
    def duration(self) -> int:
        """In ticks."""
        ...

    def pixels(self) -> Pixels:
        """Upright (H, W, 3) RGB in [0, 1]."""
        ...


class Tape:
    """Frames by their number; those that nobody will ask for again are let go.

    played: how many frames have been given out, counted from the first of the video.
    """

    def __init__(self, shots: Iterator[AnyShot]) -> None:
        self._shots = shots
        self._held: deque[AnyShot] = deque()
        self._first = 0
        self._reading = RLock()
        self.played = 0

    def shot(self, number: int) -> AnyShot | None:
        """Frame `number`, which was not let go yet, or None behind the end."""
        with self._reading:
            while self._first + len(self._held) <= number:
                found = next(self._shots, None)
                if found is None:
                    return None
                self._held.append(found)
            return self._held[number - self._first]

    def let_go(self, before: int) -> None:
        """Frames before this number are not needed any more."""
        with self._reading:
            while self._first < before:
                if self.shot(self._first) is None:
                    return
                self._held.popleft()
                self._first += 1

    def play(self, first: int) -> Generator[Pixels, None, None]:
        """The pixels of the frames from number `first` on; while one is worked on, the next is decoded."""
        with ThreadPoolExecutor(1, "unrain-read") as pool:
            coming = pool.submit(self._pixels, first)
            for number in count(first):
                pixels = coming.result()
                if pixels is None:
                    return
                self.played = number + 1
                coming = pool.submit(self._pixels, number + 1)
                yield pixels

    def _pixels(self, number: int) -> Pixels | None:
        shot = self.shot(number)
        return None if shot is None else shot.pixels()

    def close(self) -> None:
        """Close the file."""
        self._held.clear()
        if isinstance(self._shots, Generator):
            self._shots.close()


class Piece(Protocol):
    """A segment that is being written; as a context, it closes its files."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...
    def write(self, pictures: tuple[Pixels, ...], shot: AnyShot) -> None:
        """Add a frame: upright pixels of each view, with the time of the frame that they were made from."""
        ...

    def note(self) -> Note:
        """What was written."""
        ...


def clean_pieces(
    tape: Tape, clean: Clean, found: Shelf, begin: Callable[[int], Piece], progress: Progress | None
) -> None:
    """Clean all frames that are not on the shelf yet, segment by segment."""
    done = found.frames
    if progress is not None and done:
        progress(done)
    while True:
        first = max(0, done - found.lead)
        tape.let_go(first)
        if tape.shot(done) is None:
            return
        with begin(len(found.notes)) as piece, closing(tape.play(first)) as frames, Behind() as behind:
            for result, shot in _results(clean(frames), tape, first, done, found):
                behind.do(partial(piece.write, result, shot))
                done += 1
                if progress is not None:
                    progress(done)
        found.finish(piece.note())


class Behind:
    """One thread that does what comes, one thing after the other, while its owner prepares the next, and no more.

    What goes wrong there is raised when the next thing is handed over, or at the end.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "unrain-write")
        self._last: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown()
        if kind is None and self._last is not None:
            self._last.result()

    def do(self, work: Callable[[], None]) -> None:
        """Have it done, when what came before is done."""
        if self._last is not None:
            self._last.result()
        self._last = self._pool.submit(work)


def _results(
    results: Iterator[Pixels] | Iterator[tuple[Pixels, ...]], tape: Tape, first: int, start: int, found: Shelf
) -> Iterator[tuple[tuple[Pixels, ...], AnyShot]]:
    """The results of one segment with their frames, without those of the frames that lead into it."""
    end = None if found.length is None else start + found.length
    number = first
    for result in results:
        if number >= tape.played:
            raise ValueError("clean yielded more frames than it was given")
        shot = tape.shot(number)
        assert shot is not None
        if number >= start:
            yield result if isinstance(result, tuple) else (result,), shot
        number += 1
        tape.let_go(number - found.lead)
        if number == end:
            return
    if tape.shot(number) is not None:
        raise ValueError(f"clean left out frames: it ended after {number} of {tape.played} or more")


class _Piece:
    """One segment of each view, as a file that players open."""

    def __init__(self, found: Shelf, number: int, outlets: Sequence[_Outlet], look: Look) -> None:
        self._shelf, self._number, self._outlets, self._look = found, number, outlets, look
        self._stack = ExitStack()
        self._streams: list[VideoStream] = []
        self._times: list[tuple[int, int]] = []
        self._sizes: list[tuple[int, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with self._stack, blame(self._outlets[0].path, "cannot be written"):
            for stream in self._streams if error[0] is None else ():
                stream.container.mux(stream.encode(None))  # type: ignore[attr-defined]

    def write(self, pictures: tuple[Pixels, ...], shot: AnyShot) -> None:
        pictures = tuple(as_coded(picture, self._look.display_matrix) for picture in pictures)
        info = self._look.info
        if pictures[0].shape != (info.height, info.width, 3):
            raise ValueError(f"clean changed the frame to {pictures[0].shape} from {(info.height, info.width, 3)}")
        if not self._streams:
            self._open(pictures)
        with blame(self._outlets[0].path, "cannot be written"):
            for picture, stream, outlet in zip(pictures, self._streams, self._outlets, strict=True):
                frame = outlet.encoding.colours.to_frame(picture, stream.codec_context.pix_fmt or "yuv420p")
                frame.pts, frame.duration, frame.time_base = shot.time, shot.duration, self._look.time_base
                for name, value in self._look.tags.items():
                    setattr(frame, name, value)
                stream.container.mux(stream.encode(frame))  # type: ignore[attr-defined]
        self._times.append((shot.time, shot.duration))

    def note(self) -> Note:
        return Note(self._times, self._sizes)

    def _open(self, pictures: tuple[Pixels, ...]) -> None:
        with blame(self._outlets[0].path, "cannot be written"):
            for view, (picture, outlet) in enumerate(zip(pictures, self._outlets, strict=True)):
                path = self._shelf.piece(self._number, view)
                output = self._stack.enter_context(av.open(str(path.absolute()), "w", outlet.encoding.codec.piece))
                size = picture.shape[1], picture.shape[0]
                self._streams.append(add_stream(output, outlet.encoding, self._look, size))
                self._sizes.append(size)
