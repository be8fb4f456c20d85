"""Pictures in and out: a file becomes float RGB and all that must be written back with it, and the other way round.

Choosing files and writing them safely lives in files.py, videos live in videos.py.
"""

from __future__ import annotations

import io
import re
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin, UnidentifiedImageError

from unrain.errors import MediaError

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
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
}

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BITS_PER_SAMPLE = 258
_TIFF_XMP = 700
# of a TIFF's own tags only these describe the scene; the others describe the layout of the old file
_TIFF_KEPT = (270, 271, 272, 306, 315, 33432, 34665, 34853)
_SAVING: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95, "exact": True},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
_PILLOW_ERRORS = (OSError, ValueError, SyntaxError, TypeError, RuntimeError, ArithmeticError, MemoryError, struct.error)
_OPENING = threading.Lock()


@dataclass(frozen=True)
class Picture:
    """A picture in memory, upright, with what its file said besides the pixels.

    `pixels` is (H, W, 3) RGB float32 in [0, 1], `alpha` (H, W) uint8 or None. `grey` pictures have three equal channels
    and are written with one. `bits` is 8, or 16 for a 16-bit grey picture. `exif` and `xmp` are the raw blocks, empty
    where there is none, with the orientation tag set to 1 because the pixels are upright already.
    """

    pixels: NDArray[np.float32]
    alpha: NDArray[np.uint8] | None = None
    grey: bool = False
    format: str = "PNG"
    exif: bytes = b""
    icc: bytes | None = None
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None
    bits: int = 8


def from_uint8(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """0..255 as float32 in [0, 1], any shape."""
    return pixels.astype(np.float32) / np.float32(255)


def to_uint8(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[0, 1] as 0..255, any shape: clipped, then rounded to the nearest level, halves up. MediaError for NaN."""
    return _levels(pixels, 255).astype(np.uint8)


def read_picture(path: Path) -> Picture:
    """Read a JPEG, PNG, WebP, TIFF or BMP file, turned upright.

    Palettes, grey, CMYK (through its own profile) and one-bit pictures become RGB; transparency becomes `alpha`. The
    embedded thumbnail is dropped, as it shows the picture before cleaning. Of a phone's JPEG with more pictures
    behind the main one (MPO: gain map, preview) the main one is read.

    Raises MediaError for a file that is damaged, too large, no picture, has several frames, or has more bits per
    channel than can be kept.
    """
    with _blame(path, "cannot be read as a picture"), open_picture(path) as image:
        _refuse_frames(image, path)
        bits = _bits(image)
        if bits > 8 and not (bits == 16 and image.mode.startswith("I;16")):
            raise MediaError(f"{path}: has {bits} bits per channel, which is not supported; convert it to 8 bits")
        image.load()
        return _picture(image, bits)


def write_picture(path: Path, picture: Picture) -> None:
    """Write `picture` in the format that the suffix of `path` names, straight to `path` (see `files.atomic_output`).

    JPEG is written with quality 95 and full colour resolution, WebP with quality 95, the others without loss.

    Raises MediaError for an unknown suffix, NaN, pixels that a format cannot hold (transparency in JPEG and BMP, 16
    bits in all but PNG and TIFF), and what the system refuses.
    """
    name = SUFFIXES.get(path.suffix.lower())
    if name is None:
        known = " ".join(sorted(SUFFIXES))
        raise MediaError(f"{path}: cannot write a picture with the suffix '{path.suffix}'; use one of {known}")
    if picture.bits == 16 and name not in ("PNG", "TIFF"):
        raise MediaError(f"{path}: {name} cannot keep the 16 bits of this picture; write a .png or .tif file")
    with _blame(path, "cannot be written"):
        image = _image(picture, name, path)
        image.save(path, format=name, **_options(picture, name))


@contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """Open a file as one of the allowed formats, without decoding it; pictures of absurd size raise MediaError."""
    with path.open("rb") as file:
        # the warnings filter belongs to the whole process, so it is borrowed for the header only, by one thread
        with _OPENING, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            try:
                image = Image.open(file, formats=FORMATS)
            except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
                limit = (Image.MAX_IMAGE_PIXELS or 0) // 10**6
                raise MediaError(f"{path}: has more than {limit} million pixels; cut or scale it first") from error
        with image:
            yield image


@contextmanager
def _blame(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except MediaError as error:
        raise error if str(path) in str(error) else MediaError(f"{path}: {error}") from error
    except _PILLOW_ERRORS as error:
        raise MediaError(f"{path}: {what}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is not a JPEG, PNG, WebP, TIFF or BMP file"
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__


def _refuse_frames(image: Image.Image, path: Path) -> None:
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1:
        raise MediaError(f"{path}: holds {frames} pictures; save each as a file of its own, or make it a video")


def _bits(image: Image.Image) -> int:
    """Bits per channel in the file, which Pillow's mode does not tell: it opens 16-bit RGB as 8-bit."""
    if image.mode in ("I", "F"):
        return 32
    if image.mode.startswith("I;16"):
        return 16
    if isinstance(image, PngImagePlugin.PngImageFile):
        return 16 if any("16" in str(tile.args) for tile in image.tile) else 8
    tags: Any = getattr(image, "tag_v2", {})
    return int(max((8, *tags.get(_BITS_PER_SAMPLE, ()))))


def _picture(image: Image.Image, bits: int) -> Picture:
    # a TIFF is turned by Pillow while loading, and its tag is gone after that
    turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    exif, icc = _exif(image), image.info.get("icc_profile")
    xmp, dpi = _xmp(image), image.info.get("dpi")
    name = "JPEG" if image.format == "MPO" else str(image.format)
    pixels = image if turn is None else image.transpose(turn)
    if bits == 16:
        wide = np.asarray(pixels).astype(np.float32) / np.float32(65535)
        return Picture(_three(wide), None, True, name, exif, icc, xmp, dpi, 16)
    if pixels.mode == "CMYK":
        pixels, icc = _from_cmyk(pixels, icc), None
    colour, alpha = _split(pixels)
    grey = colour.mode == "L"
    values = from_uint8(np.asarray(colour))
    return Picture(_three(values) if grey else values, alpha, grey, name, exif, icc, xmp, dpi)


def _three(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.repeat(grey[..., None], 3, axis=2)


def _split(image: Image.Image) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """Colour (mode L or RGB) and transparency of a picture of any 8-bit mode."""
    grey = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        both = image.convert("RGBA")
        colour = both.convert("RGB")
        return (colour.getchannel(0) if grey else colour), np.array(both.getchannel("A"))
    return image.convert("L" if grey else "RGB"), None


def _from_cmyk(image: Image.Image, icc: bytes | None) -> Image.Image:
    """CMYK to sRGB through the file's profile where it has a usable one; the profile must not stay on RGB pixels."""
    if icc:
        try:
            target = ImageCms.createProfile("sRGB")
            turned = ImageCms.profileToProfile(image, io.BytesIO(icc), target, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            turned = None
        if turned is not None:
            return turned
    return image.convert("RGB")


def _exif(image: Image.Image) -> bytes:
    if hasattr(image, "tag_v2"):
        tags = image.getexif()
        for tag in [tag for tag in tags if tag not in _TIFF_KEPT]:
            del tags[tag]
        return tags.tobytes().removeprefix(b"Exif\0\0") if len(tags) else b""
    raw: bytes = image.info.get("exif", b"")
    return _upright(raw.removeprefix(b"Exif\0\0"))


def _upright(exif: bytes) -> bytes:
    """The same block with orientation 1 and without a link to the thumbnail, every other byte as it was."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return exif
    block = bytearray(exif)
    try:
        (start,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            if struct.unpack_from(order + "HH", block, entry) == (_ORIENTATION, 3):
                struct.pack_into(order + "H", block, entry + 8, 1)
        struct.pack_into(order + "I", block, start + 2 + 12 * count, 0)
    except struct.error:
        # a block that ends in the middle of its directory misleads every reader; none is better
        return b""
    return bytes(block)


def _xmp(image: Image.Image) -> bytes:
    raw = image.info.get("xmp", b"")
    xmp: bytes = raw if isinstance(raw, bytes) else str(raw).encode()
    return re.sub(rb"(tiff:Orientation(?:=[\"']|>))[2-8]", rb"\g<1>1", xmp)


def _levels(pixels: NDArray[np.float32], top: int) -> NDArray[np.float32]:
    if np.isnan(pixels).any():
        raise MediaError("the cleaned picture holds values that are not numbers; try precision fp32")
    levels: NDArray[np.float32] = np.floor(np.clip(pixels, 0, 1) * np.float32(top) + np.float32(0.5))
    return levels


def _image(picture: Picture, name: str, path: Path) -> Image.Image:
    pixels = picture.pixels.mean(axis=2) if picture.grey else picture.pixels
    if picture.bits == 16:
        return Image.fromarray(_levels(pixels, 65535).astype(np.uint16))
    image = Image.fromarray(to_uint8(pixels))
    if picture.alpha is None:
        return image
    if name in ("PNG", "WEBP", "TIFF"):
        image.putalpha(Image.fromarray(picture.alpha))
    elif picture.alpha.min() < 255:
        raise MediaError(f"{path}: {name} cannot keep the transparency of this picture; write a .png or .webp file")
    return image


def _options(picture: Picture, name: str) -> dict[str, Any]:
    options: dict[str, Any] = dict(_SAVING.get(name, {}))
    if name == "BMP":
        return options
    if name == "TIFF" and (picture.exif or picture.xmp):
        # Pillow writes tags that point to other tags only into a TIFF that libtiff does not compress
        options = {"exif": _tiff_tags(picture)}
    elif picture.exif:
        options["exif"] = b"Exif\0\0" + picture.exif
    if picture.icc:
        options["icc_profile"] = picture.icc
    if picture.dpi and name != "WEBP":
        options["dpi"] = picture.dpi
    if picture.xmp and name == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", picture.xmp.decode("utf-8", "replace"))
    elif picture.xmp and name in ("JPEG", "WEBP"):
        options["xmp"] = picture.xmp
    return options


def _tiff_tags(picture: Picture) -> Image.Exif:
    tags = Image.Exif()
    tags.load(b"Exif\0\0" + picture.exif if picture.exif else b"")
    if picture.xmp:
        tags[_TIFF_XMP] = picture.xmp
    return tags
