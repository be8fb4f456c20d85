"""What `unrain serve` costs around `unrain clean`: one photo through both, in turns, models loaded.

    python benchmarks/overhead.py [PHOTO] [--quality fast] [--rounds 5] [--threads 1]

Without a photo, it is the sample photo repeated to 12 megapixels. On a machine that does other things too, trust the
last line most: processor seconds of the service and of the process that looks at files, without the one that cleans.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from PIL import Image
from soak import SAMPLES, start

from unrain.inference.clean import Cleaner
from unrain.inference.options import Options
from unrain.media.batch import Silent
from unrain.media.files import Job
from unrain.weights import QUALITIES

SIZE = 4000, 3000


def large(path: Path) -> Path:
    """The sample photo, repeated to `SIZE`."""
    with Image.open(SAMPLES / "friends.jpg") as image:
        tile = image.convert("RGB")
    whole = Image.new("RGB", SIZE)
    for top in range(0, SIZE[1], tile.height):
        for left in range(0, SIZE[0], tile.width):
            whole.paste(tile, (left, top))
    whole.save(path, quality=92)
    return path


@dataclass(frozen=True)
class Spent:
    """Seconds of one turn: on the wall, of all processors together, and of those that did anything but the cleaning."""

    wall: float
    processor: float
    around: float


def spent(pid: int, work: Callable[[], object]) -> Spent:
    """What some work takes, done by a process or its children, the busiest of which is the one that cleans."""
    begin, before = time.perf_counter(), processors(pid)
    work()
    wall, after = time.perf_counter() - begin, processors(pid)
    each = [seconds - before.get(process, 0.0) for process, seconds in after.items()]
    return Spent(wall, sum(each), sum(each) - max(each))


def processors(pid: int) -> dict[int, float]:
    """Processor seconds so far of a process and of each of its children."""
    process = psutil.Process(pid)
    times = {each.pid: each.cpu_times() for each in (process, *process.children())}
    return {number: float(each.user + each.system) for number, each in times.items()}


def measure(photo: Path, folder: Path, given: argparse.Namespace) -> None:
    """Clean the photo both ways in each round, the first of which does not count, and print the medians."""
    process, url = start(folder / "data", given.threads)
    cleaner = Cleaner(Options(quality=given.quality, threads=given.threads))
    target = folder / f"out{photo.suffix}"
    direct, served = [], []

    def post() -> None:
        query = {"quality": given.quality}
        answer = httpx.post(f"{url}/v1/images", content=photo.read_bytes(), params=query, timeout=None)
        assert answer.content == target.read_bytes(), "the service made another picture"

    try:
        for turn in range(given.rounds + 1):
            one = spent(os.getpid(), lambda: cleaner.clean(Job(photo, target), target, Silent()))
            two = spent(process.pid, post)
            if turn:
                direct.append(one)
                served.append(two)
    finally:
        process.terminate()
        process.wait()
    for what in ("wall", "processor"):
        alone, whole = (statistics.median(getattr(each, what) for each in way) for way in (direct, served))
        print(f"{what:<10}{alone:8.2f} s direct {whole:8.2f} s served  {whole / alone - 1:+.1%}")
    around = statistics.median(each.around for each in served)
    print(f"around    {around:8.2f} s of processors, to {alone:.2f} s direct  {around / alone:+.1%}")


def main() -> None:
    """Parse the arguments, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path, nargs="?")
    parser.add_argument("--quality", choices=QUALITIES, default="balanced")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photo = given.photo or large(Path(folder) / "photo.jpg")
        with Image.open(photo) as image:
            print(f"{image.width} x {image.height}, {given.quality}, {given.threads} threads, {given.rounds} rounds")
        measure(photo, Path(folder), given)


if __name__ == "__main__":
    main()
