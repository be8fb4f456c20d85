"""Media types: what a file is called over HTTP, and which one the client wants back."""

from __future__ import annotations

from pathlib import Path

from unrain.serve.limits import Refused

MEDIA_TYPES = {
    "image": {
        ".jpg": "image/jpeg",
        ".png": "image/png",
        ".webp": "image/webp",
        ".tif": "image/tiff",
        ".bmp": "image/bmp",
    },
    "video": {
        ".mp4": "video/mp4",
        ".mov": "video/quicktime",
        ".mkv": "video/x-matroska",
        ".webm": "video/webm",
        ".ts": "video/mp2t",
    },
}


def media_type(path: Path) -> str:
    """The media type of a file that this service wrote."""
    return {**MEDIA_TYPES["image"], **MEDIA_TYPES["video"]}[path.suffix]


def wanted_suffix(accept: str, kind: str, own: str) -> str:
    """The suffix to write for an Accept header: the file's own where that is acceptable, else what is liked best.

    `Refused` (406) where nothing is.
    """
    known = MEDIA_TYPES[kind]
    ranked = sorted((-_quality(accept, name), suffix != own, suffix) for suffix, name in known.items())
    quality, _, suffix = ranked[0]
    if quality == 0:
        raise Refused(406, f"none of the accepted types can be written; accept one of {', '.join(known.values())}")
    return suffix


def _quality(accept: str, name: str) -> float:
    """How much a media type is wanted, 0 to 1: the most exact range of the header counts (RFC 9110, 12.5.1)."""
    if not accept.strip():
        return 1.0
    best = (-1, 0.0)
    for part in accept.split(","):
        span, *parameters = (each.strip().lower() for each in part.split(";"))
        exactness = {name: 2, f"{name.partition('/')[0]}/*": 1, "*/*": 0}.get(span)
        if exactness is not None:
            best = max(best, (exactness, _weight(parameters)))
    return best[1]


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return min(1.0, max(0.0, float(parameter[2:])))
            except ValueError:
                return 0.0
    return 1.0
