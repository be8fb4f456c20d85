"""Which files are pictures, told from their content, and opening them by an allowed decoder alone, within limits.

Pixels are read in reading.py; which file is worked on is decided in ../files.py.
"""

from __future__ import annotations

import importlib
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from unrain.errors import MediaError
from unrain.media import heif, tiff

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")
SUFFIXES = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".avif": "AVIF",
}
READ_ONLY_SUFFIXES = {".heic": ".jpg", ".heif": ".jpg", ".hif": ".jpg"}
"""Suffixes that are read but not written, and as what they are written: encoders of HEVC are GPL."""
MAYBE_DEEP = (".avif", *READ_ONLY_SUFFIXES)
"""Suffixes of what is written as PNG if it has more than 8 bits."""
MAX_MEGAPIXELS = 100.0
PICTURE_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    SyntaxError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
    struct.error,
    Image.DecompressionBombError,
)
"""What Pillow raises for one broken file or another."""
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def is_picture(path: Path) -> bool:
    """Whether the file is of one of the formats, going by its content. MediaError for a damaged one of them."""
    try:
        with open_picture(path, float("inf")):
            return True
    except UnidentifiedImageError:
        with path.open("rb") as file:
            head = file.read(32)
        if tiff.is_tiff(head):
            return True
        avif = head[4:8] == b"ftyp" and b"avif" in head
        if head.startswith(_SIGNATURES) or head[8:12] == b"WEBP" or _is_heif(head) or avif:
            raise MediaError(f"{path}: is a damaged picture; fetch or export it again") from None
        return False
    except PICTURE_ERRORS as error:
        raise MediaError(f"{path}: is a damaged picture: {_reason(error)}") from error


@contextmanager
def open_picture(path: Path, max_megapixels: float = MAX_MEGAPIXELS) -> Iterator[ImageFile]:
    """Open a file as one of the allowed formats, without decoding it. MediaError where it has too many pixels."""
    with path.open("rb") as file:
        with open_stream(file) as image:
            refuse_size(image.width, image.height, max_megapixels)
            yield image


def is_deep(path: Path) -> bool:
    """Whether this is an AVIF or HEIC with more than 8 bits, as far as the beginning of the file tells."""
    try:
        with path.open("rb") as file:
            return heif.bits_of(file) > 8
    except OSError:
        return False


def suffix_of(path: Path) -> str:
    """The suffix under which a picture like this one is written, going by its content."""
    if is_deep(path):
        return ".png"
    try:
        with open_picture(path, float("inf")) as image:
            name = "JPEG" if image.format in ("MPO", "HEIF") else image.format
    except UnidentifiedImageError:
        name = "TIFF"
    return next(suffix for suffix, each in SUFFIXES.items() if each == name)


def is_lossless(file: IO[bytes]) -> bool:
    """Whether this is a WebP without loss: its pixels lie in a chunk of that name, behind the header or a few more."""
    file.seek(0)
    head = file.read(1 << 16)
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP" and b"VP8L" in head and b"VP8 " not in head


@contextmanager
def blame(path: Path, what: str) -> Iterator[None]:
    """Turn whatever a picture library raises into a MediaError that names the file and says `what` failed."""
    try:
        yield
    except MediaError as error:
        raise error if str(path) in str(error) else MediaError(f"{path}: {error}") from error
    except PICTURE_ERRORS as error:
        raise MediaError(f"{path}: {what}: {_reason(error)}") from error


@contextmanager
def open_stream(file: IO[bytes]) -> Iterator[ImageFile]:
    """Open a file, which stays open, as one of the allowed formats. MediaError where that needs one package more."""
    head = file.read(32)
    file.seek(0)
    heif = _is_heif(head)
    if heif:
        _learn_heif()
    with _without_pillows_limit(), Image.open(file, formats=("HEIF",) if heif else FORMATS) as image:
        yield image


def refuse_size(width: int, height: int, max_megapixels: float) -> None:
    """MediaError for more pixels than are allowed."""
    if width * height > max_megapixels * 1e6:
        raise MediaError(
            f"has {width * height / 1e6:.0f} megapixels, more than the {max_megapixels:g} that are allowed;"
            " allow more with --max-megapixels, or make it smaller"
        )


@contextmanager
def _without_pillows_limit() -> Iterator[None]:
    """Pillow's own limit belongs to the whole process, and it warns where it should refuse; ours stands instead."""
    with _LIMIT.lock:
        if _LIMIT.users == 0:
            _LIMIT.pillows, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        _LIMIT.users += 1
    try:
        yield
    finally:
        with _LIMIT.lock:
            _LIMIT.users -= 1
            if _LIMIT.users == 0:
                Image.MAX_IMAGE_PIXELS = _LIMIT.pillows


class _Limit:
    """How many threads read pictures now, and the limit that Pillow gets back after the last of them."""

    lock = threading.Lock()
    users = 0
    pillows: int | None = None


def _is_heif(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS and b"avif" not in head[16:]


def _learn_heif() -> None:
    try:
        importlib.import_module("pi_heif").register_heif_opener()
    except ImportError:
        raise MediaError("is a HEIC picture, which needs one package more: pip install 'unrain[heic]'") from None


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is not a JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF or HEIC file"
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__


_LIMIT = _Limit()
