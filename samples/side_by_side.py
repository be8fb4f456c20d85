"""For `make demo`: a before/after picture for each file that was cleaned, beside the result."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unrain.evaluation.figure import side_by_side
from unrain.media.files import Kind, kind_of, plan
from unrain.media.stills import read_still, write_figure

FRAME = 12


def main(source: Path, output: Path) -> None:
    """Write `NAME_before_after.png` for every file that `unrain clean SOURCE -o OUTPUT` writes."""
    for job in plan([source], output):
        picture = job.target.with_name(f"{job.target.stem}_before_after.png")
        before, after = (_still(path) for path in (job.source, job.target))
        write_figure(picture, side_by_side(before, after))
        print(picture)


def _still(path: Path) -> NDArray[np.float32]:
    return read_still(path, FRAME if kind_of(path) is Kind.VIDEO else 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
