"""Clips that lie as numbered pictures: `frame_%04d.png` stands for frame_0001.png and so on. Whole or not at all.

Pictures themselves are read and written in images/, videos in videos/.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Self

from unrain.errors import MediaError
from unrain.media import images
from unrain.media.colours import Colours
from unrain.media.images import Picture, read_picture, write_picture
from unrain.media.videos import Clean, Keeping, VideoInfo, VideoOptions
from unrain.media.videos.hdr import Mastering
from unrain.media.videos.reading import Look, Reel, Shot, look_at
from unrain.media.videos.rewriting import AnyShot, Pixels, Progress, Tape, clean_pieces, write_video
from unrain.media.videos.segments import Note, Shelf, shelf
from unrain.media.writing import writing

_NUMBER = re.compile(r"%(0?)(\d*)d")

_log = logging.getLogger(__name__)


def is_sequence(path: Path) -> bool:
    """Whether a name stands for a sequence of pictures."""
    return path.suffix.lower() in images.SUFFIXES and len(_NUMBER.findall(path.name)) == 1


def numbered(pattern: Path) -> list[tuple[int, Path]]:
    """The pictures of a sequence that are there, by their number. Raises MediaError if there are none."""
    before, after = (re.escape(part) for part in _NUMBER.sub("\0", pattern.name).split("\0"))
    name = re.compile(rf"{before}(\d+){after}")
    try:
        matches = [name.fullmatch(entry) for entry in os.listdir(pattern.parent)]
    except OSError as error:
        raise MediaError(f"{pattern}: cannot be opened: {error.strerror}") from error
    numbers = (int(match[1]) for match in matches if match)
    found = sorted(number for number in numbers if path_of(pattern, number).is_file())
    if not found:
        raise MediaError(f"{pattern}: no picture has such a name; check the name and its number")
    return [(number, path_of(pattern, number)) for number in found]


def path_of(pattern: Path, number: int) -> Path:
    """The picture of this number."""
    return pattern.with_name(_NUMBER.sub(lambda match: f"{number:{match[1]}{match[2]}d}", pattern.name))


def rewrite(
    source: Path,
    target: Path,
    clean: Clean,
    progress: Progress | None = None,
    *,
    options: VideoOptions | None = None,
    keeping: Keeping | None = None,
) -> int:
    """What `videos.rewrite` does, where `source`, `target` or both are sequences; return the number of frames.

    Pictures keep their numbers and all that `images` keeps; frames of a video are numbered from 1 on, with 8 bits. A
    video made of pictures has `options.rate` frames per second and BT.709 colours. The pictures of a target appear
    when all are done. Raises MediaError like `videos.rewrite` and `images.read_picture`.
    """
    options = options or VideoOptions()
    if is_sequence(source) and (options.start is not None or options.end is not None):
        raise MediaError(f"{source}: pictures have no seconds; leave out start and end, and name those to clean")
    shots = list(_pictures(source)) if is_sequence(source) else None
    if not is_sequence(target):
        assert shots is not None
        moved = (replace(shot, time=shot.time - shots[0].time) for shot in shots)
        return write_video(moved, _look(shots, options), None, [target], clean, progress, options, keeping)
    reel = iter(shots) if shots is not None else _numbered_frames(source, look_at(source), options)
    _refuse_overwriting(shots or [], target)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with shelf(target, keeping) as found, closing(Tape(reel)) as tape:
        clean_pieces(tape, clean, found, lambda _: _Piece(found, target), progress)
        if not found.notes:
            raise MediaError(f"{source}: has no frame in the part that was asked for; choose another start or end")
        with writing(target):
            _publish(found, target)
        return found.frames


@dataclass(frozen=True)
class _PictureShot:
    """A picture as a frame, read when it is needed; its time is its number."""

    path: Path
    time: int
    duration: int = 1

    def pixels(self) -> Pixels:
        return read_picture(self.path).pixels

    def written(self, pixels: Pixels) -> Picture:
        """The cleaned picture, with all that the old one holds besides its pixels."""
        return replace(read_picture(self.path), levels=pixels)


@dataclass(frozen=True)
class _FrameShot:
    """A frame of a video that becomes a picture."""

    shot: Shot
    time: int
    duration: int = 1

    def pixels(self) -> Pixels:
        return self.shot.pixels()

    def written(self, pixels: Pixels) -> Picture:
        """A picture of the frame."""
        return Picture(pixels)


class _Piece:
    """One segment of pictures."""

    def __init__(self, found: Shelf, target: Path) -> None:
        self._shelf, self._target = found, target
        self._times: list[tuple[int, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def write(self, pictures: tuple[Pixels, ...], shot: AnyShot) -> None:
        assert isinstance(shot, _PictureShot | _FrameShot)
        write_picture(_kept(self._shelf, shot.time, self._target), shot.written(pictures[0]))
        self._times.append((shot.time, shot.duration))

    def note(self) -> Note:
        return Note(self._times, [])


def _pictures(pattern: Path) -> Iterator[_PictureShot]:
    for number, path in numbered(pattern):
        yield _PictureShot(path, number)


def _numbered_frames(source: Path, look: Look, options: VideoOptions) -> Iterator[_FrameShot]:
    if look.colours.bits > 8:
        _log.warning("%s: pictures of its frames hold 8 of its %d bits", source, look.colours.bits)
    for number, shot in enumerate(Reel(source, look, options.start, options.end), 1):
        yield _FrameShot(shot, number)


def _look(shots: Sequence[_PictureShot], options: VideoOptions) -> Look:
    """What a video made of pictures is like. Pictures that are missing in between leave a gap in its time."""
    height, width, _ = shots[0].pixels().shape
    rate = options.rate
    info = VideoInfo(width, height, len(shots), rate, len(shots) / float(rate), "png", 0, Fraction(1), 0, 0, 8, None)
    tags = {"color_range": 1, "color_primaries": 1, "color_trc": 1, "colorspace": 1}
    return Look(info, 1 / rate, None, Fraction(0), None, Colours(1, False), "rgb24", tags, Mastering(), None)


def _kept(found: Shelf, number: int, target: Path) -> Path:
    return found.folder / f"{number:09d}{target.suffix}"


def _publish(found: Shelf, target: Path) -> None:
    for note in found.notes:
        for number, _ in note.times:
            with suppress(FileNotFoundError):  # moved by a run that was killed here
                os.replace(_kept(found, number, target), path_of(target, number))


def _refuse_overwriting(shots: Sequence[_PictureShot], target: Path) -> None:
    inputs = {os.path.realpath(shot.path) for shot in shots}
    if any(os.path.realpath(path_of(target, shot.time)) in inputs for shot in shots):
        raise MediaError(f"{target}: would overwrite the input; choose another output")
