"""How rain makes a rainy frame out of a clean one. `add` is all that most people need; the parts are in the modules."""

from __future__ import annotations

import torch

from unrain.inference.layout import AnyPicture, as_float, as_type, to_pixels, to_planes, unwrap
from unrain.rain.compose import RainyFrames
from unrain.rain.presets import NAMES, PRESETS, Given
from unrain.rain.render import Rain, fall, render

__all__ = ["NAMES", "PRESETS", "Given", "Rain", "RainyFrames", "add", "fall", "render"]


def add(
    picture: AnyPicture,
    preset: str = "heavy",
    seed: int = 0,
    *,
    rate: float | None = None,
    wind: float | None = None,
    exposure: float | None = None,
) -> tuple[AnyPicture, AnyPicture]:
    """Rain on a clean picture: returns (rainy, truth), of the same type and shape.

    A picture is a PIL image, or an RGB array `(H, W, 3)` of uint8 (0 to 255) or of floats (0 to 1). The same seed gives
    the same rain. `rate` in mm/h, `wind` in m/s and `exposure` in s replace those of a physical preset, whose camera
    sees the whole picture. Raises `UnrainError` for an unknown preset or rain that cannot be, `TypeError` or
    `ValueError` for what is no picture.
    """
    pixels, back = unwrap(picture)
    height, width, _ = pixels.shape
    given = Given(rate, wind, exposure, pixels=max(height, width))
    rain = fall(1, height, width, preset, torch.Generator().manual_seed(seed), given)
    rainy = rain.on(torch.from_numpy(to_planes(as_float(pixels)))[None]).rainy
    return back(as_type(to_pixels(rainy[0].numpy()), pixels.dtype)), picture
