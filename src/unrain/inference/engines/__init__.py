"""The protocol of an engine, and the choice of one. What each engine does is in its own file.

An engine runs one step graph: named arrays in, named arrays out. It keeps nothing from one run to the next.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from unrain.errors import EngineError

Arrays = dict[str, NDArray[np.float32]]

EACH = {"means": "means_found"}
"""Inputs and outputs that every step of a run has for itself: side by side along axis 1, the first step's first."""


NEXT = "_next"
"""What a step makes of its input `x` for the next step is its output `x_next`."""


class Engine(Protocol):
    """Runs one step graph, its inputs and outputs in float32."""

    name: str
    """What `--engine` calls it."""
    device: str
    """The processor that it runs on, for people to read."""
    inputs: Mapping[str, int]
    """Names of what a step takes, and their channels."""

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        """Make the steps that it was created for: arrays by input name to new arrays by output name.

        Arrays are contiguous float32, pictures `(1, C, H, W)` and numbers `(1, C, 1, 1)`. Of several steps, the state
        `x` of each is `x_next` of the one before; for what `EACH` names see there. A state that is left out is empty
        before the first step: all zeros.
        """
        ...


MODULES = {"openvino": "openvino", "onnxruntime": "onnxruntime", "torch": "torch"}
"""Engine names and the package that each one needs, the fastest first."""


def installed() -> list[str]:
    """Names of the engines whose package is installed, the fastest first. Imports none of them."""
    return [name for name, package in MODULES.items() if importlib.util.find_spec(package)]


def known(name: str) -> str:
    """The name itself; `EngineError` if there is no such engine, or it is not installed."""
    if name not in MODULES:
        raise EngineError(f"there is no engine {name!r}; choose one of {', '.join(MODULES)}")
    if name not in installed():
        raise EngineError(f"the engine {name} is not installed; try: pip install {MODULES[name]}")
    return name


def works(name: str) -> bool:
    """Whether an engine can be imported: its package may be there and yet be broken."""
    try:
        importlib.import_module(f"unrain.inference.engines.{name}")
    except (ImportError, OSError):
        return False
    return True


def create(
    graph: Path, outputs: Sequence[str], engine: str = "auto", threads: int | None = None, steps: int = 1
) -> Engine:
    """An engine for the step graph in the file `graph` that computes `outputs` and nothing that these do not need.

    `auto` takes the fastest that is installed; `threads` is all of the machine's cores if not given; every run makes
    `steps` steps. Raises `EngineError` where the engine is unknown or not installed, or cannot read the graph.
    """
    names = installed()
    if engine == "auto" and not names:
        raise EngineError("no engine is installed; try: pip install openvino")
    name = names[0] if engine == "auto" else known(engine)
    open_graph: Callable[[Path, Sequence[str], int | None, int], Engine]
    open_graph = importlib.import_module(f"unrain.inference.engines.{name}").open_graph
    return open_graph(graph, outputs, threads, steps)


def needed(outputs: Sequence[str], of: Sequence[str], steps: int) -> list[str]:
    """The outputs that a step computes if a run of `steps` is to give `outputs`: of several, also the state."""
    state = [name for name in of if name.endswith(NEXT) and name not in outputs] if steps > 1 else []
    return [*outputs, *state]


def state_of(inputs: Mapping[str, int], outputs: Sequence[str]) -> dict[str, int]:
    """Of a step graph's inputs, with their channels, those that it makes anew for the next step."""
    return {name: channels for name, channels in inputs.items() if f"{name}{NEXT}" in outputs}


def with_state(inputs: Mapping[str, NDArray[np.float32]], state: Mapping[str, int]) -> Arrays:
    """With zeros for what was left out of the state, see `state_of`."""
    height, width = next(iter(inputs.values())).shape[2:]
    # zeros that are only read take no memory
    left = {name: np.zeros((1, count, height, width), np.float32) for name, count in state.items()}
    return left | dict(inputs)


def step_by_step(
    step: Callable[[Mapping[str, NDArray[np.float32]]], Arrays], inputs: Mapping[str, NDArray[np.float32]], steps: int
) -> Arrays:
    """What `Engine.run` says of several steps, for engines that run one at a time. `step` gives what is `needed`."""
    own = {name: np.split(inputs[name], steps, axis=1) for name in EACH if name in inputs}
    values, found = dict(inputs), []
    for number in range(steps):
        values |= {name: np.ascontiguousarray(parts[number]) for name, parts in own.items()}
        found.append(step(values))
        values |= {name.removesuffix(NEXT): value for name, value in found[-1].items() if name.endswith(NEXT)}
    each = [name for name in found[-1] if name in EACH.values()]
    return found[-1] | {name: np.concatenate([results[name] for results in found], axis=1) for name in each}
