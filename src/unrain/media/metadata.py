"""What a picture's file says besides its pixels: EXIF, XMP, IPTC, text, resolution; taken from a file, made upright.

Pixels and colour profiles live in images/; how TIFF stores its tags lives in tiff.py.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import IO, Any

from PIL import Image, JpegImagePlugin, TiffImagePlugin

ORIENTATION = 0x0112
TIFF_XMP = 700
_EXIF_IFD = 0x8769
_ICC = 34675
_WIDTH, _HEIGHT = 0xA002, 0xA003
# of a TIFF's own tags these describe the scene (the last ones are GeoTIFF's); the others describe the old file's layout
_TIFF_KEPT = (270, 271, 272, 305, 306, 315, 316, 33432, 33723, 34377, 34665, 34853)
_GEOTIFF = (33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113)
# chunks that say how colours are meant, and those that people and programs write notes into
_COLOUR_CHUNKS = (b"cHRM", b"gAMA", b"sRGB", b"cICP")
_NOTE_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"tIME")
_XMP_KEY = b"XML:com.adobe.xmp\0"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LARGEST_CHUNK, _MOST_CHUNKS = 1 << 24, 10_000
_IPTC = "APP13"


@dataclass(frozen=True)
class Metadata:
    """Raw blocks, empty or None where there is none; `exif` begins with its TIFF header and says orientation 1.

    `notes` are blocks that only the format they come from can hold: PNG's chunks by their name, JPEG's segments
    "APP13" (IPTC) and "COM". Of PNG, `colour` are the chunks that say how colours are meant.
    """

    exif: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None
    notes: tuple[tuple[bytes, bytes], ...] = ()
    colour: tuple[tuple[bytes, bytes], ...] = ()

    def stripped(self) -> Metadata:
        """Without all that may tell who took the picture, when and where; only what colours need stays."""
        return Metadata(colour=self.colour)


NOTHING = Metadata()


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where the tag is missing or nonsense. To be asked before pixels are loaded."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except (SyntaxError, ValueError, TypeError, OSError, struct.error, OverflowError, RuntimeError):
        return 1
    return value if value in range(1, 9) else 1


def keep_as_stored(image: Image.Image) -> None:
    """Let Pillow load a TIFF as it lies in the file; it turns this format, and no other, by the orientation tag."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        image.getexif().pop(ORIENTATION, None)
        image._size = image._tile_size


def metadata(image: Image.Image, file: IO[bytes]) -> Metadata:
    """All metadata of an opened picture. What is broken is left out, as metadata must never cost the picture."""
    turned = orientation(image)
    exif = _kept(image.getexif()) if hasattr(image, "tag_v2") else _block(image.info.get("exif"))
    return Metadata(
        upright_exif(exif, sides_swapped=turned >= 5),
        _xmp(image.info.get("xmp")),
        _dpi(image.info.get("dpi")),
        *_notes(image, file),
    )


def upright_exif(exif: bytes, sides_swapped: bool = False) -> bytes:
    """The same block for pixels that have been turned upright: orientation 1, and no link to the thumbnail.

    The thumbnail shows the picture before it was cleaned. With `sides_swapped` the sizes that the block states are
    swapped as well. All other bytes stay, as makers' notes point to places in the block.
    """
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return b""
    block = bytearray(exif)
    try:
        (start,) = struct.unpack_from(order + "I", block, 4)
        entries, after = _entries(block, start, order)
        if (at := entries.get(ORIENTATION)) is not None:
            struct.pack_into(order + "HIHH", block, at + 2, 3, 1, 1, 0)
        if sides_swapped and (at := entries.get(_EXIF_IFD)) is not None:
            inner, _ = _entries(block, struct.unpack_from(order + "I", block, at + 8)[0], order)
            if _WIDTH in inner and _HEIGHT in inner:
                width, height = (slice(inner[tag] + 2, inner[tag] + 12) for tag in (_WIDTH, _HEIGHT))
                block[width], block[height] = block[height], block[width]
        struct.pack_into(order + "I", block, after, 0)
    except struct.error:
        # a block that ends in the middle of its directory misleads every reader; none is better
        return b""
    return bytes(block)


def _entries(block: bytearray, start: int, order: str) -> tuple[dict[int, int], int]:
    """Where each tag of the directory at `start` has its 12 bytes, and where the directory ends."""
    (count,) = struct.unpack_from(order + "H", block, start)
    places = range(start + 2, start + 2 + 12 * count, 12)
    found = {struct.unpack_from(order + "HHII", block, at)[0]: at for at in places}
    return found, start + 2 + 12 * count


def tiff_metadata(file: IO[bytes]) -> tuple[Metadata, bytes | None, int]:
    """Metadata, colour profile and orientation of a TIFF that Pillow cannot open as a picture."""
    tags = Image.Exif()
    file.seek(0)
    tags.load_from_fp(file)
    icc, turned, xmp = tags.get(_ICC), tags.get(ORIENTATION, 1), tags.get(TIFF_XMP)
    said = Metadata(_kept(tags), _xmp(xmp), _dpi((tags.get(282), tags.get(283))))
    return said, icc if isinstance(icc, bytes) else None, turned if turned in range(1, 9) else 1


def _kept(tags: Image.Exif) -> bytes:
    try:
        for tag in [tag for tag in tags if tag not in _TIFF_KEPT + _GEOTIFF]:
            del tags[tag]
        return _block(tags.tobytes()) if len(tags) else b""
    except (SyntaxError, ValueError, TypeError, OSError, KeyError, struct.error, OverflowError, RuntimeError):
        return b""


def _block(raw: object) -> bytes:
    return raw.removeprefix(b"Exif\0\0") if isinstance(raw, bytes) else b""


def _xmp(raw: object) -> bytes:
    xmp = raw if isinstance(raw, bytes) else str(raw or "").encode()
    return re.sub(rb"(tiff:Orientation(?:=[\"']|>))[2-8]", rb"\g<1>1", xmp)


def _dpi(raw: Any) -> tuple[float, float] | None:
    try:
        across, down = (float(each) for each in raw)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None


def _notes(image: Image.Image, file: IO[bytes]) -> tuple[tuple[tuple[bytes, bytes], ...], ...]:
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        segments = [(name, data) for name, data in image.applist if name in (_IPTC, "COM")]
        return tuple((name.encode(), data) for name, data in segments), ()
    if image.format != "PNG":
        return (), ()
    chunks = _png_chunks(file)
    notes = [each for each in chunks if each[0] in _NOTE_CHUNKS and not each[1].startswith(_XMP_KEY)]
    return tuple(notes), tuple(each for each in chunks if each[0] in _COLOUR_CHUNKS)


def _png_chunks(file: IO[bytes]) -> list[tuple[bytes, bytes]]:
    """The small chunks that are to be kept, in their order; whatever stands behind a broken one is left out."""
    place, found = file.tell(), []
    file.seek(len(_SIGNATURE))
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            break
        length, kind = struct.unpack(">I4s", head)
        if kind in _COLOUR_CHUNKS + _NOTE_CHUNKS and length <= _LARGEST_CHUNK:
            found.append((kind, file.read(length)))
            file.seek(4, 1)
        else:
            file.seek(length + 4, 1)
    file.seek(place)
    return found
