"""Photos with boxes and polygons: reading them, and putting rain on them.

What is measured on them is in `detection.py` and `segmentation.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from unrain.data.photos import pictures
from unrain.errors import MediaError
from unrain.media.images import from_uint8, read_picture, to_uint8

Pixels = NDArray[np.float32]
Boxes = NDArray[np.float64]
Classes = NDArray[np.int64]
Labels = NDArray[np.uint8]

VOC = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "dining table",
    "dog",
    "horse",
    "motorbike",
    "person",
    "potted plant",
    "sheep",
    "sofa",
    "train",
    "tv",
)
"""The classes of Pascal VOC, in its order."""
COCO_TO_VOC = {
    1: "person",
    2: "bicycle",
    3: "car",
    4: "motorbike",
    5: "aeroplane",
    6: "bus",
    7: "train",
    9: "boat",
    16: "bird",
    17: "cat",
    18: "dog",
    19: "horse",
    20: "sheep",
    21: "cow",
    44: "bottle",
    62: "chair",
    63: "sofa",
    64: "potted plant",
    67: "dining table",
    72: "tv",
}
"""COCO's category numbers (1 to 90) of the classes that VOC has too."""
VOID = 255
"""The label of pixels that are not judged."""
CROWD = 0
"""The category of a rectangle around many objects at once."""
COCO_CLASSES = 80
LAST_CATEGORY = 90
# Outlines were drawn coarser than boxes; what overlaps so much is the same object.
_SAME = 0.5


class Objects(NamedTuple):
    """What there is in one picture: boxes `(n, 4)` as left, top, right, bottom in pixels, and classes `(n,)` from 0."""

    boxes: Boxes
    classes: Classes


class Outline(NamedTuple):
    """What one object covers: COCO's category number, or `CROWD`, and the corners `(k, 2)` of its visible parts.

    Corners are x, y in [0, 1] of the picture.
    """

    category: int
    parts: tuple[NDArray[np.float64], ...]


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo's file and its labels, which are relative to the picture, so that they fit it at any size.

    boxes: `(n, 4)`, left, top, right, bottom in [0, 1]. classes: `(n,)`, COCO's 80 classes, 0 to 79.
    """

    path: Path
    boxes: Boxes
    classes: Classes
    outlines: tuple[Outline, ...]

    def read(self) -> Pixels:
        """The clean photo, `(H, W, 3)` RGB in [0, 1]; `MediaError` if it cannot be read."""
        return read_picture(self.path).pixels

    def objects(self, height: int, width: int) -> Objects:
        """The objects of a picture of this size, for detection."""
        return Objects(self.boxes * (width, height, width, height), self.classes)

    def mask(self, height: int, width: int) -> Labels:
        """The class of each pixel, `(height, width)`: an index into `VOC`, or `VOID`, for segmentation.

        A pixel that no outline claims is background, or void where it lies among a crowd, whose members are not
        labelled one by one. One that several classes claim is void, as is one of a class that VOC lacks: a network that
        learned VOC's 20 classes is right to see nothing there, and not wrong to see a zebra as a horse.
        """
        mask = np.zeros((height, width), np.uint8)
        claims = np.zeros((height, width), np.uint8)
        for category in sorted({outline.category for outline in self.outlines} - {CROWD}):
            name = COCO_TO_VOC.get(category)
            claimed = self._claimed(category, height, width)
            mask[claimed] = VOID if name is None else VOC.index(name)
            claims += claimed
        mask[claims > 1] = VOID
        mask[(mask == 0) & self._claimed(CROWD, height, width)] = VOID
        return mask

    def _claimed(self, category: int, height: int, width: int) -> NDArray[np.bool_]:
        image = Image.new("1", (width, height))
        draw = ImageDraw.Draw(image)
        for outline in self.outlines:
            for part in outline.parts if outline.category == category else ():
                # Pillow counts from the centre of a pixel.
                draw.polygon([(x * width - 0.5, y * height - 0.5) for x, y in part], fill=1)
        return np.asarray(image)


def read_labelled(folder: Path) -> list[LabelledPhoto]:
    """The photos below `folder/images` with their labels, sorted by name.

    `folder/boxes/NAME.txt` has a line `class x y width height` for each object (class 0 to 79, the box's centre),
    `folder/polygons/NAME.txt` a line `category x y x y …` (COCO's numbers, 1 to 90), in which the visible parts of one
    object follow each other without a mark; see `split`. Coordinates are relative to the picture. What has an outline
    and no box is a crowd. Raises `MediaError` where a photo has no labels, or a line is not of this form.
    """
    return [_labelled(path, folder) for path in pictures(folder / "images")]


def _labelled(path: Path, folder: Path) -> LabelledPhoto:
    name = f"{path.stem}.txt"
    boxes = _rows(folder / "boxes" / name, "class x y width height", range(COCO_CLASSES), pairs=range(2, 3))
    outlines = _rows(
        folder / "polygons" / name, "category x y x y x y …", range(1, LAST_CATEGORY + 1), pairs=range(3, sys.maxsize)
    )
    centre, size = np.array([place for _, place in boxes]).reshape(-1, 2, 2).swapaxes(0, 1)
    corners = np.concatenate((centre - size / 2, centre + size / 2), axis=1)
    return LabelledPhoto(
        path,
        corners,
        np.array([kind for kind, _ in boxes], np.int64),
        tuple(_outline(category, points, corners) for category, points in outlines),
    )


def _outline(category: int, corners: NDArray[np.float64], boxes: Boxes) -> Outline:
    left, top, right, bottom = extent = np.concatenate((corners.min(axis=0), corners.max(axis=0)))
    if (overlap(extent, boxes) >= _SAME).any():
        return Outline(category, split(corners))
    return Outline(CROWD, (np.array([(left, top), (right, top), (right, bottom), (left, bottom)]),))


def split(corners: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Polygons `(k, 2)` that were written one behind the other, as one list of corners, apart again.

    The list is cut wherever this replaces two long edges, those that lead to the next polygon and back, by two that are
    less than half as long together.
    """
    if len(corners) < 6:
        return (corners,)
    ends, starts = corners[2:-3], corners[3:-2]
    first, last = corners[0], corners[-1]
    together = _distance(ends, starts) + _distance(last, first)
    apart = _distance(ends, first) + _distance(last, starts)
    best = int(np.argmin(apart - together))
    if apart[best] >= together[best] / 2:
        return (corners,)
    return split(corners[: best + 3]) + split(corners[best + 3 :])


def _distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(a - b, axis=-1))


def overlap(box: Boxes, others: Boxes) -> NDArray[np.float64]:
    """Intersection over union of one box `(4,)` with each of `(n, 4)`."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = sides.clip(0).prod(axis=1)
    union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - shared
    return np.asarray(shared / np.maximum(union, np.finfo(np.float64).tiny))


def _rows(path: Path, form: str, classes: range, pairs: range) -> list[tuple[int, NDArray[np.float64]]]:
    """The lines of a label file: each a class, and as many pairs `(k, 2)` of coordinates as are allowed."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise MediaError(f"{path}: cannot be read as labels ({error})") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        first, *rest = line.split() or [""]
        try:
            kind, places = int(first), np.array(rest, np.float64).reshape(-1, 2)
            if not (kind in classes and len(places) in pairs and ((places >= 0) & (places <= 1)).all()):
                raise ValueError
        except ValueError:
            bounds = f"a class from {classes[0]} to {classes[-1]} and coordinates from 0 to 1"
            raise MediaError(f"{path}: line {number} is not '{form}', {bounds}") from None
        rows.append((kind, places))
    return rows


def rainy(photos: Sequence[LabelledPhoto], preset: str, seed: int = 0) -> Iterator[Pixels]:
    """The photos in the rain of a preset of `unrain.rain`, in order, as 8-bit files would hold them.

    The labels stay as they are. Photo number k gets the rain of `seed` + k, so the same folder, preset and seed give
    the same pictures; it is the rain that `unrain rain FOLDER/images` draws. Needs PyTorch. Raises `UnrainError` for
    an unknown preset.
    """
    from unrain.rain import add

    for number, photo in enumerate(photos):
        picture, _ = add(photo.read(), preset, seed + number)
        yield from_uint8(to_uint8(picture))
