"""unrain takes the rain out of photos and videos.

    model = unrain.load()                      # the shipped image model, on the best engine of this machine
    clean = model(photo)                       # PIL image in, PIL image out; uint8 or float (H, W, 3) arrays likewise
    for frame in unrain.load("j4rnet").stream(frames): ...
    unrain.clean("in/", "out/")                # files, folders, videos: what the command line does

Names are imported when they are first used: `import unrain` is quick, and never imports torch.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unrain import rain as rain
    from unrain.errors import UnrainError as UnrainError
    from unrain.inference.clean import clean as clean
    from unrain.inference.model import ImageModel as ImageModel
    from unrain.inference.model import VideoModel as VideoModel
    from unrain.inference.model import load as load

# ONNX Runtime reports its use over the network since 1.29, unless this is set before it is imported, by whomever
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"

_HOMES = {
    "UnrainError": "unrain.errors",
    "clean": "unrain.inference.clean",
    "ImageModel": "unrain.inference.model",
    "VideoModel": "unrain.inference.model",
    "load": "unrain.inference.model",
}

__all__ = ["ImageModel", "UnrainError", "VideoModel", "clean", "load", "rain"]


def __getattr__(name: str) -> Any:
    if name == "rain":
        return importlib.import_module("unrain.rain")
    if name not in _HOMES:
        raise AttributeError(f"module 'unrain' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
