"""Working through a batch of files: one after the other, each whole or not at all, with somebody listening.

What is done to a file is passed in, and no printing happens here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from unrain.errors import EngineError, UnrainError, WeightsError
from unrain.media.files import Job, Kind, atomic_output


@dataclass(frozen=True)
class Outcome:
    """What became of one file: `error` is None if `job.target` was written, else one line that says what was wrong."""

    job: Job
    seconds: float
    frames: int = 0
    error: str | None = None


class Listener(Protocol):
    """Hears how a batch goes, to show it to somebody."""

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


def run(jobs: Sequence[Job], work: Work, listener: Listener | None = None) -> list[Outcome]:
    """Do `work` on each file. A file that fails does not stop the others: see each `Outcome.error`.

    Raises `EngineError` or `WeightsError` where no file could be worked on.
    """
    listener = listener or Silent()
    listener.planned(jobs)
    outcomes = []
    for job in jobs:
        outcomes.append(_one(job, work, listener))
        listener.finished(outcomes[-1])
    return outcomes


def _one(job: Job, work: Work, listener: Listener) -> Outcome:
    start = time.perf_counter()
    try:
        with atomic_output(job.target) as part:
            frames = work(job, part, listener)
    except (EngineError, WeightsError):
        raise
    except UnrainError as error:
        return Outcome(job, time.perf_counter() - start, error=str(error))
    except MemoryError:
        return Outcome(job, time.perf_counter() - start, error=f"{job.source}: not enough memory for it")
    return Outcome(job, time.perf_counter() - start, frames)
