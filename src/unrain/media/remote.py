"""Files on other machines (s3://, gs://, sftp://, memory://, ...): fetched one by one, and brought back when done.

What speaks with the other machine is fsspec, of the extra `remote`, and its package for the protocol.
"""

from __future__ import annotations

import glob
import os
import posixpath
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from unrain.errors import MediaError
from unrain.media.batch import Outcome
from unrain.media.files import Job
from unrain.media.heif import HEAD
from unrain.media.images import MAYBE_DEEP
from unrain.media.manifest import FILE, FOLDER


def is_remote(place: str) -> bool:
    """Whether this is an address rather than a path."""
    return "://" in place


class Staging:
    """A folder on this machine that mirrors remote files by name, size and time, and holds only those in work.

    So that planning, and finding out what is done, are the same as for files that are here. To be used as a context.
    """

    def __init__(self, inputs: Sequence[str], output: str) -> None:
        """Lists what is there. Raises MediaError where it cannot be reached, or needs a package that is not here."""
        self._temporary = tempfile.TemporaryDirectory(prefix="unrain-")
        self._folder = Path(self._temporary.name)
        self._addresses: dict[Path, str] = {}
        try:
            self.inputs = [self._mirrored(each, Path(str(number))) for number, each in enumerate(inputs)]
            self.output = Path(output)
            self._output = output
            if is_remote(output):
                self.output = self._folder / "output" / posixpath.basename(output.rstrip("/"))
                self._mirror_output(output)
        except BaseException:
            self._temporary.cleanup()
            raise

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._bring_manifest()
        finally:
            self._temporary.cleanup()

    def fetch(self, job: Job) -> None:
        """Fetch what is to be worked on. MediaError if that fails."""
        if job.source in self._addresses:
            address = self._addresses[job.source]
            system, path = _system(address)
            with _blame(address):
                system.get_file(path, str(job.source))

    def deliver(self, job: Job) -> None:
        """Bring the result where it belongs, whole or not at all, and forget both files here."""
        if is_remote(self._output):
            address = self._address_of(job.target)
            system, path = _system(address)
            with _blame(address):
                part = posixpath.join(posixpath.dirname(path), f".{posixpath.basename(path)}.part")
                system.makedirs(posixpath.dirname(path), exist_ok=True)
                for extra in job.target.parent.glob(f"{glob.escape(job.target.name)}.*.png"):
                    system.put_file(str(extra), posixpath.join(posixpath.dirname(path), extra.name))
                    extra.unlink()
                system.put_file(str(job.target), part)
                system.mv(part, path)
                _date(job.target, system, path)
        if job.source in self._addresses:
            job.source.unlink(missing_ok=True)

    def named(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """The same outcomes under the names that people gave."""
        return [self._named(outcome) for outcome in outcomes]

    def _named(self, outcome: Outcome) -> Outcome:
        source, target = (self._address_of(path) for path in (outcome.job.source, outcome.job.target))
        error = outcome.error
        for path, address in ((outcome.job.source, source), (outcome.job.target, target)):
            error = error and error.replace(str(path), address)
        return replace(outcome, job=replace(outcome.job, names=(source, target)), error=error)

    def _address_of(self, path: Path) -> str:
        if path in self._addresses:
            return self._addresses[path]
        if is_remote(self._output) and path.is_relative_to(self.output):
            return posixpath.join(self._output.rstrip("/"), path.relative_to(self.output).as_posix()).rstrip("/.")
        return str(path)

    def _mirrored(self, place: str, under: Path) -> Path:
        if not is_remote(place):
            return Path(place)
        system, root = _system(place)
        here = self._folder / under / (posixpath.basename(root.rstrip("/")) or "files")
        with _blame(place):
            if not system.isdir(root):
                self._placeholder(here, system, root, place)
                return here
            here.mkdir(parents=True)
            for path, info in sorted(system.find(root, detail=True).items()):
                inside = posixpath.relpath(path, root)
                if inside.startswith("..") or any(part.startswith(".") for part in inside.split("/")):
                    continue
                self._placeholder(here / inside, system, path, posixpath.join(place, inside), info)
        return here

    def _placeholder(
        self, here: Path, system: Any, path: str, address: str, info: dict[str, Any] | None = None
    ) -> None:
        here.parent.mkdir(parents=True, exist_ok=True)
        with here.open("wb") as file, suppress(FileNotFoundError):
            size = int((info or system.info(path)).get("size") or 0)
            if here.suffix.lower() in MAYBE_DEEP:
                # as what these are written depends on how deep they are, which their beginning tells
                file.write(system.cat_file(path, start=0, end=min(size, HEAD)))
            file.truncate(size)
        _date(here, system, path)
        self._addresses[here] = address

    def _mirror_output(self, place: str) -> None:
        system, root = _system(place)
        with _blame(place):
            manifest = posixpath.join(root, FOLDER, FILE)
            if not system.exists(manifest):
                return
            here = self.output / FOLDER / FILE
            here.parent.mkdir(parents=True)
            system.get_file(manifest, str(here))
            for path, info in system.find(root, detail=True).items():
                inside = posixpath.relpath(path, root)
                if not inside.startswith((".", "..")):
                    self._placeholder(self.output / inside, system, path, posixpath.join(place, inside), info)

    def _bring_manifest(self) -> None:
        here = self.output / FOLDER / FILE
        if is_remote(self._output) and here.exists():
            system, root = _system(self._output)
            with _blame(self._output):
                system.makedirs(posixpath.join(root, FOLDER), exist_ok=True)
                system.put_file(str(here), posixpath.join(root, FOLDER, FILE))


def _system(address: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise MediaError(f"{address}: needs one package more: pip install 'unrain[remote]'") from None
    try:
        system, path = url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise MediaError(f"{address}: cannot be reached: {error}") from error
    return system, str(path)


def _date(here: Path, system: Any, path: str) -> None:
    """Give the file here the time of the one there, where there is one; else it is known by its content alone."""
    with suppress(NotImplementedError, OSError, AttributeError, TypeError):
        seconds = system.modified(path).timestamp()
        os.utime(here, (seconds, seconds))


@contextmanager
def _blame(address: str) -> Iterator[None]:
    try:
        yield
    except MediaError:
        raise
    except Exception as error:  # each protocol's package has exceptions of its own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise MediaError(f"{address}: cannot be reached: {reason}") from error
