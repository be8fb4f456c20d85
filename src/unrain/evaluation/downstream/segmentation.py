"""Telling what each pixel shows: ESPNetv2 for Pascal VOC, and the mean accuracy and overlap of its classes.

The architecture is in `networks/espnetv2.py`, labels are in `labels.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unrain.errors import UnrainError, WeightsError
from unrain.evaluation.downstream.labels import VOC, VOID, Labels, Pixels
from unrain.media.images import from_uint8, to_uint8

if TYPE_CHECKING:
    from unrain.networks.espnetv2 import ESPNetv2

SIDE = 384
"""The published weights see pictures as squares of this many pixels."""
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
"""Of ImageNet's colours, in [0, 1]."""

Confusion = NDArray[np.int64]
"""`(21, 21)`: how many pixels of class i (row) were taken for class j (column)."""


class SegmentationScores(NamedTuple):
    """Means over the classes that occur in the truth, the background among them, each in [0, 1].

    mpa: mean pixel accuracy; of a class, the part of its pixels that was found. miou: mean intersection over union.
    """

    mpa: float
    miou: float


@dataclass(frozen=True)
class Segmenter:
    """A network that `open_segmenter` has read."""

    name: str
    network: ESPNetv2


def open_segmenter(path: Path) -> Segmenter:
    """ESPNetv2 with the published weights for Pascal VOC (scale 2.0, a `.pth` file). Needs PyTorch.

    Raises `WeightsError` if the file is not such a checkpoint.
    """
    from unrain.networks.espnetv2 import ESPNetv2
    from unrain.networks.graphs import load_weights
    from unrain.training import checkpoint

    network = ESPNetv2().eval()
    weights = checkpoint.load(path)
    try:
        load_weights(network, weights)
    except WeightsError as error:
        # There are hundreds of names that could differ.
        raise WeightsError(f"{path}: is no checkpoint of ESPNetv2 (scale 2.0, {len(VOC)} classes)") from error
    return Segmenter(path.stem, network)


def segment(segmenter: Segmenter, picture: Pixels) -> Labels:
    """The class of each pixel of a picture `(H, W, 3)`, RGB in [0, 1]: `(H, W)`, an index into `labels.VOC`.

    As its authors measure it: the picture with 8 bits, scaled to a square; the classes scaled back to the nearest.
    """
    import torch

    height, width, _ = picture.shape
    square = Image.fromarray(to_uint8(picture)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    values = (from_uint8(np.asarray(square)) - MEAN) / DEVIATION
    with torch.inference_mode():
        logits = segmenter.network(torch.from_numpy(values).permute(2, 0, 1)[None])
    classes = Image.fromarray(logits[0].argmax(dim=0).to(torch.uint8).numpy())
    return np.asarray(classes.resize((width, height), Image.Resampling.NEAREST))


def confusion(found: Labels, truth: Labels) -> Confusion:
    """How the classes of one picture were taken for each other; pixels whose truth is `VOID` do not count.

    Both are `(H, W)`, indices into `labels.VOC`. Raises `ValueError` where the shapes differ.
    """
    if found.shape != truth.shape:
        raise ValueError(f"classes to compare must have one shape, not {found.shape} and {truth.shape}")
    judged = truth != VOID
    pairs = truth[judged].astype(np.int64) * len(VOC) + found[judged]
    return np.bincount(pairs, minlength=len(VOC) ** 2).reshape(len(VOC), len(VOC))


def score_segmentation(pictures: Iterable[tuple[Labels, Labels]]) -> SegmentationScores:
    """The scores over all pixels of all pictures, each picture as (found, truth), see `confusion`.

    Raises `UnrainError` if no pixel can be judged.
    """
    total = np.zeros((len(VOC), len(VOC)), np.int64)
    for found, truth in pictures:
        total += confusion(found, truth)
    right, there, taken = total.diagonal(), total.sum(axis=1), total.sum(axis=0)
    occurs = there > 0
    if not occurs.any():
        raise UnrainError("there is nothing to segment: no pixel has a label that can be judged")
    accuracy = right[occurs] / there[occurs]
    overlap = right[occurs] / (there + taken - right)[occurs]
    return SegmentationScores(float(accuracy.mean()), float(overlap.mean()))
