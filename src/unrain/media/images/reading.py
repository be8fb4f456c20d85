"""Reading a picture: a file becomes RGB, upright, and all that must be written back with it.

More than 8 bits per channel are read in ../deep.py, ../tiff.py and ../heif.py, metadata in ../metadata.py, and pictures
that move in ../animations.py.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from unrain.errors import MediaError
from unrain.media import deep, heif, tiff
from unrain.media.images.opening import MAX_MEGAPIXELS, blame, is_lossless, open_picture, open_stream, refuse_size
from unrain.media.images.picture import Picture, to_srgb
from unrain.media.metadata import keep_as_stored, metadata, orientation, tiff_metadata

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DEFLATE_RATIO = 1032
"""No byte of deflated data can stand for more than this many."""
_NO_PIXELS = np.zeros((0, 0, 3), np.float32)


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
        with open_stream(one) as first, open_stream(two) as second:
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
        pixels, empty = to_srgb(pixels, empty.icc) or pixels.convert("RGB"), replace(empty, icc=None)
    colour, alpha = _split(pixels)
    grey = colour.mode == "L"
    values = np.asarray(colour)
    return replace(empty, levels=_three(values) if grey else values, alpha=alpha, grey=grey)


def _own_tiff(file: IO[bytes], max_megapixels: float) -> Picture:
    """A TIFF that Pillow has no mode for."""
    layout = tiff.read_layout(file)
    refuse_size(layout.width, layout.height, max_megapixels)
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
