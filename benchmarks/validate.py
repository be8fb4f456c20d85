"""Which weights to ship: PSNR (y) of step graphs on the validation pictures, with our rain and without, as a table.

    python benchmarks/validate.py DATA [GRAPH.onnx ...]

Reads `val/` of the benchmark data: middle pieces of 12 Kodak photos for an image model, of 4 clips of 8 frames for a
video model; the same rain for every graph. The shipped models come first. Nothing here is a test set.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from unrain import weights
from unrain.data.photos import clips, pictures, read_pixels
from unrain.evaluation.metrics import psnr
from unrain.inference.model import ImageModel, VideoModel
from unrain.networks.graphs import graph_of, read_network
from unrain.rain import render

Frames = list[NDArray[np.float32]]
KINDS = ("dry", "rain12", "rain100l", "rain100h", "light25", "complex25", "steady", "heavy", "storm")


def main(data: Path, graphs: list[Path]) -> None:
    """Print a table for the image models and one for the video models."""
    shipped = [weights.find(name) for name in (weights.DEFAULT_IMAGE, weights.DEFAULT_VIDEO)]
    entries = shipped + [entry_of(graph) for graph in graphs]
    photos = [middle(read_pixels(path)[None], 256, 384) for path in pictures(data / "val" / "photos")[::2]]
    films = [middle(clip[4:12], 160, 224) for clip in clips(data / "val" / "clips")]
    table("image", photos, [(entry.name, image_cleaner(entry)) for entry in entries if entry.kind == "image"])
    table("video", films, [(entry.name, video_cleaner(entry)) for entry in entries if entry.kind == "video"])


def entry_of(graph: Path) -> weights.Entry:
    """A step graph outside of the catalog, with the memory and stages of the shipped one of its kind."""
    name, _ = graph_of(read_network(graph))
    like = weights.find(name)
    digest = hashlib.sha256(graph.read_bytes()).hexdigest()
    return weights.Entry(
        graph.name, like.kind, str(graph.absolute()), digest, like.stages, like.memory, like.summary, like.details
    )


def image_cleaner(entry: weights.Entry) -> Callable[[Frames], Frames]:
    """Each frame by itself."""
    model = ImageModel(entry)
    return lambda frames: [model(frame) for frame in frames]


def video_cleaner(entry: weights.Entry) -> Callable[[Frames], Frames]:
    """The frames as a stream."""
    model = VideoModel(entry)
    return lambda frames: list(model.stream(frames))


def middle(frames: NDArray[np.uint8], height: int, width: int) -> Frames:
    """The middle piece of each frame, as floats."""
    top, left = (frames.shape[1] - height) // 2, (frames.shape[2] - width) // 2
    return list(frames[:, top : top + height, left : left + width].astype(np.float32) / np.float32(255))


def rainy(frames: Frames, kind: str, seed: int) -> Frames:
    """Rain of one kind, or none, rounded to 8 bits."""
    if kind == "dry":
        return frames
    clip = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)[None]
    rendered = render(clip, kind, torch.Generator().manual_seed(seed)).rainy[0].permute(0, 2, 3, 1).numpy()
    return list(np.round(rendered * 255).astype(np.float32) / np.float32(255))


def table(kind: str, material: list[Frames], cleaners: list[tuple[str, Callable[[Frames], Frames]]]) -> None:
    """Print a row for each kind of rain: PSNR of the input and of each model's output."""
    names = " | ".join(name for name, _ in cleaners)
    print(f"| {kind} | input | {names} |\n| --- | --- |{' --- |' * len(cleaners)}")
    for rain in KINDS:
        wet = [rainy(frames, rain, seed) for seed, frames in enumerate(material)]
        columns = [np.inf if rain == "dry" else mean(material, wet)]
        columns += [mean(material, [clean(frames) for frames in wet]) for _, clean in cleaners]
        print(f"| {rain} | " + " | ".join(f"{value:.2f}" for value in columns) + " |", flush=True)


def mean(truth: list[Frames], results: list[Frames]) -> float:
    """PSNR averaged over the frames of each clip, then over the clips."""
    return float(
        np.mean(
            [np.mean([psnr(a, b) for a, b in zip(*each, strict=True)]) for each in zip(results, truth, strict=True)]
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
