"""Nothing is lost: every stream, time, tag and bit of depth of small files that are built like real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Discard
from media_samples import clip, first_frame, frame_times
from numpy.typing import NDArray
from video_samples import (
    HLG,
    PQ,
    deep_clip,
    ffprobe,
    film,
    hdr_clip,
    odd_start,
    open_groups,
    sound_first,
    with_cover,
    with_telemetry,
)

from unrain.errors import MediaError
from unrain.media.videos import CODECS, VideoOptions, probe, read_frames, rewrite
from unrain.media.videos.hdr import Mastering

Array = NDArray[np.float32]
Make = Callable[[Path], Path]


def identity(frames: Iterator[Array]) -> Iterator[Array]:
    yield from frames


def plain(path: Path) -> Path:
    return clip(path, 12, sound=True, still=False, options={"bf": "2"})


def variable(path: Path) -> Path:
    ticks = 90 if path.suffix == ".mkv" else 1
    times = [time * ticks for time in (0, 3003, 3004, 9000, 9700, 20000, 20600, 50001)]
    return clip(path, times=times, sound=True)


def turned(path: Path) -> Path:
    return clip(path, 6, rotation=90, sample_aspect=Fraction(4, 3), sound=True)


FILES: list[tuple[Make, str]] = [
    *((make, suffix) for make in (plain, variable, odd_start) for suffix in (".mp4", ".mov", ".mkv")),
    *((make, suffix) for make in (plain, open_groups, sound_first) for suffix in (".ts",)),
    (film, ".mkv"),
    (with_cover, ".mp4"),
    (with_cover, ".mkv"),
    (open_groups, ".mp4"),
    (sound_first, ".mp4"),
    (turned, ".mov"),
    (with_telemetry, ".mp4"),
    (with_telemetry, ".ts"),
]


@pytest.fixture(scope="module", params=FILES, ids=lambda each: f"{each[0].__name__}{each[1]}")
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A file and what `rewrite` makes of it."""
    make, suffix = request.param
    folder = tmp_path_factory.mktemp("kept")
    source, target = make(folder / f"in{suffix}"), folder / f"out{suffix}"
    rewrite(source, target, identity)
    return source, target


def streams_of(path: Path) -> list[dict[str, Any]]:
    """What a file says of each stream, but for what describes the encoding of the picture."""
    with av.open(str(path)) as container:
        return [
            {
                "type": stream.type,
                "language": stream.language,
                "disposition": int(stream.disposition),
                "codec": None if stream.type == "video" else stream.name,
                "aspect": getattr(stream, "sample_aspect_ratio", None),
            }
            for stream in container.streams
        ]


def packets_of(path: Path) -> list[tuple[int, Fraction | None, bytes]]:
    """Stream, time and content of each packet that is not of the main video."""
    with av.open(str(path)) as container:
        main = next(s for s in container.streams.video if not int(s.disposition) & 0x400)
        for stream in container.streams:
            stream.discard = Discard.default  # also of streams that no codec is known for
        packets = [p for p in container.demux() if p.size and p.stream.index != main.index]
        return sorted(
            (p.stream.index, None if p.pts is None else p.pts * Fraction(p.time_base), bytes(p)) for p in packets
        )


def shown_times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        main = next(s for s in container.streams.video if not int(s.disposition) & 0x400)
        return [(f.pts or 0) * Fraction(f.time_base or 0) for f in container.decode(main)]


def test_streams_packets_and_times_are_the_same(pair: tuple[Path, Path]) -> None:
    source, target = pair
    assert streams_of(target) == streams_of(source)
    assert packets_of(target) == packets_of(source)
    assert shown_times(target) == shown_times(source)
    with av.open(str(source)) as before, av.open(str(target)) as after:
        assert after.chapters() == before.chapters()
        # of uneven steps the declared duration may end before the last frame does
        end = max(Fraction(before.duration or 0), shown_times(source)[-1] * av.time_base)
        assert abs((after.duration or 0) - float(end)) <= av.time_base / 25


def test_ffprobe_sees_the_same(pair: tuple[Path, Path]) -> None:
    options = ("-show_streams", "-show_format", "-show_chapters", "-show_packets", "-show_data_hash", "md5")
    before, after = (ffprobe(path, *options) for path in pair)

    def main(report: Any) -> Any:
        videos = (stream for stream in report["streams"] if stream["codec_type"] == "video")
        return next(stream for stream in videos if not stream["disposition"]["attached_pic"])

    def packets(report: Any) -> list[tuple[Any, ...]]:
        others = [p for p in report["packets"] if p["stream_index"] != main(report)["index"]]
        return sorted((p["stream_index"], p.get("pts_time", ""), p["data_hash"]) for p in others)

    def times(report: Any) -> list[float]:
        number = main(report)["index"]
        return sorted(float(p["pts_time"]) for p in report["packets"] if p["stream_index"] == number)

    assert packets(after) == packets(before)
    assert [s["codec_type"] for s in after["streams"]] == [s["codec_type"] for s in before["streams"]]
    assert [c["tags"] for c in after["chapters"]] == [c["tags"] for c in before["chapters"]]
    assert times(after) == times(before)
    for name in ("width", "height", "sample_aspect_ratio", "nb_frames"):
        assert main(after).get(name) == main(before).get(name), name
    assert main(after)["has_b_frames"] == 0


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".webm"])
def test_hdr_stays_hdr(tmp_path: Path, suffix: str) -> None:
    source, target = hdr_clip(tmp_path / "in.mp4"), tmp_path / f"out{suffix}"
    assert (probe(source).bits, probe(source).hdr) == (10, "PQ")
    rewrite(source, target, identity)
    before, after = first_frame(source), first_frame(target)
    for name in ("color_range", "color_primaries", "color_trc", "colorspace"):
        assert getattr(after, name) == getattr(before, name)
    assert probe(target).bits == 10
    old, new = Mastering.of(before), Mastering.of(after)
    assert old.display is not None
    assert new.display == pytest.approx(old.display, abs=1e-4)
    assert new.light == old.light == (1000, 400)


def test_ffprobe_sees_the_mastering_display(tmp_path: Path) -> None:
    source, target = hdr_clip(tmp_path / "in.mkv"), tmp_path / "out.mp4"
    rewrite(source, target, identity)

    def side_data(path: Path) -> Any:
        frames = ffprobe(path, "-show_frames", "-select_streams", "v", "-read_intervals", "%+#1")["frames"]
        return [each for each in frames[0]["side_data_list"] if "SEI" not in each["side_data_type"]]

    assert len(side_data(source)) == 2
    assert side_data(target) == side_data(source)
    assert ffprobe(target, "-show_streams")["streams"][0]["codec_tag_string"] == "hvc1"


def test_hybrid_log_gamma_stays(tmp_path: Path) -> None:
    rewrite(hdr_clip(tmp_path / "in.mkv", HLG), tmp_path / "out.mkv", identity)
    assert first_frame(tmp_path / "out.mkv").color_trc == HLG
    assert probe(tmp_path / "out.mkv").hdr == "HLG"


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("codec", ["hevc", "prores", "ffv1"])
def test_ten_bits_come_back_as_ten_bits(tmp_path: Path, matrix: int, full: bool, codec: str) -> None:
    if codec == "prores" and full:
        pytest.skip("ProRes has no full range")
    tags = {"color_range": 2 if full else 1, "color_primaries": matrix, "color_trc": 1, "colorspace": matrix}
    source, target = deep_clip(tmp_path / "in.mkv", tags=tags), tmp_path / "out.mkv"
    rewrite(source, target, identity, options=VideoOptions(codec=codec, crf=None if codec != "hevc" else 4))
    before, after = (np.stack(list(read_frames(path))) for path in (source, target))
    assert len(np.unique(np.round(before * 1023))) > 800
    assert len(np.unique(np.round(after * 1023))) > 600
    assert np.abs(after - before).mean() < 0.6 / 1023 * (1 if codec == "ffv1" else 3)
    assert np.abs((after - before).mean(axis=(0, 1, 2))).max() < 0.5 / 1023
    assert {name: getattr(first_frame(target), name) for name in tags} == tags


@pytest.mark.parametrize(
    "pixel_format", ["yuv422p10le", "yuv444p12le", "gray10le", "yuv420p9le", "gbrp10le", "yuv420p16le"]
)
def test_other_deep_layouts_stay_deep(tmp_path: Path, pixel_format: str) -> None:
    source, target = deep_clip(tmp_path / "in.mkv", pixel_format=pixel_format), tmp_path / "out.mkv"
    rewrite(source, target, identity)
    before, after = (np.stack(list(read_frames(path))) for path in (source, target))
    assert probe(target).bits >= min(probe(source).bits, 10)
    assert np.abs(after - before).mean() < 1 / 1023


def test_ten_bits_that_are_cleaned_are_what_is_written(tmp_path: Path) -> None:
    source, target = deep_clip(tmp_path / "in.mkv"), tmp_path / "out.mkv"
    rewrite(source, target, lambda frames: (1 - frame for frame in frames))
    before, after = (np.stack(list(read_frames(path))) for path in (source, target))
    assert np.abs(after - (1 - before)).max() < 2 / 1023


@pytest.mark.parametrize("codec", list(CODECS))
def test_the_codec_can_be_chosen(tmp_path: Path, codec: str) -> None:
    source, target = plain(tmp_path / "in.mkv"), tmp_path / "out.mkv"
    assert rewrite(source, target, identity, options=VideoOptions(codec=codec)) == 12
    assert {"libdav1d": "av1"}.get(probe(target).codec, probe(target).codec) == codec
    before, after = (np.stack(list(read_frames(path))) for path in (source, target))
    assert 10 * np.log10(1 / np.mean((before - after) ** 2)) > 30
    assert [time - frame_times(target)[0] for time in frame_times(target)] == frame_times(source)


@pytest.mark.parametrize(
    ("codec", "pixel_format", "suffix", "becomes"),
    [
        ("libx264", "yuv420p", ".mp4", "h264"),
        ("libx265", "yuv420p", ".mp4", "hevc"),
        ("mpeg4", "yuv420p", ".mkv", "h264"),
        ("libvpx-vp9", "yuv420p", ".webm", "vp9"),
        ("prores_ks", "yuv422p10le", ".mov", "prores"),
        ("ffv1", "yuv422p", ".mkv", "ffv1"),
    ],
)
def test_the_codec_stays_where_it_can(tmp_path: Path, codec: str, pixel_format: str, suffix: str, becomes: str) -> None:
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    source = clip(tmp_path / f"in{suffix}", 3, codec=codec, pixel_format=pixel_format, options=options, ticks=25)
    rewrite(source, tmp_path / f"out{suffix}", identity)
    assert probe(tmp_path / f"out{suffix}").codec == becomes
    assert first_frame(tmp_path / f"out{suffix}").format.name == pixel_format


def test_quality_is_chosen_by_crf(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", 8, still=False, options={"crf": "5"})
    sizes = []
    for crf in (10, 40):
        rewrite(source, tmp_path / f"{crf}.mp4", identity, options=VideoOptions(crf=crf))
        sizes.append((tmp_path / f"{crf}.mp4").stat().st_size)
    assert sizes[1] < sizes[0] / 2


@pytest.mark.parametrize(
    ("options", "suffix", "says"),
    [
        (VideoOptions(codec="h265"), ".mp4", "no codec 'h265'; use one of h264, hevc"),
        (VideoOptions(codec="h264"), ".webm", "h264 has no place in a .webm file"),
        (VideoOptions(codec="prores", crf=10), ".mov", "prores has no quality"),
    ],
)
def test_codecs_that_cannot_be_are_refused(tmp_path: Path, options: VideoOptions, suffix: str, says: str) -> None:
    with pytest.raises(MediaError, match=says):
        rewrite(clip(tmp_path / "in.mp4", 2), tmp_path / f"out{suffix}", identity, options=options)


def test_what_is_lost_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = hdr_clip(tmp_path / "in.mp4", PQ)
    rewrite(source, tmp_path / "out.mkv", identity, options=VideoOptions(codec="vp9"))
    assert "vp9 holds 8 bits, of the 10 there are" in caplog.text
    assert "no place for the mastering display" in caplog.text


def test_telemetry_of_action_cameras_is_copied(tmp_path: Path) -> None:
    source, target = with_telemetry(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    rewrite(source, target, identity)
    with av.open(str(target)) as container:
        (data,) = (stream for stream in container.streams if stream.type == "data")
        data.discard = Discard.default
        assert [bytes(p)[4:] for p in container.demux(data) if p.size] == [b" 47.0 8.%d" % n for n in range(3)]
