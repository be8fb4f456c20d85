"""What the shipped weights are worth: PSNR on luma (y) of files cleaned by `unrain clean`, as a table.

    python benchmarks/quality.py DATA [SET ...]

Reads the folders `test/` and `val/` of the benchmark data. The command line cleans the photos, as a user would: the
8-bit files that it writes are what is measured. The frames of a video are streamed through the API and rounded to 8
bits, so that no video codec counts.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import unrain
from unrain.evaluation.metrics import psnr, ssim
from unrain.media.images import Picture, read_picture, to_uint8, write_picture

Pixels = NDArray[np.float32]

UNRAIN = Path(sys.executable).with_name("unrain")
SETS = {
    "rain100l": ("test/rain100l/rainy", "test/rain100l/clean"),
    "rain100h": ("test/rain100h/rainy", "test/rain100h/clean"),
    "nturain_a1": ("test/nturain_a1/rainy", "test/nturain_a1/clean"),
    "kodak": ("val/photos/kodak", "val/photos/kodak"),
}
VIDEOS = {"nturain_a1"}


def main(data: Path, wanted: list[str]) -> None:
    """Print a row per set: mean PSNR and SSIM of the input and of the result."""
    print("| set, model | n | rainy PSNR y | clean PSNR y | rainy SSIM y | clean SSIM y |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in wanted or SETS:
        rainy, truth = (data / folder for folder in SETS[name])
        frames, clean = read_all(rainy), read_all(truth)
        row(f"{name}, sapnet", frames, clean_folder(rainy), clean)
        if name in VIDEOS:
            row(f"{name}, j4rnet", frames, stream(frames), clean)


def read_all(folder: Path) -> list[Pixels]:
    """All pictures of a folder, in the order of their names."""
    return [read_picture(path).pixels for path in sorted(folder.iterdir())]


def clean_folder(folder: Path) -> list[Pixels]:
    """What `unrain clean` makes of copies of these pictures, kept as PNG so that no codec counts."""
    with tempfile.TemporaryDirectory() as temporary:
        source, target = Path(temporary) / "rainy", Path(temporary) / "clean"
        source.mkdir()
        for path in sorted(folder.iterdir()):
            write_picture(source / f"{path.stem}.png", Picture(read_picture(path).pixels))
        subprocess.run([UNRAIN, "clean", source, "-o", target], check=True, stdout=subprocess.DEVNULL)
        return read_all(target)


def stream(frames: list[Pixels]) -> list[Pixels]:
    """The video model's frames, rounded to 8 bits as a file would hold them."""
    results = unrain.load("j4rnet").stream(frames)
    return [to_uint8(frame).astype(np.float32) / np.float32(255) for frame in results]


def row(name: str, rainy: list[Pixels], clean: list[Pixels], truth: list[Pixels]) -> None:
    """Print one row."""
    figures = [
        mean(metric(a, b) for a, b in zip(set_, truth, strict=True))
        for metric in (psnr, ssim)
        for set_ in (rainy, clean)
    ]
    print(
        f"| {name} | {len(truth)} | {figures[0]:.2f} | {figures[1]:.2f} | {figures[2]:.3f} | {figures[3]:.3f} |",
        flush=True,
    )


def mean(values: Iterable[float]) -> float:
    """The average over a set."""
    return float(np.mean(list(values)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
