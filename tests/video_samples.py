"""Small videos that hold what real ones hold: many streams, covers, open groups, HDR. No tests live here."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from media_samples import clip, picture

BT2020, PQ, HLG = 9, 16, 18
DISPLAY = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
X265 = "log-level=none:repeat-headers=1:hdr10=1"


def deep_clip(
    path: Path,
    codec: str = "ffv1",
    pixel_format: str = "yuv420p10le",
    frames: int = 4,
    size: tuple[int, int] = (96, 64),
    tags: dict[str, int] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A slow ramp in more levels than 8 bits have; its chroma is grey."""
    with av.open(str(path), "w") as output:
        video: Any = output.add_stream(codec, rate=25, options=options or {}, time_base=Fraction(1, 90000))
        context = video.codec_context
        context.width, context.height, context.pix_fmt = *size, pixel_format
        for name, value in (tags or {}).items():
            setattr(context, name, value)
        full = (tags or {}).get("color_range") == 2
        for number in range(frames):
            frame = av.VideoFrame(*size, "yuv444p16le")
            ramp = np.linspace(0, 65535, size[0] * size[1]) if full else np.linspace(4096, 60160, size[0] * size[1])
            for plane, values in zip(frame.planes, (ramp, np.full_like(ramp, 32768), np.full_like(ramp, 32768))):  # noqa: B905
                lines = np.frombuffer(memoryview(plane), "<u2").reshape(plane.height, -1)
                lines[:, : size[0]] = values.reshape(size[1], size[0])
            frame.pts, frame.time_base = number * 3600, Fraction(1, 90000)
            span = 2 if full else 1
            output.mux(video.encode(frame.reformat(format=pixel_format, src_color_range=span, dst_color_range=span)))
        output.mux(video.encode(None))
    return path


def hdr_clip(path: Path, transfer: int = PQ) -> Path:
    """HEVC with ten bits, the mastering display and the light levels."""
    tags = {"color_range": 1, "color_primaries": BT2020, "color_trc": transfer, "colorspace": BT2020}
    options = {"crf": "8", "x265-params": f"{X265}:{DISPLAY}:max-cll=1000,400"}
    return deep_clip(path, "libx265", "yuv420p10le", tags=tags, options=options)


def remuxed(path: Path, *sources: Path, order: Callable[[list[Any]], list[Any]] = lambda streams: streams) -> Path:
    """The streams of several files in one, in the given order, with an attachment in Matroska."""
    opened = [av.open(str(source)) for source in sources]
    with av.open(str(path), "w") as output:
        streams = order([(number, s) for number, container in enumerate(opened) for s in container.streams])
        copies = {}
        for number, (which, stream) in enumerate(streams):
            copy = copies[which, stream.index] = output.add_stream_from_template(stream, opaque=True)
            copy.metadata.update({"language": ("deu", "fra", "jpn", "swa")[number % 4]})
            copy.disposition = stream.disposition
        if path.suffix == ".mkv":
            output.add_attachment("font.ttf", "application/x-truetype-font", b"not really a font")
            output.set_chapters([_chapter(1, 0, 200, "wet"), _chapter(2, 200, 400, "dry")])
        packets = [(n, p) for n, container in enumerate(opened) for p in container.demux() if p.size]
        for which, packet in sorted(packets, key=lambda each: (each[1].dts or 0) * Fraction(each[1].time_base)):
            if (which, packet.stream.index) in copies:
                packet.stream = copies[which, packet.stream.index]
                output.mux(packet)
    for container in opened:
        container.close()
    return path


def _chapter(number: int, start: int, end: int, title: str) -> Any:
    return {"id": number, "start": start, "end": end, "time_base": Fraction(1, 1000), "metadata": {"title": title}}


def words(path: Path, text: str = "rain") -> Path:
    """Subtitles."""
    path.write_text(f"1\n00:00:00,100 --> 00:00:00,250\n{text}\n\n2\n00:00:00,260 --> 00:00:00,390\n{text} again\n")
    return path


def film(path: Path) -> Path:
    """Two languages to hear and two to read, a font, chapters."""
    folder = path.parent
    one = clip(folder / "one.mkv", 12, sound=True, still=False)
    two = clip(folder / "two.mkv", 12, sound=True, size=(16, 16))
    read = [words(folder / "a.srt"), words(folder / "b.srt", "Regen")]
    return remuxed(path, one, two, *read, order=lambda s: [s[0], s[1], s[3], s[4], s[5]])


def sound_first(path: Path) -> Path:
    """A video that is not the first stream."""
    plain = clip(path.with_name(f"plain{path.suffix}"), 12, sound=True, still=False)
    return remuxed(path, plain, order=lambda streams: streams[::-1])


def with_cover(path: Path) -> Path:
    """An attached picture, first of all streams."""
    plain = clip(path.with_name(f"plain{path.suffix}"), 12, sound=True, still=False)
    with av.open(str(plain)) as source, av.open(str(path), "w") as output:
        cover: Any = output.add_stream("mjpeg", rate=1, width=32, height=24, pix_fmt="yuvj420p")
        cover.disposition = Disposition.attached_pic
        copies = {s.index: output.add_stream_from_template(s, opaque=True) for s in source.streams}
        frame = av.VideoFrame.from_ndarray(picture(), format="rgb24").reformat(format="yuvj420p")
        packets = [*cover.encode(frame), *cover.encode(None)]
        for packet in packets:
            packet.stream = cover
        output.mux(packets)
        for packet in source.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                output.mux(packet)
    return path


def open_groups(path: Path) -> Path:
    """Frames that refer across the next key frame."""
    options = {"x264-params": "open-gop=1:keyint=6:min-keyint=3:bframes=3:b-adapt=0:scenecut=0"}
    return clip(path, 24, still=False, options=options)


def with_telemetry(path: Path) -> Path:
    """What an action camera measures, in a track that no codec is known for, or as KLV in a transport stream."""
    plain = clip(path.with_name(f"plain{path.suffix}"), 12, sound=True, still=False)
    with av.open(str(plain)) as source, av.open(str(path), "w") as output:
        copies = {s.index: output.add_stream_from_template(s, opaque=True) for s in source.streams}
        data: Any = output.add_data_stream("klv" if path.suffix == ".ts" else "bin_data")
        data.time_base = Fraction(1, 90000)
        for packet in source.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                output.mux(packet)
        for number in range(3):
            measured: Any = av.Packet(b"\x06\x0e\x2b\x34 47.0 8.%d" % number)
            measured.stream, measured.time_base = data, data.time_base
            measured.pts, measured.dts, measured.duration = 9000 * number, 9000 * number, 9000
            output.mux(measured)
    return path


def odd_start(path: Path) -> Path:
    """Starts at a time that is no whole number of milliseconds, in uneven steps."""
    return clip(path, times=[1001 + t for t in (0, 1001, 2002, 5005, 5106, 9009)], sound=True, ticks=30000)


def ffprobe(path: Path, *options: str) -> Any:
    """What ffprobe says of a file, or a skip where there is none."""
    program = shutil.which("ffprobe")
    if program is None:
        pytest.skip("ffprobe is not installed")
    command = [program, "-v", "error", "-of", "json", *options, str(path)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
