"""Finished pieces of a result, kept in a hidden folder beside it, so that work that was killed goes on where it was.

What the pieces hold is up to others; here they are named, counted, recognised and thrown away.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from unrain.errors import MediaError
from unrain.media.writing import writing

LENGTH = 240
"""Frames in a segment: what is lost at most, and what the frames that lead into it are to be small against."""
_FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


@dataclass(frozen=True)
class Keeping:
    """How finished segments are kept for the next run.

    folder: where, hidden. key: says what they were made from and with; with another key they are made anew.
    frames: the length of a segment. lead: how many frames before each segment are handed out with it, for a cleaner
    that remembers; their results are dropped. So a segment depends on its frames, on those, and on nothing else.
    """

    folder: Path
    key: str
    frames: int = LENGTH
    lead: int = 0


@dataclass(frozen=True)
class Note:
    """What is known of a finished segment: time and duration of each frame in ticks, and the size of each view."""

    times: list[tuple[int, int]]
    sizes: list[tuple[int, int]]


class Shelf:
    """A folder of segments. A segment counts once its note is there, which is written last."""

    def __init__(self, folder: Path, length: int | None, lead: int) -> None:
        self.folder, self.length, self.lead = folder, length, lead
        self.notes: list[Note] = []
        while (note := self._read(len(self.notes))) is not None:
            self.notes.append(note)

    @property
    def frames(self) -> int:
        """How many frames are finished."""
        return sum(len(note.times) for note in self.notes)

    def piece(self, number: int, view: int, suffix: str = ".seg") -> Path:
        """Where segment `number` of a view lies."""
        return self.folder / f"{number:06d}-{view}{suffix}"

    def finish(self, note: Note) -> None:
        """Add the next segment, all of whose pieces are written."""
        number = len(self.notes)
        for view in range(len(note.sizes)):
            _flush(self.piece(number, view))
        _write_whole(self._note(number), json.dumps(asdict(note)))
        self.notes.append(note)

    def _note(self, number: int) -> Path:
        return self.folder / f"{number:06d}.json"

    def _read(self, number: int) -> Note | None:
        try:
            found = json.loads(self._note(number).read_text())
            return Note([(time, long) for time, long in found["times"]], [(w, h) for w, h in found["sizes"]])
        except (OSError, ValueError, KeyError, TypeError):
            return None


@contextmanager
def shelf(target: Path, keeping: Keeping | None) -> Iterator[Shelf]:
    """A shelf for a target, which is gone when the block ends well.

    If it does not, finished segments stay where `keeping` says, unless the file itself was at fault. Raises MediaError
    if another process is at work on the same target, or the folder cannot be made.
    """
    with _claimed(target, keeping) as folder:
        found = Shelf(folder, keeping.frames if keeping else None, keeping.lead if keeping else 0)
        try:
            yield found
        except BaseException as error:
            if keeping is None or not found.notes or not _worth_keeping(error):
                shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)


_KEY, _LOCK = "key.json", "lock"


@contextmanager
def _claimed(target: Path, keeping: Keeping | None) -> Iterator[Path]:
    """The folder of the segments, with none in it that are others'. The lock ends with the process, however it ends."""
    with ExitStack() as stack:
        with writing(target):
            if keeping is None:
                folder = Path(tempfile.mkdtemp(prefix=f".{target.stem.lstrip('.')[:40]}.", dir=target.parent))
            else:
                folder = keeping.folder
                folder.mkdir(exist_ok=True)
                try:
                    stack.enter_context(FileLock(folder / _LOCK, timeout=0, thread_local=False))
                except Timeout:
                    raise MediaError(f"{target}: another process is at work on this; wait for it") from None
                if _text(folder / _KEY) != keeping.key:
                    for left in folder.iterdir():
                        if left.name != _LOCK:
                            left.unlink()
                    _write_whole(folder / _KEY, keeping.key)
        yield folder


def _worth_keeping(error: BaseException) -> bool:
    """A file that cannot be cleaned will not be cleaned next time; a full disk or an interruption is another thing."""
    if isinstance(error, MediaError | ValueError):
        cause = error.__cause__
        return isinstance(cause, OSError) and cause.errno in _FULL_DISK
    return True


def _text(path: Path) -> str | None:
    with suppress(OSError, ValueError):
        return path.read_text()
    return None


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _write_whole(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text)
    _flush(part)
    os.replace(part, path)


def fingerprint(path: Path, parts: Sequence[str]) -> str:
    """A key for `Keeping`: which file, as large and as old as it is, and whatever else decides what is made of it."""
    stat = path.stat()
    return json.dumps([str(path.absolute()), stat.st_size, stat.st_mtime_ns, *parts])
