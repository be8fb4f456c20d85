"""What a picture costs in memory: peak bytes per pixel, and seconds, of each model on each engine.

    python benchmarks/memory.py

Each measurement is a process of its own: two sizes, and the slope of the peak between them. The catalog's `memory` is
this figure of the default engine, rounded up.
"""

from __future__ import annotations

import subprocess
import sys

from unrain import weights
from unrain.inference import engines

SIZES = (400, 1000)
CODE = """
import resource, sys, time
import numpy as np
import unrain
name, engine, side = sys.argv[1], sys.argv[2], int(sys.argv[3])
model = unrain.load(name, engine=engine)
picture = np.random.default_rng(0).random((side, side, 3), dtype=np.float32)
start = time.perf_counter()
if model.entry.kind == "image":
    model(picture, stages=2)
else:
    list(model.stream([picture]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, time.perf_counter() - start)
"""


def main() -> None:
    """Print a line per model and engine."""
    for name in weights.catalog():
        for engine in engines.installed():
            small, large = (measure(name, engine, side) for side in SIZES)
            slope = (large[0] - small[0]) / (SIZES[1] ** 2 - SIZES[0] ** 2)
            print(
                f"{name:<8} {engine:<12} {slope:7.0f} bytes per pixel, peak {large[0] / 1e9:.2f} GB, {large[1]:.1f} s"
            )


def measure(name: str, engine: str, side: int) -> tuple[float, float]:
    """Peak bytes and seconds for one square picture."""
    ran = subprocess.run(
        [sys.executable, "-c", CODE, name, engine, str(side)], check=True, capture_output=True, text=True
    )
    peak, seconds = ran.stdout.split()
    return float(peak), float(seconds)


if __name__ == "__main__":
    main()
