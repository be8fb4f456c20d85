"""A batch as `unrain clean` runs it, with every picture and frame left as it is, as a program to be killed.

    python identity_batch.py IN OUT LOG

A line is added to LOG for each file on which work begins. No tests live here.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from unrain.media import batch, images, videos
from unrain.media.batch import Listener
from unrain.media.files import Job, Kind, kind_of, plan


def main(source: Path, output: Path, log: Path) -> int:
    """Work through the folder; the exit status is the number of failures."""

    def work(job: Job, part: Path, listener: Listener) -> int:
        with log.open("a") as file:
            file.write(f"{job.target.name}\n")
        if kind_of(job.source) is Kind.VIDEO:
            return videos.rewrite(job.source, part, lambda frames: frames)
        images.write_picture(part, images.read_picture(job.source))
        time.sleep(0.02)  # what a network would take, so that processes meet
        return 1

    outcomes = batch.run(plan([source], output), work, settings={"network": "none"})
    for outcome in outcomes:
        if outcome.error:
            print(outcome.error, file=sys.stderr)
    return sum(outcome.error is not None for outcome in outcomes)


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
