"""What one service takes on: sizes, lengths, numbers, times, and how a body is received within them.

Who may ask is decided in auth.py; what is done with a body in jobs.py.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from unrain.errors import UnrainError

MB = 1_000_000
SLOWEST_UPLOAD = 16_000
"""Bytes per second that an upload must keep up on average, after `GRACE` seconds."""
GRACE = 20.0
_LOOK_STEP = 32 * MB
"""Bytes of an upload between two looks at what is left of the disk."""


@dataclass(frozen=True)
class Limits:
    """All limits of a service. Sizes in bytes, times in seconds, pixels per picture or frame."""

    image_bytes: int = 64 * MB
    video_bytes: int = 2000 * MB
    image_pixels: int = 50 * MB
    video_pixels: int = 9 * MB
    video_seconds: float = 1800
    image_time: float = 1800
    video_time: float = 12 * 3600
    preview_time: float = 60
    workers: int = 1
    queue: int = 32
    kept: int = 500
    disk: int = 20_000 * MB
    keep: float = 3600
    idle: float = 15
    connections: int = 512


class Refused(UnrainError):
    """A request that is turned down: an HTTP status, one line for the reader, and when to come back."""

    def __init__(self, status: int, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.retry_after = status, detail, retry_after


class Space:
    """The disk that jobs may take."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder, self._limit = folder, limit

    def used(self) -> int:
        """Bytes of all files below the folder, uploads on their way among them."""
        return sum(_size(path) for path in self._folder.rglob("*"))

    def check(self, more: int) -> None:
        """`Refused` (507) where there is no room for so many bytes more."""
        if self.used() + more > self._limit:
            raise Refused(507, "the disk space of this service is used up; delete jobs or come back later", 600)

    async def receive(
        self, chunks: AsyncIterator[bytes], announced: int | None, path: Path, most: int, idle: float
    ) -> None:
        """Write a body of at most `most` bytes to `path`, counted while it arrives.

        Raises `Refused`: 413 too large, 408 too slow, 400 empty, 507 no room. Nothing is set aside for what is only
        announced, or a few who announce much and send nothing would keep all others out. What was written is removed
        by who made the folder.
        """
        if announced is not None and announced > most:
            raise _too_large(most)
        self.check(announced or 0)
        start, count, looked = time.monotonic(), 0, 0
        with path.open("xb") as file:
            while True:
                try:
                    chunk = await asyncio.wait_for(anext(chunks, None), idle)
                except TimeoutError:
                    raise Refused(408, f"nothing was sent for {idle:g} seconds; send the file again") from None
                if chunk is None:
                    break
                count += len(chunk)
                if count > most:
                    raise _too_large(most)
                if time.monotonic() - start > GRACE and count / (time.monotonic() - start) < SLOWEST_UPLOAD:
                    raise Refused(408, f"the upload is slower than {SLOWEST_UPLOAD // 1000} kB a second")
                file.write(chunk)
                if count - looked > _LOOK_STEP:
                    looked = count
                    self.check(0)
            if not count:
                raise Refused(400, "the body is empty; send the bytes of a photo or video")
            # an accepted job must still be there after the machine went down
            file.flush()
            self.check(0)
            await asyncio.to_thread(os.fsync, file.fileno())


def _too_large(most: int) -> Refused:
    return Refused(413, f"the file is larger than {most / MB:g} MB, the most that this service takes")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
