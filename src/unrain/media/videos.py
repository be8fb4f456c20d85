"""Videos in and out, one frame at a time: decode, hand to a cleaner, encode, and carry everything else across.

Colour conversion lives in colours.py; choosing files and writing them safely lives in files.py.
"""

from __future__ import annotations

import heapq
import io
import logging
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, cast

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.sidedata.sidedata import SideDataContainer, Type
from av.stream import Discard, Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from unrain.errors import MediaError
from unrain.media.colours import Colours

Frames = Iterator[NDArray[np.float32]]

SUFFIXES = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".ts": "mpegts"}

# a playlist or a picture sequence would make one file pull in others, so only self-contained formats are opened
_READING = {"protocol_whitelist": "file", "format_whitelist": "mov,matroska,webm,avi,mpegts"}
_SIGNATURES = {  # demuxer: (position, bytes) of which any one tells it
    "mov": ((4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (4, b"wide")),
    "matroska": ((0, b"\x1aE\xdf\xa3"),),
    "avi": ((8, b"AVI "),),
}
_X264 = {"crf": "16", "preset": "veryfast"}
_VP9 = {"crf": "16", "deadline": "good", "cpu-used": "4", "row-mt": "1"}
_MUXER_OPTIONS = {"mpegts": {"mpegts_copyts": "1"}}
_ERRORS = "surrogateescape"
_HDR_TRANSFERS = (16, 18)
_STALE_TAGS = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration")
_STALE_STATISTICS = ("BPS", "NUMBER_OF_", "_STATISTICS_")
_TO_8_BITS = "convert it to 8-bit SDR first"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video before it is decoded.

    `width` and `height` are in pixels as coded; a player then turns the frames by `rotation` degrees counter-clockwise
    and stretches them by `sample_aspect`. `frames` is an estimate for progress bars, `duration` is in seconds, `rate`
    is the average in frames per second.
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


@dataclass(frozen=True)
class _Look:
    """What the first frame tells: all that must be known before the output's header is written."""

    info: VideoInfo
    time_base: Fraction
    colours: Colours
    tags: dict[str, int]
    display_matrix: tuple[int, ...] | None


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
    return _look(path).info


def read_frames(path: Path) -> Frames:
    """Yield the frames as (H, W, 3) RGB float32 in [0, 1], upright, one in memory at a time.

    Pixels stay as coded otherwise: those that are not square are not stretched. Raises MediaError like `rewrite`.
    """
    look = _look(path)
    with _opened(path) as container:
        stream = _main_stream(container, path)
        for packet in _packets(container, path, stream):
            for frame in _decoded(packet):
                yield _upright(_pixels(frame, look), look.display_matrix)


def rewrite(
    source: Path, target: Path, clean: Callable[[Frames], Frames], progress: Callable[[int], None] | None = None
) -> int:
    """Write `source` again as `target` with every frame replaced by what `clean` makes of it; return their number.

    `clean` gets an iterator of (H, W, 3) RGB float32 frames in [0, 1], upright, and yields one frame of the same
    shape for each, in order; it may read a few frames ahead. Memory does not grow with the length. `progress` is
    called with the number of frames written so far.

    Sound, subtitles and other streams are copied bit for bit. Kept are also each frame's timestamp (to the
    millisecond in Matroska and WebM), rotation, pixel aspect, colour tags, metadata and chapters. Data streams and
    attachments that the target format has no place for are left out with a warning in the log. Video is written as
    H.264 (VP9 in WebM), 4:2:0 at a quality where no difference can be seen; odd sizes are 4:4:4 in H.264.

    Damaged packets cost their own frames only. Raises MediaError for a file that cannot be read, has more than 8
    bits, is HDR or interlaced, or holds something that the target cannot; ValueError if `clean` breaks its contract.
    """
    look = _look(source)
    muxer = _muxer(target, look)
    if os.path.realpath(source) == os.path.realpath(target):
        raise MediaError(f"{target}: would overwrite the input; choose another output")
    with _opened(source) as container, _created(target, muxer, container) as output:
        main = _main_stream(container, source)
        writer = _Writer(output, target, look, _encoder(output, muxer, look, main))
        writer.copies = _copies(container, main, output, source, target)
        with _blame(target, "cannot be written"):
            output.set_chapters(container.chapters())
            output.start_encoding()
        with closing(_feed(container, main, source, writer)) as frames:
            for pixels in clean(frames):
                writer.write(pixels)
                if progress is not None:
                    progress(writer.written)
        writer.finish()
        return writer.written


class _Writer:
    """The output side: frames that wait for their pixels, packets that go across as they are."""

    def __init__(self, output: OutputContainer, target: Path, look: _Look, stream: VideoStream) -> None:
        self.copies: dict[int, Stream] = {}
        self.written = 0
        self._output, self._target, self._look, self._stream = output, target, look, stream
        self._waiting: deque[tuple[int, int]] = deque()
        self._last_dts: dict[int, int] = {}

    def expect(self, timestamp: int, duration: int) -> None:
        self._waiting.append((timestamp, duration))

    def write(self, pixels: NDArray[np.float32]) -> None:
        info = self._look.info
        if not self._waiting:
            raise ValueError("clean yielded more frames than it was given")
        pixels = _as_coded(pixels, self._look.display_matrix)
        if pixels.shape != (info.height, info.width, 3):
            raise ValueError(f"clean changed the frame to {pixels.shape} from {(info.height, info.width, 3)}")
        with _blame(self._target, "cannot be written"):
            frame = self._look.colours.to_frame(pixels, self._stream.codec_context.pix_fmt or "yuv420p")
            frame.pts, frame.duration = self._waiting.popleft()
            frame.time_base = self._look.time_base
            self._output.mux(self._stream.encode(frame))
        self.written += 1

    def copy(self, packet: Packet[Stream]) -> None:
        stream = self.copies.get(packet.stream.index)
        if stream is None or packet.size == 0:
            return
        if stream.type != "subtitle":
            self._keep_order(packet)
        packet.stream = stream
        with _blame(self._target, "cannot be written"):
            self._output.mux(packet)

    def finish(self) -> None:
        if self._waiting:
            raise ValueError(f"clean left out {len(self._waiting)} of {self.written + len(self._waiting)} frames")
        with _blame(self._target, "cannot be written"):
            self._output.mux(self._stream.encode(None))

    def _keep_order(self, packet: Packet[Stream]) -> None:
        """Muxers refuse a packet that is dated before the last one, which a damaged file can hold."""
        index, earliest = packet.stream.index, self._last_dts.get(packet.stream.index)
        if earliest is not None and (packet.dts is None or packet.dts <= earliest):
            packet.dts = earliest + 1
            packet.pts = packet.dts if packet.pts is None else max(packet.pts, packet.dts)
        if packet.dts is not None:
            self._last_dts[index] = packet.dts


class _Clock:
    """Gives each decoded frame its timestamp, strictly rising as encoders demand."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        # AVI dates packets in decoding order only; shown in order, the frames take the packets' times in order
        self._sorted: list[int] | None = [] if container.format.name == "avi" else None
        self._step = max(1, round(1 / (_rate(stream) * (stream.time_base or Fraction(1, 1000)))))
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


def _feed(
    container: InputContainer, main: VideoStream, source: Path, writer: _Writer
) -> Generator[NDArray[np.float32], None, None]:
    clock = _Clock(container, main)
    for packet in _packets(container, source):
        if packet.stream.index != main.index:
            writer.copy(packet)
            continue
        clock.saw(packet)
        for frame in _decoded(packet):
            writer.expect(clock.stamp(frame), frame.duration)
            yield _upright(_pixels(frame, writer._look), writer._look.display_matrix)


def _look(path: Path) -> _Look:
    with _opened(path) as container:
        stream = _main_stream(container, path)
        frame = next((f for p in _packets(container, path, stream) for f in _decoded(p)), None)
        if frame is None:
            raise MediaError(f"{path}: no frame of this video can be decoded; it is empty or damaged")
        _refuse_deep(frame, path)
        tags = {name: getattr(frame, name) for name in ("color_range", "color_primaries", "color_trc", "colorspace")}
        with _blame(path, "cannot be read"):
            colours = Colours.of(frame)
        if frame.format.is_rgb:
            tags["colorspace"] = colours.matrix
        time_base = stream.time_base or Fraction(1, 1000)
        return _Look(_info(container, stream, frame), time_base, colours, tags, _display_matrix(frame))


def _info(container: InputContainer, stream: VideoStream, frame: VideoFrame) -> VideoInfo:
    rate = _rate(stream)
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
    )


def _rate(stream: VideoStream) -> Fraction:
    return Fraction(stream.average_rate or stream.guessed_rate or 25)


def _refuse_deep(frame: VideoFrame, path: Path) -> None:
    bits = max(component.bits for component in frame.format.components)
    if bits > 8:
        raise MediaError(f"{path}: has {bits} bits per channel, which is not supported; {_TO_8_BITS}")
    if frame.color_trc in _HDR_TRANSFERS:
        raise MediaError(f"{path}: is high dynamic range, which is not supported; {_TO_8_BITS}")
    if frame.interlaced_frame:
        raise MediaError(f"{path}: is interlaced, which is not supported; deinterlace it first")


@contextmanager
def _opened(path: Path) -> Iterator[InputContainer]:
    if not path.is_file():
        raise MediaError(f"{path}: {'is not a file' if path.exists() else 'does not exist'}; check the name")
    if not path.stat().st_size:
        raise MediaError(f"{path}: is empty; fetch or export it again")
    with _blame(path, "is not a video that unrain can read (MP4, MOV, MKV, WebM, AVI, TS), or it is damaged"):
        with path.open("rb") as file:
            name = container_of(file.read(1024))
        # FFmpeg alone would also judge by the suffix; 'surrogateescape' keeps text that is not UTF-8 as it is
        container = av.open(str(path.absolute()), "r", name, container_options=_READING, metadata_errors=_ERRORS)
    with container:
        yield container


@contextmanager
def _created(target: Path, muxer: str, source: InputContainer) -> Iterator[OutputContainer]:
    options = dict(_MUXER_OPTIONS.get(muxer, {}))
    metadata = _fresh(source.metadata)
    if muxer in ("mp4", "mov") and any("." in key for key in metadata):
        # keys like com.apple.quicktime.location.ISO6709 have a place only here
        options["movflags"] = "use_metadata_tags"
    with _blame(target, "cannot be written"):
        output = av.open(str(target.absolute()), "w", muxer, container_options=options, metadata_errors=_ERRORS)
        output.metadata.update(metadata)
    try:
        yield output
    finally:
        with _blame(target, "cannot be written"):
            output.close()


@contextmanager
def _blame(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except MediaError as error:
        raise error if str(path) in str(error) else MediaError(f"{path}: {error}") from error
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"{path}: {what}: {error.strerror}") from error


def _main_stream(container: InputContainer, path: Path) -> VideoStream:
    for stream in container.streams.video:
        if not _is_cover(stream) and stream.codec_context is not None:
            stream.thread_type = "AUTO"
            return stream
    raise MediaError(f"{path}: holds no video that can be decoded; it is damaged or no video file")


def _is_cover(stream: Stream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _packets(container: InputContainer, path: Path, *streams: VideoStream) -> Iterator[Packet[Any]]:
    try:
        yield from container.demux(*streams)
    except av.FFmpegError as error:
        _log.warning("%s: is damaged, what follows is left out: %s", path, error.strerror)


def _decoded(packet: Packet[VideoStream]) -> list[VideoFrame]:
    try:
        return packet.decode()
    except av.FFmpegError:
        return []


def _pixels(frame: VideoFrame, look: _Look) -> NDArray[np.float32]:
    return look.colours.to_rgb(frame, look.info.width, look.info.height)


def _muxer(target: Path, look: _Look) -> str:
    muxer = SUFFIXES.get(target.suffix.lower())
    if muxer is None:
        known = " ".join(SUFFIXES)
        raise MediaError(f"{target}: cannot write a video with the suffix '{target.suffix}'; use one of {known}")
    if muxer == "webm" and look.info.sample_aspect != 1:
        raise MediaError(f"{target}: WebM cannot keep this video's pixels that are not square; write a .mkv file")
    if muxer == "mpegts" and look.display_matrix:
        raise MediaError(f"{target}: TS cannot keep this video's rotation; write a .mkv file")
    return muxer


def _encoder(output: OutputContainer, muxer: str, look: _Look, source: VideoStream) -> VideoStream:
    info = look.info
    codec: Literal["libx264", "libvpx-vp9"] = "libvpx-vp9" if muxer == "webm" else "libx264"
    stream = output.add_stream(codec, info.rate, dict(_VP9 if muxer == "webm" else _X264), time_base=look.time_base)
    context = stream.codec_context
    context.width, context.height = info.width, info.height
    odd = info.width % 2 or info.height % 2
    context.pix_fmt = "yuv444p" if odd and muxer != "webm" else "yuv420p"
    context.sample_aspect_ratio = info.sample_aspect
    for name, value in look.tags.items():
        setattr(context, name, value)
    stream.set_display_matrix(look.display_matrix)
    _describe(stream, source)
    return stream


def _copies(
    container: InputContainer, main: VideoStream, output: OutputContainer, source: Path, target: Path
) -> dict[int, Stream]:
    """Add an output stream for each stream that goes across as it is; return them by the index in the source."""
    copies = {}
    for stream in container.streams:
        if stream.index == main.index or _is_rebuilt(stream, output):
            continue
        if _fits(stream, output.format.name):
            copies[stream.index] = _copy_stream(stream, output)
            continue
        what = f"{stream.type} stream {stream.index} ({stream.name or 'unknown'})"
        if stream.type in ("audio", "subtitle") or (stream.type == "video" and not _is_cover(stream)):
            raise MediaError(f"{source}: its {what} has no place in a {target.suffix} file; write a .mkv file")
        _log.warning("%s: its %s has no place in a %s file and is left out", source, what, target.suffix)
    return copies


def _is_rebuilt(stream: Stream, output: OutputContainer) -> bool:
    """Chapter and time code tracks of MP4, which the muxer makes anew from the chapters and the metadata."""
    in_mp4 = output.format.name in ("mp4", "mov")
    return stream.discard == Discard.all or (stream.type == "data" and in_mp4 and "timecode" in stream.metadata)


def _fits(stream: Stream, muxer: str) -> bool:
    """Whether a muxer takes a stream, found by writing a header to memory: no list says it reliably."""
    try:
        with av.open(io.BytesIO(), "w", muxer, metadata_errors=_ERRORS) as scratch:
            _copy_stream(stream, scratch)
            scratch.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


def _copy_stream(stream: Stream, output: OutputContainer) -> Stream:
    copy = output.add_stream_from_template(stream, opaque=True)
    _describe(copy, stream)
    return copy


def _describe(stream: Stream, source: Stream) -> None:
    stream.metadata.update(_fresh(source.metadata))
    stream.disposition = source.disposition


def _fresh(metadata: dict[str, str]) -> dict[str, str]:
    """Metadata without what describes the old file and not the scene."""
    return {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _STALE_TAGS and not key.startswith(_STALE_STATISTICS)
    }


def _display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    data = cast(SideDataContainer, frame.side_data).get(Type.DISPLAYMATRIX)
    return None if data is None else tuple(int(value) for value in np.frombuffer(bytes(data), dtype=np.int32))


def _upright(pixels: NDArray[np.float32], matrix: tuple[int, ...] | None) -> NDArray[np.float32]:
    """Turn and mirror by quarter turns as a display matrix says: x' = a x + c y, y' = b x + d y."""
    turned, rows, columns = _quarter_turns(matrix)
    pixels = pixels.transpose(1, 0, 2) if turned else pixels
    return np.ascontiguousarray(pixels[::rows, ::columns])


def _as_coded(pixels: NDArray[np.float32], matrix: tuple[int, ...] | None) -> NDArray[np.float32]:
    """The way back from `_upright`."""
    turned, rows, columns = _quarter_turns(matrix)
    pixels = pixels[::rows, ::columns]
    return np.ascontiguousarray(pixels.transpose(1, 0, 2) if turned else pixels)


def _quarter_turns(matrix: tuple[int, ...] | None) -> tuple[bool, int, int]:
    """Whether rows and columns change places, and then the steps, 1 or -1, through rows and columns."""
    if matrix is None:
        return False, 1, 1
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    turned = abs(a) < abs(b)
    rows, columns = (b, c) if turned else (d, a)
    return turned, -1 if rows < 0 else 1, -1 if columns < 0 else 1
