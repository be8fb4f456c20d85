"""AVIF and HEIC with 10 or 12 bits: how deep a file is, and its levels, which Pillow would cut down to 8 bits.

HEVC is decoded by pi-heif; of AVIF the boxes are read here, the AV1 data in them by dav1d, colours by colours.py. Which
picture comes here is decided in images/, which has opened it with Pillow before, so size and metadata are known.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import av
import numpy as np
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from unrain.errors import MediaError
from unrain.media.colours import TRANSFERS, Colours, depth, luma

Levels = NDArray[np.uint16]
Codes = tuple[int, int]
"""Primaries and transfer, as H.273 numbers them."""
HEAD = 1 << 16
"""In so many bytes at the beginning of a file there is, nearly always, all that tells how deep it is."""
_LARGEST_META, _MOST_BOXES = 1 << 22, 1000
_UNSPECIFIED, _BT601, _IDENTITY = 2, 6, 0
_SRGB = (1, 13)
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
# what must be understood to show a picture right: of these, turning it is left to images/
_UNDERSTOOD = (b"av1C", b"irot", b"imir", b"ispe", b"pixi", b"colr", b"colr/nclx", b"auxC", b"pasp")
_DAMAGED = "is a damaged AVIF; fetch or export it again"


@dataclass(frozen=True)
class _Item:
    """A part of the file: a picture, its transparency, a block of metadata; `must` are the properties not to ignore."""

    kind: bytes
    properties: dict[bytes, bytes]
    must: tuple[bytes, ...]
    places: tuple[tuple[int, int], ...]
    inside: bool


@dataclass(frozen=True)
class _Index:
    """What the box `meta` says: all items by their numbers, which is the picture, and (kind, from, to) of links.

    `links` is a dict for its order and its speed; it has no values.
    """

    primary: int
    items: dict[int, _Item]
    links: dict[tuple[bytes, int, int], None]
    data: bytes


def bits_of(file: IO[bytes]) -> int:
    """Bits per channel of an AVIF or HEIC, going by its boxes; 8 where these do not tell."""
    try:
        index = _index(file)
        number = next((to for kind, start, to in index.links if (kind, start) == (b"dimg", index.primary)), None)
        properties = index.items[index.primary if number is None else number].properties
    except (MediaError, LookupError):
        properties = {}
    if config := properties.get(b"hvcC"):
        return 8 + (config[17] & 7) if len(config) > 17 else 8
    if not (config := properties.get(b"av1C", b"")):
        # as in files that move; taken for 8 bits, a deep one would be spoiled without a word
        file.seek(0)
        config = file.read(HEAD).partition(b"av1C")[2][:4]
    deep, deeper = 0x40, 0x20
    return 8 if len(config) < 3 or not config[2] & deep else 12 if config[2] & deeper else 10


def cicp(codes: Codes, with_profile: bool) -> tuple[tuple[bytes, bytes], ...]:
    """PNG's chunk that says what RGB with these codes means, or none where that is already said.

    It would outrank a profile, which is the finer word but for high dynamic range. sRGB is what a PNG has anyway.
    """
    if codes == _SRGB or not all(0 < code < 256 and code != _UNSPECIFIED for code in codes):
        return ()
    if with_profile and codes[1] not in TRANSFERS:
        return ()
    return ((b"cICP", bytes([*codes, 0, 1])),)


def read_heic(file: IO[bytes]) -> tuple[Levels, Codes]:
    """The levels of an HEIC that pi-heif can open, upright, (H, W) or (H, W, 2 to 4), transparency last.

    Raises MediaError for grey in limited range, which libheif takes for full range.
    """
    image: Any = importlib.import_module("pi_heif").open_heif(file, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    top = 2 ** image.info["bit_depth"] - 1
    said = image.info.get("nclx_profile", {})
    if image.mode[0] in "IL" and not said.get("full_range_flag", 1):
        raise MediaError("is a grey HEIC in limited range, which is not supported; save it as PNG")
    levels = _sixteen(np.asarray(image).astype(np.float32) / np.float32(top))
    codes = (int(said.get(name, _UNSPECIFIED)) for name in ("color_primaries", "transfer_characteristics"))
    return unassociated(levels) if image.premultiplied_alpha else levels, (next(codes), next(codes))


def read_avif(file: IO[bytes], width: int, height: int) -> tuple[Levels, Codes]:
    """The levels of an AVIF as they are stored, (H, W, 1 to 4), transparency last.

    Raises MediaError where the file is damaged, is not of the size that is given, or is put together in a way that is
    not supported: of tiles, cropped, in layers, or with a colour matrix that is no plain one.
    """
    try:
        index = _index(file)
        picture = index.items[index.primary]
        alpha = next((item for number, item in index.items.items() if _is_alpha(index, number, item)), None)
        frame = _decoded(file, index, picture, width, height)
        colours, codes = _colours(picture, frame)
        pixels = colours.to_rgb(frame, width, height)
        if len(frame.format.components) == 1:
            pixels = pixels[..., :1]
        if alpha is None:
            return _sixteen(pixels), codes
        shade = luma(_decoded(file, index, alpha, width, height))
        levels = _sixteen(np.concatenate([pixels, shade[..., None]], axis=2))
    except (LookupError, OverflowError, FFmpegError) as error:
        raise MediaError(_DAMAGED) from error
    multiplied = any(kind == b"prem" and start == index.primary for kind, start, _ in index.links)
    return unassociated(levels) if multiplied else levels, codes


def unassociated(levels: Levels) -> Levels:
    """Colours that were multiplied by their transparency, which comes last, divided by it again."""
    alpha = np.maximum(levels[..., -1:].astype(np.float64), 1)
    straight = np.rint(np.minimum(levels[..., :-1] * (65535 / alpha), 65535))
    return np.concatenate([straight.astype(np.uint16), levels[..., -1:]], axis=2)


def _sixteen(pixels: NDArray[np.float32]) -> Levels:
    levels: Levels = np.rint(pixels * np.float32(65535)).astype(np.uint16)
    return levels


def _is_alpha(index: _Index, number: int, item: _Item) -> bool:
    named = item.properties.get(b"auxC", b"")[4:].partition(b"\0")[0] in _ALPHA
    return named and (b"auxl", number, index.primary) in index.links


def _decoded(file: IO[bytes], index: _Index, item: _Item, width: int, height: int) -> VideoFrame:
    if item.kind != b"av01":
        raise MediaError("is an AVIF with 10 or 12 bits that is made of tiles, which is not supported; save it whole")
    if unknown := [name.decode("ascii", "replace") for name in item.must if name not in _UNDERSTOOD]:
        raise MediaError(f"is an AVIF with 10 or 12 bits that is cropped or layered ({unknown[0]}); save it plainly")
    decoder: Any = av.CodecContext.create("libdav1d", "r")
    # the pixels that were allowed are those of the header; the data must not bring more
    decoder.options = {"max_pixels": str(width * height)}
    frames = [*decoder.decode(Packet(_data(file, index, item))), *decoder.decode(None)]
    frame: VideoFrame = frames[0]
    if (frame.width, frame.height) != (width, height):
        raise MediaError(_DAMAGED)
    return frame


def _colours(item: _Item, frame: VideoFrame) -> tuple[Colours, Codes]:
    """What the file says about colours, or else its AV1 data."""
    said = item.properties.get(b"colr/nclx", b"")
    if len(said) >= 7:
        primaries, transfer, matrix = (int.from_bytes(said[at : at + 2]) for at in (0, 2, 4))
        full = said[6] >= 128
    else:
        primaries, transfer, matrix = int(frame.color_primaries), int(frame.color_trc), int(frame.colorspace)
        full = frame.color_range == 2
    plain = matrix == _UNSPECIFIED or (matrix == _IDENTITY and frame.format.is_rgb and full)
    return Colours(_BT601 if plain else matrix, full, depth(frame)), (primaries, transfer)


def _data(file: IO[bytes], index: _Index, item: _Item) -> bytes:
    parts = []
    # many places may name the same bytes
    if sum(length for _, length in item.places) > file.seek(0, os.SEEK_END):
        raise MediaError(_DAMAGED)
    for place, length in item.places:
        if item.inside:
            parts.append(index.data[place : place + length])
        else:
            file.seek(place)
            parts.append(file.read(length))
        if len(parts[-1]) < length:
            raise MediaError(_DAMAGED)
    return b"".join(parts)


class _Reader:
    """The content of a box, taken from the front."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise MediaError(_DAMAGED)
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def version(self) -> int:
        """Of a full box, whose flags follow."""
        return self.number(4) >> 24

    def rest(self) -> bytes:
        return self._data[self._at :]


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of one box after the other, as far as they are whole."""
    at = 0
    while at + 8 <= len(data):
        size, name = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        if size < 8 or at + size > len(data):
            return
        yield name, data[at + 8 : at + size]
        at += size


def _meta(file: IO[bytes]) -> bytes:
    """The box that holds all but the data; those before it are passed over."""
    at, end = 0, file.seek(0, os.SEEK_END)
    for _ in range(_MOST_BOXES):
        if at >= end:
            break
        file.seek(at)
        head = file.read(16)
        size, start = int.from_bytes(head[:4]), 8
        if size == 1:
            size, start = int.from_bytes(head[8:]), 16
        if len(head) < 16 or size < start:
            raise MediaError(_DAMAGED)
        if head[4:8] == b"meta":
            if size > _LARGEST_META:
                raise MediaError(_DAMAGED)
            file.seek(at + start)
            return file.read(size - start)
        at += size
    raise MediaError(_DAMAGED)


def _index(file: IO[bytes]) -> _Index:
    """Raises MediaError or LookupError if the file is damaged."""
    boxes = dict(_boxes(_meta(file)[4:]))
    reader = _Reader(boxes[b"pitm"])
    primary = reader.number(2 if reader.version() == 0 else 4)
    kinds, places, properties = _kinds(boxes[b"iinf"]), _places(boxes[b"iloc"]), _properties(boxes[b"iprp"])
    items = {
        number: _Item(kind, *properties.get(number, ({}, ())), *places[number])
        for number, kind in kinds.items()
        if number in places
    }
    return _Index(primary, items, _links(boxes.get(b"iref", bytes(4))), boxes.get(b"idat", b""))


def _kinds(box: bytes) -> dict[int, bytes]:
    reader = _Reader(box)
    reader.number(2 if reader.version() == 0 else 4)
    kinds = {}
    for name, entry in _boxes(reader.rest()):
        inner = _Reader(entry)
        version = inner.version()
        if name == b"infe" and version in (2, 3):
            number = inner.number(2 if version == 2 else 4)
            inner.take(2)
            kinds[number] = inner.take(4)
    return kinds


def _places(box: bytes) -> dict[int, tuple[tuple[tuple[int, int], ...], bool]]:
    """Where the data of each item lies, and whether that counts from the box `idat` instead of from the file."""
    reader = _Reader(box)
    version, sizes = reader.version(), reader.number(2)
    offset, length, base, number = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    wide = 4 if version == 2 else 2
    places = {}
    for _ in range(reader.number(wide)):
        item = reader.number(wide)
        method = reader.number(2) & 15 if version else 0
        reader.take(2)
        start = reader.number(base)
        parts, count = [], reader.number(2)
        if count > 1 and not length:
            raise MediaError(_DAMAGED)
        for _ in range(count):
            reader.take(number if version else 0)
            place = start + reader.number(offset)
            parts.append((place, reader.number(length)))
        if method in (0, 1):
            places[item] = tuple(parts), method == 1
    return places


def _properties(box: bytes) -> dict[int, tuple[dict[bytes, bytes], tuple[bytes, ...]]]:
    """The properties of each item by their names, and the names of those that must not be ignored."""
    boxes = list(_boxes(box))
    known = [_named(*each) for each in _boxes(dict(boxes)[b"ipco"])]
    found: dict[int, tuple[dict[bytes, bytes], tuple[bytes, ...]]] = {}
    for reader in (_Reader(content) for name, content in boxes if name == b"ipma"):
        head = reader.number(4)
        version, wide = head >> 24, bool(head & 1)
        for _ in range(reader.number(4)):
            item = reader.number(2 if version == 0 else 4)
            uses = [reader.number(2 if wide else 1) for _ in range(reader.number(1))]
            essential = 0x8000 if wide else 0x80
            mine = [(known[(use & (essential - 1)) - 1], use >= essential) for use in uses if use & (essential - 1)]
            found[item] = dict(each for each, _ in mine), tuple(name for (name, _), must in mine if must)
    return found


def _named(name: bytes, content: bytes) -> tuple[bytes, bytes]:
    """Colours are told in two ways, which a file may both have."""
    return (b"colr/nclx", content[4:]) if name == b"colr" and content[:4] == b"nclx" else (name, content)


def _links(box: bytes) -> dict[tuple[bytes, int, int], None]:
    reader = _Reader(box)
    wide = 2 if reader.version() == 0 else 4
    links: dict[tuple[bytes, int, int], None] = {}
    for kind, content in _boxes(reader.rest()):
        inner = _Reader(content)
        start = inner.number(wide)
        links |= {(kind, start, inner.number(wide)): None for _ in range(inner.number(2))}
    return links
