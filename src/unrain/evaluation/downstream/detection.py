"""Finding objects: a detector in an ONNX file, and COCO's average precision of what it found.

The detector is of the YOLOX family (Ge et al., 2021). Labels are in `labels.py`.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from PIL import Image

from unrain.errors import UnrainError, WeightsError
from unrain.evaluation.downstream.labels import COCO_CLASSES, Boxes, Classes, Objects, Pixels, overlap
from unrain.media.images import to_uint8

STRIDES = (8, 16, 32)
FILL = 114
# What YOLOX's published figures were measured with.
LEAST_SCORE, MOST_OVERLAP = 0.01, 0.65


class Detections(NamedTuple):
    """What was found in one picture, the surest first.

    boxes: `(n, 4)`, left, top, right, bottom in pixels. classes: `(n,)`, COCO's 80, from 0. scores: `(n,)` in [0, 1].
    """

    boxes: Boxes
    classes: Classes
    scores: NDArray[np.float64]


class DetectionScores(NamedTuple):
    """Mean average precision over the classes that occur, each in [0, 1].

    ap: over the overlaps 0.5, 0.55 … 0.95, which is the papers' mAP. ap50, ap75: at these overlaps.
    """

    ap: float
    ap50: float
    ap75: float


@dataclass(frozen=True)
class Detector:
    """A YOLOX network, as `open_detector` reads it.

    Its input is `(1, 3, *size)`, BGR in 0 … 255: the picture scaled to fit, at the top left, on grey of level 114. Its
    output is `(1, cells, 85)`: box, objectness and 80 class scores for each cell of the grids with strides 8, 16 and
    32. Boxes are relative to their cells, or, if `decoded`, centre and size in the network's pixels.
    """

    name: str
    size: tuple[int, int]
    session: ort.InferenceSession
    decoded: bool = False


def open_detector(path: Path, *, decoded: bool = False) -> Detector:
    """Read a YOLOX network in ONNX; `decoded` if it was exported with its decoding.

    Raises `WeightsError` if the file cannot be read or has other inputs and outputs than a `Detector`.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base but this
        raise WeightsError(f"{path}: ONNX Runtime cannot read this detector") from error
    shapes = [values.shape for values in (*session.get_inputs(), *session.get_outputs())]
    match shapes:
        case [[1, 3, int(height), int(width)], [1, cells, outputs]] if (
            cells == len(_cells(height, width)[0]) and outputs == 5 + COCO_CLASSES
        ):
            return Detector(path.stem, (height, width), session, decoded)
    raise WeightsError(f"{path}: is no YOLOX detector of COCO's {COCO_CLASSES} classes; its inputs and outputs differ")


def detect(detector: Detector, picture: Pixels) -> Detections:
    """What a detector finds in a picture `(H, W, 3)`, RGB in [0, 1], which it sees with 8 bits.

    One class per box, the likeliest; of boxes of one class that overlap by more than 0.65, the surest.
    """
    canvas, scale = letterbox(picture, detector.size)
    planes = np.ascontiguousarray(canvas[:, :, ::-1].transpose(2, 0, 1)[None], dtype=np.float32)
    (output,) = detector.session.run(None, {detector.session.get_inputs()[0].name: planes})
    values = np.asarray(output[0], np.float64)
    centre, size = values[:, :2], values[:, 2:4]
    if not detector.decoded:
        corners, strides = _cells(*detector.size)
        centre, size = (centre + corners) * strides, np.exp(size) * strides
    likelihood = values[:, 4:5] * values[:, 5:]
    classes = likelihood.argmax(axis=1)
    scores = likelihood.max(axis=1)
    height, width, _ = picture.shape
    boxes = np.concatenate((centre - size / 2, centre + size / 2), axis=1) / np.tile(scale, 2)
    boxes = boxes.clip(0, (width, height, width, height))
    sure = np.flatnonzero(scores >= LEAST_SCORE)
    kept = sure[suppress(boxes[sure], classes[sure], scores[sure])]
    return Detections(boxes[kept], classes[kept], scores[kept])


def letterbox(picture: Pixels, size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A picture `(H, W, 3)` in [0, 1] on a canvas of this height and width, RGB in 0 … 255.

    Returns the canvas and the factors `(2,)` by which x and y of the picture become those of the canvas. The picture
    keeps its shape, lies at the top left, and is scaled without smoothing, as the detectors learned to see it.
    """
    height, width, _ = picture.shape
    factor = min(size[0] / height, size[1] / width)
    rows, columns = max(1, round(height * factor)), max(1, round(width * factor))
    # `Image.resize` would smooth; this one is plain bilinear.
    scaled = Image.fromarray(to_uint8(picture)).transform(
        (columns, rows),
        Image.Transform.AFFINE,
        (width / columns, 0, 0, 0, height / rows, 0),
        Image.Resampling.BILINEAR,
    )
    canvas = np.full((*size, 3), FILL, np.uint8)
    canvas[:rows, :columns] = np.asarray(scaled)
    return canvas, np.array([columns / width, rows / height])


def _cells(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of all cells of the grids: their places as x, y in cells `(n, 2)`, and their strides `(n, 1)`."""
    grids = [
        np.stack(np.meshgrid(np.arange(width // stride), np.arange(height // stride)), axis=-1).reshape(-1, 2)
        for stride in STRIDES
    ]
    strides = np.repeat(STRIDES, [len(grid) for grid in grids])
    return np.concatenate(grids).astype(np.float64), strides[:, None].astype(np.float64)


def suppress(boxes: Boxes, classes: Classes, scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """Non-maximum suppression within each class: the numbers of the boxes that stay, the surest first."""
    order = np.argsort(-scores, kind="stable")
    kept = []
    while order.size:
        first, others = order[0], order[1:]
        kept.append(first)
        covered = (classes[others] == classes[first]) & (overlap(boxes[first], boxes[others]) > MOST_OVERLAP)
        order = others[~covered]
    return np.array(kept, np.intp)


def score_detections(found: Sequence[Detections], truth: Sequence[Objects]) -> DetectionScores:
    """COCO's average precision of what was found in each picture, by the reference implementation, pycocotools.

    Raises `ValueError` where the sequences differ in length, and `UnrainError` if there is no object at all to find, or
    pycocotools is not installed.
    """
    try:
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        raise UnrainError("measuring detection needs pycocotools; try: pip install 'unrain[eval]'") from None
    if len(found) != len(truth):
        raise ValueError(f"there are {len(found)} pictures to judge and {len(truth)} with labels")
    if not any(len(objects.classes) for objects in truth):
        raise UnrainError("there is nothing to find: no picture has a labelled object")
    silence = io.StringIO()  # it prints its progress
    with contextlib.redirect_stdout(silence):
        scores = [picture.scores for picture in found]
        judge = COCOeval(_coco(truth), _coco([Objects(*picture[:2]) for picture in found], scores), iouType="bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return DetectionScores(*(float(value) for value in judge.stats[:3]))


def _coco(pictures: Sequence[Objects], scores: Sequence[NDArray[np.float64]] | None = None) -> Any:
    """The table of objects that pycocotools reads; numbers of objects begin at 1, as 0 means none to it."""
    from pycocotools.coco import COCO

    rows: list[dict[str, Any]] = []
    for number, objects in enumerate(pictures):
        for index, ((left, top, right, bottom), kind) in enumerate(zip(*objects, strict=True)):
            box = [float(left), float(top), float(right - left), float(bottom - top)]
            row = {"id": len(rows) + 1, "image_id": number, "category_id": int(kind), "bbox": box}
            row |= {"area": box[2] * box[3], "iscrowd": 0}
            rows.append(row if scores is None else row | {"score": float(scores[number][index])})
    table = COCO()
    table.dataset = {
        "images": [{"id": number} for number in range(len(pictures))],
        "categories": [{"id": number} for number in range(COCO_CLASSES)],
        "annotations": rows,
    }
    table.createIndex()
    return table
