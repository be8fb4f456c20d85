"""The pictures whose numbers Octave computed: a piece of a shipped photo, and what is made of it with whole numbers.

python tests/golden_pictures.py DIR && octave tests/golden/metrics.m DIR > tests/golden/metrics.json
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SAMPLE = Path(__file__).parents[1] / "samples/friends.jpg"


def pictures() -> dict[str, NDArray[np.uint8]]:
    """Name to `(200, 300, 3)` of 8 bits; `clean` is the truth of the others."""
    with Image.open(SAMPLE) as image:
        clean = np.asarray(image.convert("RGB").crop((200, 60, 500, 260))).astype(np.int64)
    row, column = np.indices(clean.shape[:2])
    streak = 90 * np.less((3 * row + 7 * column) % 61, 4)[..., np.newaxis]
    neighbours = sum(np.roll(clean, shift, (0, 1)) for shift in ((0, 1), (1, 0), (0, -1), (-1, 0)))
    made = {
        "clean": clean,
        "streaks": np.minimum(clean + streak, 255),
        "few_levels": clean // 24 * 24 + 12,
        "dark": clean * 3 // 4,
        "soft": (4 * clean + neighbours) // 8,
    }
    return {name: pixels.astype(np.uint8) for name, pixels in made.items()}


if __name__ == "__main__":
    for name, pixels in pictures().items():
        Image.fromarray(pixels).save(Path(sys.argv[1]) / f"{name}.png")
