"""Damaged, truncated, lying and malicious files: what can be read is used, the rest is one line, nothing is left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_samples import clip, frame_times
from numpy.typing import NDArray

from unrain.errors import MediaError
from unrain.media.videos import probe, read_frames, rewrite

FUZZ = Path(__file__).parents[1] / "benchmarks" / "fuzz_videos.py"


def identity(frames: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    yield from frames


def test_mutated_videos_neither_crash_nor_hang_nor_leave_anything() -> None:
    command = [sys.executable, str(FUZZ), "--count", "20", "--seed", "11"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("20 mutants: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".mp4", {"movflags": "faststart"}),
        (".mp4", {"movflags": "frag_keyframe+empty_moov"}),
        (".mkv", {}),
        (".avi", {}),
        (".ts", {}),
    ],
)
def test_a_recording_that_was_cut_off_is_used_up_to_there(
    tmp_path: Path, suffix: str, options: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    codec = "mpeg4" if suffix == ".avi" else "libx264"
    whole = clip(tmp_path / "plain.mp4", 75, codec=codec, still=False, ticks=25, options={"g": "10", "bf": "0"})
    source, target = tmp_path / f"in{suffix}", tmp_path / "out.mkv"
    with av.open(str(whole)) as container, av.open(str(source), "w", container_options=options) as output:
        copy = output.add_stream_from_template(container.streams.video[0], opaque=True)
        for packet in container.demux():
            if packet.size:
                packet.stream = copy
                output.mux(packet)
    times = frame_times(source)
    content = source.read_bytes()
    # the index of an AVI is at its end, and large beside such small frames
    size = content.find(b"idx1") if suffix == ".avi" else len(content)
    source.write_bytes(content[: size // 2])
    count = rewrite(source, target, identity)
    assert 20 < count < 50
    assert frame_times(target) == [time - times[0] + frame_times(target)[0] for time in times[:count]]
    if suffix in (".mp4", ".mkv") and "empty" not in str(options):
        (line,) = [record.getMessage() for record in caplog.records]
        assert f"{source}: is incomplete: its picture ends after 1." in line
        assert " of 3.0 seconds" in line


def test_a_recording_without_its_index_is_named_with_what_to_do(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", 30)
    content = source.read_bytes()
    source.write_bytes(content[: content.find(b"moov") - 4])
    with pytest.raises(MediaError, match=r"cut off before its index \(moov\) was written; restore it") as caught:
        probe(source)
    assert "\n" not in str(caught.value)


def test_a_header_that_announces_an_absurd_size_is_refused(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mkv", 2, codec="ffv1")
    with av.open(str(source)) as container:
        stream: Any = container.streams.video[0]
        with av.open(str(tmp_path / "huge.mkv"), "w") as output:
            copy: Any = output.add_stream_from_template(stream, opaque=True)
            copy.codec_context.width, copy.codec_context.height = 60000, 60000
            for packet in container.demux(stream):
                if packet.size:
                    packet.stream = copy
                    output.mux(packet)
    with pytest.raises(MediaError):
        probe(tmp_path / "huge.mkv")


def test_exotic_decoders_do_not_run(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mkv", 3, codec="snow", pixel_format="yuv420p", options={"strict": "-2"})
    with pytest.raises(MediaError, match=r"in\.mkv"):
        probe(source)


@pytest.mark.parametrize(
    "name", ["list.m3u8", "list.ffconcat", "list.mp4", "list.ts", "list.sdp", "list.mpd", "list.mkv"]
)
def test_a_playlist_never_reads_another_file(tmp_path: Path, name: str) -> None:
    secret = clip(tmp_path / "secret.ts", 30)
    texts = {
        "list.ffconcat": f"ffconcat version 1.0\nfile '{secret}'\n",
        "list.mkv": "ffconcat version 1.0\nfile 'secret.ts'\n",
        "list.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        "list.mpd": f'<?xml version="1.0"?><MPD><Period><BaseURL>file://{secret}</BaseURL></Period></MPD>',
    }
    hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n"
    (tmp_path / name).write_text(texts.get(name, hls))
    with pytest.raises(MediaError) as caught:
        probe(tmp_path / name)
    assert "\n" not in str(caught.value)
    with pytest.raises(MediaError):
        rewrite(tmp_path / name, tmp_path / "out.mkv", identity)
    assert not (tmp_path / "out.mkv").exists()


def test_a_movie_that_refers_to_another_file_does_not_read_it(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mov", 6, codec="mjpeg", pixel_format="yuvj420p", tags={"color_range": 2})
    data = source.read_bytes()
    place = data.find(b"url ")
    assert place > 0
    # the flag that says 'in this file' goes, so that the track points elsewhere
    source.write_bytes(data[: place + 7] + b"\0" + data[place + 8 :])
    try:
        frames = list(read_frames(source))
    except MediaError:
        return
    assert len(frames) == 6


def test_a_damaged_packet_in_the_middle_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    look: dict[str, Any] = {"codec": "mjpeg", "pixel_format": "yuvj420p", "tags": {"color_range": 2}}
    # the encoder cuts a frame into as many slices as it has threads
    source = clip(tmp_path / "in.mkv", 30, options={"threads": "1"}, **look)
    content = bytearray(source.read_bytes())
    middle = content.find(b"\xff\xd8", len(content) // 2)
    content[middle : middle + 200] = bytes(200)
    source.write_bytes(bytes(content))
    assert 25 < rewrite(source, tmp_path / "out.mkv", identity) < 30
    assert "damaged pieces could not be read" in caplog.text


def test_interlaced_is_refused_in_one_line(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mkv", 4, options={"x264-params": "tff=1"}, size=(64, 64))
    with pytest.raises(MediaError, match="is interlaced, which is not supported; deinterlace it first"):
        probe(source)
