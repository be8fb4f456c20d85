"""Cleans a video in short segments, and says after each frame how far it is. To be killed."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unrain.media.videos import Clean, Keeping, rewrite
from unrain.media.writing import atomic_output


def quick(frames: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """In place of the network: half of each result is the frame before."""
    before = None
    for frame in frames:
        yield frame if before is None else (frame + before) * np.float32(0.5)
        before = frame
        time.sleep(0.005)


def main(source: Path, target: Path, length: int, clean: Clean) -> None:
    """Clean in segments of `length` frames."""
    keeping = Keeping(target.with_name(f".{target.name}.unrain"), f"{source.stat().st_size}", length, lead=4)
    with atomic_output(target) as part:
        rewrite(source, part, clean, lambda number: print(number, flush=True), keeping=keeping)


if __name__ == "__main__":
    cleaner: Clean = quick
    if "--network" in sys.argv:
        import unrain

        cleaner = unrain.load("j4rnet", threads=1).stream
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), cleaner)
