"""A video that is killed goes on where it was, and its result is the one that would have come without that."""

from __future__ import annotations

import errno
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from media_samples import clip, frame_times, stream_packets
from numpy.typing import NDArray

from unrain.errors import MediaError
from unrain.media.videos import Keeping, VideoOptions, read_frames, rewrite
from unrain.media.writing import atomic_output

Array = NDArray[np.float32]
LENGTH = 4


def remembering(frames: Iterator[Array]) -> Iterator[Array]:
    """A cleaner that remembers one frame: half of each result is the frame before."""
    before = None
    for frame in frames:
        yield frame if before is None else (frame + before) * np.float32(0.5)
        before = frame


class Calls:
    """Counts the frames that a cleaner was given."""

    def __init__(self, stop_after: int | None = None, error: BaseException | None = None) -> None:
        self.frames, self._stop, self._error = 0, stop_after, error or KeyboardInterrupt()

    def __call__(self, frames: Iterator[Array]) -> Iterator[Array]:
        for result in remembering(frames):
            if self.frames == self._stop:
                raise self._error
            self.frames += 1
            yield result


def keeping(target: Path, key: str = "same") -> Keeping:
    return Keeping(target.with_name(f".{target.name}.unrain"), key, LENGTH, lead=1)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return clip(tmp_path / "in.mp4", 14, still=False, sound=True, options={"bf": "2"})


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_segments_give_what_one_run_gives(source: Path, tmp_path: Path) -> None:
    lossless, pieces = VideoOptions(codec="ffv1"), tmp_path / "pieces.mkv"
    rewrite(source, tmp_path / "whole.mkv", remembering, options=lossless)
    assert rewrite(source, pieces, remembering, options=lossless, keeping=keeping(pieces)) == 14
    for one, other in zip(read_frames(tmp_path / "whole.mkv"), read_frames(pieces), strict=True):
        assert np.array_equal(one, other)
    assert frame_times(pieces) == frame_times(tmp_path / "whole.mkv")
    assert stream_packets(pieces, "audio") == stream_packets(tmp_path / "whole.mkv", "audio")
    assert visible(tmp_path) == ["in.mp4", "pieces.mkv", "whole.mkv"]


def test_an_interrupted_video_goes_on_and_ends_the_same(source: Path, tmp_path: Path) -> None:
    rewrite(source, tmp_path / "whole.mp4", remembering, keeping=keeping(tmp_path / "whole.mp4"))
    target, first, second = tmp_path / "out.mp4", Calls(stop_after=10), Calls()
    with pytest.raises(KeyboardInterrupt), atomic_output(target) as part:
        rewrite(source, part, first, keeping=keeping(target))
    assert visible(tmp_path) == [".out.mp4.unrain", "in.mp4", "whole.mp4"]
    steps: list[int] = []
    with atomic_output(target) as part:
        assert rewrite(source, part, second, steps.append, keeping=keeping(target)) == 14
    # 8 frames were finished; 1 leads into each of the two segments that were left
    assert (steps, second.frames) == ([8, 9, 10, 11, 12, 13, 14], 6 + 2)
    assert target.read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert visible(tmp_path) == ["in.mp4", "out.mp4", "whole.mp4"]


def test_finished_segments_can_be_watched(source: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        rewrite(source, tmp_path / "out.mp4", Calls(stop_after=6), keeping=keeping(tmp_path / "out.mp4"))
    (piece,) = (tmp_path / ".out.mp4.unrain").glob("000000-*")
    with av.open(str(piece)) as container:
        assert len(list(container.decode(video=0))) == LENGTH


def test_segments_of_something_else_are_made_anew(source: Path, tmp_path: Path) -> None:
    target, again = tmp_path / "out.mp4", Calls()
    with pytest.raises(KeyboardInterrupt):
        rewrite(source, target, Calls(stop_after=10), keeping=keeping(target, "other options"))
    rewrite(source, target, again, keeping=keeping(target))
    assert again.frames == 14 + 3


def test_a_note_that_was_half_written_does_not_count(source: Path, tmp_path: Path) -> None:
    target, again = tmp_path / "out.mp4", Calls()
    with pytest.raises(KeyboardInterrupt):
        rewrite(source, target, Calls(stop_after=10), keeping=keeping(target))
    note = tmp_path / ".out.mp4.unrain" / "000001.json"
    note.write_text(note.read_text()[:20])
    rewrite(source, target, again, keeping=keeping(target))
    assert again.frames == 10 + 3


def test_a_full_disk_keeps_what_is_finished_and_a_bad_file_does_not(source: Path, tmp_path: Path) -> None:
    full = MediaError("out.mp4: cannot be written")
    full.__cause__ = OSError(errno.ENOSPC, "no space")
    for name, error, left in (("a.mp4", full, True), ("b.mp4", MediaError("in.mp4: makes no sense"), False)):
        with pytest.raises(MediaError):
            rewrite(source, tmp_path / name, Calls(10, error), keeping=keeping(tmp_path / name))
        assert (tmp_path / f".{name}.unrain").exists() == left


def test_two_processes_do_not_work_on_one_target(source: Path, tmp_path: Path) -> None:
    """One that was killed does not count, also while nobody has asked yet how it ended."""
    target = tmp_path / "out.mp4"
    with killable(source, target) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(MediaError, match="another process"):
            rewrite(source, target, remembering, keeping=keeping(target))
        process.kill()
        process.stdout.read()
        assert rewrite(source, target, remembering, keeping=keeping(target)) == 14


def killable(source: Path, target: Path) -> subprocess.Popen[str]:
    script = Path(__file__).with_name("killable.py")
    command = [sys.executable, str(script), str(source), str(target), str(LENGTH)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_kill_9_at_random_frames_changes_nothing(source: Path, tmp_path: Path) -> None:
    whole, target, moments = tmp_path / "whole.mp4", tmp_path / "out.mp4", random.Random(7)
    with killable(source, whole) as process:
        process.communicate()
    for _ in range(3):
        with killable(source, target) as process:
            assert process.stdout is not None
            for _ in range(moments.randint(3, 6)):
                assert process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        assert not target.exists()
    with killable(source, target) as process:
        said = process.communicate()[0].split()
    assert int(said[0]) >= LENGTH
    assert target.read_bytes() == whole.read_bytes()
