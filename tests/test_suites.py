"""Suites on disk: published layouts are recognised, what is missing or broken is named, and the rest is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from suite_samples import Bytes, clean, halves, pairs, rainy, write

from unrain.errors import UnrainError
from unrain.evaluation import suites
from unrain.evaluation.suites.copies import Copy, check, find_copies, read_frame

PHOTO_LAYOUTS = {
    "rainy and clean": ("rain100l", "rainy/{:03}", "clean/{:03}"),
    "input and target": ("rain100h", "input/{}", "target/{}"),
    "rain and norain": ("rain100h", "rain/rain-{:03}", "norain/norain-{:03}"),
    "PReNet's release": ("rain100l", "rainy/rain-{:03}", "norain-{:03}"),
    "one folder": ("rain100h", "rain-{:03}", "norain-{:03}"),
    "the authors' page": (
        "rain100h", "rain_data_test_Heavy/rain/X2/norain-{}x2", "rain_data_test_Heavy/norain/norain-{}",
    ),
    "Rain12 of PReNet": ("rain12", "rainy/{}", "groundtruth/{}"),
    "Rain12 as published": ("rain12", "{:02}_in", "{:02}_GT"),
    "a set of one's own": ("mine", "rainy/{}", "clean/{}"),
}  # fmt: skip
CLIP_LAYOUTS = {
    "folders of clips": ("nturain", "rainy/a{0}/{1:03}", "clean/a{0}/{1:03}"),
    "SPAC-CNN's release": (
        "nturain", "Dataset_Testing_Synthetic/a{}_Rain/{:05}", "Dataset_Testing_Synthetic/a{}_GT/{:05}",
    ),
    "J4R-Net's release": ("rainsynlight25", "video_rain_light/test/input/a{}/{}", "video_rain_light/test/gt/a{}/{}"),
    "J4R-Net's other one": ("rainsyncomplex25", "test/input/a{}/{}", "test/processed/a{}/{}"),
    "J4R-Net's frames": ("rainsynlight25", "a{}/rfc-{}", "a{}/gtc-{}"),
}  # fmt: skip


def only(copies: list[Copy]) -> Copy:
    (copy,) = copies
    return copy


@pytest.mark.parametrize("layout", PHOTO_LAYOUTS)
def test_photos_find_their_truths_in_every_published_layout(tmp_path: Path, layout: str) -> None:
    name, wet, dry = PHOTO_LAYOUTS[layout]
    write(tmp_path / name, {f"{wet.format(number)}.png": rainy(number) for number in (1, 2, 10)})
    write(tmp_path / name, {f"{dry.format(number)}.png": clean(number) for number in (1, 2, 10)})
    copy = check(only(find_copies([name], tmp_path)))
    assert copy.faults == copy.suspicions == ()
    assert [len(item.frames) for item in copy.items] == [1, 1, 1]
    for item, number in zip(copy.items, (1, 2, 10), strict=True):
        pair = read_frame(item.frames[0])
        assert np.array_equal(pair.rainy, rainy(number))
        assert np.array_equal(pair.truth, clean(number))  # type: ignore[arg-type]


@pytest.mark.parametrize("layout", CLIP_LAYOUTS)
def test_frames_find_their_clips_and_truths_in_every_published_layout(tmp_path: Path, layout: str) -> None:
    name, wet, dry = CLIP_LAYOUTS[layout]
    frames = [(1, 1), (1, 2), (1, 10), (2, 1), (2, 2)]
    write(tmp_path / name, {f"{wet.format(*frame)}.png": rainy(sum(frame)) for frame in frames})
    write(tmp_path / name, {f"{dry.format(*frame)}.png": clean(sum(frame)) for frame in frames})
    copy = check(only(find_copies([name], tmp_path)))
    assert copy.faults == ()
    assert [(item.name, len(item.frames)) for item in copy.items] == [("a1", 3), ("a2", 2)]
    assert np.array_equal(read_frame(copy.items[0].frames[2]).truth, clean(11))  # type: ignore[arg-type]


def test_the_left_half_of_a_picture_of_rain800_is_the_truth(tmp_path: Path) -> None:
    write(tmp_path / "rain800", {f"{number}.png": halves(number) for number in range(2)})
    copy = check(only(find_copies(["rain800"], tmp_path)))
    pair = read_frame(copy.items[1].frames[0])
    assert np.array_equal(pair.rainy, rainy(1))
    assert np.array_equal(pair.truth, clean(1))  # type: ignore[arg-type]
    assert len(copy.hashes) == 2


def test_a_folder_of_one_clip_is_a_part_of_its_suite(tmp_path: Path) -> None:
    pairs(tmp_path / "nturain_a1")
    copy = only(find_copies([], tmp_path))
    assert copy.suite.name == "nturain"
    assert copy.items[0].name == "nturain_a1"
    assert copy.extent == "1 of 8 clips (3 frames)"
    assert only(find_copies(["nturain_a1"], tmp_path)) == copy


def test_photos_of_real_rain_have_no_truth_and_dry_photos_are_their_own(tmp_path: Path) -> None:
    write(tmp_path / "sirr", {"1.png": rainy(1)})
    write(tmp_path / "kodak", {"1.png": clean(1)})
    real, dry = (check(copy) for copy in find_copies(["sirr", "kodak"], tmp_path))
    assert read_frame(real.items[0].frames[0]).truth is None
    pair = read_frame(dry.items[0].frames[0])
    assert pair.truth is pair.rainy
    assert dry.faults == ()


@pytest.mark.parametrize(
    ("files", "kind", "truth"),
    [
        ({"rainy/1.png": rainy(1), "clean/1.png": clean(1)}, "photos", "given"),
        ({"rainy/a/1.png": rainy(1), "clean/a/1.png": clean(1)}, "clips", "given"),
        ({"1.png": rainy(1)}, "photos", "none"),
        ({"a/1.png": rainy(1), "a/2.png": rainy(2)}, "clips", "none"),
    ],
)
def test_a_folder_of_ones_own_is_what_its_files_make_it(
    tmp_path: Path, files: dict[str, Bytes], kind: str, truth: str
) -> None:
    write(tmp_path / "somewhere", files)
    copy = only(find_copies([f"mine={tmp_path / 'somewhere'}"], tmp_path))
    assert (copy.suite.name, copy.suite.kind, copy.suite.truth) == ("mine", kind, truth)


def test_a_partial_copy_says_how_much_of_the_set_it_is(tmp_path: Path) -> None:
    pairs(tmp_path / "Rain100H", 3)
    pairs(tmp_path / "rain12", 12)
    part, whole = find_copies(["rain100h", "rain12"], tmp_path)
    assert part.partial
    assert part.extent == "3 of 100 pairs"
    assert not whole.partial
    assert whole.extent == "12 pairs"


def test_sets_are_found_some_folders_below(tmp_path: Path) -> None:
    pairs(tmp_path / "all" / "test" / "Rain100L")
    pairs(tmp_path / "all" / "train" / "rain100l_train")
    assert only(find_copies([], tmp_path)).folder == tmp_path / "all" / "test" / "Rain100L"


def test_what_cannot_be_measured_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    folder = pairs(tmp_path / "rain100l", 9)
    (folder / "clean/002.png").unlink()
    (folder / "rainy/003.png").unlink()
    (folder / "rainy/004.png").write_bytes((folder / "rainy/004.png").read_bytes()[:200])
    (folder / "clean/005.png").write_text("no picture")
    write(folder, {"clean/006.png": clean(5, (40, 47))})
    write(folder, {"clean/007.png": rainy(6)})
    write(folder, {"clean/8.png": clean(7)})
    copy = check(only(find_copies(["rain100l"], tmp_path)))
    assert [item.name for item in copy.items] == ["001", "009"]
    expected = {
        "rainy/002.png": "no truth",
        "clean/003.png": "without a rainy picture",
        "rainy/004.png": "",
        "clean/005.png": "not a JPEG",
        "rainy/006.png": "48×40, its truth 006.png is 47×40",
        "rainy/007.png": "the same picture as its truth",
        "clean/008.png": "more than one file for 8",
    }
    assert len(copy.faults) == len(expected)
    for name, reason in expected.items():
        (line,) = [line for line in copy.faults if name in line]
        assert reason in line
        assert "\n" not in line


def test_a_clip_whose_frames_change_their_size_is_left_out(tmp_path: Path) -> None:
    folder = write(tmp_path / "nturain", {"rainy/a/1.png": rainy(1), "clean/a/1.png": clean(1)})
    write(folder, {"rainy/a/2.png": rainy(2, (40, 52)), "clean/a/2.png": clean(2, (40, 52))})
    copy = check(only(find_copies(["nturain"], tmp_path)))
    assert copy.items == ()
    assert "clip a have 2 different sizes" in copy.faults[0]


def test_swapped_folders_are_suspected(tmp_path: Path) -> None:
    folder = pairs(tmp_path / "rain12")
    assert check(only(find_copies(["rain12"], tmp_path))).suspicions == ()
    (folder / "rainy").rename(folder / "x")
    (folder / "clean").rename(folder / "rainy")
    (folder / "x").rename(folder / "clean")
    (line,) = check(only(find_copies(["rain12"], tmp_path))).suspicions
    assert "may be swapped" in line


def test_the_hash_is_of_the_contents_and_not_of_the_names(tmp_path: Path) -> None:
    for name, wet, dry in (("a", "rainy/{}", "clean/{}"), ("b", "rain/rain-{:03}", "norain/norain-{:03}")):
        write(tmp_path / name / "rain12", {f"{wet.format(number)}.png": rainy(number) for number in (1, 2)})
        write(tmp_path / name / "rain12", {f"{dry.format(number)}.png": clean(number) for number in (1, 2)})
    a, b = (check(only(find_copies(["rain12"], tmp_path / name))) for name in "ab")
    assert a.sha256 == b.sha256
    assert set(a.hashes) == {"rainy/1.png", "clean/1.png", "rainy/2.png", "clean/2.png"}
    write(tmp_path / "b" / "rain12", {"rain/rain-001.png": rainy(3)})
    assert check(only(find_copies(["rain12"], tmp_path / "b"))).sha256 != a.sha256


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ("rain100h", r"rain100h: no folder below .* is called rain100h, rain_data_test_heavy; get it from http"),
        ("rain9000", "no suite 'rain9000'; choose from rain12, "),
        ("mine=nowhere", "nowhere: is no folder"),
        ("empty", "no pictures are found there in a known layout"),
        ("rain12", "may be any of .*one.*two.*; choose one with --suite rain12=FOLDER"),
    ],
)
def test_a_suite_that_leads_to_nothing_is_said_in_one_line(tmp_path: Path, request_: str, says: str) -> None:
    (tmp_path / "empty").mkdir()
    pairs(tmp_path / "one" / "rain12")
    pairs(tmp_path / "two" / "rain12")
    with pytest.raises(UnrainError, match=says) as error:
        find_copies([request_], tmp_path)
    assert "\n" not in str(error.value)


def test_every_suite_of_the_papers_is_there_with_where_to_get_it() -> None:
    names = (
        "rain12 rain100l rain100h rain800 sirr moss coco150 cityscape150"
        " rainsynlight25 rainsyncomplex25 rainpractical10 nturain kodak"
    )
    assert set(names.split()) <= suites.SUITES.keys()
    for suite in suites.SUITES.values():
        assert suite.name in suite.folders
        assert suite.source
        assert suite.convention
        assert suite.layouts
