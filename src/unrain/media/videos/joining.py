"""The result: finished segments and everything else of the source in one file, all of it copied packet by packet."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import Any, cast

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Discard, Stream
from av.video.stream import VideoStream

from unrain.errors import MediaError
from unrain.media.videos.encoding import Encoding, VideoOptions, add_stream
from unrain.media.videos.reading import TEXT_ERRORS, Look, blame, is_cover, main_stream, opened, packets
from unrain.media.videos.segments import Note, Shelf

_STALE_TAGS = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration")
_STALE_STATISTICS = ("BPS", "NUMBER_OF_", "_STATISTICS_")
_MICROSECONDS, _FINEST = 10**6, 2**31 - 1

_log = logging.getLogger(__name__)


class Copier:
    """Writes a target out of the segments of one view and of all other streams of the source."""

    def __init__(
        self, source: Path | None, target: Path, look: Look, encoding: Encoding, options: VideoOptions
    ) -> None:
        self._source, self._target, self._look, self._encoding = source, target, look, encoding
        self._start = None if options.start is None else look.start + options.start
        self._end = None if options.end is None else look.start + options.end

    def check(self, size: tuple[int, int]) -> None:
        """Raise MediaError if the target cannot hold what there is, before hours of work; write an empty target."""
        with self._opened() as container, self._created(container) as output:
            self._streams(container, output, size, warn=True)
            with blame(self._target, "cannot be written"):
                output.start_encoding()

    def join(self, shelf: Shelf, view: int) -> None:
        """Write the target."""
        shift = self._shift(shelf.notes[0])
        with self._opened() as container, self._created(container) as output:
            video, copies = self._streams(container, output, shelf.notes[0].sizes[view])
            with blame(self._target, "cannot be written"):
                if container is not None:
                    output.set_chapters(list(_chapters(container, shift, self._end)))
                output.start_encoding()
                pictures = self._pictures(shelf, view, video, shift)
                for packet in _merged(pictures, self._others(container, copies, shift)):
                    output.mux(packet)

    @contextmanager
    def _opened(self) -> Iterator[InputContainer | None]:
        if self._source is None:
            yield None
            return
        with opened(self._source) as container:
            yield container

    def _streams(
        self, container: InputContainer | None, output: OutputContainer, size: tuple[int, int], warn: bool = False
    ) -> tuple[VideoStream, dict[int, Stream]]:
        """Add the output's streams in their order: the video, and by the index in the source those that are copied."""
        if container is None or self._source is None:
            return add_stream(output, self._encoding, self._look, size), {}
        main, copies = main_stream(container, self._source), {}
        for stream in container.streams:
            if stream.index == main.index:
                video = add_stream(output, self._encoding, self._look, size)
                video.set_display_matrix(self._look.display_matrix)
                _describe(video, main)
            elif self._is_copied(stream, output, warn):
                copies[stream.index] = _copy_stream(stream, output)
        return video, copies

    def _is_copied(self, stream: Stream, output: OutputContainer, warn: bool) -> bool:
        """Whether a stream goes across as it is. Raises MediaError where one is lost that people would miss."""
        if _is_rebuilt(stream, output):
            return False
        if _fits(stream, output.format.name):
            return True
        what = f"{stream.type} stream {stream.index} ({getattr(stream, 'name', None) or 'unknown'})"
        suffix = self._target.suffix
        if stream.type in ("audio", "subtitle") or (stream.type == "video" and not is_cover(stream)):
            raise MediaError(f"{self._source}: its {what} has no place in a {suffix} file; write a .mkv file")
        if warn:
            _log.warning("%s: its %s has no place in a %s file and is left out", self._source, what, suffix)
        return False

    def _shift(self, first: Note) -> Fraction:
        """By how many seconds everything moves to the front: a part begins with its first frame, a whole stays."""
        return Fraction(0) if self._start is None else first.times[0][0] * self._look.time_base

    def _pictures(self, shelf: Shelf, view: int, video: VideoStream, shift: Fraction) -> Iterator[Packet[Any]]:
        first = round(shift / self._look.time_base)
        for number, note in enumerate(shelf.notes):
            found = read_piece(shelf.piece(number, view), self._encoding.codec.piece, self._target)
            for packet, (time, duration) in zip(found, note.times, strict=True):
                packet.stream = video
                packet.time_base = self._look.time_base
                packet.pts = packet.dts = time - first
                packet.duration = duration
                yield packet

    def _others(
        self, container: InputContainer | None, copies: dict[int, Stream], shift: Fraction
    ) -> Iterator[Packet[Stream]]:
        if container is None or self._source is None or not copies:
            return
        last: dict[int, int] = {}
        streams = [stream for stream in container.streams if stream.index in copies]
        for stream in streams:
            stream.discard = Discard.default
        for packet in packets(container, self._source, *streams):
            if packet.size == 0 or not (self._is_inside(packet) or is_cover(packet.stream)):
                continue
            if shift and not is_cover(packet.stream):
                _move(packet, shift)
            if packet.stream.type != "subtitle":
                _keep_order(packet, last)
            packet.stream = copies[packet.stream.index]
            yield packet

    def _is_inside(self, packet: Packet[Stream]) -> bool:
        time = _time(packet)
        if time is None:
            return True
        return (self._start is None or time >= self._start) and (self._end is None or time < self._end)

    @contextmanager
    def _created(self, source: InputContainer | None) -> Iterator[OutputContainer]:
        muxer, metadata = self._encoding.muxer, {} if source is None else _fresh(source.metadata)
        options = {}
        if muxer == "mpegts":
            options["mpegts_copyts"] = "1"
        if muxer in ("mp4", "mov"):
            options["movie_timescale"] = str(1000 if source is None else _timescale(source))
            if any("." in key for key in metadata):
                # keys like com.apple.quicktime.location.ISO6709 have a place only here
                options["movflags"] = "use_metadata_tags"
        with blame(self._target, "cannot be written"):
            path = str(self._target.absolute())
            output = av.open(path, "w", muxer, container_options=options, metadata_errors=TEXT_ERRORS)
            output.metadata.update(metadata)
        try:
            yield output
        finally:
            with blame(self._target, "cannot be written"):
                output.close()


def read_piece(path: Path, kind: str, target: Path) -> Iterator[Packet[Any]]:
    """The packets of a segment, one for each frame."""
    with blame(target, "cannot be joined from its segments"):
        options = {"protocol_whitelist": "file", "format_whitelist": "nut,matroska"}
        with av.open(str(path.absolute()), "r", kind, container_options=options) as container:
            yield from (packet for packet in container.demux(container.streams.video[0]) if packet.size)


def _merged(pictures: Iterator[Packet[Any]], others: Iterator[Packet[Any]]) -> Iterator[Packet[Any]]:
    """Both, in the order of time, as far as the source keeps it."""
    waiting = next(pictures, None)
    for packet in others:
        time = _time(packet)
        while waiting is not None and time is not None and (_time(waiting) or 0) <= time:
            yield waiting
            waiting = next(pictures, None)
        yield packet
    if waiting is not None:
        yield waiting
    yield from pictures


def _time(packet: Packet[Any]) -> Fraction | None:
    ticks = packet.pts if packet.dts is None else packet.dts
    return None if ticks is None else ticks * Fraction(packet.time_base)


def _move(packet: Packet[Stream], shift: Fraction) -> None:
    ticks = round(shift / Fraction(packet.time_base))
    pts, dts = packet.pts, packet.dts
    packet.pts = None if pts is None else pts - ticks
    packet.dts = None if dts is None else dts - ticks


def _keep_order(packet: Packet[Stream], last: dict[int, int]) -> None:
    """Muxers refuse a packet that is dated before the last one, which a damaged file can hold."""
    index, earliest = packet.stream.index, last.get(packet.stream.index)
    if earliest is not None and (packet.dts is None or packet.dts <= earliest):
        packet.dts = earliest + 1
        packet.pts = packet.dts if packet.pts is None else max(packet.pts, packet.dts)
    if packet.dts is not None:
        last[index] = packet.dts


def _chapters(container: InputContainer, shift: Fraction, end: Fraction | None) -> Iterator[Any]:
    """The chapters, those of a part cut to it."""
    for chapter in container.chapters():
        base = Fraction(chapter["time_base"] or 1)
        start = max(chapter["start"] - round(shift / base), 0)
        stop = chapter["end"] if end is None else min(chapter["end"], round(end / base))
        if stop - round(shift / base) > start:
            yield {**chapter, "start": start, "end": stop - round(shift / base)}


def _timescale(container: InputContainer) -> int:
    """The unit of an MP4's edit lists, fine enough for each stream to start exactly where it did."""
    starts = [Fraction(stream.start_time or 0) * (stream.time_base or 1) for stream in container.streams]
    exact = lcm(1000, *(start.denominator for start in starts))
    return exact if exact <= _FINEST else _MICROSECONDS


def _is_rebuilt(stream: Stream, output: OutputContainer) -> bool:
    """Chapter and time code tracks of MP4, which the muxer makes anew from the chapters and the metadata."""
    if stream.type != "data":
        return False
    # PyAV passes over tracks that no codec is known for: those of chapters, and what action cameras measure
    chapters = stream.discard == Discard.all and bool(cast(InputContainer, stream.container).chapters())
    return chapters or (output.format.name in ("mp4", "mov") and "timecode" in stream.metadata)


def _fits(stream: Stream, muxer: str) -> bool:
    """Whether a muxer takes a stream, found by writing a header to memory: no list says it reliably."""
    try:
        with av.open(io.BytesIO(), "w", muxer, metadata_errors=TEXT_ERRORS) as scratch:
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
