"""Pictures inside of a page: whole ones, enlarged regions of the background, and of the rain that was taken out.

They become data URIs, so that the page needs no other file. Which regions are enlarged is `figure.py`'s choice.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unrain.evaluation.examples import Bytes, Example
from unrain.evaluation.figure import brightening, cut, zoom_regions
from unrain.media.images import from_uint8, to_uint8

ZOOMS = 2
_MAX_SIDE = 1280
_MIN_SIDE = 32


class Whole(NamedTuple):
    """A whole picture."""

    name: str
    uri: str


class Box(NamedTuple):
    """Where a region lies, in per cent of the picture."""

    left: float
    top: float
    width: float
    height: float


class Zoom(NamedTuple):
    """One region of every picture: its background, and the light of the rain that is missing there, brightened."""

    box: Box
    background: tuple[Whole, ...]
    rain: tuple[Whole, ...]


class Sheet(NamedTuple):
    """All pictures of one example. factor: how much brighter the rain is shown."""

    width: int
    height: int
    wholes: tuple[Whole, ...]
    zooms: tuple[Zoom, ...]
    factor: int


def sheet(example: Example) -> Sheet:
    """The pictures of an example: rainy, of each method, and the truth where there is one."""
    height, width = example.rainy.shape[:2]
    pictures = {"rainy": example.rainy, **example.results}
    if example.truth is not None:
        pictures["truth"] = example.truth
    wholes = tuple(Whole(name, _uri(_fitting(pixels))) for name, pixels in pictures.items())
    if min(height, width) < _MIN_SIDE:
        return Sheet(width, height, wholes, (), 1)
    return Sheet(width, height, wholes, *_zooms(pictures))


def _zooms(pictures: Mapping[str, Bytes]) -> tuple[tuple[Zoom, ...], int]:
    floats = {name: from_uint8(pixels) for name, pixels in pictures.items()}
    rainy, *others = floats.values()
    # The truth comes last; where there is none, a method's result shows where rain was found.
    regions = zoom_regions(rainy, others[-1], ZOOMS)
    parts = {name: cut(pixels, regions) for name, pixels in floats.items()}
    rain = {
        name: [before - after for before, after in zip(parts["rainy"], each, strict=True)]
        for name, each in parts.items()
        if name != "rainy"
    }
    factor = brightening(list(rain.values()))
    height, width = rainy.shape[:2]
    zooms = []
    for number, region in enumerate(regions):
        box = Box(*(100 * part / whole for part, whole in zip(region, (width, height, width, height), strict=True)))
        background = tuple(Whole(name, _uri(_bright(each[number], 1), exact=True)) for name, each in parts.items())
        layers = tuple(Whole(name, _uri(_bright(each[number], factor), exact=True)) for name, each in rain.items())
        zooms.append(Zoom(box, background, layers))
    return tuple(zooms), factor


def _bright(rain: NDArray[np.floating[Any]], factor: int) -> Bytes:
    return to_uint8(np.asarray(factor * rain, np.float32))


def _fitting(pixels: Bytes) -> Bytes:
    """A whole picture, scaled down where it is larger than a page needs."""
    image = Image.fromarray(pixels)
    image.thumbnail((_MAX_SIDE, _MAX_SIDE))
    return np.asarray(image)


def _uri(pixels: Bytes, *, exact: bool = False) -> str:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "WEBP", lossless=exact, quality=90, method=4)
    return f"data:image/webp;base64,{base64.b64encode(data.getvalue()).decode()}"
