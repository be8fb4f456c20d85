"""What a picture costs in memory: peak bytes per pixel, and seconds, of each model on each engine in each precision.

    python benchmarks/memory.py

Each measurement is a process of its own: two sizes, and the slope of the peak between them. The catalog's
`memory` has these figures, rounded up.
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
import unrain.weights
from unrain.inference import frames, recurrence
name, engine, precision, side = *sys.argv[1:4], int(sys.argv[4])
picture = np.random.default_rng(0).random((side, side, 3), dtype=np.float32)
start = time.perf_counter()
if unrain.weights.find(name).kind == "image":
    unrain.load(name, engine=engine, precision=precision, memory=1e12)(picture)
else:
    cleaner = recurrence.opened(unrain.weights.find(name), engine, None, precision, 1e12)
    list(frames.run_frames(cleaner, [picture]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, time.perf_counter() - start)
"""


def main() -> None:
    """Print a line per model, engine and precision."""
    for name, entry in weights.catalog().items():
        for engine in engines.installed():
            for precision in weights.PRECISIONS:
                if precision == "int8" and (entry.int8 is None or engine == "torch"):
                    continue
                small, large = (measure(name, engine, precision, side) for side in SIZES)
                slope = (large[0] - small[0]) / (SIZES[1] ** 2 - SIZES[0] ** 2)
                print(
                    f"{name:<8} {engine:<12} {precision:<5} {slope:7.0f} bytes per pixel,"
                    f" peak {large[0] / 1e9:.2f} GB, {large[1]:.1f} s",
                    flush=True,
                )


def measure(name: str, engine: str, precision: str, side: int) -> tuple[float, float]:
    """Peak bytes and seconds for one square picture."""
    ran = subprocess.run(
        [sys.executable, "-c", CODE, name, engine, precision, str(side)], check=True, capture_output=True, text=True
    )
    peak, seconds = ran.stdout.split()
    return float(peak), float(seconds)


if __name__ == "__main__":
    main()
