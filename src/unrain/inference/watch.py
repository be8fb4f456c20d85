"""Cleaning what arrives in folders, until told to stop. What cleaning means is clean.py's business."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

from unrain.errors import MediaError
from unrain.inference.clean import Batch
from unrain.media.batch import Listener, Outcome
from unrain.media.files import Job

SETTLED = 1.0
"""Seconds for which a file must not have changed; one that is still being copied in would be cleaned in part."""
_TICK = 500


def watch(batch: Batch, stop: Event | None = None, listener: Listener | None = None) -> Iterator[list[Outcome]]:
    """Clean what is in the batch's folders, and then whatever is added or changed, one list of outcomes each time.

    A file that failed is tried again when it changes. Ends when `stop` is set. Raises MediaError where an input is
    no folder, or where there is no output folder in which to remember what is done.
    """
    for each in batch.inputs:
        if not Path(each).is_dir():
            raise MediaError(f"{each}: is not a folder on this machine, so it cannot be watched")
    try:
        from watchfiles import watch as changes
    except ImportError:
        raise MediaError("watching needs one package more: pip install 'unrain[watch]'") from None
    stop = stop or Event()
    tried: dict[Path, tuple[int, int]] = {}
    waiting = True
    # ticks without changes are needed to see that a file has settled
    ticks = changes(
        *batch.inputs,
        watch_filter=lambda _, path: not Path(path).name.startswith("."),
        stop_event=stop,
        rust_timeout=_TICK,
        yield_on_timeout=True,
        raise_interrupt=False,
    )
    for changed in ticks:
        if not (changed or waiting):
            continue
        new = [job for job in batch.plan() if tried.get(job.source) != _version(job)]
        settled = [job for job in new if _is_settled(job)]
        waiting = len(settled) < len(new)
        if settled:
            tried |= {job.source: _version(job) for job in settled}
            outcomes = [each for each in batch.run(listener, settled) if not each.skipped]
            if batch.overwrite:
                tried |= {job.source: _version(job) for job in settled}
            if outcomes:
                yield outcomes


def _version(job: Job) -> tuple[int, int]:
    try:
        stat = job.source.stat()
    except OSError:
        return (0, 0)
    return (stat.st_size, stat.st_mtime_ns)


def _is_settled(job: Job) -> bool:
    return abs(time.time() - _version(job)[1] / 1e9) > SETTLED
