"""Detection and segmentation are scored by their definitions, on labels that fit the pictures."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image

from unrain import rain, weights
from unrain.errors import MediaError, UnrainError, WeightsError
from unrain.evaluation.downstream.detection import (
    Detections,
    Detector,
    detect,
    letterbox,
    open_detector,
    score_detections,
    suppress,
)
from unrain.evaluation.downstream.labels import VOC, VOID, LabelledPhoto, Objects, rainy, read_labelled, split
from unrain.evaluation.downstream.segmentation import Segmenter, open_segmenter, score_segmentation, segment
from unrain.evaluation.downstream.table import compare, versions
from unrain.evaluation.methods import open_method
from unrain.media.images import read_picture
from unrain.rain.files import rain as rain_files

PERSON, ZEBRA = 1, 24
SAMPLES = Path(__file__).parents[1] / "samples"


@pytest.fixture(scope="module")
def photos(shared: Path) -> list[LabelledPhoto]:
    return read_labelled(shared / "data/test/coco_labelled")


@pytest.fixture(scope="module")
def bus(photos: list[LabelledPhoto]) -> LabelledPhoto:
    """A photo with a large bus on it."""
    (photo,) = (photo for photo in photos if photo.path.stem == "000000005037")
    return photo


@pytest.fixture(scope="module")
def detector(shared: Path) -> Detector:
    return open_detector(shared / "peers/detection/yolox_nano.onnx")


@pytest.fixture(scope="module")
def segmenter(shared: Path) -> Segmenter:
    return open_segmenter(shared / "peers/segmentation/espnetv2_s_2.0_pascal_384x384.pth")


def labelled(folder: Path, boxes: str = "", polygons: str = "") -> Path:
    """A folder with one labelled photo, 40 x 20 pixels."""
    for name in ("images", "boxes", "polygons"):
        (folder / name).mkdir(parents=True)
    Image.new("RGB", (40, 20)).save(folder / "images/a.png")
    (folder / "boxes/a.txt").write_text(boxes)
    (folder / "polygons/a.txt").write_text(polygons)
    return folder


# Labels


def test_boxes_and_masks_are_those_of_the_label_files(tmp_path: Path) -> None:
    folder = labelled(tmp_path, "0 0.25 0.5 0.5 1\n", f"{PERSON} 0 0 0.5 0 0.5 1 0 1\n")
    (photo,) = read_labelled(folder)
    objects = photo.objects(20, 40)
    assert objects.boxes.tolist() == [[0, 0, 20, 20]]
    assert objects.classes.tolist() == [0]
    mask = photo.mask(20, 40)
    assert (mask[:, :20] == VOC.index("person")).all()
    assert (mask[:, 20:] == VOC.index("background")).all()


def test_pixels_of_several_classes_and_of_classes_that_voc_lacks_are_not_judged(tmp_path: Path) -> None:
    boxes = "0 0.25 0.5 0.5 1\n16 0.5 0.5 0.5 1\n22 0.9 0.5 0.2 1\n"
    outlines = "1 0 0 0.4875 0 0.4875 1 0 1\n18 0.2625 0 0.7375 0 0.7375 1 0.2625 1\n24 0.8125 0 1 0 1 1 0.8125 1\n"
    (photo,) = read_labelled(labelled(tmp_path, boxes, outlines))
    row = photo.mask(20, 40)[10].tolist()
    person, dog = VOC.index("person"), VOC.index("dog")
    assert row == [person] * 10 + [VOID] * 10 + [dog] * 10 + [0] * 2 + [VOID] * 8


def test_among_a_crowd_only_what_is_labelled_is_judged(tmp_path: Path) -> None:
    outlines = "1 0 0 0.25 0 0.25 1 0 1\n1 0 0 1 0 1 0.5 0 0.5\n"
    (photo,) = read_labelled(labelled(tmp_path, "0 0.125 0.5 0.25 1\n", outlines))
    mask = photo.mask(20, 40)
    assert (mask[:, :10] == VOC.index("person")).all()
    assert (mask[:10, 10:] == VOID).all()
    assert (mask[10:, 10:] == VOC.index("background")).all()


def test_an_object_that_is_seen_in_parts_is_not_filled_between_them() -> None:
    ring = np.array([(0, 0), (0.05, 0), (0.1, 0.02), (0.1, 0.1), (0.03, 0.1), (0, 0.05)])
    parts = [ring, ring + np.array([0.6, 0.1]), ring + np.array([0.2, 0.8])]
    found = split(np.concatenate(parts))
    assert [part.tolist() for part in found] == [part.tolist() for part in parts]
    assert len(split(ring)) == 1


def test_masks_of_real_photos_agree_with_their_boxes(photos: list[LabelledPhoto], bus: LabelledPhoto) -> None:
    assert len(photos) == 50
    assert sum(len(photo.classes) for photo in photos) == 361
    height, width, _ = bus.read().shape
    objects, mask = bus.objects(height, width), bus.mask(height, width)
    left, top, right, bottom = objects.boxes[objects.classes.tolist().index(5)]
    rows, columns = np.nonzero(mask == VOC.index("bus"))
    assert abs(np.array([columns.min(), rows.min(), columns.max(), rows.max()]) - (left, top, right, bottom)).max() < 4


@pytest.mark.parametrize(
    ("boxes", "polygons", "message"),
    [
        ("80 0.5 0.5 1 1", "", r"boxes/a.txt: line 1 is not 'class x y width height', a class from 0 to 79"),
        ("0 0.5 0.5 1 1\n0 0.5 0.5 1", "", r"boxes/a.txt: line 2 is not"),
        ("0 20 10 40 20", "", r"boxes/a.txt: line 1 is not .* coordinates from 0 to 1"),
        ("", "0 0 0 1 0 1 1", r"polygons/a.txt: line 1 is not 'category x y x y x y …', a class from 1 to 90"),
        ("", "1 0 0 1 0", r"polygons/a.txt: line 1 is not"),
        ("person 0.5 0.5 1 1", "", r"boxes/a.txt: line 1 is not"),
    ],
)
def test_labels_of_another_form_are_refused_by_file_and_line(
    tmp_path: Path, boxes: str, polygons: str, message: str
) -> None:
    with pytest.raises(MediaError, match=message):
        read_labelled(labelled(tmp_path, boxes, polygons))


def test_a_photo_without_labels_is_refused(tmp_path: Path) -> None:
    folder = labelled(tmp_path)
    (folder / "polygons/a.txt").unlink()
    with pytest.raises(MediaError, match=r"polygons/a\.txt: cannot be read as labels"):
        read_labelled(folder)


def test_the_same_seed_gives_the_rain_that_the_command_draws(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "set")
    with Image.open(SAMPLES / "friends.jpg") as image:
        for number, name in enumerate("ab"):
            image.crop((200 + 100 * number, 80, 296 + 100 * number, 144)).save(folder / f"images/{name}.png")
            for kind in ("boxes", "polygons"):
                (folder / kind / f"{name}.txt").touch()
    photos = read_labelled(folder)
    first, again = (list(rainy(photos, "heavy", seed=3)) for _ in range(2))
    rain_files(folder / "images", tmp_path / "rainy", "heavy", seed=3)
    for photo, picture, same in zip(photos, first, again, strict=True):
        assert np.array_equal(picture, same)
        assert np.array_equal(picture, read_picture(tmp_path / "rainy" / photo.path.name).pixels)
    other, _ = rain.add(photos[0].read(), "heavy", seed=4)
    assert np.abs(other - first[0]).max() > 0.02


# Detection


def objects(random: np.random.Generator, count: int) -> Objects:
    corner, size = random.uniform(0, 300, (count, 2)), random.uniform(20, 100, (count, 2))
    return Objects(np.concatenate((corner, corner + size), axis=1), random.integers(0, 80, count))


@pytest.fixture
def truth() -> list[Objects]:
    random = np.random.default_rng(5)
    return [objects(random, count) for count in (7, 0, 3)]


def shifted(truth: list[Objects], by: float) -> list[Detections]:
    """Every object, found beside its place by this part of its size."""
    sizes = [np.tile(boxes[:, 2:] - boxes[:, :2], 2) for boxes, _ in truth]
    return [
        Detections(boxes + by * size, classes, np.linspace(0.9, 0.5, len(classes)))
        for (boxes, classes), size in zip(truth, sizes, strict=True)
    ]


def test_perfect_detections_have_an_average_precision_of_one(truth: list[Objects]) -> None:
    assert score_detections(shifted(truth, 0), truth) == pytest.approx((1, 1, 1))


def test_shifted_boxes_count_only_at_the_overlaps_that_they_reach(truth: list[Objects]) -> None:
    # A shift by 10 % leaves an overlap of 0.81 / 1.19 = 0.68, which is above 0.5, 0.55, 0.6 and 0.65.
    assert score_detections(shifted(truth, 0.1), truth) == pytest.approx((0.4, 1, 0))


def test_where_nothing_is_found_the_average_precision_is_zero(truth: list[Objects]) -> None:
    nothing = [Detections(np.empty((0, 4)), np.empty(0, np.int64), np.empty(0))] * len(truth)
    assert score_detections(nothing, truth) == (0, 0, 0)


def test_detections_of_another_class_or_picture_do_not_count(truth: list[Objects]) -> None:
    found = shifted(truth, 0)
    wrong = [picture._replace(classes=(picture.classes + 1) % 80) for picture in found]
    assert score_detections(wrong, truth).ap < 0.1
    assert score_detections(found[::-1], truth).ap == 0


def test_detections_need_labels(truth: list[Objects]) -> None:
    with pytest.raises(ValueError, match="2 pictures to judge and 3 with labels"):
        score_detections(shifted(truth, 0)[:2], truth)
    with pytest.raises(UnrainError, match="nothing to find"):
        score_detections(shifted(truth, 0)[1:2], truth[1:2])


@given(height=st.integers(30, 700), width=st.integers(30, 700), seed=st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_a_box_on_the_letterbox_is_the_box_on_the_picture(height: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    top, left = random.integers(0, height // 2), random.integers(0, width // 2)
    bottom, right = random.integers(top + height // 4, height), random.integers(left + width // 4, width)
    picture = np.zeros((height, width, 3), np.float32)
    picture[top:bottom, left:right] = 1
    canvas, scale = letterbox(picture, (416, 416))
    assert canvas.shape == (416, 416, 3)
    rows, columns = np.nonzero(canvas[:, :, 0] > 127)
    found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / np.tile(scale, 2)
    pixel = max(1.0, float((1 / scale).max()))
    assert np.abs(found - np.array([left, top, right, bottom])).max() < 0.52 * pixel


def test_the_letterbox_is_filled_with_grey_below_or_to_the_right() -> None:
    white = np.ones((100, 200, 3), np.float32)
    canvas, scale = letterbox(white, (416, 416))
    assert scale.tolist() == [2.08, 2.08]
    assert (canvas[:208] == 255).all()
    assert (canvas[208:] == 114).all()


def test_of_overlapping_boxes_of_a_class_the_surest_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 9], [20, 0, 30, 10]], np.float64)
    kept = suppress(boxes, np.array([1, 1, 2, 1]), np.array([0.5, 0.7, 0.4, 0.6]))
    assert kept.tolist() == [1, 3, 2]


def test_the_published_detector_finds_the_bus(detector: Detector, bus: LabelledPhoto) -> None:
    assert (detector.name, detector.size) == ("yolox_nano", (416, 416))
    picture = bus.read()
    found = detect(detector, picture)
    assert found.classes[0] == 5
    assert found.scores[0] > 0.7
    assert (np.diff(found.scores) <= 0).all()
    truth = bus.objects(*picture.shape[:2])
    np.testing.assert_allclose(found.boxes[0], truth.boxes[truth.classes == 5][0], atol=20)


def test_a_detector_that_was_exported_with_its_decoding_finds_the_same(
    detector: Detector, bus: LabelledPhoto, shared: Path, tmp_path: Path
) -> None:
    model = onnx.load(shared / "peers/detection/yolox_nano.onnx")
    sides = [(416 // stride, stride) for stride in (8, 16, 32)]
    corners = [
        [column * stride, row * stride] for side, stride in sides for row in range(side) for column in range(side)
    ]
    strides = [[stride] for side, stride in sides for _ in range(side**2)]
    for name, value in {"corners": corners, "strides": strides}.items():
        model.graph.initializer.append(numpy_helper.from_array(np.array([value], np.float32), name))
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 2, 81]), "parts"))
    model.graph.node.extend(
        [
            onnx.helper.make_node("Split", ["output", "parts"], ["place", "size", "scores"], axis=2),
            onnx.helper.make_node("Mul", ["place", "strides"], ["offset"]),
            onnx.helper.make_node("Add", ["offset", "corners"], ["centre"]),
            onnx.helper.make_node("Exp", ["size"], ["factor"]),
            onnx.helper.make_node("Mul", ["factor", "strides"], ["pixels"]),
            onnx.helper.make_node("Concat", ["centre", "pixels", "scores"], ["decoded"], axis=2),
        ]
    )
    model.graph.output[0].name = "decoded"
    model.opset_import[0].version = max(13, model.opset_import[0].version)
    onnx.save(model, tmp_path / "decoded.onnx")
    picture = bus.read()
    found = detect(open_detector(tmp_path / "decoded.onnx", decoded=True), picture)
    expected = detect(detector, picture)
    assert found.classes.tolist() == expected.classes.tolist()
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)


@pytest.fixture(params=["text", "graph"])
def no_detector(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "wrong.onnx"
    path.write_bytes(b"no model" if request.param == "text" else weights.find("sapnet").graph().read_bytes())
    return path


def test_a_file_that_is_no_detector_is_refused_in_one_line(no_detector: Path) -> None:
    with pytest.raises(WeightsError, match=r"wrong\.onnx: (ONNX Runtime cannot read|is no YOLOX)") as error:
        open_detector(no_detector)
    assert "\n" not in str(error.value)


# Segmentation


def classes(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, len(VOC), (30, 40)).astype(np.uint8)


def test_perfect_classes_have_scores_of_one_whatever_is_void() -> None:
    truth = classes(0)
    truth[:10] = VOID
    assert score_segmentation([(np.where(truth == VOID, 3, truth), truth), (classes(1), classes(1))]) == (1, 1)


def test_segmentation_scores_are_means_over_the_classes_of_the_truth() -> None:
    truth, found = np.zeros((4, 10), np.uint8), np.zeros((4, 10), np.uint8)
    truth[:, 5:] = 15
    found[:, 8:] = 15
    found[0, 0] = 7  # a class that the truth lacks counts as a miss of the background alone
    scores = score_segmentation([(found, truth)])
    assert scores.mpa == pytest.approx((19 / 20 + 8 / 20) / 2)
    assert scores.miou == pytest.approx((19 / (20 + 12) + 8 / 20) / 2)


def test_pixels_of_all_pictures_are_counted_together() -> None:
    person, nothing = np.full((2, 2), 15, np.uint8), np.zeros((2, 2), np.uint8)
    large = np.full((6, 3), 15, np.uint8)
    assert score_segmentation([(nothing, person), (large, large)]).mpa == pytest.approx(18 / 22)


def test_segmentation_needs_labels_of_the_same_shape() -> None:
    void = np.full((2, 2), VOID, np.uint8)
    with pytest.raises(UnrainError, match="nothing to segment"):
        score_segmentation([(np.zeros_like(void), void)])
    with pytest.raises(ValueError, match=r"one shape, not \(2, 3\) and \(2, 2\)"):
        score_segmentation([(np.zeros((2, 3), np.uint8), void)])


def test_the_published_segmenter_sees_the_bus(segmenter: Segmenter, bus: LabelledPhoto) -> None:
    picture = bus.read()
    found, truth = segment(segmenter, picture), bus.mask(*picture.shape[:2])
    assert found.shape == truth.shape
    label = VOC.index("bus")
    both, either = ((found == label) & (truth == label)).sum(), ((found == label) | (truth == label)).sum()
    assert both / either > 0.8


def test_a_checkpoint_of_another_network_is_refused_in_one_line(shared: Path) -> None:
    path = shared / "peers/prenet/Rain100L.pth"
    with pytest.raises(WeightsError, match=r"Rain100L\.pth: is no checkpoint of ESPNetv2") as error:
        open_segmenter(path)
    assert "\n" not in str(error.value)


# The table


def test_rain_costs_detection_and_segmentation_quality(
    photos: list[LabelledPhoto], bus: LabelledPhoto, detector: Detector, segmenter: Segmenter
) -> None:
    some = [bus, photos[4]]
    two = versions(some, [open_method("dry=" + str(bus.path.parent))], "rain100h", seed=1)
    clean, wet, derained = compare(some, two, detector, segmenter)
    assert (clean.name, wet.name, derained.name) == ("clean", "rainy", "dry")
    # The results "made elsewhere" are the clean photos themselves.
    assert derained.values == clean.values
    assert clean.detection.ap > wet.detection.ap
    assert clean.segmentation.miou > wet.segmentation.miou
    assert all(0 <= value <= 1 for row in (clean, wet) for value in (*row.detection, *row.segmentation))


def test_labels_fit_a_version_of_another_size(bus: LabelledPhoto, detector: Detector, segmenter: Segmenter) -> None:
    picture = bus.read()
    full, half = compare([bus], [("full", [picture]), ("half", [picture[::2, ::2]])], detector, segmenter)
    assert half.detection.ap50 == pytest.approx(full.detection.ap50, abs=0.2)
    assert half.segmentation.miou == pytest.approx(full.segmentation.miou, abs=0.1)


def test_a_version_that_lacks_a_picture_is_refused(
    bus: LabelledPhoto, detector: Detector, segmenter: Segmenter
) -> None:
    with pytest.raises(ValueError, match="shorter"):
        list(compare([bus, bus], [("clean", [bus.read()])], detector, segmenter))


def test_command_prints_the_table_and_writes_it(tmp_path: Path, shared: Path, bus: LabelledPhoto) -> None:
    for folder in ("images", "boxes", "polygons"):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for path in (shared / "data/test/coco_labelled" / folder).glob(f"{bus.path.stem}.*"):
            shutil.copy(path, tmp_path / "data" / folder)
    peers = shared / "peers"
    command = [Path(sys.executable).with_name("unrain"), "downstream", tmp_path / "data", "sapnet@1"]
    command += [
        "--detector",
        peers / "detection/yolox_nano.onnx",
        "--preset",
        "rain100h",
        "-o",
        tmp_path / "table.json",
    ]
    command += ["--segmenter", peers / "segmentation/espnetv2_s_2.0_pascal_384x384.pth"]
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    table = json.loads((tmp_path / "table.json").read_text())
    assert list(table["rows"]) == ["clean", "rainy", "sapnet@1"]
    assert table["rows"]["clean"]["mAP"] > table["rows"]["rainy"]["mAP"]
    assert f"{100 * table['rows']['sapnet@1']['mIoU']:.1f}" in result.stdout
