"""TIFF beyond Pillow: every TIFF is written here, and those are read whose pixels Pillow cannot hold.

Pillow has no mode for floating-point or 16-bit colour, and compresses no TIFF that carries EXIF. Which picture comes
here is decided in images/.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

from unrain.errors import MediaError
from unrain.media.metadata import TIFF_XMP, Metadata

Levels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIP_OFFSETS, _SAMPLES, _STRIP_ROWS, _STRIP_COUNTS = 273, 277, 278, 279
_PLANAR, _PREDICTOR, _EXTRA, _FORMAT, _ICC = 284, 317, 338, 339, 34675
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS = 322, 323, 324, 325
_SHORT, _LONG, _RATIONAL, _UNDEFINED, _BYTE = 3, 4, 5, 7, 1
_SIZES = {_SHORT: "H", _LONG: "I"}
_DEFLATE = (8, 32946)
_GREY_LIGHT, _RGB = 1, 2
_FLOAT = 3
_CHANNELS = {_GREY_LIGHT: 1, _RGB: 3}
_STRIP_BYTES = 1 << 18
_LARGEST = 4 << 30


def is_tiff(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a TIFF."""
    return head[:4] in (b"II*\0", b"MM\0*")


@dataclass(frozen=True)
class Layout:
    """How a TIFF stores its pixels; sizes in pixels, `predictor` as TIFF counts them (1: none)."""

    width: int
    height: int
    samples: int
    bits: int
    floating: bool
    compression: int
    predictor: int
    photometric: int
    planar: bool
    extra: int | None
    tiled: bool
    block: tuple[int, int]
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    order: str


def read_layout(file: IO[bytes]) -> Layout:
    """The layout of the first picture of a TIFF. MediaError if a tag is missing or nonsense."""
    file.seek(0)
    tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
    file.seek(tags.next)
    try:
        tags.load(file)
        width, height = int(tags[_WIDTH]), int(tags[_HEIGHT])
        bits = tags.get(_BITS, (1,))
        tiled = _TILE_OFFSETS in tags
        rows = min(int(tags.get(_STRIP_ROWS, height)), height)
        block = (int(tags[_TILE_HEIGHT]), int(tags[_TILE_WIDTH])) if tiled else (rows, width)
        return Layout(
            width,
            height,
            int(tags.get(_SAMPLES, 1)),
            int(bits[0]) if len(set(bits)) == 1 else 0,
            tags.get(_FORMAT, (1,))[0] == _FLOAT,
            int(tags.get(_COMPRESSION, 1)),
            int(tags.get(_PREDICTOR, 1)),
            int(tags[_PHOTOMETRIC]),
            tags.get(_PLANAR, 1) == 2,
            tags[_EXTRA][0] if tags.get(_EXTRA) else None,
            tiled,
            block,
            tuple(tags[_TILE_OFFSETS if tiled else _STRIP_OFFSETS]),
            tuple(tags[_TILE_COUNTS if tiled else _STRIP_COUNTS]),
            "<" if tags.prefix == b"II" else ">",
        )
    except (KeyError, TypeError, ValueError, IndexError, struct.error, OverflowError) as error:
        raise MediaError("is a damaged TIFF: it does not say how its pixels are stored") from error


def read_pixels(file: IO[bytes], layout: Layout) -> Levels:
    """The pixels, (H, W, samples), uint16 or float32, as they are in the file.

    Reads strips and tiles, with samples together or apart, uncompressed or deflated. Raises MediaError for others, and
    where the file holds less than it says. No more memory is taken than the picture needs.
    """
    if layout.compression not in (1, *_DEFLATE) or layout.predictor not in (1, 2, 3):
        raise MediaError("has a compression that is not supported for such a TIFF; save it with none, or with ZIP")
    expected = _CHANNELS.get(layout.photometric, 0)
    if not expected or layout.samples not in (expected, expected + 1):
        raise MediaError("has channels other than grey, RGB and transparency; convert it to one of these")
    if (layout.floating, layout.bits) not in ((True, 32), (True, 16), (False, 16)):
        raise MediaError(f"has {layout.bits} bits per channel, which is not supported; convert it to 16 bits")
    rows, columns = layout.block
    planes = layout.samples if layout.planar else 1
    depth = 1 if layout.planar else layout.samples
    down, across = -(-layout.height // rows), -(-layout.width // columns)
    if min(rows, columns, depth) < 1 or len(layout.offsets) < down * across * planes or len(layout.counts) < down:
        raise MediaError("is a damaged TIFF: it does not say where its pixels are")
    pixels = np.zeros((layout.height, layout.width, layout.samples), np.float32 if layout.floating else np.uint16)
    places = ((p, y, x) for p in range(planes) for y in range(down) for x in range(across))
    for number, (plane, y, x) in enumerate(places):
        high = rows if layout.tiled else min(rows, layout.height - y * rows)
        block = _block(file, layout, number, (high, columns, depth))
        part = pixels[y * rows : y * rows + high, x * columns : (x + 1) * columns, plane : plane + depth]
        part[...] = block[: part.shape[0], : part.shape[1]]
    return pixels


def _block(file: IO[bytes], layout: Layout, number: int, shape: tuple[int, int, int]) -> Levels:
    """Strip or tile `number`, (rows, columns, samples)."""
    width = layout.bits // 8
    size = shape[0] * shape[1] * shape[2] * width
    file.seek(layout.offsets[number])
    raw = file.read(layout.counts[number] if layout.compression != 1 else size)
    if layout.compression != 1:
        try:
            raw = zlib.decompressobj().decompress(raw, size)
        except zlib.error as error:
            raise MediaError(f"is a damaged TIFF: {error}") from error
    if len(raw) < size:
        raise MediaError("is a damaged TIFF: it ends before its pixels do")
    if layout.floating and layout.predictor == 3:
        return _summed_bytes(raw, shape, width)
    kind = f"{layout.order}{'f' if layout.floating else 'u'}{width}"
    values: Any = np.frombuffer(raw, kind).reshape(shape)
    if layout.predictor == 2 and not layout.floating:
        values = np.add.accumulate(values.astype(np.uint16), axis=1, dtype=np.uint16)
    return values  # type: ignore[no-any-return]


def _summed_bytes(raw: bytes, shape: tuple[int, int, int], width: int) -> Levels:
    """TIFF Technical Note 3: a row holds the first bytes of all numbers, then the second ones, each less the last."""
    rows, columns, samples = shape
    values = np.frombuffer(raw, np.uint8).reshape(rows, columns * width, samples)
    whole = np.add.accumulate(values, axis=1, dtype=np.uint8).reshape(rows, width, columns * samples)
    numbers = np.ascontiguousarray(whole.transpose(0, 2, 1)).view(f">f{width}")
    return np.asarray(numbers.reshape(shape), np.float32)


def write_tiff(path: Path, pixels: Levels, metadata: Metadata, icc: bytes | None, alpha: bool) -> None:
    """Write (H, W, 1 to 4) levels, the last of which is transparency if `alpha`; deflated, straight to `path`.

    The EXIF block is itself a TIFF without pixels, so the file begins with it, and all its places stay true.
    """
    block = bytearray(metadata.exif or b"II*\0\0\0\0\0")
    order = "<" if block[:2] == b"II" else ">"
    tags = _old_tags(block, order) if metadata.exif else {}
    height, width, samples = pixels.shape
    if pixels.nbytes + len(block) > _LARGEST:
        raise MediaError(f"{path}: would not fit into the 4 GB that a TIFF may have; write a .png file")
    with path.open("wb") as file:
        file.write(block)
        rows = max(1, _STRIP_BYTES // (pixels[0].nbytes or 1))
        offsets, counts = zip(*(_put(file, strip) for strip in _strips(pixels, rows, order)), strict=True)
        new: dict[int, tuple[int, tuple[int, ...] | bytes]] = {
            _WIDTH: (_LONG, (width,)),
            _HEIGHT: (_LONG, (height,)),
            _BITS: (_SHORT, (8 * pixels.itemsize,) * samples),
            _COMPRESSION: (_SHORT, (_DEFLATE[0],)),
            _PHOTOMETRIC: (_SHORT, (_RGB if samples > 2 else _GREY_LIGHT,)),
            _STRIP_OFFSETS: (_LONG, offsets),
            _SAMPLES: (_SHORT, (samples,)),
            _STRIP_ROWS: (_LONG, (rows,)),
            _STRIP_COUNTS: (_LONG, counts),
            _PREDICTOR: (_SHORT, (1 if pixels.dtype == np.float32 else 2,)),
            _FORMAT: (_SHORT, ((_FLOAT if pixels.dtype == np.float32 else 1),) * samples),
        }
        if alpha:
            new[_EXTRA] = (_SHORT, (2,))
        if metadata.dpi:
            for tag, value in zip((282, 283), metadata.dpi, strict=True):
                new[tag] = (_RATIONAL, struct.pack(order + "II", round(value * 1000), 1000))
            new[296] = (_SHORT, (2,))
        if metadata.xmp:
            new[TIFF_XMP] = (_BYTE, metadata.xmp)
        if icc:
            new[_ICC] = (_UNDEFINED, icc)
        _put_directory(file, order, tags | {tag: _entry(file, order, tag, *value) for tag, value in new.items()})


def _old_tags(block: bytearray, order: str) -> dict[int, bytes]:
    """The entries of the block's own directory: tag and its 12 bytes, which stay valid in the new one."""
    (start,) = struct.unpack_from(order + "I", block, 4)
    (count,) = struct.unpack_from(order + "H", block, start)
    entries = (bytes(block[at : at + 12]) for at in range(start + 2, start + 2 + 12 * count, 12))
    return {struct.unpack_from(order + "H", entry)[0]: entry for entry in entries if len(entry) == 12}


def _strips(pixels: Levels, rows: int, order: str) -> Iterator[bytes]:
    for top in range(0, pixels.shape[0], rows):
        strip: Any = pixels[top : top + rows]
        if strip.dtype != np.float32:
            strip = np.diff(strip, axis=1, prepend=strip.dtype.type(0))
        yield zlib.compress(np.ascontiguousarray(strip, strip.dtype.newbyteorder(order)).tobytes(), 6)


def _put(file: IO[bytes], data: bytes) -> tuple[int, int]:
    if file.tell() % 2:
        file.write(b"\0")
    place = file.tell()
    file.write(data)
    return place, len(data)


def _entry(file: IO[bytes], order: str, tag: int, kind: int, value: tuple[int, ...] | bytes) -> bytes:
    data = value if isinstance(value, bytes) else struct.pack(f"{order}{len(value)}{_SIZES[kind]}", *value)
    count = len(value) // (8 if kind == _RATIONAL else 1)
    inside = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(order + "I", _put(file, data)[0])
    return struct.pack(order + "HHI", tag, kind, count) + inside


def _put_directory(file: IO[bytes], order: str, entries: dict[int, bytes]) -> None:
    data = b"".join(entries[tag] for tag in sorted(entries))
    place, _ = _put(file, struct.pack(order + "H", len(entries)) + data + bytes(4))
    file.seek(4)
    file.write(struct.pack(order + "I", place))
