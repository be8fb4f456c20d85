"""Videos in: what is known of a file before it is decoded, and its frames in the order in which they are shown.

Only formats that hold all of themselves in one file are opened, and only decoders that are on a list run.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from unrain.errors import MediaError
from unrain.media.colours import TRANSFERS, Colours, depth
from unrain.media.videos.hdr import Mastering
from unrain.media.videos.turning import Matrix, display_matrix, upright

_SIGNATURES = {  # demuxer: (position, bytes) of which any one tells it
    "mov": ((4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (4, b"wide"), (4, b"free"), (4, b"skip")),
    "matroska": ((0, b"\x1aE\xdf\xa3"),),
    "avi": ((8, b"AVI "),),
}
# a playlist or a picture sequence would make one file pull in others
_FORMATS = ("mov", "matroska", "webm", "avi", "mpegts")
_DECODERS = (  # what cameras, phones and editors write; an exotic decoder is a door that nobody needs
    *("h264", "hevc", "vp8", "libvpx", "vp9", "libvpx-vp9", "libdav1d", "av1", "prores", "dnxhd", "ffv1", "cfhd"),
    *("mpeg1video", "mpeg2video", "mpeg4", "msmpeg4v1", "msmpeg4v2", "msmpeg4", "h263", "flv", "mjpeg", "dvvideo"),
    *("wmv1", "wmv2", "vc1", "rawvideo", "v210", "huffyuv", "ffvhuff", "utvideo", "png", "magicyuv", "theora"),
)
_SOUND = (  # these only help to find out what a stream is; sound is never decoded
    *("aac", "aac_latm", "mp2", "mp2float", "mp3", "mp3float", "ac3", "eac3", "dca", "truehd", "flac", "alac"),
    *("opus", "libopus", "vorbis", "libvorbis", "amrnb", "amrwb", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_u8"),
    *("pcm_alaw", "pcm_mulaw", "adpcm_ms", "adpcm_ima_wav", "wmav2", "srt", "subrip", "ass", "ssa", "mov_text"),
    *("webvtt", "dvbsub", "dvdsub", "pgssub", "dvb_teletext"),
)
MOST_PIXELS = 2**26
"""Of one frame: 8192 x 8192. A header that announces more is taken for damage."""
_READING = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(_FORMATS),
    "codec_whitelist": ",".join(_DECODERS + _SOUND),
}
_MOST_BITS = 16
TEXT_ERRORS = "surrogateescape"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video before it is decoded.

    `width` and `height` are in pixels as coded; a player then turns the frames by `rotation` degrees counter-clockwise
    and stretches them by `sample_aspect`. `frames` is an estimate for progress bars, `duration` is in seconds, `rate`
    is the average in frames per second. `bits` is the depth of a channel, `hdr` is PQ, HLG or None.
    """

    width: int
    height: int
    frames: int | None
    rate: Fraction
    duration: float | None
    codec: str
    rotation: int
    sample_aspect: Fraction
    audio_streams: int
    subtitle_streams: int
    bits: int
    hdr: str | None


@dataclass(frozen=True)
class Look:
    """What the first frame tells: all that must be known before anything is written.

    `start` is where a player's clock begins, `declared_end` where the header says that the picture ends, both in
    seconds on the clock of the packets. `aspect` is None where the file does not say how wide a pixel is.
    """

    info: VideoInfo
    time_base: Fraction
    aspect: Fraction | None
    start: Fraction
    declared_end: Fraction | None
    colours: Colours
    pixel_format: str
    tags: dict[str, int]
    mastering: Mastering
    display_matrix: Matrix | None


@dataclass(frozen=True)
class Shot:
    """One frame, decoded, with its time and duration in the stream's ticks."""

    frame: VideoFrame
    time: int
    duration: int
    look: Look

    def pixels(self) -> NDArray[np.float32]:
        """Upright (H, W, 3) RGB in [0, 1]."""
        rgb = self.look.colours.to_rgb(self.frame, self.look.info.width, self.look.info.height)
        return upright(rgb, self.look.display_matrix)


def container_of(head: bytes) -> str | None:
    """The container format that the first kilobyte of a file shows, as FFmpeg names it, or None."""
    for name, marks in _SIGNATURES.items():
        if any(head[at : at + len(mark)] == mark for at, mark in marks):
            return name
    # transport streams have a sync byte in every packet of 188 bytes, or of 192 after a time stamp
    synced = any(head[start : start + 4 * step : step] == b"GGGG" for start, step in ((0, 188), (4, 192)))
    return "mpegts" if synced else None


def probe(path: Path) -> VideoInfo:
    """Size, rate, length and streams of a video. Raises MediaError if not even its first frame can be read."""
    return look_at(path).info


def read_frames(path: Path) -> Iterator[NDArray[np.float32]]:
    """Yield the frames as (H, W, 3) RGB float32 in [0, 1], upright, one in memory at a time.

    Pixels stay as coded otherwise: those that are not square are not stretched. Raises MediaError like `rewrite`.
    """
    look = look_at(path)
    for shot in Reel(path, look):
        yield shot.pixels()


def frames_at(path: Path, seconds: float, count: int) -> list[NDArray[np.float32]]:
    """Up to `count` frames from about `seconds` after the start on, found quickly: for looking at."""
    look = look_at(path)
    reel = Reel(path, look, Fraction(seconds), seek=True)
    return [shot.pixels() for shot in islice(reel, count)]


class Reel:
    """The frames of a file from `start` until before `end` (seconds on a player's clock), and what is missing.

    Frames before `start` are not decoded where a later frame stands on its own; `seek` jumps there, which is quick, but
    may miss by some frames in damaged files.
    """

    def __init__(
        self, path: Path, look: Look, start: Fraction | None = None, end: Fraction | None = None, seek: bool = False
    ) -> None:
        self._path, self._look, self._seek = path, look, seek
        self._first = None if start is None else look.start + start
        self._behind = None if end is None else look.start + end
        self.damaged = 0
        self._reached = look.start

    def __iter__(self) -> Iterator[Shot]:
        with opened(self._path) as container:
            main = main_stream(container, self._path)
            clock = _Clock(container, main)
            for packet in self._from_start(container, main):
                clock.saw(packet)
                for frame in self._decoded(packet, container):
                    time = clock.stamp(frame)
                    seconds = time * self._look.time_base
                    if self._behind is not None and seconds >= self._behind:
                        return
                    self._reached = seconds + frame.duration * self._look.time_base
                    if self._first is None or seconds >= self._first:
                        yield Shot(frame, time, frame.duration, self._look)

    def report(self) -> None:
        """Say in the log, in one line, what could not be read."""
        missing = []
        if self._behind is None and self._look.declared_end is not None:
            short, whole = (end - self._look.start for end in (self._reached, self._look.declared_end))
            if whole - short > max(Fraction(1, 2), whole / 100):
                missing.append(f"its picture ends after {float(short):.1f} of {float(whole):.1f} seconds")
        if self.damaged:
            missing.append(f"{self.damaged} damaged pieces could not be read")
        if missing:
            _log.warning("%s: is incomplete: %s; what is there was used", self._path, ", and ".join(missing))

    def _from_start(self, container: InputContainer, main: VideoStream) -> Iterator[Packet[VideoStream]]:
        """All packets, or those from the last key frame before the start."""
        if self._first is None or main.time_base is None:
            yield from packets(container, self._path, main)
            return
        first = self._first / main.time_base
        if self._seek and first > 0:
            container.seek(int(first), stream=main)
        held: list[Packet[VideoStream]] = []
        source = packets(container, self._path, main)
        for packet in source:
            late = packet.dts is None or packet.pts is None or max(packet.pts, packet.dts) >= first
            if packet.is_keyframe and not late:
                held.clear()
            held.append(packet)
            if late:
                break
        yield from held
        yield from source

    def _decoded(self, packet: Packet[VideoStream], container: InputContainer) -> list[VideoFrame]:
        # in a transport stream the mark is about a gap before the packet, elsewhere the packet itself is cut off
        if packet.is_corrupt and container.format.name != "mpegts":
            self.damaged += 1
            return []
        try:
            return packet.decode()
        except av.FFmpegError:
            self.damaged += 1
            return []


class _Clock:
    """Gives each decoded frame its timestamp, strictly rising as encoders demand."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        # AVI dates packets in decoding order only; shown in order, the frames take the packets' times in order
        self._sorted: list[int] | None = [] if container.format.name == "avi" else None
        self._step = max(1, round(1 / (rate_of(stream) * (stream.time_base or Fraction(1, 1000)))))
        self._last: int | None = None

    def saw(self, packet: Packet[Any]) -> None:
        if self._sorted is not None and packet.dts is not None and packet.size:
            heapq.heappush(self._sorted, packet.dts)

    def stamp(self, frame: VideoFrame) -> int:
        stamp = heapq.heappop(self._sorted) if self._sorted else frame.pts
        if stamp is None:
            stamp = 0 if self._last is None else self._last + self._step
        self._last = stamp if self._last is None else max(stamp, self._last + 1)
        return self._last


def look_at(path: Path) -> Look:
    """Decode the first frame. Raises MediaError where that fails, or for what cannot be cleaned."""
    try:
        return _look_at(path)
    except ValueError as error:  # side data of a kind that PyAV does not know
        raise MediaError(f"{path}: is damaged: {error}") from error


def _look_at(path: Path) -> Look:
    with opened(path) as container:
        stream = main_stream(container, path)
        frame = _first_frame(container, path, stream)
        _refuse(frame, path)
        tags = {name: getattr(frame, name) for name in ("color_range", "color_primaries", "color_trc", "colorspace")}
        with blame(path, "cannot be read"):
            colours = Colours.of(frame)
        if frame.format.is_rgb:
            tags["colorspace"] = colours.matrix
        start = Fraction(container.start_time or 0, av.time_base)
        return Look(
            _info(container, stream, frame),
            stream.time_base or Fraction(1, 1000),
            stream.sample_aspect_ratio,
            start,
            _declared_end(container, stream, start),
            colours,
            frame.format.name,
            tags,
            Mastering.of(frame),
            display_matrix(frame),
        )


def _first_frame(container: InputContainer, path: Path, stream: VideoStream) -> VideoFrame:
    for packet in packets(container, path, stream):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue
        if frames:
            return frames[0]
    raise MediaError(f"{path}: no frame of this video can be decoded; it is empty or damaged")


def _info(container: InputContainer, stream: VideoStream, frame: VideoFrame) -> VideoInfo:
    rate = rate_of(stream)
    duration = None
    if stream.duration and stream.time_base:
        duration = float(stream.duration * stream.time_base)
    elif container.duration:
        duration = container.duration / av.time_base
    return VideoInfo(
        frame.width,
        frame.height,
        stream.frames or (round(duration * rate) if duration else None),
        rate,
        duration,
        stream.codec_context.name,
        frame.rotation,
        stream.sample_aspect_ratio or Fraction(1),
        len(container.streams.audio),
        len(container.streams.subtitles),
        depth(frame),
        TRANSFERS.get(frame.color_trc),
    )


def _declared_end(container: InputContainer, stream: VideoStream, start: Fraction) -> Fraction | None:
    if stream.duration and stream.time_base:
        return ((stream.start_time or 0) + stream.duration) * stream.time_base
    return start + Fraction(container.duration, av.time_base) if container.duration else None


def rate_of(stream: VideoStream) -> Fraction:
    """The average frames per second, or a guess."""
    return Fraction(stream.average_rate or stream.guessed_rate or 25)


def _refuse(frame: VideoFrame, path: Path) -> None:
    if depth(frame) > _MOST_BITS:
        raise MediaError(f"{path}: has {depth(frame)} bits per channel, which is not supported; convert it to 10 bits")
    if frame.interlaced_frame:
        raise MediaError(f"{path}: is interlaced, which is not supported; deinterlace it first")


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """A video file, open for reading. Raises MediaError where it is none, or none of the formats on the list."""
    if not path.is_file():
        raise MediaError(f"{path}: {'is not a file' if path.exists() else 'does not exist'}; check the name")
    if not path.stat().st_size:
        raise MediaError(f"{path}: is empty; fetch or export it again")
    with blame(path, "is not a video that unrain can read (MP4, MOV, MKV, WebM, AVI, TS), or it is damaged"):
        with path.open("rb") as file:
            name = container_of(file.read(1024))
        _refuse_headless(path, name)
        # FFmpeg alone would also judge by the suffix; 'surrogateescape' keeps text that is not UTF-8 as it is
        container = av.open(str(path.absolute()), "r", name, container_options=_READING, metadata_errors=TEXT_ERRORS)
    with container:
        yield container


def _refuse_headless(path: Path, name: str | None) -> None:
    """An MP4 gets its index when the recording ends; without one, nobody can tell where frames begin."""
    if name != "mov":
        return
    seen: set[bytes] = set()
    with path.open("rb") as file:
        size, at = path.stat().st_size, 0
        while at + 8 <= size and len(seen) < 64:
            file.seek(at)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            length = int.from_bytes(head[8:16], "big") if length == 1 else length or size - at
            seen.add(head[4:8])
            at += max(length, 8)
    if b"mdat" in seen and not seen & {b"moov", b"moof"}:
        raise MediaError(
            f"{path}: is damaged: the recording was cut off before its index (moov) was written; "
            "restore it with an intact file of the same camera, for example with untrunc"
        )


@contextmanager
def blame(path: Path, what: str) -> Iterator[None]:
    """Turn what FFmpeg and the system raise into one line about a file."""
    try:
        yield
    except MediaError as error:
        raise error if str(path) in str(error) else MediaError(f"{path}: {error}") from error
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"{path}: {what}: {error.strerror}") from error


def main_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first stream that is a video and no cover picture."""
    for stream in container.streams.video:
        if is_cover(stream) or stream.codec_context is None:
            continue
        if stream.codec_context.name not in _DECODERS:
            raise MediaError(f"{path}: its codec {stream.codec_context.name} is not supported; convert it to H.264")
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
        stream.thread_type = "AUTO"
        return stream
    raise MediaError(f"{path}: holds no video that can be decoded; it is damaged or no video file")


def is_cover(stream: Stream) -> bool:
    """Whether a stream is an attached picture."""
    return bool(stream.disposition & Disposition.attached_pic)


def packets(container: InputContainer, path: Path, *streams: Stream) -> Iterator[Packet[Any]]:
    """The packets of some streams, up to where the file ends or makes no sense any more."""
    try:
        yield from container.demux(*streams)
    except av.FFmpegError as error:
        _log.warning("%s: is damaged, what follows is left out: %s", path, error.strerror)
