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


class Engine(Protocol):
    """Runs one step graph in float32."""

    name: str
    """What `--engine` calls it."""
    device: str
    """The processor that it runs on, for people to read."""

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        """Run the graph once: contiguous float32 arrays `(1, C, H, W)` by input name, to new arrays by output name."""
        ...


MODULES = {"openvino": "openvino", "onnxruntime": "onnxruntime", "torch": "torch"}
"""Engine names and the package that each one needs, the fastest first."""


def installed() -> list[str]:
    """Names of the engines whose package is installed, the fastest first. Imports none of them."""
    return [name for name, package in MODULES.items() if importlib.util.find_spec(package)]


def create(graph: Path, outputs: Sequence[str], engine: str = "auto", threads: int | None = None) -> Engine:
    """An engine for the step graph in the file `graph` that computes `outputs` and nothing that these do not need.

    `auto` takes the fastest that is installed; `threads` is all of the machine's cores if not given. Raises
    `EngineError` where the engine is unknown or not installed, or cannot read the graph.
    """
    names = installed()
    if engine == "auto" and not names:
        raise EngineError("no engine is installed; try: pip install openvino")
    name = names[0] if engine == "auto" else engine
    if name not in MODULES:
        raise EngineError(f"there is no engine {name!r}; choose one of {', '.join(MODULES)}")
    if name not in names:
        raise EngineError(f"the engine {name} is not installed; try: pip install {MODULES[name]}")
    open_graph: Callable[[Path, Sequence[str], int | None], Engine]
    open_graph = importlib.import_module(f"unrain.inference.engines.{name}").open_graph
    return open_graph(graph, outputs, threads)
