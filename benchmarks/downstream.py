"""Detection and segmentation before and after deraining, in the layout of SAPNet's Table 5.

    python benchmarks/downstream.py DATA PEERS [PRESET ...]

Reads `test/coco_labelled` of the benchmark data and, of the published checkpoints, `detection/yolox_nano.onnx` and
`segmentation/espnetv2_s_2.0_pascal_384x384.pth`. Rain of each preset (heavy and rain100h, if none is named) is rendered
on the photos, always the same, and taken out by the shipped SAPNet. Needs the extras `eval` and `train`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import unrain
from unrain.evaluation.downstream.detection import open_detector
from unrain.evaluation.downstream.labels import rainy, read_labelled
from unrain.evaluation.downstream.segmentation import open_segmenter
from unrain.evaluation.downstream.table import compare

SEED = 7


def main(data: Path, peers: Path, presets: list[str]) -> None:
    """Print a row for the clean photos, and two for each preset, as soon as each is known."""
    photos = read_labelled(data / "test" / "coco_labelled")
    detector = open_detector(peers / "detection" / "yolox_nano.onnx")
    segmenter = open_segmenter(peers / "segmentation" / "espnetv2_s_2.0_pascal_384x384.pth")
    versions: dict[str, Iterable[NDArray[np.float32]]] = {"clean": (photo.read() for photo in photos)}
    for preset in presets:
        versions[f"rainy, {preset}"] = rainy(photos, preset, SEED)
        versions[f"SAPNet, {preset}"] = derained(rainy(photos, preset, SEED))
    print(
        f"| {len(photos)} photos | mAP | AP50 | AP75 | mPA | mIoU |\n| --- | --- | --- | --- | --- | --- |", flush=True
    )
    for name, pictures in versions.items():
        (row,) = compare(photos, {name: pictures}, detector, segmenter)
        figures = " | ".join(f"{100 * value:.1f}" for value in (*row.detection, *row.segmentation))
        print(f"| {name} | {figures} |", flush=True)


def derained(pictures: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """What the shipped image model makes of them."""
    model = unrain.load()
    return (model(picture) for picture in pictures)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] or ["heavy", "rain100h"])
