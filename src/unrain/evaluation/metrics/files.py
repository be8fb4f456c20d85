"""What a metric needs that unrain does not bring: weights, by a path or an environment variable, and PyTorch."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from unrain.errors import UnrainError, WeightsError


def weight_file(metric: str, variable: str, given: Path | None, what: str) -> Path:
    """The file or folder with a metric's weights.

    Args:
        metric: The name of the metric that asks.
        variable: The environment variable that is read where `given` is None.
        given: A path that wins over the variable.
        what: What the variable should name, and where one gets it, for the message.

    Raises:
        WeightsError: nothing is named, or what is named does not exist.
    """
    named = given or os.environ.get(variable)
    if not named:
        raise WeightsError(f"{metric} needs weights that unrain does not ship: let {variable} name {what}")
    path = Path(named)
    if not path.exists():
        raise WeightsError(f"{path}: does not exist; {metric} needs {what}")
    return path


def require_torch(metric: str) -> None:
    """Refuse to go on without PyTorch, in one line."""
    if not importlib.util.find_spec("torch"):
        raise UnrainError(f"{metric} needs PyTorch: pip install 'unrain[train]'")
