"""Which file is what, which output belongs to which input, and that an output appears whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from media_samples import clip, picture
from PIL import Image

from unrain.errors import MediaError
from unrain.media.files import VIEWS, Job, Kind, kind_of, plan, view_of
from unrain.media.writing import atomic_output


def put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def fail_halfway(target: Path, error: type[BaseException] | BaseException, other: Path | None = None) -> None:
    with atomic_output(target) as temporary:
        temporary.write_bytes(b"half")
        if other is not None:
            put(other)
        raise error


def targets(jobs: list[Job], root: Path) -> dict[str, str]:
    return {str(job.source.relative_to(root)): str(job.target.relative_to(root)) for job in jobs}


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
def test_pictures_are_known_by_content(tmp_path: Path, format: str) -> None:
    Image.fromarray(picture()).save(tmp_path / "photo.mp4", format=format)
    assert kind_of(tmp_path / "photo.mp4") is Kind.IMAGE


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "libx264"), (".mkv", "libx264"), (".ts", "libx264")])
def test_videos_are_known_by_content(tmp_path: Path, suffix: str, codec: str) -> None:
    clip(tmp_path / f"a{suffix}", frames=3, codec=codec).rename(tmp_path / "video.jpg")
    assert kind_of(tmp_path / "video.jpg") is Kind.VIDEO


@pytest.mark.parametrize(
    "content", [b"", b"only words\n" * 30, b"GIF89a" + bytes(99), bytes(5000), b"#EXTM3U\nfile.ts\n"]
)
def test_everything_else_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = put(tmp_path / "thing.png", content)
    with pytest.raises(MediaError) as caught:
        kind_of(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(MediaError, match="cannot be opened"):
            kind_of(path)


def test_a_broken_video_says_that_it_is_broken(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", frames=5)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(MediaError, match="damaged"):
        kind_of(path)


def test_an_output_appears_with_its_suffix_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "out.mp4"
    with atomic_output(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.name.startswith(".")
        assert temporary.suffix == ".mp4"
        temporary.write_bytes(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert [p.name for p in target.parent.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_nothing_behind_and_the_old_file_alone(tmp_path: Path, error: type[BaseException]) -> None:
    old = put(tmp_path / "old.png", b"old")
    for target in (old, tmp_path / "made" / "deep" / "new.png"):
        with pytest.raises(error):
            fail_halfway(target, error)
    assert old.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["old.png"]


def test_a_made_folder_with_other_results_stays(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="late"):
        fail_halfway(tmp_path / "made" / "new.png", ValueError("late"), tmp_path / "made" / "other.png")
    assert os.listdir(tmp_path / "made") == ["other.png"]


def test_an_unwritable_place_is_one_line(tmp_path: Path) -> None:
    put(tmp_path / "file")
    for target in (tmp_path / "file" / "x.png", Path("/proc/none/x.png")):
        with pytest.raises(MediaError, match="cannot be written"), atomic_output(target):
            pass
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(MediaError, match="cannot be written"), atomic_output(tmp_path / "folder.png") as temporary:
        temporary.write_bytes(b"x")
    with pytest.raises(MediaError, match="nothing was written"), atomic_output(tmp_path / "x.png"):
        pass
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.png"]


def test_the_mode_follows_the_umask(tmp_path: Path) -> None:
    with atomic_output(tmp_path / "x.png") as temporary:
        temporary.write_bytes(b"x")
    plain = put(tmp_path / "y.png")
    assert (tmp_path / "x.png").stat().st_mode == plain.stat().st_mode


def test_one_file(tmp_path: Path) -> None:
    source = put(tmp_path / "photo.JPG")
    assert plan([source], None) == [Job(source, tmp_path / "photo_clean.JPG")]
    assert plan([source], tmp_path / "x" / "y.png") == [Job(source, tmp_path / "x" / "y.png")]
    assert plan([source], tmp_path / "out") == [Job(source, tmp_path / "out" / "photo.JPG", tmp_path / "out")]
    (tmp_path / "folder.png").mkdir()
    assert plan([source], tmp_path / "folder.png") == [
        Job(source, tmp_path / "folder.png" / "photo.JPG", tmp_path / "folder.png")
    ]


def test_a_folder_keeps_its_tree_in_sorted_order(tmp_path: Path) -> None:
    for name in (
        "b.png",
        "a.jpg",
        "sub/c.mp4",
        "sub/x.avi",
        "Thumbs.db",
        ".DS_Store",
        "notes.txt",
        ".git/d.png",
        ".e.png",
    ):
        put(tmp_path / "in" / name)
    expected = ["a.jpg", "b.png", "sub/c.mp4", "sub/x.mkv"]
    for output, name in ((None, "in_clean"), (tmp_path / "out", "out")):
        jobs = plan([tmp_path / "in"], output)
        assert [str(job.target.relative_to(tmp_path / name)) for job in jobs] == expected


def test_results_of_an_earlier_run_are_not_inputs(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.png")
    put(tmp_path / "in" / "out" / "a.png")
    jobs = plan([tmp_path / "in"], tmp_path / "in" / "out")
    assert targets(jobs, tmp_path) == {"in/a.png": "in/out/a.png"}


def test_named_files_are_planned_whatever_they_are(tmp_path: Path) -> None:
    sources = [put(tmp_path / "notes.txt"), tmp_path / "missing.png"]
    assert [job.source for job in plan(sources, tmp_path / "out")] == sources


def test_files_of_the_same_name_do_not_collide(tmp_path: Path) -> None:
    sources = [put(tmp_path / name) for name in ("one/x.png", "two/x.png", "two/y.png")]
    expected = {"one/x.png": "out/one/x.png", "two/x.png": "out/two/x.png", "two/y.png": "out/y.png"}
    assert targets(plan(sources, tmp_path / "out"), tmp_path) == expected
    assert targets(plan(sources[::-1], tmp_path / "out"), tmp_path) == expected


def test_names_that_become_equal_are_numbered(tmp_path: Path) -> None:
    for name in ("in/x.avi", "in/x.mkv"):
        put(tmp_path / name)
    assert targets(plan([tmp_path / "in"], None), tmp_path) == {
        "in/x.avi": "in_clean/x.mkv",
        "in/x.mkv": "in_clean/x-2.mkv",
    }


def test_several_folders_keep_their_names_and_nothing_is_done_twice(tmp_path: Path) -> None:
    one, two = put(tmp_path / "one" / "x.png"), put(tmp_path / "two" / "x.png")
    jobs = plan([tmp_path / "one", tmp_path / "two", one, two, tmp_path / "one"], tmp_path / "out")
    assert targets(jobs, tmp_path) == {"one/x.png": "out/one/x.png", "two/x.png": "out/two/x.png"}


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    source = put(tmp_path / "a" / "x.png")
    (tmp_path / "link.png").symlink_to(source)
    for inputs, output in (
        ([source], source),
        ([source], tmp_path / "a"),
        ([tmp_path / "a"], tmp_path / "a"),
        ([source], tmp_path / "link.png"),
    ):
        with pytest.raises(MediaError, match="would overwrite an input"):
            plan(inputs, output)


def test_views_of_a_file_are_no_inputs_but_what_is_only_named_like_one_is(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    inputs = [folder / name for name in ("a.jpg", "b.mp4", "c.png.streaks.png", "d.streaks.png")]
    views = [view_of(inputs[0], "streaks", ".png"), *(view_of(inputs[1], v, ".mp4") for v in VIEWS)]
    for path in (*inputs, *views):
        path.touch()
    assert [job.source for job in plan([folder], None, overwrite=True)] == inputs


def test_one_that_would_overwrite_an_input_does_not_stop_the_others(tmp_path: Path) -> None:
    source, other = put(tmp_path / "x.png"), put(tmp_path / "x_clean.png")
    first, second = plan([source, other], None)
    assert first.refused == f"{other}: would overwrite an input; choose another output, or ask for --overwrite"
    assert second == Job(other, tmp_path / "x_clean_clean.png")


def test_in_place_no_name_is_given_that_another_input_has(tmp_path: Path) -> None:
    for name in ("in/A.avi", "in/a-2.mkv", "in/a.avi", "in/b.avi", "in/b.mkv", "in/c.PNG", "in/c.png"):
        put(tmp_path / name)
    jobs = plan([tmp_path / "in"], None, overwrite=True)
    assert [job.source.name for job in jobs if job.refused] == ["b.avi"]
    assert {job.source.name: job.target.name for job in jobs if not job.refused} == {
        "A.avi": "A.mkv",
        "a-2.mkv": "a-2.mkv",
        "a.avi": "a-3.mkv",
        "b.mkv": "b.mkv",
        "c.PNG": "c.PNG",
        "c.png": "c.png",
    }


def test_in_place_a_link_does_not_stand_for_the_file_that_it_leads_to(tmp_path: Path) -> None:
    source = put(tmp_path / "in" / "b.png")
    (tmp_path / "in" / "a.png").symlink_to(source)
    assert plan([tmp_path / "in"], None, overwrite=True) == [Job(source, source, tmp_path / "in")]


def test_links_do_not_lead_out_of_the_output(tmp_path: Path) -> None:
    put(tmp_path / "in" / "sub" / "x.png")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MediaError, match="leads out"):
        plan([tmp_path / "in"], tmp_path / "out")


def test_linked_folders_are_not_walked(tmp_path: Path) -> None:
    put(tmp_path / "in" / "x.png")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    assert len(plan([tmp_path / "in"], None)) == 1


def test_a_file_cannot_be_the_output_folder(tmp_path: Path) -> None:
    sources = [put(tmp_path / "a.png"), put(tmp_path / "b.png")]
    with pytest.raises(MediaError, match="name a folder"):
        plan(sources, put(tmp_path / "c"))


def test_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "in" / "x.png")
    monkeypatch.chdir(tmp_path / "in")
    assert [str(job.target) for job in plan([Path(".")], None)] == [str(tmp_path / "in_clean" / "x.png")]
