"""The rows of the table: each version of the same labelled photos (clean, rainy, derained) with its scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from unrain.evaluation.downstream.detection import DetectionScores, Detector, detect, score_detections
from unrain.evaluation.downstream.labels import LabelledPhoto, Pixels
from unrain.evaluation.downstream.segmentation import (
    SegmentationScores,
    Segmenter,
    score_segmentation,
    segment,
)


class Row(NamedTuple):
    """The scores of one version of the photos: mAP is `detection.ap`; mPA and mIoU are in `segmentation`."""

    name: str
    detection: DetectionScores
    segmentation: SegmentationScores


def compare(
    photos: Sequence[LabelledPhoto],
    versions: Mapping[str, Iterable[Pixels]],
    detector: Detector,
    segmenter: Segmenter,
) -> list[Row]:
    """One row for each version of the photos, in their order.

    A version is pictures `(H, W, 3)`, RGB in [0, 1], one for each photo and in the photos' order, of any size; each is
    looked at once and not kept, so that a generator may make them. Raises `ValueError` where there are fewer or more
    pictures than photos.
    """
    return [_row(name, photos, pictures, detector, segmenter) for name, pictures in versions.items()]


def _row(
    name: str, photos: Sequence[LabelledPhoto], pictures: Iterable[Pixels], detector: Detector, segmenter: Segmenter
) -> Row:
    found, objects, classes = [], [], []
    for photo, picture in zip(photos, pictures, strict=True):
        height, width, _ = picture.shape
        found.append(detect(detector, picture))
        objects.append(photo.objects(height, width))
        classes.append((segment(segmenter, picture), photo.mask(height, width)))
    return Row(name, score_detections(found, objects), score_segmentation(classes))
