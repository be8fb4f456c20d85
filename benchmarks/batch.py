"""Many small pictures in one batch: is memory flat, and how much time goes neither into the network nor into codecs?

    python benchmarks/batch.py --count 10000

One of the pictures cannot be read. Files are ended (flushed, renamed, recorded) in a thread of their own, so seconds
are counted in the thread that works: what it does besides loading the network, the network and codecs, and its waiting
for the other thread, is the rest. What that one takes of the processor is told apart. Exit status 1 if memory grew by
more than 20 MB after the first tenth, the rest took 5 % of the time or more, or the outcomes are wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from unrain.inference import clean
from unrain.inference.clean import Batch
from unrain.inference.model import ImageModel
from unrain.inference.options import Options
from unrain.media import animations, images
from unrain.media.batch import Outcome, Silent

MEGABYTES, SHARE = 20, 0.05


class Clock:
    """Adds up the seconds that wrapped functions take in the thread that made it, none of them twice."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inside, self._thread = False, threading.get_ident()

    def wrap(self, owner: Any, name: str, what: str) -> None:
        """Replace the function by one that is timed."""
        whole: Callable[..., Any] = getattr(owner, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            if self._inside or threading.get_ident() != self._thread:
                return whole(*arguments, **options)
            self._inside = True
            start = time.perf_counter()
            try:
                return whole(*arguments, **options)
            finally:
                self._inside = False
                self.seconds[what] = self.seconds.get(what, 0) + time.perf_counter() - start

        setattr(owner, name, timed)


class Memory(Silent):
    """Remembers the memory of this process after each file, in MB, and the seconds of processor that ending took."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.ending = 0.0
        self._process, self._thread = psutil.Process(), threading.get_ident()

    def finished(self, outcome: Outcome) -> None:
        """See `Listener`."""
        if threading.get_ident() != self._thread:
            self.ending = time.thread_time()
        self.taken.append(self._process.memory_info().rss / 1e6)


def main() -> int:
    """Run from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Many small pictures in one batch.")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=96, help="of a picture, in pixels")
    given = parser.parse_args()
    clock, memory = Clock(), Memory()
    for owner, name, what in (
        (ImageModel, "__init__", "loading the network"),
        (ImageModel, "clean_pixels", "network"),
        (images, "read_picture", "codecs"),
        (images, "write_picture", "codecs"),
        (clean, "kind_of", "codecs"),
        (animations, "count_frames", "codecs"),
    ):
        clock.wrap(owner, name, what)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in")
        for number in range(given.count):
            path = source / f"{number // 1000:03}" / f"{number:06}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(number).integers(0, 256, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(noise).resize((given.side, given.side)).save(path)
        (source / "000" / "000007.jpg").write_bytes(b"\xff\xd8\xff and then nothing")
        batch = Batch((str(source),), str(Path(folder, "out")), options=Options(threads=1))
        start = time.perf_counter()
        outcomes = batch.run(memory)
        whole = time.perf_counter() - start
        start = time.perf_counter()
        again = batch.run()
        second = time.perf_counter() - start
    failed = [outcome.error for outcome in outcomes if outcome.error]
    rest = 1 - sum(clock.seconds.values()) / whole
    grown = memory.taken[-1] - memory.taken[given.count // 10]
    shares = ", ".join(f"{what} {seconds / whole:.1%}" for what, seconds in clock.seconds.items())
    print(f"{given.count} pictures of {given.side} x {given.side} in {whole:.1f} s: {shares}, the rest {rest:.1%}")
    print(f"ending a file took {memory.ending / given.count * 1000:.2f} ms of processor, beside the work on the next")
    print(f"memory {memory.taken[given.count // 10]:.0f} MB after a tenth, {memory.taken[-1]:.0f} MB after all")
    print(f"failed: {failed}; a second run skips {sum(each.skipped for each in again)} in {second:.2f} s")
    return int(grown > MEGABYTES or rest >= SHARE or len(failed) != 1)


if __name__ == "__main__":
    sys.exit(main())
