"""Working through a batch of files, one or several at a time, each whole or not at all, with somebody listening.

What is done to a file is passed in, and no printing happens here. What was done before is manifest.py's business.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from unrain.errors import EngineError, MediaError, UnrainError, WeightsError
from unrain.media.files import Job, Kind
from unrain.media.manifest import Manifest, look
from unrain.media.sequences import is_sequence
from unrain.media.writing import atomic_output, remove_leftovers

_log = logging.getLogger(__name__)
_MOST_ENDING = 2


@dataclass(frozen=True)
class Outcome:
    """What became of one file: `error` is None if `job.target` is there, else one line that says what was wrong.

    `skipped` says that it was there before, made by the same settings from the same source.
    """

    job: Job
    seconds: float
    frames: int = 0
    error: str | None = None
    skipped: bool = False


class Listener(Protocol):
    """Hears how a batch goes, to show it to somebody.

    `started` and `advanced` are told in the thread that works on the file; `finished` by any thread, for one file at a
    time, perhaps when work on the next has begun.
    """

    def planned(self, jobs: Sequence[Job]) -> None:
        """The batch is about to start."""

    def started(self, job: Job, kind: Kind, frames: int | None) -> None:
        """Work on a file begins; `frames` is how many it probably has, if that is known."""

    def advanced(self, frames: int) -> None:
        """So many frames of the file are done."""

    def finished(self, outcome: Outcome) -> None:
        """A file is done, well or badly."""


class Silent:
    """A listener that tells nobody."""

    def planned(self, jobs: Sequence[Job]) -> None:
        """See `Listener`."""

    def started(self, job: Job, kind: Kind, frames: int | None) -> None:
        """See `Listener`."""

    def advanced(self, frames: int) -> None:
        """See `Listener`."""

    def finished(self, outcome: Outcome) -> None:
        """See `Listener`."""


Work = Callable[[Job, Path, Listener], int]
"""Reads `job.source`, writes to the path that it is given, and returns the number of frames."""


def run(
    jobs: Sequence[Job],
    work: Work,
    listener: Listener | None = None,
    *,
    workers: int = 1,
    settings: Mapping[str, Any] | None = None,
    delivered: Callable[[Job], None] | None = None,
) -> list[Outcome]:
    """Do `work` on each file, `workers` at a time. A file that fails does not stop the others: see `Outcome.error`.

    With `settings`, all that the results depend on besides the sources, the results in an output folder (`Job.root`)
    are remembered there: those that are done are skipped, and a file on which another process works is left to it.
    `delivered` is called when a target is there, before it is remembered.

    Raises `EngineError` or `WeightsError` where no file could be worked on.
    """
    batch = _Batch(work, listener or Silent(), settings, delivered)
    batch.listener.planned(jobs)
    for root in {job.root for job in jobs if job.root is not None} if settings is not None else ():
        remove_leftovers(root)
    outcomes: list[Outcome] = []
    left: list[Job] = []
    for job, outcome in _each(jobs, batch.first, workers):
        left.append(job) if outcome is None else outcomes.append(outcome)
    outcomes += [outcome for _, outcome in _each(left, batch.again, workers) if outcome is not None]
    places = {job: number for number, job in enumerate(jobs)}
    return sorted(outcomes, key=lambda outcome: places[outcome.job])


_Steps = Generator[None, None, Outcome | None]
"""All that is done about one file: up to the `yield` the work, and then what only waits for disks and networks."""


class _Batch:
    """What the threads of a batch share."""

    def __init__(
        self,
        work: Work,
        listener: Listener,
        settings: Mapping[str, Any] | None,
        delivered: Callable[[Job], None] | None,
    ) -> None:
        self.listener = listener
        self._work, self._settings, self._delivered = work, settings, delivered
        self._manifests: dict[Path, Manifest] = {}
        self._guard = threading.Lock()
        self._telling = threading.Lock()

    def first(self, job: Job) -> _Steps:
        """Ends with the outcome, or with None where another process works on the file."""
        return self._finished(job, wait=False)

    def again(self, job: Job) -> _Steps:
        """Ends with the outcome, after other processes are done with the file."""
        return self._finished(job, wait=True)

    def _finished(self, job: Job, wait: bool) -> _Steps:
        outcome = yield from self._guarded(job, wait)
        if outcome is not None:
            with self._telling:
                self.listener.finished(outcome)
        return outcome

    def _guarded(self, job: Job, wait: bool) -> _Steps:
        start = time.perf_counter()
        try:
            return (yield from self._once(job, start, wait))
        except (EngineError, WeightsError):
            raise
        except UnrainError as error:
            told = str(error)
        except MemoryError:
            told = f"{job.source}: not enough memory for it"
        except Exception as error:  # noqa: BLE001 - whatever one file brings about, the others must be done
            _log.debug("while working on %s", job.source, exc_info=True)
            told = f"{job.source}: {type(error).__name__}: {' '.join(str(error).split())}; please report this file"
        return Outcome(job, time.perf_counter() - start, error=told)

    def _once(self, job: Job, start: float, wait: bool) -> _Steps:
        if job.refused is not None:
            raise MediaError(job.refused)
        manifest = self._manifest(job)
        if manifest is None:
            frames = yield from self._written(job)
            return Outcome(job, time.perf_counter() - start, frames)
        if manifest.is_done(job):
            return Outcome(job, 0.0, skipped=True)
        with manifest.claim(job, wait) as ours:
            if not ours:
                return None
            if manifest.is_done(job):
                return Outcome(job, 0.0, skipped=True)
            before = look(job.source)
            in_place = job.source == job.target
            # what is killed just after a file was put in its own place must not be cleaned once more
            ready = partial(manifest.record, job, before) if in_place else None
            frames = yield from self._written(job, ready)
            if not in_place:
                manifest.record(job, before, job.target)
        return Outcome(job, time.perf_counter() - start, frames)

    def _written(self, job: Job, ready: Callable[[Path], None] | None = None) -> Generator[None, None, int]:
        # the pictures of a sequence are many files, which sequences.py writes whole or not at all
        target = nullcontext(job.target) if is_sequence(job.target) else atomic_output(job.target)
        with target as part:
            frames = self._work(job, part, self.listener)
            yield
            if ready is not None:
                ready(part)
        if self._delivered is not None:
            self._delivered(job)
        return frames

    def _manifest(self, job: Job) -> Manifest | None:
        if self._settings is None or job.root is None or is_sequence(job.source) or is_sequence(job.target):
            return None
        with self._guard:
            if job.root not in self._manifests:
                self._manifests[job.root] = Manifest(job.root, self._settings)
            return self._manifests[job.root]


def _each(jobs: Iterable[Job], steps: Callable[[Job], _Steps], workers: int) -> Iterator[tuple[Job, Outcome | None]]:
    """Each job with its outcome, as they come."""
    return _one_by_one(jobs, steps) if workers == 1 else _side_by_side(jobs, steps, workers)


def _one_by_one(jobs: Iterable[Job], steps: Callable[[Job], _Steps]) -> Iterator[tuple[Job, Outcome | None]]:
    """All work in this thread, as a model belongs to one; meanwhile another thread ends the files before."""
    ending: deque[tuple[Job, Future[Outcome | None]]] = deque()
    with ThreadPoolExecutor(1, "unrain") as pool:
        for job in jobs:
            ending.append((job, pool.submit(_begun(steps(job)))))
            while len(ending) > _MOST_ENDING:
                before, future = ending.popleft()
                yield before, future.result()
        for job, future in ending:
            yield job, future.result()


def _side_by_side(
    jobs: Iterable[Job], steps: Callable[[Job], _Steps], workers: int
) -> Iterator[tuple[Job, Outcome | None]]:
    """Each file from its beginning to its end in one of several threads."""

    def whole(job: Job) -> Outcome | None:
        return _begun(steps(job))()

    waiting = iter(jobs)
    running: dict[Future[Outcome | None], Job] = {}
    with ThreadPoolExecutor(workers, "unrain") as pool:
        try:
            while True:
                running |= {pool.submit(whole, job): job for job in islice(waiting, 2 * workers - len(running))}
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        finally:
            for future in running:
                future.cancel()


def _begun(steps: _Steps) -> Callable[[], Outcome | None]:
    """Do the work on a file; what is returned does the rest."""
    try:
        next(steps)
    except StopIteration as end:
        outcome: Outcome | None = end.value
        return lambda: outcome
    return lambda: _begun(steps)()
