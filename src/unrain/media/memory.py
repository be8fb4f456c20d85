"""Whether this machine has the memory that a picture of some size will need, and how much of one it has it for."""

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


def room(per_pixel: float, memory: float, least: int) -> float:
    """How many pixels fit into `memory` bytes, and into this machine, at `per_pixel` bytes each.

    Raises `UnrainError` where that is less than a square with sides of `least` pixels.
    """
    there = min(memory, 0.9 * float(psutil.virtual_memory().available))
    if least**2 * per_pixel > there:
        raise UnrainError(
            f"cleaning needs at least {least**2 * per_pixel / 1e6:.0f} MB of memory, and has {there / 1e6:.0f};"
            " give it more or close other programs"
        )
    return there / per_pixel
