"""ONNX Runtime on the processor: runs everywhere. Only this file runs step graphs with it."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from unrain.errors import EngineError
from unrain.inference.engines import Arrays, needed, state_of, step_by_step, with_state


class OnnxRuntimeEngine:
    """One session with free height and width."""

    name = "onnxruntime"

    def __init__(self, session: ort.InferenceSession, outputs: Sequence[str], steps: int) -> None:
        self._session, self._steps = session, steps
        known = [port.name for port in session.get_outputs()]
        self._outputs = needed(outputs, known, steps)
        self.inputs: Mapping[str, int] = {port.name: port.shape[1] for port in session.get_inputs()}
        self._state = state_of(self.inputs, known)
        self._options = ort.RunOptions()
        self._options.only_execute_path_to_fetches = True
        self.device = platform.processor() or platform.machine()

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        """See `Engine.run`."""
        return step_by_step(self._step, with_state(inputs, self._state), self._steps)

    def _step(self, inputs: Mapping[str, NDArray[np.float32]]) -> Arrays:
        values = self._session.run(self._outputs, dict(inputs), self._options)
        return {name: np.asarray(value) for name, value in zip(self._outputs, values, strict=True)}


def open_graph(graph: Path, outputs: Sequence[str], threads: int | None, steps: int) -> OnnxRuntimeEngine:
    """An engine for this graph; `EngineError` if ONNX Runtime cannot read it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base but this
        raise EngineError(f"{graph}: ONNX Runtime cannot read this step graph") from error
    return OnnxRuntimeEngine(session, outputs, steps)
