"""Pictures in and out: a file becomes float RGB and all that must be written back with it, and the other way round.

Metadata live in metadata.py, more than 8 bits per channel in deep.py and tiff.py, moving pictures in animations.py.
Choosing files and writing them safely lives in files.py.
"""

from __future__ import annotations

import importlib
import io
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, JpegImagePlugin, PngImagePlugin, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from unrain.errors import MediaError
from unrain.media import deep, heif, tiff
from unrain.media.colours import TRANSFERS
from unrain.media.metadata import NOTHING, Metadata, keep_as_stored, metadata, orientation, tiff_metadata

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

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_TRANSPARENT = ("PNG", "WEBP", "TIFF", "AVIF", "GIF")
_DEEP = {16: ("PNG", "TIFF"), 32: ("TIFF",)}
_WITHOUT_PROFILE = ("BMP", "GIF")
_JPEG = {"quality": 95, "subsampling": 0}
_LOSSY: dict[str, dict[str, Any]] = {
    "WEBP": {"quality": 95, "exact": True},
    "AVIF": {"quality": 90, "subsampling": "4:4:4", "speed": 8},
}
_VISIBLE_SHIFT = 0.03
_DEFLATE_RATIO = 1032
"""No byte of deflated data can stand for more than this many."""


@dataclass(frozen=True)
class Picture:
    """A picture in memory, upright, with what its file said besides the pixels.

    `levels` is (H, W, 3) RGB: uint8 as 8 bits are read, or float32 in [0, 1]; `pixels` is always the latter. `alpha` is
    (H, W) in the file's own levels (uint8, uint16 or float32) or None. `grey` pictures have three equal channels, and
    are written with one. `bits` per channel are 8, 16, or 32 for floating point. `icc` is the profile that says what
    the numbers mean; there is none for sRGB.

    `tables` are the quantisation tables of the JPEG that it comes from, and `lossless` says that a WebP was.
    """

    levels: NDArray[Any]
    alpha: NDArray[Any] | None = None
    grey: bool = False
    format: str = "PNG"
    bits: int = 8
    icc: bytes | None = None
    metadata: Metadata = NOTHING
    tables: tuple[tuple[int, ...], ...] = ()
    lossless: bool = False

    @property
    def pixels(self) -> NDArray[np.float32]:
        """The levels as float32 in [0, 1]; a new array where they are bytes."""
        return from_uint8(self.levels) if self.levels.dtype == np.uint8 else self.levels


def from_uint8(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """0..255 as float32 in [0, 1], any shape."""
    return pixels.astype(np.float32) / np.float32(255)


def to_uint8(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[0, 1] as 0..255, any shape: clipped, then rounded to the nearest level, halves up. MediaError for NaN."""
    return _levels(pixels, 255).astype(np.uint8)


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


def read_picture(path: Path, max_megapixels: float = MAX_MEGAPIXELS) -> Picture:
    """Read a JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF or HEIC file, turned upright.

    Palettes, CMYK (through its own profile) and one-bit pictures become RGB or grey; transparency becomes `alpha`. The
    embedded thumbnail is dropped, as it shows the picture before cleaning. Of a phone's JPEG with more pictures
    behind the main one (MPO: gain map, preview) the main one is read.

    Raises MediaError for a file that is damaged, has more than `max_megapixels`, is no picture, has several frames, or
    has pixels that cannot be kept as they are.
    """
    with blame(path, "cannot be read as a picture"):
        try:
            with open_picture(path, max_megapixels) as image:
                _refuse_frames(image)
                _refuse_emptiness(image, path)
                return _picture(image, path)
        except UnidentifiedImageError:
            with path.open("rb") as file:
                if not tiff.is_tiff(file.read(4)):
                    raise
                return _own_tiff(file, max_megapixels)


def write_picture(path: Path, picture: Picture) -> None:
    """Write `picture` in the format that the suffix of `path` names, straight to `path` (see `writing.atomic_output`).

    JPEG is written with full colour resolution and with quality 95, or finer where the picture's own tables were. WebP
    has quality 95, unless it was lossless, and AVIF quality 90; what these two shift in the mean of a channel is taken
    back. The others lose nothing; a GIF has 256 colours.

    Raises MediaError for an unknown suffix, NaN, pixels that a format cannot hold (transparency in JPEG and BMP, 16
    bits in all but PNG and TIFF, floating point in all but TIFF), and what the system refuses.
    """
    name = SUFFIXES.get(path.suffix.lower())
    if name is None:
        known = " ".join(sorted(SUFFIXES))
        raise MediaError(f"{path}: cannot write a picture with the suffix '{path.suffix}'; use one of {known}")
    _refuse_what_is_lost(path, picture, name)
    with blame(path, "cannot be written"):
        if name == "TIFF":
            icc, alpha = picture.icc, picture.alpha is not None
            tiff.write_tiff(path, _with_alpha(picture), picture.metadata, icc, alpha)
        elif picture.bits == 16:
            deep.write_png(path, _with_alpha(picture), picture.metadata, picture.icc)
        elif name in _LOSSY and not picture.lossless:
            path.write_bytes(_without_shift(picture, name))
        else:
            to_image(picture, name).save(path, format=name, **saving_options(picture, name))


@contextmanager
def open_picture(path: Path, max_megapixels: float = MAX_MEGAPIXELS) -> Iterator[ImageFile]:
    """Open a file as one of the allowed formats, without decoding it. MediaError where it has too many pixels."""
    with path.open("rb") as file:
        with _opened(file) as image:
            _refuse_size(image.width, image.height, max_megapixels)
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


def to_image(picture: Picture, name: str) -> Image.Image:
    """The picture with 8 bits, as it is saved in the format `name`. MediaError for NaN."""
    if picture.levels.dtype == np.uint8 and not picture.grey:
        image = Image.fromarray(picture.levels)
    else:
        image = Image.fromarray(to_uint8(picture.pixels.mean(axis=2) if picture.grey else picture.pixels))
    if picture.icc and name in _WITHOUT_PROFILE and not picture.grey:
        image = _to_srgb(image, picture.icc) or image
    if picture.alpha is not None and name in _TRANSPARENT:
        image.putalpha(Image.fromarray(picture.alpha))
    return to_palette(image) if name == "GIF" else image


def to_palette(image: Image.Image) -> Image.Image:
    """At most 256 colours: exactly the picture's own where these are enough, else the closest, dithered."""
    flat = image.convert("RGBA")
    pixels = np.asarray(flat).copy()
    pixels[..., 3] = np.where(pixels[..., 3] < 128, 0, 255)
    pixels[pixels[..., 3] == 0] = 0
    colours, index = np.unique(pixels.view("<u4").ravel(), return_inverse=True)
    if len(colours) > 256:
        opaque = Image.fromarray(pixels[..., :3])
        palette = opaque.quantize(255, dither=Image.Dither.FLOYDSTEINBERG)
        table = (palette.getpalette() or [])[: 255 * 3]
        hidden = pixels[..., 3] == 0
        numbers = np.where(hidden, 255, np.asarray(palette))
        return _palette_image(numbers, [*table, *[0] * (768 - len(table))], 255 if hidden.any() else None)
    table = colours.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3].ravel().tolist()
    return _palette_image(index.reshape(pixels.shape[:2]), table, 0 if colours[0] == 0 else None)


def _palette_image(numbers: NDArray[Any], table: list[int], hidden: int | None) -> Image.Image:
    result = Image.fromarray(numbers.astype(np.uint8))
    result.putpalette(table)
    if hidden is not None:
        result.info["transparency"] = hidden
    return result


def saving_options(picture: Picture, name: str) -> dict[str, Any]:
    """What Pillow's `save` is told to write the picture as `name`: quality and metadata."""
    said = picture.metadata
    options: dict[str, Any] = dict(_JPEG if name == "JPEG" else _LOSSY.get(name, {}))
    if picture.lossless and name == "WEBP":
        options = {"lossless": True, "exact": True}
    if said.dpi and name not in ("WEBP", "AVIF", "GIF"):
        options["dpi"] = said.dpi
    if name in _WITHOUT_PROFILE:
        return options
    if said.exif:
        options["exif"] = b"Exif\0\0" + said.exif
    if picture.icc:
        options["icc_profile"] = picture.icc
    if said.xmp and name != "PNG":
        options["xmp"] = said.xmp
    if name == "PNG":
        options["pnginfo"] = _chunks(said)
    if name == "JPEG":
        options |= _jpeg_options(picture)
    return options


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
def _opened(file: IO[bytes]) -> Iterator[ImageFile]:
    head = file.read(32)
    file.seek(0)
    heif = _is_heif(head)
    if heif:
        _learn_heif()
    with _without_pillows_limit(), Image.open(file, formats=("HEIF",) if heif else FORMATS) as image:
        yield image


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


def _refuse_size(width: int, height: int, max_megapixels: float) -> None:
    if width * height > max_megapixels * 1e6:
        raise MediaError(
            f"has {width * height / 1e6:.0f} megapixels, more than the {max_megapixels:g} that are allowed;"
            " allow more with --max-megapixels, or make it smaller"
        )


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is not a JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF or HEIC file"
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__


def _refuse_emptiness(image: ImageFile, path: Path) -> None:
    """Refuse a PNG that is far too short for the size that it claims: Pillow would fill in the rest, at great cost."""
    if image.format != "PNG":
        return
    bits = 1 if image.mode in ("1", "L", "P") else 8 * len(image.getbands())
    if image.width * image.height * bits / 8 > _DEFLATE_RATIO * path.stat().st_size:
        raise MediaError(f"is damaged: {image.width} x {image.height} pixels cannot be in a file so short")


def _refuse_frames(image: Image.Image) -> None:
    frames = 1 if image.format in ("MPO", "HEIF") else getattr(image, "n_frames", 1)
    if frames > 1:
        raise MediaError(f"holds {frames} pictures; save each as a file of its own, or make it a video")


def _refuse_what_is_lost(path: Path, picture: Picture, name: str) -> None:
    if picture.bits > 8 and name not in _DEEP[picture.bits]:
        kept, suffix = ("16 bits", ".png or .tif") if picture.bits == 16 else ("32 bits", ".tif")
        raise MediaError(f"{path}: {name} cannot keep the {kept} of this picture; write a {suffix} file")
    transfer = dict(picture.metadata.colour).get(b"cICP", bytes(4))[1:2]
    if name != "PNG" and transfer and (high := TRANSFERS.get(transfer[0])):
        raise MediaError(f"{path}: {name} cannot say that these colours are {high} (HDR); write a .png file")
    if picture.alpha is not None and name not in _TRANSPARENT and picture.alpha.min() < _opaque(picture.bits):
        raise MediaError(f"{path}: {name} cannot keep the transparency of this picture; write a .png or .webp file")


def _opaque(bits: int) -> int:
    return 1 if bits == 32 else 2**bits - 1


def _picture(image: ImageFile, path: Path) -> Picture:
    with path.open("rb") as file:
        bits = deep.bits_of(image, file)
        turn, said = orientation(image), metadata(image, file)
        name = {"MPO": "JPEG", "HEIF": "JPEG"}.get(str(image.format), str(image.format))
        tables = tuple(tuple(each) for each in getattr(image, "quantization", {}).values())
        empty = Picture(_NO_PIXELS, None, False, name, bits, image.info.get("icc_profile"), said, tables)
        keep_as_stored(image)
        if image.mode == "F":
            return _filled(empty, np.asarray(image), turn)
        if bits > 8 and image.format in ("AVIF", "HEIF"):
            return _deep_heif(image, file, empty, turn)
        if bits == 16:
            return _filled(empty, _sixteen_bits(image, path), turn)
        if bits != 8:
            raise MediaError(f"has {bits} bits per channel, which is not supported; convert it to 16 or 8 bits")
        image.load()
        return _eight_bits(image, replace(empty, lossless=is_lossless(file)), turn)


def _sixteen_bits(image: ImageFile, path: Path) -> NDArray[Any]:
    with path.open("rb") as one, path.open("rb") as two:
        if deep.is_planar(image):
            return tiff.read_pixels(one, tiff.read_layout(one))
        with _opened(one) as first, _opened(two) as second:
            keep_as_stored(first)
            keep_as_stored(second)
            return deep.read_sixteen(first, second)


def _deep_heif(image: ImageFile, file: IO[bytes], empty: Picture, turn: int) -> Picture:
    if image.format == "AVIF":
        levels, codes = heif.read_avif(file, image.width, image.height)
    else:
        levels, codes = heif.read_heic(file)
    said = replace(empty.metadata, colour=heif.cicp(codes, bool(empty.icc)))
    return _filled(replace(empty, format="PNG", metadata=said), levels, turn)


def _eight_bits(image: Image.Image, empty: Picture, turn: int) -> Picture:
    pixels = image if turn == 1 else image.transpose(_TURNS[turn])
    if pixels.mode in ("CMYK", "LAB"):
        pixels, empty = _to_srgb(pixels, empty.icc) or pixels.convert("RGB"), replace(empty, icc=None)
    colour, alpha = _split(pixels)
    grey = colour.mode == "L"
    values = np.asarray(colour)
    return replace(empty, levels=_three(values) if grey else values, alpha=alpha, grey=grey)


def _own_tiff(file: IO[bytes], max_megapixels: float) -> Picture:
    """A TIFF that Pillow has no mode for."""
    layout = tiff.read_layout(file)
    _refuse_size(layout.width, layout.height, max_megapixels)
    said, icc, turn = tiff_metadata(file)
    empty = Picture(_NO_PIXELS, format="TIFF", bits=layout.bits, icc=icc, metadata=said)
    return _filled(empty, tiff.read_pixels(file, layout), turn)


def _filled(empty: Picture, levels: NDArray[Any], turn: int) -> Picture:
    """A deep picture out of its levels, (H, W) or (H, W, 1 to 4), of which an even last one is transparency."""
    levels = _turned(levels if levels.ndim == 3 else levels[..., None], turn)
    samples = levels.shape[2]
    alpha = np.ascontiguousarray(levels[..., -1]) if samples in (2, 4) else None
    colour = levels[..., : samples - (samples in (2, 4))]
    if levels.dtype == np.float32:
        if not (levels.min() >= 0 and levels.max() <= 1):
            raise MediaError(f"has values from {levels.min():g} to {levels.max():g}; scale them to lie from 0 to 1")
        pixels = colour
    else:
        pixels = colour.astype(np.float32) / np.float32(65535)
    grey = colour.shape[2] == 1
    bits = 32 if levels.dtype == np.float32 else 16
    return replace(empty, levels=_three(pixels[..., 0]) if grey else pixels, alpha=alpha, grey=grey, bits=bits)


def _turned(levels: NDArray[Any], turn: int) -> NDArray[Any]:
    if turn >= 5:
        levels = levels.transpose(1, 0, 2)
    down, across = turn in (3, 4, 7, 8), turn in (2, 3, 6, 7)
    return np.ascontiguousarray(levels[:: -1 if down else 1, :: -1 if across else 1])


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


def _to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image | None:
    """The colours in sRGB, by the profile that belongs to them, or None where there is no usable one."""
    try:
        if image.mode == "LAB":
            source: Any = ImageCms.createProfile("LAB")
        else:
            source = io.BytesIO(icc) if icc else None
        return source and ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC, "RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _levels(pixels: NDArray[np.float32], top: int) -> NDArray[np.float32]:
    if np.isnan(pixels).any():
        raise MediaError("the cleaned picture holds values that are not numbers; try precision fp32")
    levels: NDArray[np.float32] = np.floor(np.clip(pixels, 0, 1) * np.float32(top) + np.float32(0.5))
    return levels


def _with_alpha(picture: Picture) -> NDArray[Any]:
    """The picture in the levels of its file, (H, W, 1 to 4), transparency last."""
    pixels = picture.pixels.mean(axis=2, keepdims=True) if picture.grey else picture.pixels
    if picture.bits == 32:
        _levels(pixels, 1)
        levels: NDArray[Any] = np.clip(pixels, 0, 1)
    else:
        levels = _levels(pixels, 2**picture.bits - 1).astype(np.uint16 if picture.bits == 16 else np.uint8)
    return levels if picture.alpha is None else np.concatenate([levels, picture.alpha[..., None]], axis=2)


def _without_shift(picture: Picture, name: str) -> bytes:
    """The picture encoded with loss; where that shifts the mean of a channel, again, with that much taken away.

    Both encoders round to Y'CbCr with a bias of up to half a level. A shift of less than a level needs dither, which
    is ordered, so that the same picture always gives the same file.
    """
    image, options = to_image(picture, name), saving_options(picture, name)
    data = _encoded(image, name, options)
    mode = "L" if picture.grey else "RGB"
    with Image.open(io.BytesIO(data), formats=(name,)) as decoded:
        result = np.asarray(decoded.convert("RGB").convert(mode), np.float32)
    wanted = np.asarray(image.convert(mode), np.float32)
    shift = (result - wanted).mean(axis=(0, 1))
    if np.abs(shift).max() < _VISIBLE_SHIFT:
        return data
    height, width = wanted.shape[:2]
    dither = np.tile(_BAYER, (height // 8 + 1, width // 8 + 1))[:height, :width]
    levels = wanted - shift + (dither if picture.grey else dither[..., None])
    corrected = Image.fromarray(np.clip(np.floor(levels), 0, 255).astype(np.uint8))
    if picture.alpha is not None:
        corrected.putalpha(Image.fromarray(picture.alpha))
    return _encoded(corrected, name, options)


def _encoded(image: Image.Image, name: str, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, format=name, **options)
    return file.getvalue()


def _bayer(size: int) -> NDArray[np.float32]:
    """Bayer's threshold matrix, (size, size), each of whose cells is another value in (0, 1)."""
    if size == 1:
        return np.full((1, 1), 0.5, np.float32)
    half = _bayer(size // 2)
    # each quarter fills the gaps between the values of the ones before
    steps = [[0, 2], [3, 1]]
    rows = [np.concatenate([half + np.float32((step - 1.5) / size**2) for step in row], axis=1) for row in steps]
    return np.concatenate(rows, axis=0)


def _chunks(said: Metadata) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    for kind, data in (*said.colour, *said.notes):
        if kind[:1].islower() or kind in dict(said.colour):
            chunks.add(kind, data)
    if said.xmp:
        chunks.add_itxt("XML:com.adobe.xmp", said.xmp.decode("utf-8", "replace"))
    return chunks


def _jpeg_options(picture: Picture) -> dict[str, Any]:
    """Tables as fine as those of quality 95 and of the source both, and the segments that only a JPEG can hold."""
    said: dict[str, Any] = {}
    if picture.tables:
        ours = _tables_of_95()
        theirs = [picture.tables[min(index, len(picture.tables) - 1)] for index in range(len(ours))]
        said["qtables"] = [[min(pair) for pair in zip(*both, strict=True)] for both in zip(ours, theirs, strict=True)]
        del said["qtables"][1 if picture.grey else 2 :]
        # Pillow would take a quality for a percentage of the tables
        said["quality"] = -1
    notes = picture.metadata.notes
    comments = [data for kind, data in notes if kind == b"COM"]
    if comments:
        said["comment"] = comments[0]
    iptc = [b"\xff\xed" + struct.pack(">H", len(data) + 2) + data for kind, data in notes if kind == b"APP13"]
    if iptc:
        said["extra"] = b"".join(iptc)
    return said


@cache
def _tables_of_95() -> tuple[tuple[int, ...], ...]:
    data = _encoded(Image.new("RGB", (8, 8)), "JPEG", _JPEG)
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        assert isinstance(image, JpegImagePlugin.JpegImageFile)
        return tuple(tuple(table) for table in image.quantization.values())


_NO_PIXELS = np.zeros((0, 0, 3), np.float32)
_BAYER = _bayer(8)
_LIMIT = _Limit()
