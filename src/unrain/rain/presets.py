"""Named kinds of rain, as tables of ranges. `render.py` makes pictures of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from unrain.errors import UnrainError
from unrain.rain.camera import Camera
from unrain.rain.drops import FallingDrops
from unrain.rain.noise import MotionBlur
from unrain.rain.ranges import Range


@dataclass(frozen=True)
class Preset:
    """A kind of rain: what falls.

    drops: physical rain. looks: streaks, lines, sparkle: all whose brightness is added. hiding: streaks so thick that
    nothing is seen through them: where these are, the degradation map α is 1.
    Drawn for each clip: `angle`, the main direction of looks and hiding, in degrees from vertical; `intensity`, which
    multiplies the brightness of all looks.
    """

    drops: FallingDrops | None = None
    looks: tuple[MotionBlur, ...] = ()
    hiding: tuple[MotionBlur, ...] = ()
    angle: Range = (-25, 25)
    intensity: Range = (1, 1)


PRESS = Camera(focal=(70, 300), f_number=(2.8, 8), exposure=(1 / 1000, 1 / 100), focus=(6, 25), sensor=36, pixels=900)
"""A full-frame camera with a long lens and a short exposure, its pictures as small as on a web page: many drops, all
short, the near ones out of focus."""

PRESETS: Mapping[str, Preset] = {
    "rain12": Preset(
        looks=(
            MotionBlur(
                coverage=(0.06, 0.3), length=(12, 45), width=(1, 2), strength=(0.1, 0.25), ramp=(1, 1.5), dimmest=0.3
            ),
        ),
        angle=(-30, 30),
    ),
    "rain100l": Preset(
        looks=(
            MotionBlur(
                coverage=(0.035, 0.15),
                length=(15, 50),
                width=(1, 2.5),
                strength=(0.22, 0.55),
                ramp=(1, 1.5),
                dimmest=0.3,
            ),
        ),
        angle=(-30, 30),
    ),
    "rain100h": Preset(
        looks=(
            # Dense and thin, nearly parallel; few and thick; fine lines that cross them.
            MotionBlur(
                (1, 2),
                coverage=(0.4, 2.2),
                length=(40, 120),
                width=(1, 2.8),
                spread=3,
                strength=(0.3, 0.4),
                ramp=(1, 1.2),
                taper=(0, 0.15),
                variety=0.6,
            ),
            MotionBlur(
                coverage=(0.05, 0.7),
                length=(15, 60),
                width=(1.8, 4.5),
                spread=3,
                strength=(0.4, 0.8),
                ramp=(1, 1.5),
                taper=(0.2, 0.8),
                wobble=1.5,
                variety=0.6,
            ),
            MotionBlur(
                (1, 3),
                coverage=(0, 0.45),
                length=(15, 60),
                width=(1, 1.8),
                spread=20,
                strength=(0.15, 0.35),
                ramp=(1, 1.2),
                taper=(0, 0.4),
                wobble=2,
                variety=0.5,
            ),
        ),
        angle=(-9, 9),
        intensity=(0.4, 1.02),
    ),
    "light25": Preset(
        looks=(
            MotionBlur(
                (1, 2),
                coverage=(0.03, 0.18),
                length=(15, 60),
                width=(1.5, 3.5),
                spread=3,
                strength=(0.3, 0.85),
            ),
        ),
        angle=(-20, 20),
    ),
    "complex25": Preset(
        looks=(
            MotionBlur((1, 3), coverage=(0.5, 1.5), length=(20, 70), width=(3, 8), spread=6, strength=(0.1, 0.3)),
            # Sharp lines, and sparkle.
            MotionBlur(
                (1, 2),
                coverage=(0.02, 0.05),
                length=(40, 150),
                width=(1, 1.5),
                spread=10,
                strength=(0.5, 1),
                ramp=(1, 1.2),
                taper=(0, 0.2),
                contrast=0.5,
                wobble=2,
            ),
            MotionBlur(
                coverage=(0.01, 0.03),
                length=(1, 3),
                width=(1, 2),
                spread=90,
                strength=(0.5, 1),
                contrast=0.5,
                wobble=40,
            ),
        ),
        hiding=(
            MotionBlur(
                coverage=(0.05, 0.15), length=(20, 70), width=(2, 5), spread=6, strength=(1, 1), dimmest=1, wobble=2
            ),
        ),
        angle=(-20, 20),
    ),
    "drizzle": Preset(FallingDrops(rate=(0.5, 2.5), wind=(-2, 2))),
    "steady": Preset(FallingDrops(rate=(2.5, 10), wind=(-3, 3))),
    "heavy": Preset(FallingDrops(rate=(10, 50), wind=(-5, 5))),
    "storm": Preset(FallingDrops(rate=(50, 150), wind=(-10, 10), mist=(0.002, 0.01))),
    "cloudburst": Preset(
        FallingDrops(rate=(30, 150), wind=(-5, 5), turbulence=0.6, camera=PRESS, depths=(1.5, 20), mist=(0, 0.005))
    ),
}

MIXED: Mapping[str, float] = {
    "rain12": 2,
    "rain100l": 4,
    "rain100h": 4,
    "light25": 1.5,
    "complex25": 0.5,
    "drizzle": 0.3,
    "steady": 1,
    "heavy": 1.5,
    "storm": 0.2,
    "cloudburst": 1,
}
"""What training draws from, `mixed`: presets and how often each comes, relative to the others."""

NAMES = (*PRESETS, "mixed")


@dataclass(frozen=True)
class Given:
    """What is known of the rain and the camera, in place of a physical preset's ranges; None leaves it to the preset.

    rate: mm/h. wind: m/s across the view, positive to the right. exposure: s. frame_rate: frames a second. pixels: of
    the sensor's width, for pictures that are not cut out of larger ones: their own width.
    """

    rate: float | None = None
    wind: float | None = None
    exposure: float | None = None
    frame_rate: float | None = None
    pixels: int | None = None

    def on(self, drops: FallingDrops) -> FallingDrops:
        """Physical rain with what is given; `ValueError` for what cannot be."""
        camera = replace(
            drops.camera,
            exposure=_or(self.exposure, drops.camera.exposure),
            rate=_or(self.frame_rate, drops.camera.rate),
            pixels=drops.camera.pixels if self.pixels is None else self.pixels,
        )
        return replace(drops, camera=camera, rate=_or(self.rate, drops.rate), wind=_or(self.wind, drops.wind))


def _or(value: float | None, bounds: Range) -> Range:
    return bounds if value is None else (value, value)


AS_IT_IS = Given()
"""Nothing is known: all is drawn from the preset."""


def find(name: str, given: Given = AS_IT_IS) -> Mapping[Preset, float]:
    """The presets of this name and their weights: one, or all of `mixed`.

    Raises `UnrainError` for an unknown name, for what cannot be given (a negative rate, no exposure), and where a rate,
    wind or exposure is given for a preset that is only a look.
    """
    if name not in NAMES:
        raise UnrainError(f"there is no rain preset {name!r}; choose one of {', '.join(NAMES)}")
    chosen = {PRESETS[part]: weight for part, weight in MIXED.items()} if name == "mixed" else {PRESETS[name]: 1.0}
    asked = any(value is not None for value in (given.rate, given.wind, given.exposure))
    if asked and any(preset.drops is None for preset in chosen):
        physical = ", ".join(other for other, preset in PRESETS.items() if preset.drops)
        raise UnrainError(
            f"the preset {name} is a look, without rate, wind or exposure; those that have them are {physical}"
        )
    try:
        return {
            preset if preset.drops is None else replace(preset, drops=given.on(preset.drops)): weight
            for preset, weight in chosen.items()
        }
    except ValueError as error:
        raise UnrainError(str(error)) from None
