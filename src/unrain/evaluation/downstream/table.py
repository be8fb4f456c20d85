"""The rows of SAPNet's Table 5: each version of the same labelled photos (clean, rainy, derained) with its scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from unrain.evaluation.downstream.detection import DetectionScores, Detector, detect, score_detections
from unrain.evaluation.downstream.labels import LabelledPhoto, Pixels, rainy
from unrain.evaluation.downstream.segmentation import (
    SegmentationScores,
    Segmenter,
    score_segmentation,
    segment,
)
from unrain.evaluation.methods import RAINY, Bytes, Method, Result
from unrain.evaluation.suites import find
from unrain.evaluation.suites.copies import Frame, Item
from unrain.media.images import from_uint8, to_uint8

CLEAN = "clean"
COLUMNS = ("mAP", "AP50", "AP75", "mPA", "mIoU")
Version = tuple[str, Iterable[Pixels]]
"""What it is called, and its pictures, one for each photo and in the photos' order."""


class Row(NamedTuple):
    """The scores of one version of the photos: mAP is `detection.ap`; mPA and mIoU are in `segmentation`."""

    name: str
    detection: DetectionScores
    segmentation: SegmentationScores

    @property
    def values(self) -> tuple[float, ...]:
        """In the order of `COLUMNS`, in [0, 1]."""
        return (*self.detection, *self.segmentation)


def versions(photos: Sequence[LabelledPhoto], methods: Sequence[Method], preset: str, seed: int) -> Iterator[Version]:
    """The photos as they are, in rain, and what each method makes of the latter; pictures come when asked for."""
    yield CLEAN, (photo.read() for photo in photos)
    yield RAINY, rainy(photos, preset, seed)
    for method in methods:
        yield method.label, _derained(method, photos, rainy(photos, preset, seed))


def _derained(method: Method, photos: Sequence[LabelledPhoto], pictures: Iterable[Pixels]) -> Iterator[Pixels]:
    frames = tuple(Frame(photo.path.stem, photo.path, photo.path) for photo in photos)
    for frame, picture in zip(frames, pictures, strict=True):
        item = Item(frame.name, (frame,))
        (result,) = method.clean(find("coco150"), item, [to_uint8(picture)])
        yield from_uint8(_sound(result))


def _sound(result: Result) -> Bytes:
    if isinstance(result, Exception):
        raise result
    return result


def compare(
    photos: Sequence[LabelledPhoto],
    versions: Iterable[Version],
    detector: Detector,
    segmenter: Segmenter,
    seen: Callable[[str], None] = lambda name: None,
) -> Iterator[Row]:
    """One row for each version of the photos, in their order, as soon as it is known.

    Pictures are `(H, W, 3)`, RGB in [0, 1], of any size; each is looked at once and not kept, so that a generator may
    make them. `seen` hears the version's name after each. Raises `ValueError` where there are fewer or more pictures
    than photos.
    """
    for name, pictures in versions:
        found, objects, classes = [], [], []
        for photo, picture in zip(photos, pictures, strict=True):
            height, width, _ = picture.shape
            found.append(detect(detector, picture))
            objects.append(photo.objects(height, width))
            classes.append((segment(segmenter, picture), photo.mask(height, width)))
            seen(name)
        yield Row(name, score_detections(found, objects), score_segmentation(classes))
