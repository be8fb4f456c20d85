"""Cleaning files with the shipped models: the controls, and the ways in and out."""

from __future__ import annotations

import io
import json
import posixpath
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heif_samples import GREY, coded, smooth, write
from media_samples import clip
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from unrain.cli import app
from unrain.errors import UnrainError
from unrain.inference.clean import Batch, clean, clean_stream
from unrain.inference.options import Options
from unrain.inference.watch import watch
from unrain.media.batch import Outcome
from unrain.media.images import to_uint8
from unrain.media.videos import read_frames, rewrite

FAST: dict[str, Any] = {"engine": "onnxruntime", "threads": 1, "stages": 1}

Pixels = NDArray[np.float32]


def levels(path: Path) -> NDArray[np.int16]:
    with Image.open(path) as image:
        return np.asarray(image).astype(np.int16)


@pytest.fixture
def rainy(tmp_path: Path, photo: Pixels) -> Path:
    path = tmp_path / "rainy.png"
    Image.fromarray(to_uint8(photo)).save(path)
    return path


def cleaned(source: Path, target: Path, **options: Any) -> Path:
    (outcome,) = clean(source, target, **FAST, **options)
    assert outcome.error is None, outcome.error
    return target


def test_strength_and_mask_say_how_much_and_where(rainy: Path, tmp_path: Path) -> None:
    before, after = levels(rainy), levels(cleaned(rainy, tmp_path / "full.png"))
    assert np.abs(after - before).max() > 10
    assert np.array_equal(levels(cleaned(rainy, tmp_path / "none.png", strength=0)), before)
    half = levels(cleaned(rainy, tmp_path / "half.png", strength=0.5))
    assert np.abs(2 * half - before - after).max() <= 2
    mask = np.zeros(before.shape[:2], np.uint8)
    mask[:, 40:] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    part = levels(cleaned(rainy, tmp_path / "part.png", mask=tmp_path / "mask.png"))
    assert np.array_equal(part[:, :40], before[:, :40])
    assert np.array_equal(part[:, 40:], after[:, 40:])


def test_what_lies_under_transparency_does_not_bleed_into_the_picture(tmp_path: Path, photo: Pixels) -> None:
    alpha = np.full(photo.shape[:2], 255, np.uint8)
    alpha[20:60, 30:70] = 0
    results = []
    for name, hidden in (("black", 0), ("white", 255)):
        pixels = np.dstack([to_uint8(photo), alpha])
        pixels[20:60, 30:70, :3] = hidden
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        results.append(levels(cleaned(tmp_path / f"{name}.png", tmp_path / f"{name}_out.png")))
        assert np.all(results[-1][20:60, 30:70] == [hidden] * 3 + [0]), "what is hidden stays as it was"
    seen = alpha > 0
    assert np.array_equal(results[0][seen], results[1][seen])


def test_layers_and_both_sides_are_written_beside_the_result(rainy: Path, tmp_path: Path) -> None:
    result = cleaned(rainy, tmp_path / "out" / "clean.png", layers=True, side_by_side=True)
    names = sorted(path.name for path in result.parent.iterdir())
    assert names == ["clean.png", "clean.png.side_by_side.png", "clean.png.streaks.png"]
    before, after = levels(rainy), levels(result)
    streaks = levels(result.with_name("clean.png.streaks.png"))
    assert np.abs(streaks - np.maximum(before - after, 0)).max() <= 1
    assert np.array_equal(levels(result.with_name("clean.png.side_by_side.png")), np.hstack([before, after]))


def test_a_result_takes_the_place_of_its_source_only_when_asked_and_only_once(rainy: Path) -> None:
    folder = rainy.parent / "photos"
    folder.mkdir()
    shutil.move(rainy, folder / "a.png")
    before = levels(folder / "a.png")
    with pytest.raises(UnrainError, match="--overwrite"):
        clean(folder, folder, **FAST)
    (first,) = clean(folder, overwrite=True, **FAST)
    assert first.error is None
    after = levels(folder / "a.png")
    assert not np.array_equal(before, after)
    (second,) = clean(folder, overwrite=True, **FAST)
    assert second.skipped
    assert np.array_equal(levels(folder / "a.png"), after)


def clean_in_place(folder: Path) -> Result:
    command = ["clean", str(folder), "--overwrite", "--quality", "fast", "--engine", "onnxruntime", "--threads", "1"]
    return CliRunner().invoke(app, command)


def everything(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_in_place_what_became_another_format_is_neither_done_again_nor_taken_for_a_source(
    rainy: Path, tmp_path: Path
) -> None:
    pytest.importorskip("pi_heif", reason="the extra heic is not installed")
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.move(rainy, folder / "plain.png")
    write(folder / "deep.avif", coded(smooth(), "av01", "yuv420p10le"))
    write(folder / "phone.heic", coded(smooth(), "hvc1", "yuv420p"), 8)
    clip(folder / "film.avi", frames=3)
    before = everything(folder)
    first = clean_in_place(folder)
    assert first.exit_code == 0, first.output
    after = everything(folder)
    assert after.keys() - before.keys() == {"deep.png", "phone.jpg", "film.mkv"}
    assert [name for name in before if after[name] != before[name]] == ["plain.png"]
    second = clean_in_place(folder)
    assert second.exit_code == 0, second.output
    assert "0 of 4 files cleaned" in second.output
    assert everything(folder) == after


def test_in_place_a_file_that_would_overwrite_another_is_refused_and_the_others_are_done(
    rainy: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(rainy, folder / "other.png")
    shutil.move(rainy, folder / "photo.png")
    write(folder / "photo.avif", coded(smooth(), "av01", "yuv420p10le"))
    before = everything(folder)
    done = clean_in_place(folder)
    assert done.exit_code == 1
    refused = folder / "photo.avif"
    assert done.stderr == (
        f"unrain: {refused}: is written as photo.png, which is an input too; move one of the two elsewhere\n"
    )
    assert "2 of 3 files cleaned" in done.stdout
    after = everything(folder)
    assert {name for name in before if after[name] != before[name]} == {"other.png", "photo.png"}
    assert after.keys() == before.keys()


def test_links_are_not_overwritten(rainy: Path) -> None:
    link = rainy.with_name("link.png")
    link.symlink_to(rainy)
    with pytest.raises(UnrainError, match="is a link, so it is not overwritten"):
        clean(link, overwrite=True)


def test_videos_are_blended_frame_by_frame(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", frames=6, still=False)
    rewrite(source, tmp_path / "as it was.mp4", lambda frames: frames)
    result = cleaned(source, tmp_path / "out.mp4", strength=0)
    expected = list(read_frames(tmp_path / "as it was.mp4"))
    assert len(expected) == 6
    for before, after in zip(expected, read_frames(result), strict=True):
        assert np.array_equal(before, after)


def test_moving_pictures_go_through_the_video_model(tmp_path: Path, photo: Pixels) -> None:
    frames = [Image.fromarray(to_uint8(np.roll(photo, number, axis=1))) for number in range(3)]
    frames[0].save(tmp_path / "in.webp", save_all=True, append_images=frames[1:], duration=[50, 60, 70], lossless=True)
    (outcome,) = clean(tmp_path / "in.webp", tmp_path / "out.webp", **FAST)
    assert (outcome.error, outcome.frames) == (None, 3)
    with Image.open(tmp_path / "out.webp") as image:
        assert getattr(image, "n_frames", 1) == 3
        assert np.abs(np.asarray(image.convert("RGB"), float) - np.asarray(frames[0], float)).max() > 10


def test_the_fast_quality_cleans_both_kinds_and_is_another_result(rainy: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"engine": "onnxruntime", "threads": 1, "quality": "fast"}
    source = clip(tmp_path / "in.mp4", frames=3)
    outcomes = clean([rainy, source], tmp_path / "out", **options)
    assert [(outcome.error, outcome.frames) for outcome in outcomes] == [(None, 1), (None, 3)]
    assert np.abs(levels(tmp_path / "out/rainy.png") - levels(cleaned(rainy, tmp_path / "sapnet.png"))).max() > 3
    (outcome,) = clean(source, tmp_path / "layers.mp4", layers=True, **options)
    assert outcome.error is None
    assert (tmp_path / "layers.mp4.streaks.mp4").exists()
    with pytest.raises(UnrainError, match="no quality 'finest'; choose one of fast, balanced, best"):
        Options(quality="finest")


def test_bytes_in_bytes_out(rainy: Path, tmp_path: Path) -> None:
    with Image.open(rainy) as image:
        image.save(tmp_path / "in.jpg", quality=95)
    target = io.BytesIO()
    with (tmp_path / "in.jpg").open("rb") as source:
        outcome = clean_stream(source, target, Options(**FAST))
    assert outcome.error is None
    assert target.getvalue() == cleaned(tmp_path / "in.jpg", tmp_path / "out.jpg").read_bytes()
    with rainy.open("rb") as source:
        outcome = clean_stream(source, target := io.BytesIO(), Options(**FAST), ".webp")
    assert outcome.error is None
    assert target.getvalue()[8:12] == b"WEBP"
    outcome = clean_stream(io.BytesIO(b"no picture"), target := io.BytesIO())
    assert outcome.error is not None
    assert outcome.error.startswith("standard input: is neither")
    assert target.getvalue() == b""


def test_the_command_line_pipes_and_summarises(rainy: Path, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("unrain")
    piped = subprocess.run([program, "clean", "-", "--stages", "1"], input=rainy.read_bytes(), capture_output=True)
    assert piped.returncode == 0, piped.stderr
    with Image.open(io.BytesIO(piped.stdout)) as image:
        assert (image.format, image.size) == ("PNG", (96, 80))
    (tmp_path / "in").mkdir()
    shutil.move(rainy, tmp_path / "in" / "good.png")
    (tmp_path / "in" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n, and then nothing")
    told = tmp_path / "summary.json"
    done = subprocess.run(
        [program, "clean", tmp_path / "in", "-o", tmp_path / "out", "--stages", "1", "--jobs", "2", "--summary", told],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr == f"unrain: {tmp_path}/in/bad.png: is a damaged picture; fetch or export it again\n"
    summary = json.loads(told.read_text())
    assert summary["counts"] == {"done": 1, "done before": 0, "failed": 1}
    assert [file["status"] for file in summary["files"]] == ["failed", "done"]
    assert "damaged" in summary["files"][0]["error"]


def test_what_arrives_in_a_folder_is_cleaned(rainy: Path, tmp_path: Path) -> None:
    pytest.importorskip("watchfiles", reason="the extra watch is not installed")
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy2(rainy, folder / "first.png")
    stop = threading.Event()
    seen: list[Outcome] = []

    def work() -> None:
        for outcomes in watch(Batch((str(folder),), str(tmp_path / "out"), options=Options(**FAST)), stop):
            seen.extend(outcomes)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        _until(lambda: len(seen) == 1)
        (folder / "bad.png").write_bytes(b"text")
        shutil.copy2(rainy, folder / "second.png")
        _until(lambda: len(seen) == 3)
    finally:
        stop.set()
        thread.join()
    assert {outcome.job.source.name for outcome in seen if outcome.error} == {"bad.png"}
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["first.png", "second.png"]


def _until(true: Any) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "nothing happened for a minute"
        time.sleep(0.05)


def test_remote_files_are_fetched_cleaned_and_brought_back(rainy: Path, tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec", reason="the extra remote is not installed")
    system = fsspec.filesystem("memory")
    system.store.clear()
    for name in ("a.png", "sub/b.png"):
        system.pipe(f"/wet/{name}", rainy.read_bytes())
    system.pipe("/wet/bad.png", b"text")
    system.pipe("/wet/deep.avif", write(tmp_path / "deep.avif", GREY).read_bytes())
    first = clean("memory://wet", "memory://dry/all", **FAST)
    assert [outcome.error and outcome.error.partition(": ")[0] for outcome in first] == [
        None,
        "memory://wet/bad.png",
        None,
        None,
    ]
    assert first[0].job.names == ("memory://wet/a.png", "memory://dry/all/a.png")
    expected = cleaned(rainy, tmp_path / "here.png").read_bytes()
    assert system.cat("/dry/all/a.png") == system.cat("/dry/all/sub/b.png") == expected
    assert sorted(posixpath.relpath(path, "/dry/all") for path in system.find("/dry")) == [
        ".unrain/manifest.jsonl",
        "a.png",
        "deep.png",
        "sub/b.png",
    ]
    second = clean("memory://wet", "memory://dry/all", **FAST)
    assert [outcome.skipped for outcome in second] == [True, False, True, True]
    (down,) = clean("memory://wet/a.png", tmp_path / "down", **FAST)
    assert down.error is None
    assert (tmp_path / "down" / "a.png").read_bytes() == expected


def test_whatever_goes_wrong_with_another_machine_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = pytest.importorskip("fsspec.implementations.memory", reason="the extra remote is not installed")

    class NoCredentials(Exception):  # as those of S3 derive from nothing else
        pass

    def isdir(*_: object) -> bool:
        raise NoCredentials("Unable to locate\ncredentials")

    monkeypatch.setattr(memory.MemoryFileSystem, "isdir", isdir)
    with pytest.raises(UnrainError, match=r"^memory://wet: cannot be reached: Unable to locate credentials$"):
        clean("memory://wet", "memory://dry")


def test_places_that_nobody_knows_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UnrainError, match="gopher://wet: cannot be reached"):
        clean("gopher://wet", tmp_path / "out")
    with pytest.raises(UnrainError, match="need an output"):
        clean("memory://wet")


def test_options_that_cannot_be_are_refused_before_anything_is_done(rainy: Path, tmp_path: Path) -> None:
    with pytest.raises(UnrainError, match=r"a strength is from 0 to 1, and 1\.5 is not"):
        clean(rainy, strength=1.5)
    with pytest.raises(UnrainError, match="No such file"):
        clean(rainy, mask=tmp_path / "none.png")
    assert [path.name for path in tmp_path.iterdir()] == ["rainy.png"]
