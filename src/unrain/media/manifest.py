"""What has been done in an output folder, by which settings, and who works on what now.

A line of JSON is added for each result, so that a killed batch goes on where it was, and changed settings do it again.
Locks belong to processes and end with them.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from filelock import FileLock, Timeout

from unrain.errors import MediaError
from unrain.media.writing import writing

if TYPE_CHECKING:
    from unrain.media.files import Job

FOLDER = ".unrain"
"""What unrain remembers of an output folder lies in this folder in it."""
FILE = "manifest.jsonl"


class Seen(NamedTuple):
    """A file as it was: bytes, nanoseconds since 1970, SHA-256."""

    size: int
    mtime_ns: int
    sha256: str


class _Entry(NamedTuple):
    settings: str
    source: str
    before: Seen
    after: Seen


class Manifest:
    """The results below one folder. Threads may share it, and processes may have one each for the same folder."""

    def __init__(self, root: Path, settings: Mapping[str, Any]) -> None:
        """`settings` is all that the results depend on, besides the sources. Nothing is written yet."""
        self._root, self._folder = root, root / FOLDER
        told = json.dumps(settings, sort_keys=True)
        self._settings = hashlib.sha256(told.encode()).hexdigest()[:16]
        self._told = told
        self._entries: dict[str, _Entry] = {}
        self._read = 0
        self._guard = threading.Lock()

    def is_done(self, job: Job) -> bool:
        """Whether the target is what these settings made of the source as it is now."""
        with self._guard:
            self._read_on()
            entry = self._entries.get(self._name(job))
        if entry is None or entry.settings != self._settings or not _is(job.target, entry.after):
            return False
        return job.source == job.target or _is(job.source, entry.before, same=entry.source == self._source(job))

    @contextmanager
    def claim(self, job: Job, wait: bool) -> Iterator[bool]:
        """Hold the right to write the target, against other processes; False if one has it and we do not `wait`.

        Who does not wait does not get a file either on which a process died: whatever kills processes comes last.
        """
        name = hashlib.sha256(self._name(job).encode()).hexdigest()[:32]
        path = self._folder / "locks" / f"{name}.lock"
        with writing(path):
            if not path.parent.is_dir():  # for making it again can wait for a disk that is being flushed
                path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path, timeout=-1 if wait else 0, thread_local=False)
            taken = not wait and path.exists()
            try:
                if not taken:
                    lock.acquire()
            except Timeout:
                taken = True
        if taken:
            yield False
            return
        try:
            yield True
        finally:
            # whoever opened the file before this sees that it has no name any more, and tries again
            with suppress(OSError):
                path.unlink()
            lock.release()

    def record(self, job: Job, before: Seen, result: Path) -> None:
        """Add a line for a target; `before` is the source as it was read, `result` the file that is or becomes it."""
        entry = _Entry(self._settings, self._source(job), before, look(result))
        name = self._name(job)
        with self._guard, writing(self._folder / FILE):
            known = any(each.settings == self._settings for each in self._entries.values())
            if not known:
                self._append({"settings": self._settings, "mean": json.loads(self._told)})
            self._append({"target": name, **entry._asdict()})
            self._entries[name] = entry

    def _append(self, line: Mapping[str, Any]) -> None:
        # one write, so that lines of several processes do not mix; and a line that was cut off ends before it
        data = b"\n" + json.dumps(line).encode()
        with (self._folder / FILE).open("ab") as file:
            file.write(data)
            file.flush()
            if file.tell() == self._read + len(data):  # nobody else has added anything, so it need not be read
                self._read += len(data)

    def _read_on(self) -> None:
        """Take in the lines that were added since the last time, by whichever process."""
        path = self._folder / FILE
        try:
            if path.stat().st_size <= self._read:
                return
            with path.open("rb") as file:
                file.seek(self._read)
                added = file.read()
        except OSError:
            return
        self._read += len(added)
        self._entries |= _entries(added)

    def _name(self, job: Job) -> str:
        return job.target.relative_to(self._root).as_posix()

    def _source(self, job: Job) -> str:
        return Path(os.path.relpath(job.source, self._root)).as_posix()


def made_of_others(root: Path) -> set[Path]:
    """The files below `root` that are, as they are now, results of other files there, by whichever settings."""
    try:
        entries = _entries((root / FOLDER / FILE).read_bytes())
    except OSError:
        return set()
    made = ((root / name, entry) for name, entry in entries.items() if entry.source != name)
    return {path for path, entry in made if not entry.source.startswith("../") and _is(path, entry.after)}


def _entries(lines: bytes) -> dict[str, _Entry]:
    """What the lines say of each target, the last word of each."""
    entries = {}
    for line in lines.split(b"\n"):
        with suppress(ValueError, KeyError, TypeError):
            told = json.loads(line)
            before, after = Seen(*told["before"]), Seen(*told["after"])
            entries[told["target"]] = _Entry(told["settings"], told["source"], before, after)
    return entries


def look(path: Path) -> Seen:
    """The file as it is now. MediaError if it cannot be read."""
    try:
        stat = path.stat()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
    except OSError as error:
        raise MediaError(f"{path}: cannot be opened: {error.strerror}") from error
    return Seen(stat.st_size, stat.st_mtime_ns, digest.hexdigest())


def _is(path: Path, seen: Seen, same: bool = True) -> bool:
    """Whether the file is still as it was seen; it is read again only where its size agrees and its time does not."""
    try:
        stat = path.stat()
    except OSError:
        return False
    if stat.st_size != seen.size:
        return False
    if same and stat.st_mtime_ns == seen.mtime_ns:
        return True
    with suppress(MediaError):
        return look(path).sha256 == seen.sha256
    return False
