"""A batch: what is done once is not done again, what is killed goes on, and one bad file costs that file alone."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from media_samples import clip, picture
from PIL import Image

from unrain.errors import EngineError
from unrain.media import batch
from unrain.media.batch import Listener, Outcome
from unrain.media.files import Job, plan
from unrain.media.manifest import Manifest, look
from unrain.media.videos import read_frames

PROGRAM = Path(__file__).with_name("identity_batch.py")
FUZZER = Path(__file__).parents[1] / "benchmarks" / "fuzz.py"


def put(path: Path, content: bytes = b"rain") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


class Copying:
    """Work that copies, and remembers what it was asked to do."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def __call__(self, job: Job, part: Path, listener: Listener) -> int:
        self.done.append(job.source.name)
        content = job.source.read_bytes()
        if content == b"broken":
            raise ZeroDivisionError("as no one expected")
        part.write_bytes(content.upper())
        return 1

    def run(self, source: Path, output: Path, settings: object = 1, workers: int = 1) -> list[Outcome]:
        self.done = []
        return batch.run(plan([source], output), self, workers=workers, settings={"strength": settings})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "sub/c.png"):
        put(tmp_path / "in" / name, name.encode())
    return tmp_path / "in"


def test_what_is_done_is_not_done_again(folder: Path, tmp_path: Path) -> None:
    work = Copying()
    assert [outcome.skipped for outcome in work.run(folder, tmp_path / "out")] == [False] * 3
    assert [outcome.skipped for outcome in work.run(folder, tmp_path / "out")] == [True] * 3
    assert work.done == []
    assert (tmp_path / "out" / "sub" / "c.png").read_bytes() == b"SUB/C.PNG"


def test_in_place_what_was_written_just_before_a_kill_is_not_done_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    class Killed(BaseException):
        pass

    def replaced(*paths: Path) -> None:
        replace(*paths)
        raise Killed

    work, jobs = Copying(), plan([folder], None, overwrite=True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replaced)
        with pytest.raises(Killed):
            batch.run(jobs, work, settings={})
    written = [job.source for job in jobs if job.source.read_bytes().isupper()]
    work.done = []
    outcomes = batch.run(jobs, work, settings={})
    assert written
    assert [outcome.job.source for outcome in outcomes if outcome.skipped] == written
    assert len(work.done) == len(jobs) - len(written)


def test_other_settings_do_it_again(folder: Path, tmp_path: Path) -> None:
    work = Copying()
    work.run(folder, tmp_path / "out", settings=1)
    work.run(folder, tmp_path / "out", settings=0.5)
    assert work.done == ["a.png", "b.png", "c.png"]
    work.run(folder, tmp_path / "out", settings=0.5)
    assert work.done == []


def test_what_has_changed_on_either_side_is_done_again(folder: Path, tmp_path: Path) -> None:
    work = Copying()
    work.run(folder, tmp_path / "out")
    put(folder / "a.png", b"A.png")  # as many bytes as before
    put(tmp_path / "out" / "b.png", b"cut")
    os.utime(folder / "sub" / "c.png", (1, 1))  # another time, the same content
    work.run(folder, tmp_path / "out")
    assert work.done == ["a.png", "b.png"]
    (tmp_path / "out" / "a.png").unlink()
    work.run(folder, tmp_path / "out")
    assert work.done == ["a.png"]


def test_both_folders_may_move(folder: Path, tmp_path: Path) -> None:
    work = Copying()
    work.run(folder, tmp_path / "out")
    (tmp_path / "elsewhere").mkdir()
    for name in ("in", "out"):
        (tmp_path / name).rename(tmp_path / "elsewhere" / name)
    work.run(tmp_path / "elsewhere" / "in", tmp_path / "elsewhere" / "out")
    assert work.done == []


def test_a_line_that_was_cut_off_costs_that_line_alone(folder: Path, tmp_path: Path) -> None:
    work = Copying()
    work.run(folder, tmp_path / "out")
    manifest = tmp_path / "out" / ".unrain" / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-30])
    work.run(folder, tmp_path / "out")
    assert work.done == ["c.png"]
    work.run(folder, tmp_path / "out")
    assert work.done == []


def test_a_file_that_breaks_the_work_in_whatever_way_costs_that_file_alone(folder: Path, tmp_path: Path) -> None:
    put(folder / "b.png", b"broken")
    outcomes = Copying().run(folder, tmp_path / "out")
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert outcomes[1].error == f"{folder / 'b.png'}: ZeroDivisionError: as no one expected; please report this file"
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.png")) == ["a.png", "c.png"]


def test_several_workers_do_the_same_as_one_and_tell_it_in_the_same_order(tmp_path: Path) -> None:
    for number in range(40):
        put(tmp_path / "in" / f"{number:02}.png", b"broken" if number == 13 else b"%d" % number)
    work = Copying()
    outcomes = work.run(tmp_path / "in", tmp_path / "out", workers=4)
    assert [outcome.job.source.name for outcome in outcomes] == [f"{number:02}.png" for number in range(40)]
    assert sorted(work.done) == [f"{number:02}.png" for number in range(40)]
    assert [outcome.error is None for outcome in outcomes] == [number != 13 for number in range(40)]


def test_while_one_file_is_ended_the_next_is_worked_on_and_a_few_at_most_wait(tmp_path: Path) -> None:
    for number in range(6):
        put(tmp_path / "in" / f"{number}.png", b"%d" % number)
    work, third, done = Copying(), threading.Event(), []

    def worked(job: Job, part: Path, listener: Listener) -> int:
        frames = work(job, part, listener)
        if len(work.done) == 3:
            third.set()
        return frames

    def deliver(job: Job) -> None:
        assert third.wait(10), "the first file is not ended before the third is worked on"
        time.sleep(0.1 if job.source.name == "0.png" else 0)
        done.append(len(work.done))

    jobs = plan([tmp_path / "in"], tmp_path / "out")
    outcomes = batch.run(jobs, worked, settings={}, delivered=deliver)
    assert [outcome.error for outcome in outcomes] == [None] * 6
    assert done[0] == 3, "the fourth waits until the first is ended"


def test_what_goes_wrong_at_the_end_of_a_file_is_that_files_error_and_it_is_not_recorded(
    folder: Path, tmp_path: Path
) -> None:
    put(tmp_path / "out" / "b.png" / "a folder in its place")
    work = Copying()
    outcomes = work.run(folder, tmp_path / "out")
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert str(outcomes[1].error).startswith(f"{tmp_path / 'out' / 'b.png'}: cannot be written")
    work.run(folder, tmp_path / "out")
    assert work.done == ["b.png"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, EngineError])
@pytest.mark.parametrize("workers", [1, 2])
def test_what_stops_a_batch_leaves_whole_files_alone(
    folder: Path, tmp_path: Path, error: type[BaseException], workers: int
) -> None:
    work = Copying()

    def stopped(job: Job, part: Path, listener: Listener) -> int:
        if job.source.name == "c.png":
            part.write_bytes(b"half")
            raise error("no further")
        return work(job, part, listener)

    jobs = plan([folder], tmp_path / "out")
    with pytest.raises(error, match="no further"):
        batch.run(jobs, stopped, workers=workers, settings={"strength": 1})
    left = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert left == {"a.png", "b.png", ".unrain/manifest.jsonl"}
    work.run(folder, tmp_path / "out")
    assert work.done == ["c.png"]


def test_only_one_may_claim_a_target_and_its_claim_ends_with_it(tmp_path: Path) -> None:
    job = Job(tmp_path / "a.png", tmp_path / "out" / "a.png", tmp_path / "out")
    ours, theirs = (Manifest(tmp_path / "out", {}) for _ in range(2))
    with ours.claim(job, wait=False) as mine:
        assert mine
        with theirs.claim(job, wait=False) as second:
            assert not second
    with theirs.claim(job, wait=False) as now:
        assert now
    assert not list((tmp_path / "out" / ".unrain" / "locks").iterdir())


def test_a_file_on_which_a_process_died_comes_last_so_that_it_cannot_stop_the_others(
    folder: Path, tmp_path: Path
) -> None:
    work = Copying()
    with Manifest(tmp_path / "out", {}).claim(plan([folder], tmp_path / "out")[0], wait=False):
        (lock,) = (tmp_path / "out" / ".unrain" / "locks").iterdir()
    put(lock, b"")
    outcomes = work.run(folder, tmp_path / "out")
    assert work.done == ["b.png", "c.png", "a.png"]
    assert [outcome.job.source.name for outcome in outcomes] == ["a.png", "b.png", "c.png"]
    assert not lock.exists()


def test_what_another_process_does_meanwhile_is_waited_for_and_not_done_again(folder: Path, tmp_path: Path) -> None:
    work, out = Copying(), tmp_path / "out"
    job = plan([folder], out)[0]
    other = Manifest(out, {"strength": 1})

    def finish_later() -> None:
        with other.claim(job, wait=True):
            claimed.set()
            time.sleep(0.3)
            put(job.target, b"by the other")
            other.record(job, look(job.source), job.target)

    claimed = threading.Event()
    thread = threading.Thread(target=finish_later)
    thread.start()
    claimed.wait()
    outcomes = work.run(folder, out)
    thread.join()
    assert work.done == ["b.png", "c.png"]
    assert outcomes[0].skipped
    assert job.target.read_bytes() == b"by the other"


def start(*arguments: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, PROGRAM, *arguments])


def results(output: Path) -> dict[str, bytes]:
    """All files of an output folder but hidden ones."""
    files = [path.relative_to(output) for path in output.rglob("*") if path.is_file()]
    visible = (path for path in files if not any(part.startswith(".") for part in path.parts))
    return {path.as_posix(): (output / path).read_bytes() for path in visible}


def same(one: Path, other: Path) -> bool:
    """Whether pictures are the same bytes, and videos the same frames: encoders may choose differently under load."""
    if one.suffix != ".mp4":
        return one.read_bytes() == other.read_bytes()
    pairs = zip(read_frames(one), read_frames(other), strict=True)
    return all(np.abs(first - second).mean() < 1 / 255 for first, second in pairs)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos and small videos, and what they are to become."""
    root = tmp_path_factory.mktemp("mixed")
    (root / "in" / "sub").mkdir(parents=True)
    for number in range(8):
        suffix = (".png", ".jpg", ".webp", ".tif")[number % 4]
        Image.fromarray(picture(120, 160, number)).save(root / "in" / "sub" / f"{number:02}{suffix}")
    for number in range(2):
        clip(root / "in" / f"{number}.mp4", frames=20, sound=number == 0)
    assert start(root / "in", root / "whole", root / "log").wait() == 0
    assert len(results(root / "whole")) == 10
    return root


def test_a_batch_that_is_killed_again_and_again_ends_as_one_that_was_not(mixed: Path, tmp_path: Path) -> None:
    out, chance = tmp_path / "out", random.Random(1)
    for _ in range(5):
        process = start(mixed / "in", out, tmp_path / "log")
        began = len(_lines(tmp_path / "log"))
        # the moment is counted from the first file, as starting takes longer than the work
        while process.poll() is None and len(_lines(tmp_path / "log")) == began:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.25))
        process.kill()
        process.wait()
        for name in results(out):
            assert same(out / name, mixed / "whole" / name), f"{name} is not whole"
    assert start(mixed / "in", out, tmp_path / "log").wait() == 0
    assert results(out).keys() == results(mixed / "whole").keys()
    assert all(same(out / name, mixed / "whole" / name) for name in results(out))
    hidden = [path.name for path in out.rglob(".*")]
    assert hidden == [".unrain"], "what the killed processes left is cleared away"


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_two_processes_on_one_folder_do_each_file_once(mixed: Path, tmp_path: Path) -> None:
    both = [start(mixed / "in", tmp_path / "out", tmp_path / "log") for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    done = _lines(tmp_path / "log")
    assert len(done) == len(set(done)) == 10
    assert results(tmp_path / "out").keys() == results(mixed / "whole").keys()


def test_a_full_disk_is_a_line_for_each_file_and_leaves_nothing(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "in").mkdir(exist_ok=True)
        suffix = (".tif", ".png", ".bmp")[number]
        Image.fromarray(picture(200, 200, number)).save(tmp_path / "in" / f"{number}{suffix}")
    limit = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));"
    code = f"{limit} sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code, PROGRAM, tmp_path / "in", tmp_path / "out", tmp_path / "log"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert all("cannot be written: File too large" in line for line in lines)
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_names_that_differ_only_in_case_are_told_apart(tmp_path: Path) -> None:
    put(tmp_path / "in" / "A.png", b"one")
    put(tmp_path / "in" / "a.PNG", b"two")
    put(tmp_path / "in" / "a.png", b"three")
    targets = [job.target.name for job in plan([tmp_path / "in"], tmp_path / "out")]
    assert len({name.lower() for name in targets}) == 3


def test_dots_in_a_path_lead_nowhere_else(tmp_path: Path) -> None:
    inside, other = put(tmp_path / "in" / "x" / "a.png"), put(tmp_path / "in" / "y" / "a.png")
    crooked = [inside.parent / ".." / "x" / "a.png", other.parent / ".." / ".." / "in" / "y" / "a.png"]
    assert [str(job.target.relative_to(tmp_path)) for job in plan(crooked, tmp_path / "out")] == [
        "out/x/a.png",
        "out/y/a.png",
    ]
    folders = [inside.parent / ".." / "y", inside.parent / ".." / "x" / ".." / "x"]
    assert [str(job.target.relative_to(tmp_path)) for job in plan(folders, tmp_path / "out")] == [
        "out/y/a.png",
        "out/x/a.png",
    ]


def test_broken_pictures_neither_crash_nor_hang_nor_leave_a_file() -> None:
    done = subprocess.run(
        [sys.executable, FUZZER, "images", "--count", "100", "--seed", "3"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_manifest_says_what_the_settings_were(folder: Path, tmp_path: Path) -> None:
    Copying().run(folder, tmp_path / "out", settings=0.25)
    lines = (tmp_path / "out" / ".unrain" / "manifest.jsonl").read_text().splitlines()
    first, *others = [json.loads(line) for line in lines if line]
    assert first["mean"] == {"strength": 0.25}
    assert [line["target"] for line in others] == ["a.png", "b.png", "sub/c.png"]
    assert {line["settings"] for line in others} == {first["settings"]}
