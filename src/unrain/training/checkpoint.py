"""Saving a run so that it goes on exactly where it stopped. What is shipped is made of it by `export.py`."""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from unrain.errors import UnrainError, WeightsError


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` whole or not at all. Raises `UnrainError` where the disk is full or may not be written."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    _write(path, buffer.getbuffer())


def save_weights(path: Path, weights: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write weights alone as safetensors, whole or not at all; `about` goes into the file's metadata, as JSON."""
    whole = {name: value.detach().contiguous() for name, value in weights.items()}
    _write(path, safetensors_bytes(whole, {key: json.dumps(value) for key, value in about.items()}))


def _write(path: Path, content: bytes | memoryview) -> None:
    """To a file beside `path`, which is then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        kept = "; the one before is kept, and --resume goes on from it" if path.exists() else ""
        raise UnrainError(f"{path}: cannot be written ({error.strerror}){kept}") from error
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
