"""Which weights to ship: PSNR (y) of step graphs on the validation pictures, with our rain and without, as a table.

    python benchmarks/validate.py DATA [GRAPH.onnx ...]

Reads `val/` of the benchmark data: middle pieces of 12 Kodak photos for an image model, of 4 clips of 8 frames for a
video model, and for the image models frame by frame beside it; the same rain for every graph. The shipped models come
first. Nothing here is a test set.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from unrain import weights
from unrain.evaluation.metrics import psnr
from unrain.inference import recurrence
from unrain.inference.frames import run_frames
from unrain.inference.pictures import opened
from unrain.networks.graphs import graph_of, read_network
from unrain.training.validation import KINDS, film_pieces, photo_pieces, rainy

Frames = list[NDArray[np.float32]]


def main(data: Path, graphs: list[Path]) -> None:
    """Print a table for the image models and one for the video models."""
    entries = [*weights.catalog().values(), *(entry_of(graph) for graph in graphs)]
    images = [
        (f"{entry.name} {precision}" if entry.int8 else entry.name, network_of(entry, precision))
        for entry in entries
        for precision in weights.PRECISIONS
        if entry.kind == "image" and (precision == "fp32" or entry.int8)
    ]
    videos = [(entry.name, network_of(entry)) for entry in entries if entry.kind == "video"]
    table("image", photo_pieces(data / "val", 12, (256, 384)), images)
    table("video", film_pieces(data / "val", 8, (160, 224)), images + videos)


def entry_of(graph: Path) -> weights.Entry:
    """A step graph outside of the catalog, with the memory and stages of the shipped one of its kind."""
    name, _ = graph_of(read_network(graph))
    like = weights.of_network(name)
    return replace(like, name=graph.name, file=str(graph.absolute()), sha256=weights.file_hash(graph), int8=None)


def network_of(entry: weights.Entry, precision: str = "fp32") -> Callable[[Frames], Frames]:
    """What a network makes of frames: one by one, or as a stream. Dry ones, too, which the models leave as they are."""
    if entry.kind == "image":
        cleaner = opened(entry, precision=precision)
        return lambda frames: [cleaner.clean(frame, entry.stages) for frame in frames]
    stream = recurrence.opened(entry, precision=precision)
    return lambda frames: [result.background.clip(0, 1) for result in run_frames(stream, frames)]


def table(kind: str, clean: Tensor, cleaners: list[tuple[str, Callable[[Frames], Frames]]]) -> None:
    """Print a row for each kind of rain: PSNR of the input and of each model's output."""
    names = " | ".join(name for name, _ in cleaners)
    print(f"| {kind} | input | {names} |\n| --- | --- |{' --- |' * len(cleaners)}")
    material = as_frames(clean)
    for rain in KINDS:
        wet = as_frames(rainy(clean, rain))
        columns = [np.inf if rain == "dry" else mean(material, wet)]
        columns += [mean(material, [cleaner(frames) for frames in wet]) for _, cleaner in cleaners]
        print(f"| {rain} | " + " | ".join(f"{value:.2f}" for value in columns) + " |", flush=True)


def as_frames(clips: Tensor) -> list[Frames]:
    """`(N, T, 3, H, W)` as lists of `(H, W, 3)`."""
    return [list(clip.permute(0, 2, 3, 1).numpy()) for clip in clips]


def mean(truth: list[Frames], results: list[Frames]) -> float:
    """PSNR averaged over the frames of each clip, then over the clips."""
    return float(
        np.mean(
            [np.mean([psnr(a, b) for a, b in zip(*each, strict=True)]) for each in zip(results, truth, strict=True)]
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
