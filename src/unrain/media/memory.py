"""Whether this machine has the memory that a picture of some size will need."""

from __future__ import annotations

import psutil

from unrain.errors import UnrainError


def check_memory(per_pixel: float, height: int, width: int) -> None:
    """Refuse, in one line, a picture for which too little memory is free: `UnrainError`. `per_pixel` is in bytes."""
    needed, free = per_pixel * height * width, psutil.virtual_memory().available
    if needed > free:
        raise UnrainError(
            f"a picture of {width} x {height} pixels needs about {needed / 1e9:.1f} GB of memory, and"
            f" {free / 1e9:.1f} GB are free; make the picture smaller or close other programs"
        )
