"""What rewriting a video keeps, what it refuses, and that its memory does not grow."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_samples import TICKS, clip, first_frame, frame_times, picture, stream_packets, yuv_planes
from numpy.typing import NDArray

from unrain.errors import MediaError
from unrain.media.videos import probe, read_frames, rewrite
from unrain.media.writing import atomic_output

Array = NDArray[np.float32]
Clean = Callable[[Iterator[Array]], Iterator[Array]]


def identity(frames: Iterator[Array]) -> Iterator[Array]:
    yield from frames


def one_ahead(frames: Iterator[Array]) -> Iterator[Array]:
    held = next(frames)
    for frame in frames:
        yield held
        held = frame
    yield held


def levels(path: Path) -> Array:
    return np.stack(list(read_frames(path))) * 255


def psnr(a: Array, b: Array) -> float:
    return float(10 * np.log10(255**2 / max(np.mean((a - b) ** 2), 1e-9)))


@pytest.mark.parametrize("matrix", [1, 6])
@pytest.mark.parametrize("full", [False, True])
def test_frames_come_in_the_colours_that_the_tags_say(tmp_path: Path, matrix: int, full: bool) -> None:
    tags = {"colorspace": matrix, "color_range": 2 if full else 1}
    source = clip(tmp_path / "in.mkv", 3, tags=tags, options={"crf": "1"})
    assert np.abs(levels(source)[0] - picture(48, 64)).mean() < 2
    assert np.abs((levels(source)[0] - picture(48, 64)).mean(axis=(0, 1))).max() < 0.5


@pytest.mark.parametrize("matrix", [1, 6])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_the_round_trip_changes_no_colour(tmp_path: Path, matrix: int, full: bool, suffix: str) -> None:
    tags = {"colorspace": matrix, "color_range": 2 if full else 1, "color_primaries": matrix, "color_trc": matrix}
    source = clip(tmp_path / "in.mp4", 5, tags=tags)
    target = tmp_path / f"out{suffix}"
    assert rewrite(source, target, identity) == 5
    before, after = levels(source), levels(target)
    assert psnr(before, after) > 40
    assert np.abs((after - before).mean(axis=(0, 1, 2))).max() < 0.5
    frame = first_frame(target)
    assert {name: getattr(frame, name) for name in tags} == tags


def test_untagged_stays_untagged(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", 3)
    rewrite(source, tmp_path / "out.mp4", identity)
    before, after = first_frame(source), first_frame(tmp_path / "out.mp4")
    for name in ("colorspace", "color_primaries", "color_trc", "color_range"):
        assert getattr(after, name) == getattr(before, name)
    assert after.colorspace == 2


def test_what_clean_makes_is_what_is_written(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", 4)
    rewrite(source, tmp_path / "out.mp4", lambda frames: (1 - frame for frame in frames))
    assert psnr(levels(tmp_path / "out.mp4"), 255 - levels(source)) > 40


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts"])
def test_sound_is_copied_bit_for_bit_and_in_time(tmp_path: Path, suffix: str) -> None:
    source = clip(tmp_path / f"in{suffix}", 20, sound=True)
    rewrite(source, tmp_path / f"out{suffix}", identity)
    packets = stream_packets(source, "audio")
    assert len(packets) > 5
    assert stream_packets(tmp_path / f"out{suffix}", "audio") == packets
    assert frame_times(tmp_path / f"out{suffix}") == frame_times(source)


@pytest.mark.parametrize(("suffix", "tick"), [(".mp4", 1), (".mkv", 90)])
def test_variable_frame_rate_is_kept_exactly(tmp_path: Path, suffix: str, tick: int) -> None:
    times = [t * tick for t in (0, 3003, 3004, 9000, 9700, 20000, 20600, 50001)]
    source = clip(tmp_path / f"in{suffix}", times=times)
    assert rewrite(source, tmp_path / f"out{suffix}", one_ahead) == 8
    assert frame_times(source) == [Fraction(t, TICKS) for t in times]
    assert frame_times(tmp_path / f"out{suffix}") == frame_times(source)


def test_a_late_start_is_kept(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", times=[45000 + i * 3600 for i in range(6)], sound=True)
    rewrite(source, tmp_path / "out.mp4", identity)
    assert frame_times(tmp_path / "out.mp4") == frame_times(source)
    assert stream_packets(tmp_path / "out.mp4", "audio") == stream_packets(source, "audio")


def test_b_frames_keep_their_order(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", 16, still=False, options={"bf": "3", "b-adapt": "0"})
    rewrite(source, tmp_path / "out.mp4", one_ahead)
    assert frame_times(tmp_path / "out.mp4") == frame_times(source)
    for before, after in zip(read_frames(source), read_frames(tmp_path / "out.mp4"), strict=True):
        assert psnr(before * 255, after * 255) > 38


@pytest.mark.parametrize("codec", ["mpeg4", "mjpeg"])
def test_avi_becomes_matroska_with_rising_times(tmp_path: Path, codec: str) -> None:
    full = codec == "mjpeg"
    source = clip(
        tmp_path / "in.avi",
        10,
        codec=codec,
        pixel_format="yuvj420p" if full else "yuv420p",
        options={} if full else {"bf": "2"},
        tags={"color_range": 2} if full else {},
        still=False,
        ticks=25,
    )
    rewrite(source, tmp_path / "out.mkv", identity)
    assert frame_times(tmp_path / "out.mkv") == [Fraction(i, 25) for i in range(10)]
    assert psnr(levels(source), levels(tmp_path / "out.mkv")) > 35


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_rotation_and_pixel_aspect_survive(tmp_path: Path, suffix: str) -> None:
    source = clip(tmp_path / f"in{suffix}", 3, rotation=-90, sample_aspect=Fraction(4, 3))
    shapes = []

    def look(frames: Iterator[Array]) -> Iterator[Array]:
        for frame in frames:
            shapes.append(frame.shape)
            yield frame

    rewrite(source, tmp_path / f"out{suffix}", look)
    info = probe(tmp_path / f"out{suffix}")
    assert (info.width, info.height, info.rotation, info.sample_aspect) == (64, 48, -90, Fraction(4, 3))
    assert set(shapes) == {(64, 48, 3)}


@pytest.mark.parametrize(("rotation", "turns"), [(90, 1), (-90, -1), (180, 2)])
def test_read_frames_gives_upright_frames(tmp_path: Path, rotation: int, turns: int) -> None:
    upright = levels(clip(tmp_path / "a.mkv", 2))
    turned = levels(clip(tmp_path / "b.mkv", 2, rotation=rotation))
    assert np.array_equal(turned, np.rot90(upright, turns, axes=(1, 2)))


@pytest.mark.parametrize("rotation", [0, 90, -90, 180])
def test_rewriting_hands_out_upright_frames_and_turns_them_back(tmp_path: Path, rotation: int) -> None:
    source = clip(tmp_path / "in.mkv", 3, rotation=rotation)
    seen = []

    def darken_the_top(frames: Iterator[Array]) -> Iterator[Array]:
        for frame in frames:
            seen.append(frame)
            darker = frame.copy()
            darker[:16] /= 2
            yield darker

    rewrite(source, tmp_path / "out.mkv", darken_the_top)
    assert np.array_equal(np.stack(seen) * 255, levels(source))
    expected = levels(source)
    expected[:, :16] /= 2
    assert psnr(expected, levels(tmp_path / "out.mkv")) > 35


@pytest.mark.parametrize("flip", [{"hflip": True}, {"vflip": True}])
def test_read_frames_unmirrors(tmp_path: Path, flip: dict[str, bool]) -> None:
    with av.open(str(tmp_path / "in.mp4"), "w") as output:
        video = output.add_stream("libx264", rate=25, options={"crf": "1"}, width=64, height=48)
        video.set_display_rotation(0, **flip)
        planes = yuv_planes(picture(48, 64), 6, False)
        output.mux(video.encode(av.VideoFrame.from_ndarray(planes, format="yuv444p")))
        output.mux(video.encode(None))
    expected = np.flip(picture(48, 64), 1 if "hflip" in flip else 0)
    assert np.abs(levels(tmp_path / "in.mp4")[0] - expected).mean() < 2


def test_metadata_and_chapters_are_kept(tmp_path: Path) -> None:
    metadata = {"title": "wet road", "comment": "caf\u00e9"}
    source = clip(tmp_path / "in.mp4", 12, metadata=metadata, chapters=True, sound=True)
    rewrite(source, tmp_path / "out.mp4", identity)
    with av.open(str(source)) as before, av.open(str(tmp_path / "out.mp4")) as after:
        assert metadata.items() <= after.metadata.items()
        assert after.chapters() == before.chapters()
        assert len(after.chapters()) == 2
        assert [s.type for s in after.streams] == [s.type for s in before.streams]


def test_keys_of_phones_are_kept(tmp_path: Path) -> None:
    place = {"com.apple.quicktime.location.ISO6709": "+47.0+008.0/"}
    with av.open(str(tmp_path / "in.mov"), "w", container_options={"movflags": "use_metadata_tags"}) as output:
        output.metadata.update(place)
        video = output.add_stream("libx264", rate=25, width=64, height=48)
        output.mux(video.encode(av.VideoFrame(64, 48, "yuv420p")))
        output.mux(video.encode(None))
    rewrite(tmp_path / "in.mov", tmp_path / "out.mov", identity)
    with av.open(str(tmp_path / "out.mov")) as container:
        assert place.items() <= container.metadata.items()


@pytest.fixture
def subtitled(tmp_path: Path) -> Path:
    """A Matroska clip with a subtitle stream and an attached font."""
    plain = clip(tmp_path / "plain.mkv", 10)
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:00,100 --> 00:00:00,300\nrain\n")
    with av.open(str(plain)) as a, av.open(str(words)) as b, av.open(str(tmp_path / "in.mkv"), "w") as output:
        streams = {id(s): output.add_stream_from_template(s, opaque=True) for s in (a.streams[0], b.streams[0])}
        streams[id(b.streams[0])].metadata["language"] = "deu"
        output.add_attachment("font.ttf", "application/x-truetype-font", b"not really a font")
        for container in (b, a):
            for packet in container.demux():
                if packet.size:
                    packet.stream = streams[id(packet.stream)]
                    output.mux(packet)
    return tmp_path / "in.mkv"


def test_subtitles_and_attachments_are_kept(subtitled: Path) -> None:
    target = subtitled.with_name("out.mkv")
    rewrite(subtitled, target, identity)
    assert stream_packets(target, "subtitle") == stream_packets(subtitled, "subtitle")
    assert len(stream_packets(target, "subtitle")) == 1
    with av.open(str(target)) as container:
        assert container.streams.subtitles[0].language == "deu"
        assert container.streams.attachments[0].data == b"not really a font"
        assert container.streams.attachments[0].name == "font.ttf"


def test_a_stream_without_a_place_in_the_target_is_named(subtitled: Path) -> None:
    with (
        pytest.raises(MediaError, match=r"subtitle stream 1 .* \.mkv"),
        atomic_output(subtitled.with_name("out.mp4")) as temporary,
    ):
        rewrite(subtitled, temporary, identity)
    assert not subtitled.with_name("out.mp4").exists()


@pytest.mark.parametrize("size", [(63, 47), (64, 47), (33, 48), (16, 16)])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int], suffix: str) -> None:
    source = clip(tmp_path / "in.mkv", 3, size=size, codec="ffv1")
    rewrite(source, tmp_path / f"out{suffix}", identity)
    assert probe(tmp_path / f"out{suffix}").width == size[0]
    assert psnr(levels(source), levels(tmp_path / f"out{suffix}")) > 35


@pytest.mark.parametrize("pixel_format", ["yuv422p", "yuv444p", "gray", "bgr0"])
def test_other_8_bit_layouts(tmp_path: Path, pixel_format: str) -> None:
    source = clip(tmp_path / "in.mkv", 3, codec="ffv1", pixel_format=pixel_format)
    rewrite(source, tmp_path / "out.mp4", identity)
    before, after = levels(source), levels(tmp_path / "out.mp4")
    assert np.abs((after - before).mean(axis=(0, 1, 2))).max() < 0.6
    assert psnr(before, after) > 35


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    def most_alive(frames: int) -> int:
        source = clip(tmp_path / f"{frames}.mp4", frames)
        alive: weakref.WeakValueDictionary[int, Array] = weakref.WeakValueDictionary()
        most = 0

        def count(frames: Iterator[Array]) -> Iterator[Array]:
            nonlocal most
            for index, frame in enumerate(frames):
                alive[index] = frame
                most = max(most, len(alive))
                yield frame
                del frame

        assert rewrite(source, tmp_path / "out.mp4", lambda f: one_ahead(count(f))) == frames
        return most

    # one each that is decoded, held by the cleaner (two), and written; threads decide how many of them at once
    assert max(most_alive(12), most_alive(120)) <= 5


def test_progress_counts_the_frames(tmp_path: Path) -> None:
    seen: list[int] = []
    rewrite(clip(tmp_path / "in.mp4", 5), tmp_path / "out.mp4", one_ahead, seen.append)
    assert seen == [1, 2, 3, 4, 5]


def test_a_failure_in_clean_passes_and_leaves_nothing(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", 8, sound=True)

    def fail(frames: Iterator[Array]) -> Iterator[Array]:
        yield next(frames)
        raise RuntimeError("no more memory on the device")

    with pytest.raises(RuntimeError, match="no more memory"), atomic_output(tmp_path / "o" / "out.mp4") as temporary:
        rewrite(source, temporary, fail)
    assert [p.name for p in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.parametrize(
    "clean",
    [
        lambda frames: (f for i, f in enumerate(frames) if i),
        lambda frames: (f for f in frames for _ in range(2)),
        lambda frames: (f[:, :-2] for f in frames),
    ],
)
def test_a_clean_that_breaks_the_contract_is_told(tmp_path: Path, clean: Clean) -> None:
    with pytest.raises(ValueError, match="clean"):
        rewrite(clip(tmp_path / "in.mp4", 4), tmp_path / "out.mp4", clean)


def test_nan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="not numbers"):
        rewrite(clip(tmp_path / "in.mp4", 2), tmp_path / "out.mp4", lambda frames: (f * np.nan for f in frames))


def test_interlaced_is_refused(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mkv", 4, options={"x264-params": "tff=1"}, size=(64, 64))
    with pytest.raises(MediaError, match="interlaced"):
        probe(source)


def test_probe(tmp_path: Path) -> None:
    info = probe(clip(tmp_path / "in.mp4", 10, sound=True))
    assert (info.width, info.height, info.frames, info.rate, info.codec) == (64, 48, 10, Fraction(25), "h264")
    assert (info.audio_streams, info.subtitle_streams, info.rotation, info.sample_aspect) == (1, 0, 0, Fraction(1))
    assert info.duration == pytest.approx(0.4)


def test_damage_in_the_middle_costs_only_its_frames(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mkv", 30, codec="mjpeg", pixel_format="yuvj420p", sound=True)
    content = bytearray(source.read_bytes())
    middle = content.find(b"\xff\xd8", len(content) // 2)
    content[middle : middle + 700] = bytes(700)
    source.write_bytes(bytes(content))
    count = rewrite(source, tmp_path / "out.mkv", identity)
    assert 20 <= count < 30
    assert frame_times(tmp_path / "out.mkv")[-1] == Fraction(29, 25)
    assert len(stream_packets(tmp_path / "out.mkv", "audio")) > 10


def test_a_file_that_was_cut_off(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mkv", 30, still=False)
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])
    assert 5 < rewrite(source, tmp_path / "out.mkv", identity) < 30
    headless = clip(tmp_path / "in.mp4", 30)
    content = headless.read_bytes()
    for end in (content.find(b"moov") - 4, len(content) - 500):
        headless.write_bytes(content[:end])
        with pytest.raises(MediaError, match="damaged") as caught:
            rewrite(headless, tmp_path / "out.mp4", identity)
        assert "\n" not in str(caught.value)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "words.mp4").write_text("words")
    with av.open(str(tmp_path / "sound.mp4"), "w") as output:
        audio = output.add_stream("aac", rate=16000)
        block = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        block.sample_rate = 16000
        output.mux(audio.encode(block))
        output.mux(audio.encode(None))
    for name in ("none.mp4", "empty.mp4", "words.mp4", "sound.mp4", "."):
        with pytest.raises(MediaError) as caught:
            probe(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_playlists_do_not_open_other_files(tmp_path: Path) -> None:
    clip(tmp_path / "secret.ts", 30)
    playlists = {
        "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n",
        "list.ffconcat": "ffconcat version 1.0\nfile secret.ts\n",
        "list.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n",
    }
    for name, text in playlists.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(MediaError):
            probe(tmp_path / name)


def test_targets_that_cannot_be_written(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mkv", 2, rotation=90)
    square = clip(tmp_path / "wide.mkv", 2, sample_aspect=Fraction(2))
    for video, target in (
        (source, tmp_path / "out.avi"),
        (source, tmp_path / "none" / "out.mkv"),
        (source, tmp_path / "out.ts"),
        (square, tmp_path / "out.webm"),
        (source, source),
    ):
        with pytest.raises(MediaError):
            rewrite(video, target, identity)
    assert rewrite(source, tmp_path / "out.mkv", identity) == 2
