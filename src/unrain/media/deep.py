"""Pixels with more than 8 bits per channel, which Pillow reads in 8 or not at all. What is deep is told here, too.

Ordinary pictures are read and written in images/, TIFF's own layouts in tiff.py, deep AVIF and HEIC in heif.py.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from PIL.ImageFile import ImageFile

from unrain.errors import MediaError
from unrain.media import heif
from unrain.media.metadata import Metadata

_BITS_PER_SAMPLE, _PLANAR = 258, 284
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_OTHER_ORDER = {"L": "B", "B": "L", "N": "B"}


def bits_of(image: Image.Image, file: IO[bytes]) -> int:
    """Bits per channel in the file, which Pillow's mode does not tell: it opens 16-bit RGB as 8-bit."""
    if image.format == "AVIF":
        return heif.bits_of(file)
    if image.format == "HEIF":
        return int(image.info.get("bit_depth", 8))
    if image.mode in ("I", "F"):
        return 32
    if image.mode.startswith("I;16"):
        return 16
    if isinstance(image, PngImagePlugin.PngImageFile):
        return 16 if any("16" in str(tile.args) for tile in image.tile) else 8
    tags: Any = getattr(image, "tag_v2", {})
    return int(max((8, *tags.get(_BITS_PER_SAMPLE, ()))))


def is_planar(image: Image.Image) -> bool:
    """Whether a TIFF stores all of one colour before all of the next."""
    return bool(getattr(image, "tag_v2", {}).get(_PLANAR, 1) == 2)


def read_sixteen(image: ImageFile, again: ImageFile) -> NDArray[np.uint16]:
    """All 16 bits of an opened PNG or TIFF: (H, W) grey, or (H, W, 2 to 4) with transparency last.

    Both are the same file, opened twice and not loaded yet. Pillow unpacks the high byte of each level; told that the
    file has the other byte order, it unpacks the low one. Raises MediaError for what cannot be unpacked in this way.
    """
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    rawmode = _rawmode(image.tile[0].args) if image.tile else ""
    if rawmode == "LA;16B":
        # two levels of 16 bits are as long as four of 8, and PNG's filters work on bytes
        return _unpacked(image, "RGBA").view(">u2").astype(np.uint16)
    if rawmode[:4] not in ("RGB;", "RGBA", "RGBX", "RGBa") or rawmode[-3:-1] != "16":
        raise MediaError("has 16 bits per channel in a layout that is not supported; save it as plain 16-bit RGB")
    straight = rawmode.replace("RGBa", "RGBA")
    high = _unpacked(image, straight)
    low = _unpacked(again, straight[:-1] + _OTHER_ORDER[straight[-1]])
    levels = high.astype(np.uint16) << np.uint16(8) | low
    return heif.unassociated(levels) if straight != rawmode else levels


def _rawmode(arguments: tuple[Any, ...] | str | None) -> str:
    """How a tile's bytes are packed, which is the first of its decoder's arguments, or the only one."""
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _unpacked(image: ImageFile, rawmode: str) -> NDArray[np.uint8]:
    image.tile = [
        tile._replace(args=(rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode)
        for tile in image.tile
    ]
    return np.asarray(image)


def write_png(path: Path, levels: NDArray[np.uint16], metadata: Metadata, icc: bytes | None) -> None:
    """Write 16-bit levels, (H, W, 1 to 4), the last of 2 or 4 being transparency, straight to `path`."""
    height, width, samples = levels.shape
    rows = np.ascontiguousarray(levels, ">u2").view(np.uint8).reshape(height, -1)
    # filter 2, "up": each byte less the one above
    filtered = np.concatenate([np.full((height, 1), 2, np.uint8), np.diff(rows, axis=0, prepend=np.uint8(0))], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPES[samples], 0, 0, 0)
    chunks = [(b"IHDR", header), *_before_pixels(metadata, icc)]
    chunks += [(b"IDAT", zlib.compress(filtered.tobytes(), 6)), (b"IEND", b"")]
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in chunks:
            file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def _before_pixels(metadata: Metadata, icc: bytes | None) -> list[tuple[bytes, bytes]]:
    chunks = list(metadata.colour)
    if icc:
        # a profile overrules the simpler statements, and must not stand beside sRGB
        chunks = [each for each in chunks if each[0] != b"sRGB"] + [(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))]
    if metadata.dpi:
        across, down = (round(each / 0.0254) for each in metadata.dpi)
        chunks.append((b"pHYs", struct.pack(">IIB", across, down, 1)))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif))
    if metadata.xmp:
        chunks.append((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp))
    return chunks + [each for each in metadata.notes if each[0][:1].islower()]
