"""Running methods over suites: the network cleans, threads beside it read and measure, and a listener hears of it.

What a suite, a method or a metric is has a file of its own; so have averaging and showing.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, NamedTuple, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from unrain.errors import EngineError, UnrainError, WeightsError
from unrain.evaluation.examples import Example, Examples
from unrain.evaluation.methods import RAINY, Bytes, Method, MissingResult, Rainy
from unrain.evaluation.metrics import METRICS, Metric, find
from unrain.evaluation.provenance import provenance
from unrain.evaluation.results import Evaluation, MethodFacts, MetricFacts, Score, SuiteFacts
from unrain.evaluation.suites import Suite
from unrain.evaluation.suites.copies import Copy, Frame, Item, Pair, check, read_frame
from unrain.media.images import from_uint8

DEFAULT_METRICS = ("psnr-y", "ssim-y", "psnr-rgb", "ssim-rgb")
DEFAULT_METRICS_WITHOUT_TRUTH = ("brisque", "niqe")
_FRAMES_KEPT = 12
_WAITING = 8
_NAMED = 20


class Listener(Protocol):
    """Hears how an evaluation goes, to show it to somebody."""

    def started(self, what: str, total: int) -> None:
        """A part of the work begins, of so many steps."""

    def advanced(self) -> None:
        """One step of it is done."""

    def noted(self, line: str) -> None:
        """Something is to be said: a copy that was found, a file that cannot be measured."""


class Outcome(NamedTuple):
    """What an evaluation found, and the pictures that show it: of each suite the best and the worst."""

    evaluation: Evaluation
    examples: Mapping[str, Sequence[Example]]


def metrics_for(suite: Suite, wanted: Sequence[str]) -> list[Metric]:
    """Those of the wanted metrics that can be measured on this suite; with none wanted, what the papers print.

    Raises `UnrainError` for an unknown metric, or if none of them can be.
    """
    usual = DEFAULT_METRICS_WITHOUT_TRUTH if suite.truth == "none" else DEFAULT_METRICS
    metrics = [find(name) for name in wanted] if wanted else [METRICS[name] for name in usual if name in METRICS]
    fitting = [
        metric
        for metric in metrics
        if not (metric.truth and suite.truth == "none") and not (metric.clip and suite.kind != "clips")
    ]
    if not fitting:
        names = ", ".join(wanted or usual)
        lack = "has no truth" if suite.truth == "none" else "holds photos"
        raise UnrainError(
            f"{suite.name} {lack}, and none of the metrics {names} can be measured without; choose others"
        )
    return fitting


def evaluate(
    methods: Sequence[Method],
    copies: Sequence[Copy],
    metrics: Sequence[str] = (),
    listener: Listener | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Outcome:
    """Measure methods on copies of suites, the rainy input first.

    What cannot be measured, a file or a method's result, is named in `Evaluation.problems`, and the rest is done.
    `settings` go into the record as they are. Raises `UnrainError` where nothing at all can be measured.
    """
    listener = listener or _Silent()
    start = time.perf_counter()
    _refuse_twins([method.label for method in (Rainy(), *methods)], "methods", "LABEL=METHOD")
    _refuse_twins([copy.suite.name for copy in copies], "suites", "NAME=FOLDER")
    chosen = _prepared({copy.suite.name: metrics_for(copy.suite, metrics) for copy in copies}, metrics, listener)
    refusals = _refusals(methods, copies)
    for line in (line for refused in refusals.values() for line in refused.values()):
        listener.noted(line)
    looked_at = _check(copies, listener)
    checked = [copy for copy in looked_at if copy.items]
    if not checked:
        raise UnrainError("none of the pictures can be measured")
    checking = time.perf_counter() - start
    run = _Run([Rainy(), *methods], refusals, chosen, listener)
    try:
        for copy in checked:
            run.measure_copy(copy)
    finally:
        run.close()
    about = {
        **provenance(),
        "settings": dict(settings or {}),
        "seconds": {
            "wall": time.perf_counter() - start,
            "checking": checking,
            "network": run.network_seconds,
            "measuring, in threads": run.measuring_seconds,
        },
    }
    used = {metric.name: metric for each in chosen.values() for metric in each}
    evaluation = Evaluation(
        about=about,
        metrics=tuple(_metric_facts(metric) for metric in used.values()),
        suites=tuple(_suite_facts(copy, chosen[copy.suite.name]) for copy in checked),
        methods=tuple(_method_facts(method, refusals) for method in (Rainy(), *methods)),
        scores=tuple(_in_order(run.scores, checked, [method.label for method in (Rainy(), *methods)])),
        problems=tuple(line for copy in looked_at for line in _problems(copy)) + tuple(run.problems),
    )
    return Outcome(evaluation, {name: shown.chosen() for name, shown in run.shown.items()})


def _prepared(
    chosen: Mapping[str, Sequence[Metric]], wanted: Sequence[str], listener: Listener
) -> dict[str, list[Metric]]:
    """The metrics that have what they need. Raises `UnrainError` for one that was asked for by name and lacks it."""
    lacking = set()
    for metric in {metric.name: metric for metrics in chosen.values() for metric in metrics}.values():
        try:
            metric.prepare()
        except UnrainError as error:
            if metric.name in wanted:
                raise
            listener.noted(f"left out: {error}")
            lacking.add(metric.name)
    left = {name: [metric for metric in metrics if metric.name not in lacking] for name, metrics in chosen.items()}
    empty = [name for name, metrics in left.items() if not metrics]
    if empty:
        raise UnrainError(f"{empty[0]}: nothing is left to measure without {', '.join(sorted(lacking))}")
    return left


class _Silent:
    def started(self, what: str, total: int) -> None:
        """See `Listener`."""

    def advanced(self) -> None:
        """See `Listener`."""

    def noted(self, line: str) -> None:
        """See `Listener`."""


def _refuse_twins(names: Sequence[str], what: str, cure: str) -> None:
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise UnrainError(f"two {what} are called {twins[0]}; tell them apart as {cure}")


def _refusals(methods: Sequence[Method], copies: Sequence[Copy]) -> dict[str, dict[str, str]]:
    """Reasons by method and suite. Raises `UnrainError` for a method that fits none of the suites."""
    refusals = {}
    for method in methods:
        lines = {copy.suite.name: method.refusal(copy.suite) for copy in copies}
        refused = {name: line for name, line in lines.items() if line is not None}
        if refused and len(refused) == len(copies):
            raise UnrainError(next(iter(refused.values())))
        refusals[method.label] = refused
    return refusals


def _check(copies: Sequence[Copy], listener: Listener) -> list[Copy]:
    listener.started("checking files", sum(copy.frames for copy in copies))
    checked = []
    for copy in copies:
        checked.append(check(copy, listener.advanced))
        extent = f"{checked[-1].extent}{', a part of the set' if checked[-1].partial else ''}"
        listener.noted(f"{copy.suite.name}: {extent}, in {copy.folder} ({copy.layout.name})")
        for line in _problems(checked[-1]):
            listener.noted(line)
    return checked


def _problems(copy: Copy) -> list[str]:
    return [*copy.faults, *(f"{copy.folder}: {line}" for line in copy.suspicions)]


class _Floats(Sequence[NDArray[np.float32]]):
    """8-bit frames as floats in [0, 1], made when they are looked at: a whole clip of floats would fill the memory."""

    def __init__(self, frames: Sequence[Bytes]) -> None:
        self._frames = frames

    def __len__(self) -> int:
        return len(self._frames)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.float32]: ...
    @overload
    def __getitem__(self, index: slice) -> _Floats: ...

    def __getitem__(self, index: int | slice) -> NDArray[np.float32] | _Floats:
        if isinstance(index, slice):
            return _Floats(self._frames[index])
        return from_uint8(self._frames[index])


class _Measured(NamedTuple):
    values: dict[str, float]
    problems: list[str]
    seconds: float


def _measure(metrics: Sequence[Metric], result: Any, truth: Any, name: str) -> _Measured:
    """Values of one picture or clip, in a thread of its own; what cannot be measured is a line."""
    start = time.perf_counter()
    values, problems = {}, []
    for metric in metrics:
        try:
            # A metric of clips takes the truth where there is one, also if it could do without.
            with_truth = metric.truth or metric.clip
            values[metric.name] = float(metric.measure(result, truth) if with_truth else metric.measure(result))
        except (UnrainError, ValueError) as error:
            problems.append(f"{name}: {metric.label}: {error}")
    return _Measured(values, problems, time.perf_counter() - start)


@dataclass
class _Item:
    """One photo or clip while it is worked on: the picture to show of it, and the values by method."""

    copy: Copy
    item: Item
    results: dict[str, Bytes] = field(default_factory=dict)
    values: dict[str, list[float]] = field(default_factory=dict)

    @property
    def shown(self) -> Frame:
        return self.item.frames[len(self.item.frames) // 2]


class _Run:
    """What grows while an evaluation runs. Results of the threads are taken in order, by the thread that cleans."""

    def __init__(
        self,
        methods: Sequence[Method],
        refusals: Mapping[str, Mapping[str, str]],
        metrics: Mapping[str, Sequence[Metric]],
        listener: Listener,
    ) -> None:
        self._methods, self._refusals, self._metrics, self._listener = methods, refusals, metrics, listener
        self._pool = ThreadPoolExecutor(os.cpu_count())
        self._waiting: deque[tuple[Future[_Measured] | None, Callable[[_Measured | None], None]]] = deque()
        self._read = lru_cache(_FRAMES_KEPT)(read_frame)
        self._missing: dict[str, list[str]] = {}
        self.scores: list[Score] = []
        self.problems: list[str] = []
        self.shown: dict[str, Examples] = {}
        self.network_seconds = self.measuring_seconds = 0.0

    def close(self) -> None:
        """Forget what was not measured yet; there is none unless something went wrong."""
        self._pool.shutdown(cancel_futures=True)

    def measure_copy(self, copy: Copy) -> None:
        """Clean and measure all of a suite with every method that takes it."""
        methods = [method for method in self._methods if copy.suite.name not in self._refusals.get(method.label, {})]
        title = copy.suite.title
        self._listener.started(title, copy.frames * len(methods))
        self._missing.clear()
        self.shown[copy.suite.name] = Examples()
        # Engines compile a graph for each new size of picture, so pictures of one size come one after the other.
        for item in sorted(copy.items, key=lambda item: item.size):
            work = _Item(copy, item)
            for method in methods:
                self._measure_item(work, method)
            if len(methods) > 1:
                self._waiting.append((None, partial(self._show, work, methods[1].label)))
        self._take(0)
        for label, names in self._missing.items():
            listed = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
            self._problem(f"{label}: has no result for {len(names)} of {copy.frames} pictures of {title}: {listed}")

    def _measure_item(self, work: _Item, method: Method) -> None:
        item, suite = work.item, work.copy.suite
        metrics = self._metrics[suite.name]
        per_frame = [metric for metric in metrics if not metric.clip]
        per_clip = [metric for metric in metrics if metric.clip]
        kept: list[Bytes] = []
        try:
            for frame, (result, seconds) in zip(item.frames, self._clean(method, suite, item), strict=True):
                self._listener.advanced()
                if isinstance(result, MissingResult):
                    self._missing.setdefault(method.label, []).append(result.name)
                    continue
                if isinstance(result, UnrainError):
                    self._problem(f"{method.label}: {result}")
                    continue
                if frame is work.shown:
                    work.results[method.label] = result
                if per_clip:
                    kept.append(result)
                self._submit(work, method, frame, per_frame, result, seconds if method.timed else None)
        except (EngineError, WeightsError):
            raise
        except (UnrainError, MemoryError) as error:
            self._problem(f"{method.label}: {item.name} of {suite.name}: {error or 'not enough memory'}")
            return
        if per_clip and len(kept) == len(item.frames):
            self._submit_clip(work, method, per_clip, kept)

    def _clean(self, method: Method, suite: Suite, item: Item) -> Iterator[tuple[Any, float]]:
        """The method's results, each with the seconds that it took, reading not counted."""
        reading = 0.0

        def pictures() -> Iterator[Bytes]:
            nonlocal reading
            for frame in item.frames:
                start = time.perf_counter()
                picture = self._read(frame).rainy
                reading += time.perf_counter() - start
                yield picture

        results = method.clean(suite, item, pictures())
        while True:
            start, before = time.perf_counter(), reading
            result = next(results, None)
            if result is None:
                return
            seconds = time.perf_counter() - start - (reading - before)
            self.network_seconds += seconds if method.timed else 0.0
            yield result, seconds

    def _submit(
        self,
        work: _Item,
        method: Method,
        frame: Frame,
        metrics: Sequence[Metric],
        result: Bytes,
        seconds: float | None,
    ) -> None:
        pair: Pair = self._read(frame)
        truth = None if pair.truth is None else from_uint8(pair.truth)
        name = f"{method.label}: {frame.rainy}"
        future = self._pool.submit(_measure, metrics, from_uint8(result), truth, name)
        self._waiting.append((future, lambda measured: self._score(work, method, frame.name, measured, seconds)))
        self._take(_WAITING)

    def _submit_clip(self, work: _Item, method: Method, metrics: Sequence[Metric], results: Sequence[Bytes]) -> None:
        truths = [truth for frame in work.item.frames if (truth := read_frame(frame).truth) is not None]
        name = f"{method.label}: {work.item.name}"
        future = self._pool.submit(_measure, metrics, _Floats(results), _Floats(truths) if truths else None, name)
        self._waiting.append((future, lambda measured: self._score(work, method, None, measured, None)))
        # A clip is large: no other waits beside it.
        self._take(0)

    def _take(self, left: int) -> None:
        """Take results, the oldest first, until so many are left waiting."""
        while len(self._waiting) > left:
            future, then = self._waiting.popleft()
            then(None if future is None else future.result())

    def _score(
        self, work: _Item, method: Method, frame: str | None, measured: _Measured | None, seconds: float | None
    ) -> None:
        assert measured is not None
        for line in measured.problems:
            self._problem(line)
        suite = work.copy.suite.name
        self.measuring_seconds += measured.seconds
        self.scores.append(Score(suite, method.label, work.item.name, frame, measured.values, seconds))
        first = self._metrics[suite][0].name
        if first in measured.values:
            work.values.setdefault(method.label, []).append(measured.values[first])

    def _show(self, work: _Item, method: str, _: object) -> None:
        """Keep the picture of a finished item if this method's gain on it is among the best or the worst."""
        if method not in work.results or not {RAINY, method} <= work.values.keys():
            return
        suite = work.copy.suite
        before, after = (float(np.mean(work.values[label])) for label in (RAINY, method))
        sign = 1 if self._metrics[suite.name][0].better == "higher" else -1
        # Without rain there is nothing to gain on; the value itself says what was kept.
        gain = sign * (after - before if suite.truth != "itself" else after)
        pair = self._read(work.shown)
        results = {label: result for label, result in work.results.items() if label != RAINY}
        truth = None if suite.truth == "itself" else pair.truth
        self.shown[suite.name].add(Example(work.item.name, work.shown.name, method, gain, pair.rainy, truth, results))

    def _problem(self, line: str) -> None:
        self.problems.append(line)
        self._listener.noted(line)


def _metric_facts(metric: Metric) -> MetricFacts:
    # The same metric on luma and on all channels differs by decibels, so a table always says which it is.
    channels = metric.name.rpartition("-")[2]
    label = f"{metric.label} {channels}" if channels in ("y", "rgb") else metric.label
    return MetricFacts(
        metric.name,
        label,
        metric.better,
        metric.convention,
        metric.source,
        metric.truth,
        metric.clip,
        metric.digits,
    )


def _suite_facts(copy: Copy, metrics: Sequence[Metric]) -> SuiteFacts:
    suite = copy.suite
    return SuiteFacts(
        name=suite.name,
        title=suite.title,
        kind=suite.kind,
        truth=suite.truth,
        expected=suite.expected,
        extent=copy.extent,
        partial=copy.partial,
        items=tuple(item.name for item in copy.items),
        frames=copy.frames,
        folder=str(copy.folder),
        layout=copy.layout.name,
        convention=suite.convention,
        source=suite.source,
        sha256=copy.sha256,
        hashes=copy.hashes,
        metrics=tuple(metric.name for metric in metrics),
    )


def _method_facts(method: Method, refusals: Mapping[str, Mapping[str, str]]) -> MethodFacts:
    return MethodFacts(method.label, method.about, method.timed, tuple(refusals.get(method.label, {})))


def _in_order(scores: Sequence[Score], copies: Sequence[Copy], methods: Sequence[str]) -> list[Score]:
    """Scores in the order of suites, methods, items and frames, whatever order they were measured in."""
    places = {}
    for number, copy in enumerate(copies):
        for i, item in enumerate(copy.items):
            frames: list[str | None] = [frame.name for frame in item.frames]
            places.update({(copy.suite.name, item.name, f): (number, i, j) for j, f in enumerate([*frames, None])})

    def place(score: Score) -> tuple[int, int, int, int]:
        number, item, frame = places[score.suite, score.item, score.frame]
        return number, methods.index(score.method), item, frame

    return sorted(scores, key=place)
