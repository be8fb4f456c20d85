"""HEIC and AVIF files with 8 to 12 bits, put together box by box, as nothing at hand writes them. No tests here."""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

ENCODERS = {"hvc1": "libx265", "av01": "libsvtav1"}
ALPHA = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"
SRGB = (1, 13, 6, True)
_MIRRORED = {2: 1, 4: 0, 5: 1, 7: 1}
_TURNS = {3: 2, 5: 3, 6: 3, 7: 1, 8: 1}


@dataclass(frozen=True)
class Coded:
    """One coded picture: the kind of its item, the box that says how to decode it, its data and its size."""

    kind: str
    config: bytes
    data: bytes
    width: int
    height: int
    channels: int = 3


def smooth(height: int = 64, width: int = 96) -> NDArray[np.float32]:
    """A picture without edges, whose levels are finer than 8 bits, (height, width, 3) in [0, 1]."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    return np.stack([0.1 + 0.8 * x, 0.2 + 0.7 * y, 0.8 - 0.6 * x], axis=-1).astype(np.float32)


def coded(pixels: NDArray[np.float32], kind: str, pixel_format: str, matrix: int = 6, full: bool = True) -> Coded:
    """RGB (or grey, (H, W)) coded as one picture of its own."""
    height, width = pixels.shape[:2]
    bits = 12 if "12" in pixel_format else 10 if "10" in pixel_format else 8
    whole, level = ("yuv444p", "u1") if bits == 8 else (f"yuv444p{bits}le", "<u2")
    planes = _planes(pixels, matrix, full, bits)
    grey = pixel_format.startswith("gray")
    frame = av.VideoFrame(width, height, pixel_format if grey else whole)
    for plane, values in zip(frame.planes, planes[: len(frame.planes)], strict=True):
        np.frombuffer(memoryview(plane), level).reshape(height, -1)[:, :width] = values
    if not grey:
        span = ColorRange.JPEG if full else ColorRange.MPEG
        frame = frame.reformat(None, None, pixel_format, Colorspace.ITU709, Colorspace.ITU709, None, span, span)
    return _muxed(frame, kind, pixel_format, full, pixels.ndim)


def _muxed(frame: av.VideoFrame, kind: str, pixel_format: str, full: bool, dimensions: int) -> Coded:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        # of a single picture x265 gives a decoding time that it never set, unless it is told to reorder nothing
        x265 = {"x265-params": "bframes=0:qp=1:log-level=none"}
        options = {"crf": "1", "preset": "10"} if kind == "av01" else x265
        stream: Any = output.add_stream(ENCODERS[kind], rate=1, options=options)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, pixel_format
        stream.codec_context.color_range = 2 if full else 1
        frame.color_range = 2 if full else 1
        frame.pts, frame.time_base = 0, Fraction(1)
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as made:
        assert isinstance(made, InputContainer)
        packet = next(each for each in made.demux(video=0) if each.size)
        config = made.streams.video[0].codec_context.extradata or b""
        return Coded(kind, config, bytes(packet), frame.width, frame.height, dimensions)


def grid(rows: int, columns: int, tile: Coded) -> Coded:
    """A picture that is put together of tiles like this one, row by row."""
    width, height = columns * tile.width, rows * tile.height
    layout = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    return Coded("grid", b"", layout, width, height)


def write(
    path: Path,
    picture: Coded,
    bits: int = 10,
    orientation: int = 1,
    colour: tuple[int, int, int, bool] | None = SRGB,
    icc: bytes = b"",
    exif: bytes = b"",
    xmp: bytes = b"",
    alpha: Coded | None = None,
    multiplied: bool = False,
    tiles: Sequence[Coded] = (),
    extra: tuple[bytes, ...] = (),
) -> Path:
    """Put a file together; `colour` is (primaries, transfer, matrix, full range), `extra` are further properties.

    `picture` is coded, or is the `grid` of the `tiles`.
    """
    properties: list[bytes] = []
    uses = []
    coded_items = [picture, *tiles] + ([alpha] if alpha else [])
    for number, each in enumerate(coded_items, 1):
        mine = [_box(b"hvcC" if each.kind == "hvc1" else b"av1C", each.config)] if each.config else []
        mine += [_full(b"ispe", struct.pack(">II", each.width, each.height))]
        mine += [_full(b"pixi", bytes([each.channels] + [bits] * each.channels))]
        if each is alpha:
            mine += [_full(b"auxC", ALPHA)]
        elif colour:
            mine += [_box(b"colr", b"nclx" + struct.pack(">HHHB", *colour[:3], colour[3] << 7))]
        if each is picture:
            mine += [_box(b"colr", b"prof" + icc)] if icc else []
            mine += [_box(b"irot", bytes([_TURNS[orientation]]))] if orientation in _TURNS else []
            mine += [_box(b"imir", bytes([_MIRRORED[orientation]]))] if orientation in _MIRRORED else []
            mine += extra
        first = len(properties) + 1
        properties += mine
        # the decoder's box and all that changes the picture must be understood
        must = [each[4:8] in (b"hvcC", b"av1C", b"irot", b"imir", b"clap") for each in mine]
        numbers = bytes(first + index | (0x80 if needed else 0) for index, needed in enumerate(must))
        uses.append(struct.pack(">HB", number, len(mine)) + numbers)
    items = [(each.kind, each.data, b"") for each in coded_items]
    links = [_link(b"auxl", len(items), 1)] if alpha else []
    links += [_link(b"prem", 1, len(items))] if multiplied else []
    links += [_link(b"dimg", 1, *range(2, 2 + len(tiles)))] if tiles else []
    for kind, data, suffix in (("Exif", exif and bytes(4) + exif, b""), ("mime", xmp, b"application/rdf+xml\0")):
        if data:
            items.append((kind, data, suffix))
            links.append(_link(b"cdsc", len(items), 1))
    brand = b"avif" if coded_items[-1].kind == "av01" else b"heix"
    head = _box(b"ftyp", brand + bytes(4) + brand + b"mif1miaf")
    known = [
        _full(b"hdlr", bytes(4) + b"pict" + bytes(13)),
        _full(b"pitm", struct.pack(">H", 1)),
        _full(b"iinf", struct.pack(">H", len(items)), *(_entry(n, k, s) for n, (k, _, s) in enumerate(items, 1))),
        _full(b"iref", *links) if links else b"",
        _box(
            b"iprp",
            _box(b"ipco", *properties),
            _full(b"ipma", struct.pack(">I", len(uses)), *uses),
        ),
    ]
    place = len(head) + len(_full(b"meta", *known, _places(0, items))) + 8
    contents = (data for _, data, _ in items)
    path.write_bytes(head + _full(b"meta", *known, _places(place, items)) + _box(b"mdat", *contents))
    return path


def _planes(pixels: NDArray[np.float32], matrix: int, full: bool, bits: int) -> NDArray[Any]:
    """4:4:4 planes, written independently of the code under test."""
    red, blue = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}[matrix]
    r, g, b = np.moveaxis(pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2), -1, 0)
    luma = red * r + (1 - red - blue) * g + blue * b
    chroma = [(b - luma) / (2 - 2 * blue), (r - luma) / (2 - 2 * red)]
    top, step = 2**bits - 1, 2 ** (bits - 8)
    scale, base, span = (top, 0, top) if full else (219 * step, 16 * step, 224 * step)
    return np.clip(np.round([luma * scale + base, *(c * span + 128 * step for c in chroma)]), 0, top)


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", len(content) + 8, kind) + content


def _full(kind: bytes, *parts: bytes, version: int = 0) -> bytes:
    return _box(kind, bytes([version, 0, 0, 0]), *parts)


def _link(kind: bytes, start: int, *to: int) -> bytes:
    return _box(kind, struct.pack(">HH", start, len(to)), *(struct.pack(">H", each) for each in to))


def _entry(number: int, kind: str, suffix: bytes) -> bytes:
    return _full(b"infe", struct.pack(">HH", number, 0), kind.encode(), b"\0", suffix, version=2)


def _places(start: int, items: list[tuple[str, bytes, bytes]]) -> bytes:
    entries = []
    for number, (_, data, _) in enumerate(items, 1):
        entries.append(struct.pack(">HHHII", number, 0, 1, start, len(data)))
        start += len(data)
    return _full(b"iloc", b"\x44\0", struct.pack(">H", len(items)), *entries)


def _golden(config: bytes, data: bytes, channels: int) -> Coded:
    return Coded("av01", base64.b85decode(config), base64.b85decode(data), 48, 32, channels)


# `smooth(32, 48)` in full range by `ffmpeg -c:v libaom-av1 -still-picture 1 -crf 4`, which is not there everywhere
WHOLE_CHROMA = _golden(
    b"fk0pY3I<peFZ+2A",
    b"3I<peFZ+2AGI<dI1Q0+38~^~sM_%=V?;M;`hM&=gXm-X>mR$IJAcctjOw!q}Uk!z3wXe_2VvJt1wthNu;`K&1vLRPiZ1&r>a1*-u9Sx|Q0WKPms"
    b"6{<<IP5=yvVO*qA{S;=)f-ZH9}13w0<@}#TRD$r?r`%Y!|nJ-NcHL",
    3,
)
"""4:4:4 with 12 bits and BT.601's matrix."""
GREY = _golden(b"fdE_p3I-SzFZ+6c", b"3I-SzFZ+6cG9M8D00961xBK1ntp-;X)^X5cm5fwMVm@DkXFOVom;", 1)
"""The green of it, with 10 bits."""
