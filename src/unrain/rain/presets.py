"""Named kinds of rain, as tables of ranges. `render.py` makes pictures of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from unrain.errors import UnrainError
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
                coverage=(0.4, 2.6),
                length=(30, 100),
                width=(1, 2.2),
                spread=3,
                strength=(0.3, 0.4),
                ramp=(1, 1.2),
                taper=(0, 0.15),
                variety=0.6,
            ),
            MotionBlur(
                coverage=(0.05, 0.5),
                length=(12, 45),
                width=(2, 3.5),
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
                length=(12, 50),
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
        intensity=(0.3, 1.1),
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
            MotionBlur((1, 3), coverage=(0.5, 1.5), length=(20, 70), width=(3, 8), spread=6, strength=(0.15, 0.37)),
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
                coverage=(0.05, 0.15), length=(25, 80), width=(3, 8), spread=6, strength=(1, 1), dimmest=1, wobble=2
            ),
        ),
        angle=(-20, 20),
    ),
    "drizzle": Preset(FallingDrops(rate=(0.5, 2.5), wind=(-2, 2))),
    "steady": Preset(FallingDrops(rate=(2.5, 10), wind=(-3, 3))),
    "heavy": Preset(FallingDrops(rate=(10, 50), wind=(-5, 5))),
    "storm": Preset(FallingDrops(rate=(50, 150), wind=(-10, 10), mist=(0.002, 0.01))),
}

MIXED: Mapping[str, float] = {
    "rain12": 1,
    "rain100l": 2,
    "rain100h": 4,
    "light25": 1.5,
    "complex25": 0.5,
    "drizzle": 0.3,
    "steady": 1,
    "heavy": 1.5,
    "storm": 0.2,
}
"""What training draws from, `mixed`: presets and how often each comes, relative to the others."""

NAMES = (*PRESETS, "mixed")


def find(name: str, rate: float | None = None, wind: float | None = None) -> Mapping[Preset, float]:
    """The presets of this name and their weights: one, or all of `mixed`.

    `rate` (mm/h) and `wind` (m/s) replace those of a physical preset. Raises `UnrainError` for an unknown name, a rate
    or wind that cannot be, or for a preset that has neither.
    """
    if name not in NAMES:
        raise UnrainError(f"there is no rain preset {name!r}; choose one of {', '.join(NAMES)}")
    if name == "mixed":
        chosen = {PRESETS[part]: weight for part, weight in MIXED.items()}
    else:
        chosen = {PRESETS[name]: 1.0}
    if rate is None and wind is None:
        return chosen
    if any(preset.drops is None for preset in chosen):
        physical = ", ".join(other for other, preset in PRESETS.items() if preset.drops)
        raise UnrainError(f"the preset {name} is a look, without a rate or wind; those with one are {physical}")
    return {_with(preset, rate, wind): weight for preset, weight in chosen.items()}


def _with(preset: Preset, rate: float | None, wind: float | None) -> Preset:
    assert preset.drops is not None
    drops = preset.drops
    try:
        if rate is not None:
            drops = replace(drops, rate=(rate, rate))
        if wind is not None:
            drops = replace(drops, wind=(wind, wind))
    except ValueError as error:
        raise UnrainError(str(error)) from None
    return replace(preset, drops=drops)
