"""How an output appears whole or not at all, and what is said where it cannot be written.

Which output belongs to which input is files.py's business, and what is in it that of images/ and videos/.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, takewhile
from pathlib import Path

import psutil

from unrain.errors import MediaError

_HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"
_LEFTOVER = re.compile(r"\..*\.tmp-([0-9a-f]{8})-(\d+)-[0-9a-f]{6}\.\w+")


@contextmanager
def atomic_output(path: Path) -> Iterator[Path]:
    """Yield a hidden temporary path beside `path`, and move it there when the block ends well.

    The suffix stays, so that writers choose the right format; missing folders are made. If the block raises anything,
    the temporary file goes away, and so do the folders that were made for it, and `path` is as it was.

    Raises MediaError if the folder cannot be written to, or if the block wrote nothing.
    """
    temporary = path.parent / f".{path.stem[:40]}.tmp-{_HOST}-{os.getpid()}-{secrets.token_hex(3)}{path.suffix}"
    made: list[Path] = []
    try:
        with writing(path):
            _make_folders(path.parent, made)
            temporary.open("xb").close()
        yield temporary
        with writing(path):
            _publish(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()
        raise


def remove_leftovers(root: Path) -> None:
    """Remove what lies below `root` that processes of this machine left unfinished when they were killed."""
    for folder, folders, names in os.walk(root):
        for name in filter(_is_left, names):
            with suppress(OSError):
                Path(folder, name).unlink()
        for name in filter(_is_left, folders):
            shutil.rmtree(Path(folder, name), ignore_errors=True)


def _is_left(name: str) -> bool:
    left = _LEFTOVER.fullmatch(name)
    return left is not None and left[1] == _HOST and not _is_alive(int(left[2]))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn whatever the system raises into a MediaError that names the output."""
    try:
        yield
    except OSError as error:
        raise MediaError(f"{path}: cannot be written: {error.strerror or error}; choose another output") from error


def _make_folders(folder: Path, made: list[Path]) -> None:
    missing = takewhile(lambda each: not each.exists(), chain([folder], folder.parents))
    for each in reversed(list(missing)):
        with suppress(FileExistsError):
            each.mkdir()
            made.append(each)


def _publish(temporary: Path, path: Path) -> None:
    with temporary.open("rb+") as file:
        if not file.read(1):
            raise MediaError(f"{path}: nothing was written")
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _is_alive(process: int) -> bool:
    """Whether a process still runs; one that is dead and that nobody buried does not."""
    with suppress(psutil.Error):
        return psutil.pid_exists(process) and bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    return False
