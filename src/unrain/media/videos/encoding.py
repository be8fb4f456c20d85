"""Which encoder writes a video, in which pixel format and how well. What is muxed with it is joining.py's business."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from unrain.errors import MediaError
from unrain.media.colours import Colours
from unrain.media.videos.reading import Look

SUFFIXES = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".ts": "mpegts"}
_GLOBAL_HEADER = 1 << 22  # AV_CODEC_FLAG_GLOBAL_HEADER

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VideoOptions:
    """What a person may choose for videos.

    codec: one of `CODECS`; without it, like the source's where the target can hold that.
    crf: the quality, as the encoder counts it, lower is better; without it, one where no difference can be seen.
    start, end: the part to take, in seconds on a player's clock; all of it without them.
    rate: frames per second, for a sequence of pictures that becomes a video.
    """

    codec: str | None = None
    crf: int | None = None
    start: Fraction | None = None
    end: Fraction | None = None
    rate: Fraction = Fraction(25)


@dataclass(frozen=True)
class Codec:
    """An encoder, its settings, the muxers that it is used with, and its quality where no difference can be seen.

    None of them reorders frames: then no result depends on edit lists, which some players ignore, and segments can be
    joined as they are.
    """

    encoder: str
    muxers: tuple[str, ...]
    crf: int | None
    options: dict[str, str]
    piece: str = "nut"
    """The container of a segment: NUT leaves packets as they are."""


CODECS = {
    "h264": Codec("libx264", ("mp4", "mov", "matroska", "mpegts"), 16, {"preset": "veryfast", "bf": "0"}),
    "hevc": Codec("libx265", ("mp4", "mov", "matroska", "mpegts"), 18, {"preset": "fast"}),
    "vp9": Codec(
        "libvpx-vp9",
        ("webm", "matroska", "mp4"),
        16,
        {"deadline": "good", "cpu-used": "4", "row-mt": "1", "lag-in-frames": "0"},
    ),
    "av1": Codec("libsvtav1", ("webm", "matroska", "mp4"), 20, {"preset": "8"}),
    "prores": Codec("prores_ks", ("mov", "matroska"), None, {}, "matroska"),
    "ffv1": Codec("ffv1", ("matroska",), None, {"level": "3", "slicecrc": "1"}),
}
_SAME = {"libdav1d": "av1"}  # decoders that do not have their codec's name


@dataclass(frozen=True)
class Encoding:
    """All that an encoder has to be told, but for the size."""

    codec: Codec
    muxer: str
    pixel_format: str
    colours: Colours
    options: dict[str, str]
    tag: str | None


def choose(look: Look, source: Path | None, target: Path, options: VideoOptions) -> Encoding:
    """How a target is encoded. Raises MediaError for what its container cannot hold, or a codec that is unknown."""
    muxer = _muxer(target, look)
    name = options.codec or _default(look, muxer)
    if name not in CODECS:
        raise MediaError(f"{target}: there is no codec {name!r}; use one of {', '.join(CODECS)}")
    codec = CODECS[name]
    if muxer not in codec.muxers:
        raise MediaError(f"{target}: {name} has no place in a {target.suffix} file; write a .mkv file")
    if options.crf is not None and codec.crf is None:
        raise MediaError(f"{target}: {name} has no quality to choose; leave out --crf, or take another codec")
    kept = name == _source_codec(look)
    pixel_format = _pixel_format(look, codec, kept)
    bits = _bits(pixel_format)
    if bits < look.colours.bits:
        _log.warning("%s: %s holds %d bits, of the %d there are", source, name, bits, look.colours.bits)
    if look.mastering.dynamic:
        _log.warning("%s: Dolby Vision and HDR10+ data describes the rainy pixels and is left out", source)
    if look.mastering.display and name not in ("hevc", "av1"):
        _log.warning("%s: %s has no place for the mastering display; hevc and av1 have", source, name)
    tag = "hvc1" if name == "hevc" and muxer in ("mp4", "mov") else None
    settings = _settings(look, name, codec, options.crf)
    return Encoding(codec, muxer, pixel_format, replace(look.colours, bits=bits), settings, tag)


def add_stream(output: OutputContainer, encoding: Encoding, look: Look, size: tuple[int, int]) -> VideoStream:
    """A stream of `size` (width, height) in an output, ready to encode frames in the time base of the source."""
    os.environ.setdefault("SVT_LOG", "1")  # it prints its settings otherwise, whatever FFmpeg says
    stream = cast(
        VideoStream,
        output.add_stream(encoding.codec.encoder, look.info.rate, dict(encoding.options), time_base=look.time_base),
    )
    context = stream.codec_context
    context.width, context.height = size
    context.pix_fmt = encoding.pixel_format
    if look.aspect is not None:
        context.sample_aspect_ratio = look.aspect
    for name, value in look.tags.items():
        setattr(context, name, value)
    if encoding.muxer == "mpegts":
        # a transport stream has no header, so its key frames carry what decoders must know
        context.flags &= ~_GLOBAL_HEADER
    else:
        context.flags |= _GLOBAL_HEADER
    if encoding.tag and output.format.name in ("mp4", "mov"):
        context.codec_tag = encoding.tag
    _even_size(context, encoding)
    return stream


def _even_size(context: VideoCodecContext, encoding: Encoding) -> None:
    """H.264 and H.265 in 4:2:0 have even sizes only; 4:4:4 has any."""
    odd = context.width % 2 or context.height % 2
    if odd and encoding.codec.encoder in ("libx264", "libx265"):
        context.pix_fmt = encoding.pixel_format.replace("420", "444").replace("422", "444")


def _muxer(target: Path, look: Look) -> str:
    muxer = SUFFIXES.get(target.suffix.lower())
    if muxer is None:
        known = " ".join(SUFFIXES)
        raise MediaError(f"{target}: cannot write a video with the suffix '{target.suffix}'; use one of {known}")
    if muxer == "webm" and look.info.sample_aspect != 1:
        raise MediaError(f"{target}: WebM cannot keep this video's pixels that are not square; write a .mkv file")
    if muxer == "mpegts" and look.display_matrix:
        raise MediaError(f"{target}: TS cannot keep this video's rotation; write a .mkv file")
    return muxer


def _source_codec(look: Look) -> str:
    return _SAME.get(look.info.codec, look.info.codec)


def _default(look: Look, muxer: str) -> str:
    same = CODECS.get(_source_codec(look))
    deep = look.colours.bits > 8
    if same and muxer in same.muxers and (not deep or same.encoder != "libvpx-vp9"):
        return _source_codec(look)
    if muxer == "webm":
        return "av1" if deep else "vp9"
    return "hevc" if deep else "h264"


def _pixel_format(look: Look, codec: Codec, kept: bool) -> str:
    """The depth of the source, or the next; the source's chroma if its codec stays, else 4:2:0, which all play."""
    there = {each.name for each in av.Codec(codec.encoder, "w").video_formats or ()}
    chromas = [_chroma(look.pixel_format), "420", "422", "444"] if kept else ["420", "422", "444"]
    wanted = look.colours.bits
    depths = sorted((8, 10, 12, 16), key=lambda bits: (bits < wanted, abs(bits - wanted)))
    for bits in depths:
        for chroma in chromas:
            name = f"yuv{chroma}p" if bits == 8 else f"yuv{chroma}p{bits}le"
            if name in there:
                return name
    raise MediaError(f"{codec.encoder} has no pixel format that fits")


def _chroma(pixel_format: str) -> str:
    return next((chroma for chroma in ("422", "444") if chroma in pixel_format), "420")


def _bits(pixel_format: str) -> int:
    return int(pixel_format.partition("p")[2].removesuffix("le") or 8)


def _settings(look: Look, name: str, codec: Codec, crf: int | None) -> dict[str, str]:
    settings = dict(codec.options)
    if codec.crf is not None:
        settings["crf"] = str(codec.crf if crf is None else crf)
    if name == "vp9":
        settings["b"] = "0"
    if name == "hevc":
        hdr = [*look.mastering.x265(), *(["hdr10=1", "repeat-headers=1"] if look.mastering.display else [])]
        settings["x265-params"] = ":".join(["bframes=0", "log-level=none", *hdr])
    if name == "av1":
        settings["svtav1-params"] = ":".join(look.mastering.svt())
    return settings
