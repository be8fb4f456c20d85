"""Which engine and which precision cleans fastest on this machine: measured once for each model, and remembered."""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np
import platformdirs

from unrain import weights
from unrain.errors import EngineError
from unrain.inference import engines
from unrain.inference.layout import Pixels
from unrain.inference.pictures import PictureCleaner, opened

AUTO = "auto"
MOST_LOST = 0.05
"""Decibels that `auto` may give away for speed."""
SIDE, RUNS, HOPELESS = 192, 4, 1.5

_MEASURING = threading.Lock()

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """An engine by name, and fp32 or int8."""

    engine: str
    precision: str


@dataclass(frozen=True)
class Timing:
    """How fast a choice is: megapixels a second, or why it does not work."""

    choice: Choice
    rate: float = 0.0
    error: str | None = None


def candidates(entry: weights.Entry, engine: str = AUTO, precision: str = AUTO) -> list[Choice]:
    """What could be taken for a model, the likely fastest first; `EngineError` if nothing is installed or known.

    `auto` leaves a precision out that loses more than 0.05 dB; one that is asked for by name is taken as it is.
    """
    if precision not in (AUTO, *weights.PRECISIONS):
        raise EngineError(f"there is no precision {precision!r}; choose one of {', '.join(weights.PRECISIONS)}")
    lost = {"int8": entry.int8.lost if entry.int8 else None, "fp32": 0.0}
    wanted = [name for name, loss in lost.items() if loss is not None and precision in (name, AUTO)]
    wanted = [name for name in wanted if precision != AUTO or (lost[name] or 0.0) <= MOST_LOST]
    if not wanted:
        raise EngineError(f"the model {entry.name} has no {precision} graph; use fp32")
    names = engines.installed() if engine == AUTO else [engines.known(engine)]
    found = [Choice(name, kind) for name in names for kind in wanted if (name, kind) != ("torch", "int8")]
    if not found:
        raise EngineError("no engine is installed; try: pip install openvino" if not names else "torch runs fp32 only")
    return found


def open_as(entry: weights.Entry, choice: Choice, threads: int | None = None, mirrored: bool = False) -> PictureCleaner:
    """The model on this engine, in this precision."""
    return opened(entry, choice.engine, threads, choice.precision, mirrored)


def open_picture(entry: weights.Entry, choice: Choice, threads: int | None) -> Callable[[Pixels], object]:
    """What an image model does with a picture, to be measured."""
    cleaner = open_as(entry, choice, threads)
    return lambda picture: cleaner.clean_piece(picture, entry.stages)


Opener = Callable[[weights.Entry, Choice, int | None], Callable[[Pixels], object]]
"""Opens a model on an engine, and gives what cleans one picture or frame, `(H, W, 3)` float32."""


def choose(
    entry: weights.Entry,
    engine: str = AUTO,
    precision: str = AUTO,
    threads: int | None = None,
    opener: Opener = open_picture,
) -> Choice:
    """The fastest candidate: the only one, the one remembered, or the one that is measured now."""
    found = candidates(entry, engine, precision)
    if len(found) == 1:
        return found[0]
    with _MEASURING:  # two threads that measure at once would measure each other
        return _fastest(entry, found, threads, opener)


def _fastest(entry: weights.Entry, found: list[Choice], threads: int | None, opener: Opener) -> Choice:
    key = _key(entry, found, threads)
    with suppress(KeyError, TypeError, ValueError, OSError):
        choice = Choice(*json.loads(_memory().read_text(encoding="utf-8"))[key])
        if choice in found and engines.works(choice.engine):
            return choice
    timings = sorted(measured(entry, found, threads, HOPELESS, opener), key=lambda timing: -timing.rate)
    for timing in timings:
        if timing.error:
            _log.warning("the engine %s does not work and is left out: %s", timing.choice.engine, timing.error)
    if timings[0].error:
        raise EngineError(timings[0].error)
    _remember(key, timings[0].choice)
    return timings[0].choice


def measured(
    entry: weights.Entry,
    choices: list[Choice],
    threads: int | None = None,
    patience: float = math.inf,
    opener: Opener = open_picture,
) -> Iterator[Timing]:
    """Each choice's speed with one picture of 192 x 192 pixels, the best of four runs.

    What takes more than `patience` times as long as the best before is given up after two.
    """
    picture = np.random.default_rng(0).random((SIDE, SIDE, 3), dtype=np.float32)
    best = math.inf
    for choice in choices:
        times: list[float] = []
        try:
            clean = opener(entry, choice, threads)
            while len(times) < RUNS and (len(times) < 2 or min(times) <= patience * best):
                times.append(_seconds(clean, picture))
        except (EngineError, ImportError, OSError, RuntimeError) as error:
            yield Timing(choice, error=str(error).splitlines()[0])
        else:
            best = min(best, *times)
            yield Timing(choice, SIDE**2 / min(times) / 1e6)


def _seconds(clean: Callable[[Pixels], object], picture: Pixels) -> float:
    start = time.perf_counter()
    clean(picture)
    return time.perf_counter() - start


def _key(entry: weights.Entry, choices: list[Choice], threads: int | None) -> str:
    """What the fastest choice depends on, as one line."""
    versions = {choice.engine: metadata.version(choice.engine) for choice in choices}
    graphs = [entry.sha256, entry.int8.sha256 if entry.int8 else ""]
    machine = [platform.node(), platform.machine(), os.cpu_count(), threads]
    return json.dumps([*machine, versions, sorted({choice.precision for choice in choices}), graphs])


@cache
def _memory() -> Path:
    return Path(platformdirs.user_cache_dir("unrain")) / "fastest.json"


def _remember(key: str, choice: Choice) -> None:
    """Write it down where that can be done; another process may do the same at the same time."""
    path = _memory()
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        known = {}
        with suppress(OSError, ValueError):
            known = dict(json.loads(path.read_text(encoding="utf-8")))
        part = path.with_name(f".{path.name}.{os.getpid()}")
        part.write_text(json.dumps(known | {key: [choice.engine, choice.precision]}), encoding="utf-8")
        part.replace(path)
