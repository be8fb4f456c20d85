"""Feeds mutated videos through the loader and the writer: no crash, no hang, no traceback, nothing left, little memory.

python benchmarks/fuzz_videos.py            # 300 mutants of nine small files
python benchmarks/fuzz_videos.py --count 20 --seed 5
"""

from __future__ import annotations

import logging
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

import typer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from media_samples import clip
from video_samples import film, hdr_clip, open_groups, sound_first, with_cover

from unrain.media.batch import Listener, run
from unrain.media.files import Job, Kind, kind_of
from unrain.media.memory import check_memory
from unrain.media.videos import probe, rewrite

LIMIT = 10.0
"""Seconds for one file."""
MEMORY = 2 * 2**30
"""Bytes that the whole process may take."""
BYTES_PER_PIXEL = 3900
"""What the shipped network for videos needs, so that absurd sizes are refused as they are in `unrain clean`."""

Mutation = Callable[[bytearray, Random, list[bytes]], None]


def cut(data: bytearray, random: Random, _: list[bytes]) -> None:
    """The recorder lost its power."""
    del data[random.randrange(1, len(data)) :]


def flip(data: bytearray, random: Random, _: list[bytes]) -> None:
    """Single bits, anywhere."""
    for _bit in range(random.choice((1, 10, 100, 1000))):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def blank(data: bytearray, random: Random, _: list[bytes]) -> None:
    """A sector that was never written."""
    start = random.randrange(len(data))
    end = min(len(data), start + random.choice((16, 512, 4096)))
    data[start:end] = bytes(end - start)


def lie(data: bytearray, random: Random, _: list[bytes]) -> None:
    """Sizes and counts in headers that are not so."""
    for _place in range(random.choice((1, 3, 10))):
        near_end = random.random() < 0.5 and len(data) > 3000
        start = (
            random.randrange(len(data) - 3000, len(data) - 4) if near_end else random.randrange(min(len(data), 1200))
        )
        data[start : start + 4] = random.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4), b"\0\0\xff\xff"))


def splice(data: bytearray, random: Random, others: list[bytes]) -> None:
    """The beginning of one file and the end of another."""
    other = random.choice(others)
    del data[random.randrange(64, len(data)) :]
    data += other[random.randrange(len(other)) :]


def insert(data: bytearray, random: Random, _: list[bytes]) -> None:
    """Bytes that do not belong there."""
    start = random.randrange(len(data))
    data[start:start] = random.randbytes(random.choice((1, 7, 300)))


MUTATIONS: tuple[Mutation, ...] = (cut, flip, blank, lie, splice, insert)


def originals(folder: Path) -> list[Path]:
    """Small valid videos of each kind."""
    return [
        clip(folder / "a.mp4", 12, still=False, sound=True, options={"bf": "2"}, chapters=True, rotation=90),
        film(folder / "b.mkv"),
        clip(folder / "c.webm", 8, codec="libvpx-vp9", still=False),
        clip(folder / "d.avi", 10, codec="mpeg4", still=False, ticks=25),
        sound_first(folder / "e.ts"),
        hdr_clip(folder / "f.mp4"),
        clip(folder / "g.mov", 3, codec="prores_ks", pixel_format="yuv422p10le"),
        with_cover(folder / "h.mp4"),
        open_groups(folder / "i.mp4"),
    ]


def mutants(folder: Path, count: int, seed: int) -> Iterator[tuple[str, Path]]:
    """Mutated files one after the other, each with what was done to it."""
    random = Random(seed)
    files = originals(folder)
    contents = [path.read_bytes() for path in files]
    for number in range(count):
        which = number % len(files)
        data, mutation = bytearray(contents[which]), MUTATIONS[number // len(files) % len(MUTATIONS)]
        mutation(data, random, contents)
        path = folder / f"mutant-{number:04d}{files[which].suffix}"
        path.write_bytes(data)
        yield f"{files[which].name} {mutation.__name__}", path
        path.unlink()


def clean(job: Job, part: Path, _: Listener) -> int:
    """What `unrain clean` does with a video, without the network."""
    if kind_of(job.source) is not Kind.VIDEO:
        return 0
    info = probe(job.source)
    check_memory(BYTES_PER_PIXEL, info.height, info.width)
    return rewrite(job.source, part, lambda frames: frames)


def worker(pipe: Connection) -> None:
    """Takes paths, and answers with what became of them."""
    logging.disable()
    while True:
        source, folder = pipe.recv()
        try:
            (outcome,) = run([Job(source, folder / "out.mkv")], clean)
            said = "cleaned" if outcome.error is None else "refused"
            if outcome.error and "\n" in outcome.error:
                said = f"more than one line: {outcome.error}"
        except BaseException:  # noqa: BLE001
            said = traceback.format_exc()
        pipe.send((said, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))


class Worker:
    """A process that may crash or hang, and is replaced then."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=worker, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, source: Path, folder: Path, limit: float) -> tuple[str, int]:
        """What became of the file, and the most memory so far."""
        self._pipe.send((source, folder))
        if not self._pipe.poll(limit):
            return f"hangs for more than {limit:.0f} s", 0
        try:
            answer: tuple[str, int] = self._pipe.recv()
        except EOFError:
            self._process.join()
            return f"crashed: exit status {self._process.exitcode}", 0
        return answer

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def main(count: int = 300, seed: int = 0, limit: float = LIMIT) -> None:
    """Exit status 1 if anything went wrong."""
    bad, said_how_often, slowest, most = [], Counter[str](), 0.0, 0
    with tempfile.TemporaryDirectory() as name:
        folder, results = Path(name), Path(name) / "results"
        results.mkdir()
        pool = Worker()
        pool.ask(clip(folder / "warm.mp4", 2), results, 120)
        for what, path in mutants(folder, count, seed):
            begun = time.perf_counter()
            said, memory = pool.ask(path, results, limit)
            slowest, most = max(slowest, time.perf_counter() - begun), max(most, memory)
            said_how_often[said if said in ("cleaned", "refused") else "bad"] += 1
            (results / "out.mkv").unlink(missing_ok=True)
            left = [each.name for each in results.iterdir()]
            if said not in ("cleaned", "refused") or left or memory > MEMORY:
                bad.append(f"{path.name} ({what}): {said} {left} {memory / 1e6:.0f} MB")
                pool.stop()
                shutil.rmtree(results)
                results.mkdir()
                pool = Worker()
                pool.ask(clip(folder / "warm.mp4", 2), results, 120)
        pool.stop()
    counts = ", ".join(f"{number} {name}" for name, number in sorted(said_how_often.items()))
    print(f"{count} mutants: {counts}; the slowest took {slowest:.1f} s, the most memory was {most / 1e6:.0f} MB")
    print("\n".join(bad), end="\n" if bad else "")
    raise typer.Exit(bool(bad))


if __name__ == "__main__":
    typer.run(main)
