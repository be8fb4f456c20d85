"""What an evaluation found: every single value with all that is needed to get it again, averages, and JSON.

Measuring is the business of `run.py`, showing that of `tables.py` and `report`.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal, NamedTuple

import numpy as np

from unrain.errors import UnrainError

FORMAT = 1


@dataclass(frozen=True)
class MetricFacts:
    """What is known of a metric, see `Metric`, without the function."""

    name: str
    label: str
    better: Literal["higher", "lower"]
    convention: str
    source: str
    truth: bool
    clip: bool
    digits: int


@dataclass(frozen=True)
class SuiteFacts:
    """What is known of a suite and of the copy that was measured, see `Suite` and `Copy`.

    metrics: names of those that were measured on it. items: names of its photos or clips, in order.
    """

    name: str
    title: str
    kind: Literal["photos", "clips"]
    truth: Literal["given", "none", "itself"]
    expected: int | None
    extent: str
    partial: bool
    items: tuple[str, ...]
    frames: int
    folder: str
    layout: str
    convention: str
    source: str
    sha256: str
    hashes: Mapping[str, str]
    metrics: tuple[str, ...]

    @property
    def heading(self) -> str:
        """The title, and how much of the set was there if it was not all."""
        if not self.partial:
            return self.title
        return f"{self.title} ({len(self.items)} of {self.expected}{' clips' if self.kind == 'clips' else ''})"


@dataclass(frozen=True)
class MethodFacts:
    """What is known of a method, see `Method`. refused: the suites that it was not measured on."""

    label: str
    about: Mapping[str, Any]
    timed: bool
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Score:
    """The values of one method on one frame, or, with `frame` None, on a whole clip.

    values: by metric. seconds: what the frame took to clean, without reading and measuring; None if nothing was done.
    """

    suite: str
    method: str
    item: str
    frame: str | None
    values: Mapping[str, float]
    seconds: float | None = None


class Mean(NamedTuple):
    """An average over a set. items: how many it is over; whole: whether those are all frames of all items."""

    value: float
    items: int
    whole: bool


@dataclass(frozen=True)
class Evaluation:
    """All of it. about: when, where and with what. problems: lines that name what could not be measured, and why."""

    about: Mapping[str, Any]
    metrics: tuple[MetricFacts, ...]
    suites: tuple[SuiteFacts, ...]
    methods: tuple[MethodFacts, ...]
    scores: tuple[Score, ...]
    problems: tuple[str, ...] = ()

    def metric(self, name: str) -> MetricFacts:
        """The metric of this name."""
        return next(metric for metric in self.metrics if metric.name == name)

    def per_frame(self, suite: str, method: str, metric: str) -> dict[tuple[str, str | None], float]:
        """Values by item and frame, in order."""
        return {
            (score.item, score.frame): score.values[metric]
            for score in self.scores
            if (score.suite, score.method) == (suite, method) and metric in score.values
        }

    def per_item(self, suite: str, method: str, metric: str) -> dict[str, float]:
        """Values by photo or clip; that of a clip is the mean over its frames."""
        values: dict[str, list[float]] = defaultdict(list)
        for (item, _), value in self.per_frame(suite, method, metric).items():
            values[item].append(value)
        return {item: float(np.mean(each)) for item, each in values.items()}

    def mean(self, suite: SuiteFacts, method: str, metric: str) -> Mean | None:
        """The average over the set: per frame, then per clip, then over the clips. None if nothing was measured."""
        values = self.per_item(suite.name, method, metric)
        if not values:
            return None
        wanted = len(suite.items) if self.metric(metric).clip else suite.frames
        whole = len(self.per_frame(suite.name, method, metric)) == wanted
        return Mean(float(np.mean(list(values.values()))), len(values), whole)

    def seconds(self, suite: str, method: str) -> float | None:
        """The median time of a frame, which no first run of a new picture size counts in; None if nothing was timed."""
        times = [
            score.seconds
            for score in self.scores
            if (score.suite, score.method) == (suite, method) and score.seconds is not None
        ]
        return median(times) if times else None


def to_json(evaluation: Evaluation) -> str:
    """All of it as JSON, with the averages for whoever reads it; infinite values are the strings "inf" and "-inf"."""
    means = {
        suite.name: {method.label: _means(evaluation, suite, method.label) for method in evaluation.methods}
        for suite in evaluation.suites
    }
    table = {"format": FORMAT, "means": means, **asdict(evaluation)}
    return json.dumps(_finite(table), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _means(evaluation: Evaluation, suite: SuiteFacts, method: str) -> dict[str, float]:
    means = {name: evaluation.mean(suite, method, name) for name in suite.metrics}
    return {name: mean.value for name, mean in means.items() if mean is not None}


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def from_json(text: str) -> Evaluation:
    """What `to_json` wrote; `UnrainError` if it is something else."""
    try:
        table = json.loads(text)
        if table["format"] != FORMAT:
            raise ValueError(f"its format is {table['format']}")
        return Evaluation(
            about=table["about"],
            metrics=tuple(MetricFacts(**each) for each in table["metrics"]),
            suites=tuple(
                SuiteFacts(**each | {"items": tuple(each["items"]), "metrics": tuple(each["metrics"])})
                for each in table["suites"]
            ),
            methods=tuple(MethodFacts(**each | {"refused": tuple(each["refused"])}) for each in table["methods"]),
            scores=tuple(
                Score(**each | {"values": {name: float(value) for name, value in each["values"].items()}})
                for each in table["scores"]
            ),
            problems=tuple(table["problems"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnrainError(f"these are no results of unrain eval ({error})") from error
