"""Moving pictures (GIF, WebP, PNG, AVIF), worked through as clips: frames, their durations, how often they repeat.

Videos live in videos/, still pictures in images/, whose formats and limits hold here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from unrain.errors import MediaError
from unrain.media.deep import bits_of
from unrain.media.images import (
    MAX_MEGAPIXELS,
    PICTURE_ERRORS,
    SUFFIXES,
    Picture,
    blame,
    from_uint8,
    is_lossless,
    open_picture,
    saving_options,
    to_image,
)
from unrain.media.metadata import NOTHING, metadata

_NO_PIXELS = np.zeros((0, 0, 3), np.float32)
MOVING = ("GIF", "WEBP", "PNG", "AVIF")


class Frame(NamedTuple):
    """One frame: (H, W, 3) RGB float32 in [0, 1], and (H, W) uint8 transparency, or None where all is opaque."""

    pixels: NDArray[np.float32]
    alpha: NDArray[np.uint8] | None


Clean = Callable[[Iterator[Frame]], Iterator[NDArray[np.float32]]]
"""Takes frames and yields the pixels of as many, in order."""


def count_frames(path: Path) -> int:
    """How many frames a picture has; 1 for one that stands still, or is none."""
    try:
        with open_picture(path, float("inf")) as image:
            return int(getattr(image, "n_frames", 1)) if image.format in MOVING else 1
    except (MediaError, *PICTURE_ERRORS):
        return 1


def rewrite(
    source: Path,
    target: Path,
    clean: Clean,
    progress: Callable[[int], None] | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
    strip: bool = False,
) -> int:
    """Write the moving picture again with every frame replaced by what `clean` makes of it; return their number.

    Durations, repetitions, transparency, and the metadata and profile that the format can hold stay (`strip` leaves
    the metadata out). Frames are held in memory, so `max_megapixels` is about all of them together. Raises MediaError
    for a file that is damaged or too large, and for a `target` whose format cannot move.
    """
    name = SUFFIXES.get(target.suffix.lower(), "")
    if name not in MOVING:
        raise MediaError(f"{source}: moves, which a {target.suffix} file cannot; write a .gif, .webp or .png file")
    with blame(source, "cannot be read as a moving picture"), open_picture(source, max_megapixels) as image:
        count = int(getattr(image, "n_frames", 1))
        total = count * image.width * image.height / 1e6
        if total > max_megapixels:
            raise MediaError(
                f"has {total:.0f} megapixels in {count} frames, more than the {max_megapixels:g} that are allowed;"
                " allow more with --max-megapixels, or make a video of it"
            )
        with source.open("rb") as file:
            if (bits := bits_of(image, file)) > 8:
                raise MediaError(f"moves, with {bits} bits per channel, which is not supported; make a video of it")
            said, lossless = NOTHING if strip else metadata(image, file), is_lossless(file)
        durations: list[float] = []
        alphas: list[NDArray[np.uint8] | None] = []
        images: list[Image.Image] = []
        icc = image.info.get("icc_profile")
        repeats = image.info.get("loop")
        for pixels in clean(_frames(image, count, durations, alphas)):
            picture = Picture(pixels, alphas[len(images)], icc=icc)
            images.append(to_image(picture, name))
            if progress is not None:
                progress(len(images))
    if len(images) != count:
        raise MediaError(f"{source}: {count - len(images)} of its {count} frames are missing")
    with blame(target, "cannot be written"):
        whole = Picture(_NO_PIXELS, icc=icc, metadata=said, lossless=lossless)
        _save(target, name, images, durations, saving_options(whole, name) | _repeated(name, repeats))
    return count


def _frames(
    image: ImageFile, count: int, durations: list[float], alphas: list[NDArray[np.uint8] | None]
) -> Iterator[Frame]:
    for number in range(count):
        image.seek(number)
        whole = np.asarray(image.convert("RGBA"))
        durations.append(float(image.info.get("duration") or 0))
        alphas.append(None if whole[..., 3].min() == 255 else whole[..., 3].copy())
        yield Frame(from_uint8(whole[..., :3]), alphas[-1])


def _repeated(name: str, repeats: int | None) -> dict[str, Any]:
    # a GIF without this block plays once, and Pillow writes the block for any number that it is given
    return {} if repeats is None or name == "AVIF" else {"loop": repeats}


def _save(target: Path, name: str, images: list[Image.Image], durations: list[float], options: dict[str, Any]) -> None:
    first, *others = images
    if name == "GIF":
        # each frame replaces the one before whole, as its transparent places must not show it
        options |= {"disposal": 2, "optimize": False}
    whole = [round(duration) for duration in durations]
    first.save(target, format=name, save_all=True, append_images=others, duration=whole, **options)
