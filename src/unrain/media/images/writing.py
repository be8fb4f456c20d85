"""Writing a picture, in the format that the suffix names: its levels, and what its file is to say besides.

More than 8 bits per channel are written by ../deep.py and ../tiff.py. That a file appears whole is the business of
../writing.py.
"""

from __future__ import annotations

import io
import struct
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, PngImagePlugin

from unrain.errors import MediaError
from unrain.media import deep, tiff
from unrain.media.colours import TRANSFERS
from unrain.media.images.opening import SUFFIXES, blame
from unrain.media.images.picture import Picture, to_levels, to_srgb, to_uint8
from unrain.media.metadata import Metadata

_TRANSPARENT = ("PNG", "WEBP", "TIFF", "AVIF", "GIF")
_DEEP = {16: ("PNG", "TIFF"), 32: ("TIFF",)}
_WITHOUT_PROFILE = ("BMP", "GIF")
_JPEG = {"quality": 95, "subsampling": 0}
_LOSSY: dict[str, dict[str, Any]] = {
    "WEBP": {"quality": 95, "exact": True},
    "AVIF": {"quality": 90, "subsampling": "4:4:4", "speed": 8},
}
_VISIBLE_SHIFT = 0.03


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


def to_image(picture: Picture, name: str) -> Image.Image:
    """The picture with 8 bits, as it is saved in the format `name`. MediaError for NaN."""
    if picture.levels.dtype == np.uint8 and not picture.grey:
        image = Image.fromarray(picture.levels)
    else:
        image = Image.fromarray(to_uint8(picture.pixels.mean(axis=2) if picture.grey else picture.pixels))
    if picture.icc and name in _WITHOUT_PROFILE and not picture.grey:
        image = to_srgb(image, picture.icc) or image
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


def _with_alpha(picture: Picture) -> NDArray[Any]:
    """The picture in the levels of its file, (H, W, 1 to 4), transparency last."""
    pixels = picture.pixels.mean(axis=2, keepdims=True) if picture.grey else picture.pixels
    if picture.bits == 32:
        to_levels(pixels, 1)
        levels: NDArray[Any] = np.clip(pixels, 0, 1)
    else:
        levels = to_levels(pixels, 2**picture.bits - 1).astype(np.uint16 if picture.bits == 16 else np.uint8)
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


_BAYER = _bayer(8)
