"""Parts of a video, further views of it, and clips that lie as numbered pictures."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_samples import clip, frame_times, picture, stream_packets
from numpy.typing import NDArray
from PIL import Image
from video_samples import film

import unrain
from unrain.errors import MediaError
from unrain.inference.model import VideoModel
from unrain.inference.options import Options
from unrain.inference.views import VideoCleaner, preview_of, write_preview
from unrain.media import sequences
from unrain.media.batch import run
from unrain.media.files import Job, plan
from unrain.media.videos import Keeping, VideoOptions, frames_at, probe, read_frames, rewrite

Array = NDArray[np.float32]


def identity(frames: Iterator[Array]) -> Iterator[Array]:
    yield from frames


def part(start: str | None, end: str | None) -> VideoOptions:
    return VideoOptions(start=None if start is None else Fraction(start), end=None if end is None else Fraction(end))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_part_keeps_sound_and_picture_together(tmp_path: Path, suffix: str) -> None:
    source = clip(tmp_path / f"in{suffix}", 50, still=False, sound=True, options={"g": "10", "bf": "2"})
    target = tmp_path / f"out{suffix}"
    assert rewrite(source, target, identity, options=part("0.5", "1.5")) == 25
    before, after = frame_times(source), frame_times(target)
    with av.open(str(source)) as container:
        clock = Fraction(container.start_time or 0, av.time_base)
    begin = next(time for time in before if time >= clock + Fraction(1, 2))
    assert [time - after[0] for time in after] == [time - begin for time in before if time >= begin][:25]
    heard = {data: time for data, time in stream_packets(source, "audio")}
    packets = stream_packets(target, "audio")
    assert 14 <= len(packets) <= 17
    shift = begin - after[0]
    for data, time in packets:
        original = heard[data]
        assert time is not None
        assert original is not None
        assert abs(original - shift - time) <= Fraction(1, 1000)


def test_a_part_shows_the_frames_of_that_part(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", 30, still=False, options={"g": "8", "bf": "3"})
    rewrite(source, tmp_path / "out.mkv", identity, options=part("0.6", None))
    for before, after in zip(list(read_frames(source))[15:], read_frames(tmp_path / "out.mkv"), strict=True):
        assert np.abs(before - after).mean() < 3 / 255


def test_chapters_and_subtitles_of_a_part_move_with_it(tmp_path: Path) -> None:
    source = film(tmp_path / "in.mkv")
    rewrite(source, tmp_path / "out.mkv", identity, options=part("0.24", None))
    with av.open(str(tmp_path / "out.mkv")) as container:
        (chapter,) = container.chapters()
        assert chapter["metadata"]["title"] == "dry"
        assert [s.type for s in container.streams].count("subtitle") == 2
    ((data, _),) = stream_packets(tmp_path / "out.mkv", "subtitle")
    assert data == b"rain again"


def test_a_part_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no frame in the part that was asked for"):
        rewrite(clip(tmp_path / "in.mp4", 5), tmp_path / "out.mp4", identity, options=part("7", None))


def test_frames_are_found_quickly(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", 40, still=False, options={"g": "10", "bf": "2"})
    found = frames_at(source, 1.0, 3)
    assert len(found) == 3
    assert np.array_equal(found[0], list(read_frames(source))[25])


@pytest.fixture(scope="module")
def model() -> VideoModel:
    loaded = unrain.load("j4rnet", threads=1)
    assert isinstance(loaded, VideoModel)
    return loaded


def test_side_by_side_and_layers_are_videos_beside_the_result(tmp_path: Path, model: VideoModel) -> None:
    source = clip(tmp_path / "in.mp4", 3, sound=True, size=(48, 32), rotation=90, still=False)
    options = Options(side_by_side=True, layers=True)
    (outcome,) = run([Job(source, tmp_path / "out.mp4")], VideoCleaner(model, options).clean)
    assert outcome.error is None
    names = ["in.mp4", "out.mp4", *(f"out.mp4.{name}.mp4" for name in ("degradation", "side_by_side", "streaks"))]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    clean, rainy = list(read_frames(tmp_path / "out.mp4")), list(read_frames(source))
    for number, beside in enumerate(read_frames(tmp_path / "out.mp4.side_by_side.mp4")):
        assert beside.shape == (48, 2 * 32, 3)
        assert np.abs(beside[:, :32] - rainy[number]).mean() < 4 / 255
        assert np.abs(beside[:, 32:] - clean[number]).mean() < 4 / 255
    for name in names[1:]:
        assert frame_times(tmp_path / name) == frame_times(source)
        assert stream_packets(tmp_path / name, "audio") == stream_packets(source, "audio")
    grey = next(read_frames(tmp_path / "out.mp4.degradation.mp4"))
    assert np.abs(grey - grey.mean(axis=2, keepdims=True)).max() < 3 / 255


def test_a_preview_is_one_picture_of_a_few_frames(tmp_path: Path, model: VideoModel) -> None:
    source = clip(tmp_path / "in.mp4", 20, size=(48, 32), still=False)
    pairs = VideoCleaner(model, Options()).preview(source)
    frames = list(read_frames(source))
    assert [np.array_equal(rainy, frames[number]) for (rainy, _), number in zip(pairs, (2, 10, 18), strict=True)]
    assert write_preview(tmp_path / "out.png", pairs) == 3
    with Image.open(tmp_path / "out.png") as figure:
        assert figure.size == (2 * 48 + 4, 3 * 32 + 2 * 4)
    assert preview_of(tmp_path / "a_clean.mp4").name == "a_clean.mp4.preview.png"
    assert preview_of(tmp_path / "look.png").name == "look.png"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(8, 13):
        exif = Image.Exif()
        exif[271] = f"camera {number}"
        Image.fromarray(picture(24, 32, number)).save(folder / f"frame_{number:04d}.png", exif=exif)
    (folder / "frame_x.png").write_bytes(b"other")
    return folder / "frame_%04d.png"


def test_numbered_pictures_keep_their_numbers_and_metadata(pictures: Path, tmp_path: Path) -> None:
    (job,) = plan([pictures], tmp_path / "out", "_clean")
    steps: list[int] = []
    assert job.target == tmp_path / "out" / "frame_%04d.png"
    assert sequences.rewrite(pictures, job.target, lambda frames: (1 - f for f in frames), steps.append) == 5
    assert sorted(p.name for p in job.target.parent.iterdir()) == [f"frame_{n:04d}.png" for n in range(8, 13)]
    assert steps == [1, 2, 3, 4, 5]
    with Image.open(tmp_path / "out" / "frame_0010.png") as image:
        assert np.array_equal(np.asarray(image), 255 - picture(24, 32, 10))
        assert image.getexif()[271] == "camera 10"


def test_interrupted_pictures_go_on_and_none_appears_before_all_are_done(pictures: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "%d.png"
    keeping = Keeping(tmp_path / "out" / ".kept", "key", 2, lead=1)
    given: list[int] = []

    def clean(frames: Iterator[Array]) -> Iterator[Array]:
        for frame in frames:
            given.append(1)
            if len(given) == 6:
                raise KeyboardInterrupt
            yield frame

    with pytest.raises(KeyboardInterrupt):
        sequences.rewrite(pictures, target, clean, keeping=keeping)
    assert [path.name for path in target.parent.iterdir()] == [".kept"]
    assert sequences.rewrite(pictures, target, clean, keeping=keeping) == 5
    assert sorted(path.name for path in target.parent.iterdir()) == ["10.png", "11.png", "12.png", "8.png", "9.png"]
    assert len(given) == 6 + 2


def test_a_video_becomes_pictures_and_pictures_become_a_video(pictures: Path, tmp_path: Path) -> None:
    video = tmp_path / "out.mp4"
    assert sequences.rewrite(pictures, video, identity, options=VideoOptions(rate=Fraction(30000, 1001))) == 5
    assert frame_times(video)[0] == 0
    assert probe(video).rate == Fraction(30000, 1001)
    assert np.abs(next(read_frames(video)) * 255 - picture(24, 32, 8)).mean() < 3
    assert sequences.rewrite(video, tmp_path / "f%d.png", identity) == 5
    with Image.open(tmp_path / "f1.png") as image:
        assert np.abs(np.asarray(image) / 255 - next(read_frames(video))).max() < 1 / 255


def test_pictures_are_never_written_over_themselves(pictures: Path) -> None:
    with pytest.raises(MediaError, match="would overwrite the input"):
        sequences.rewrite(pictures, pictures.with_name("frame_%04d.png"), identity)
    with pytest.raises(MediaError, match="no picture has such a name"):
        sequences.rewrite(pictures.with_name("other_%d.png"), pictures.with_name("x_%d.png"), identity)


def test_sequences_are_told_by_their_name() -> None:
    for name in ("a_%04d.png", "%d.jpg"):
        assert sequences.is_sequence(Path(name))
    for name in ("a.png", "a_%04d.mp4", "%d_%d.png", "50%.png"):
        assert not sequences.is_sequence(Path(name))
