"""`unrain doctor`: what this installation is and can do, for people and for bug reports."""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata

import typer


def doctor() -> None:
    """Show versions, engines, processor and memory, and check that each engine cleans a picture."""
    import psutil

    from unrain import __version__
    from unrain.inference.engines import MODULES, installed

    typer.echo(f"unrain      {__version__}, Python {platform.python_version()}, {platform.platform()}")
    memory = psutil.virtual_memory()
    typer.echo(
        f"machine     {os.cpu_count()} cores, {memory.total / 1e9:.1f} GB memory, {memory.available / 1e9:.1f} free"
    )
    typer.echo(f"libraries   {', '.join(f'{name} {metadata.version(name)}' for name in ('numpy', 'pillow', 'av'))}")
    for name in MODULES:
        typer.echo(f"{name:<12}{_check(name) if name in installed() else 'not installed'}")
    typer.echo(f"auto        {_auto()}")


def _auto() -> str:
    from unrain import weights
    from unrain.errors import UnrainError
    from unrain.inference.choice import choose

    try:
        taken = choose(weights.find(weights.DEFAULT_IMAGE))
    except UnrainError as error:
        return f"takes nothing: {error}"
    return f"takes {taken.engine} {taken.precision}; unrain bench measures all"


def _check(engine: str) -> str:
    import numpy as np

    from unrain.errors import UnrainError
    from unrain.inference.model import load

    try:
        model = load(engine=engine, precision="fp32")
        picture = np.random.default_rng(0).random((128, 128, 3), dtype=np.float32)
        model(picture)
        start = time.perf_counter()
        model(picture)
        took = time.perf_counter() - start
    except (UnrainError, ImportError) as error:
        return f"{metadata.version(engine)}, does not work: {error}"
    rate = picture.shape[0] * picture.shape[1] / took / 1e6
    return f"{metadata.version(engine)}, float32 on {model.engine.device}, {rate:.2f} megapixels a second"
