"""Saving a run so that it goes on exactly where it stopped. What is shipped is made of it by `export.py`."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import torch

from unrain.errors import WeightsError


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` whole or not at all: to a file beside `path`, which is then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def load(path: Path) -> dict[str, Any]:
    """Read what `save` wrote, tensors on the CPU; `WeightsError` if it is not such a file. Never runs code from it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(f"{path}: cannot be read as a checkpoint ({reason})") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path}: cannot be read as a checkpoint (it holds no table)")
    return state
