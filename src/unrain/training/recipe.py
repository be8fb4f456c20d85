"""Recipes: what to train, on what, for how long, as readable TOML files. Only their meaning; the loop is `loop.py`."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from unrain.data.batches import PATCH, Mixture
from unrain.errors import RecipeError, UnrainError
from unrain.networks.graphs import NETWORKS, build
from unrain.rain.presets import find
from unrain.training.objectives import OBJECTIVES, Losses

SMALLEST = 11
"""Pixels that the window of SSIM needs."""


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one objective and one kind of batch.

    steps: how many. batch: clips per step. size: pixels of a square patch. frames: of a clip. stages: repetitions of
    SAPNet's stage. rate: learning rate at the first and the last step, a cosine between them.
    """

    objective: str
    steps: int
    batch: int
    size: int
    rate: tuple[float, float]
    frames: int = 1
    stages: int = 1

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.frames, self.stages) < 1:
            raise RecipeError("steps, batch, frames and stages of a phase are at least 1")
        if not SMALLEST <= self.size <= PATCH:
            raise RecipeError(f"patches are {SMALLEST} to {PATCH} pixels wide, not {self.size}")

    @property
    def repeats(self) -> int:
        """How often the step module runs for one batch: stages or frames."""
        return max(self.frames, self.stages)


@dataclass(frozen=True)
class Recipe:
    """One training run from the first step to the last.

    options: the network's own, such as SAPNet's `dilations`.
    frozen: parts of the network that are not trained, such as `stage.attention`.
    ema: the decay of the averaged weights that are shipped. decay: AdamW's weight decay; with 0 it is Adam.
    validate: measure on the validation pictures every so many steps, and at the end; 0 is never.
    """

    name: str
    network: str
    mixture: Mixture
    losses: Losses
    phases: tuple[Phase, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    seed: int = 0
    ema: float = 0.999
    decay: float = 0.0
    validate: int = 0

    @property
    def steps(self) -> int:
        """Steps of all phases together."""
        return sum(phase.steps for phase in self.phases)

    def at(self, step: int) -> tuple[Phase, float]:
        """The phase that step number `step` belongs to, and how much of that phase lies before it, in [0, 1)."""
        for phase in self.phases:
            if step < phase.steps:
                return phase, step / phase.steps
            step -= phase.steps
        raise IndexError(f"the recipe has {self.steps} steps")

    def rate(self, step: int) -> float:
        """The learning rate of step number `step`: a cosine from its phase's first rate to the last."""
        phase, done = self.at(step)
        first, last = phase.rate
        return last + (first - last) * (1 + math.cos(math.pi * done)) / 2

    def validates(self, step: int) -> bool:
        """Whether to measure when `step` steps are done."""
        return self.validate > 0 and (step % self.validate == 0 or step == self.steps)


def load(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe; `RecipeError` says in one line what in it cannot be understood.

    `changes` are settings in place of the file's, as `seed=3`, `mixture.dry=0.1` or `phases.0.steps=100`.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{path}: cannot be read as a recipe ({error})") from error
    try:
        for change in changes:
            _change(table, change)
        return _recipe(path.stem, table)
    except (UnrainError, TypeError, ValueError) as error:
        raise RecipeError(f"{path}: {error}") from error


def _recipe(name: str, table: dict[str, Any]) -> Recipe:
    mixture = Mixture(**_known(Mixture, table.pop("mixture", {})))
    losses = Losses(**_known(Losses, table.pop("losses", {})))
    phases = tuple(Phase(**_known(Phase, phase)) for phase in table.pop("phases", []))
    recipe = Recipe(name=name, mixture=mixture, losses=losses, phases=phases, **_known(Recipe, table))
    if recipe.network not in NETWORKS:
        raise RecipeError(f"there is no network {recipe.network!r}; choose one of {', '.join(NETWORKS)}")
    parts = dict(build(recipe.network, **recipe.options).named_modules())
    unknown = [part for part in recipe.frozen if part not in parts]
    if unknown:
        raise RecipeError(f"the network {recipe.network} has no part {', '.join(unknown)} that could be frozen")
    if not phases:
        raise RecipeError("it has no [[phases]]")
    for phase in phases:
        if phase.objective not in OBJECTIVES:
            raise RecipeError(f"there is no objective {phase.objective!r}; choose one of {', '.join(OBJECTIVES)}")
    find(mixture.rain)
    return recipe


def _change(table: dict[str, Any], change: str) -> None:
    key, equals, value = change.partition("=")
    *folders, name = key.strip().split(".")
    place: Any = table
    try:
        if not equals:
            raise ValueError("it has no =")
        for folder in folders:
            place = place[int(folder)] if isinstance(place, list) else place.setdefault(folder, {})
        place[name] = _value(value.strip())
    except (ValueError, LookupError, TypeError) as error:
        raise RecipeError(f"cannot set {change!r} ({error}); write it like phases.0.steps=100") from None


def _value(text: str) -> Any:
    """A value as TOML has it; what is none is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _known(kind: type, table: Mapping[str, Any]) -> dict[str, Any]:
    names = {known.name for known in fields(kind)}
    unknown = sorted(table.keys() - names)
    if unknown:
        raise RecipeError(
            f"unknown setting {', '.join(unknown)}; {kind.__name__.lower()} knows {', '.join(sorted(names))}"
        )
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
