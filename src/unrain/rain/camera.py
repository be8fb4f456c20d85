"""The camera: what its lens makes of sizes in metres, and how it moves. Rain and scene both follow from here.

Filming a still with a moving camera is in `unrain.data.motion`; how drops fall is in `drops.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from unrain.rain.ranges import Range, check, log_uniform, normal, table, uniform


class Lens(NamedTuple):
    """N cameras; every field is `(N,)`.

    focal: in pixels, the size in the picture of what is as wide as it is far away. aperture: the lens' opening in m.
    focus: the distance in m that is sharp. exposure: s. shutter: the fraction of the time between two frames that the
    shutter is open.
    """

    focal: Tensor
    aperture: Tensor
    focus: Tensor
    exposure: Tensor
    shutter: Tensor

    def blur(self, depth: Tensor, which: Tensor) -> Tensor:
        """Diameter in pixels of the circle of confusion at `depth` m, for cameras `which`: c = f A |1/z − 1/s|."""
        return self.focal[which] * self.aperture[which] * (1 / depth - 1 / self.focus[which]).abs()


@dataclass(frozen=True)
class Camera:
    """Ranges of cameras, drawn from log-uniformly.

    focal: mm. f_number: focal length over aperture. exposure: s. rate: frames a second. focus: the sharp distance in m.
    sensor: its width in mm, of which the picture has `pixels`.
    """

    focal: Range = (4, 9)
    f_number: Range = (1.8, 5.6)
    exposure: Range = (1 / 1000, 1 / 60)
    rate: Range = (24, 30)
    focus: Range = (4, 20)
    sensor: float = 6.4
    pixels: int = 1280

    def __post_init__(self) -> None:
        for name in ("focal", "f_number", "exposure", "rate", "focus"):
            check(name, getattr(self, name), 0, above=True)


def draw_lenses(cameras: Sequence[Camera], counts: Sequence[int], generator: torch.Generator) -> Lens:
    """`counts` cameras of each kind. A camera exposes no longer than one frame lasts."""
    of = table(cameras, counts, generator.device)
    focal, f_number, exposure, rate, focus = (
        log_uniform(of[name], (len(of["focal"]),), generator)
        for name in ("focal", "f_number", "exposure", "rate", "focus")
    )
    exposure = exposure.minimum(1 / rate)
    return Lens(
        focal=focal / of["sensor"] * of["pixels"],
        aperture=focal * 1e-3 / f_number,
        focus=focus,
        exposure=exposure,
        shutter=exposure * rate,
    )


class CameraPath(NamedTuple):
    """Where N cameras look in each of T frames.

    A point that is seen at x in a still (y, x; from its centre, in pixels) and is z metres away is seen in frame t at
    R(turn_t) zoom_t (x − shift_t − slide_t / z).

    shift: `(N, T, 2)` in pixels, from panning and tilting. slide: `(N, T, 2)` in pixels · metres, from moving sideways.
    zoom: `(N, T)`, around 1. turn: `(N, T)` in radians. shutter: `(N,)`, the part of each frame that is exposed.
    """

    shift: Tensor
    slide: Tensor
    zoom: Tensor
    turn: Tensor
    shutter: Tensor

    def part(self, clips: Tensor) -> CameraPath:
        """The paths of some of the cameras."""
        return CameraPath(*(field[clips] for field in self))

    def moved(self, time: Tensor, clip: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
        """How far the camera has moved points of `clip` `(K,)` and `depth` `(K,)` in frames `time` `(T,)`: `(T, K, 2)`.

        And how far it moves them while the shutter is open.
        """
        place = self._offset(time, clip, depth)
        after = self._offset((time + 1).clamp(max=self.shift.shape[1] - 1), clip, depth)
        return place, (after - place) * self.shutter[clip, None]

    def seen(self, time: Tensor, clip: Tensor, vector: Tensor) -> Tensor:
        """Vectors `(T, K, 2)` from the centre, zoomed and turned as in frames `time`."""
        zoom, turn = self.zoom[clip].T[time], self.turn[clip].T[time]
        cos, sin = zoom * torch.cos(turn), zoom * torch.sin(turn)
        y, x = vector.unbind(-1)
        return torch.stack((cos * y - sin * x, sin * y + cos * x), dim=-1)

    def _offset(self, time: Tensor, clip: Tensor, depth: Tensor) -> Tensor:
        offset = self.shift[clip][:, time] + self.slide[clip][:, time] / depth[:, None, None]
        return offset.transpose(0, 1)


def random_path(
    count: int, frames: int, generator: torch.Generator, speed: float = 3.0, room: Range = (0, 0)
) -> CameraPath:
    """A hand-held or driving camera: it drifts, slides, zooms, turns and shakes, each by an amount of its own.

    It pans up to `speed` pixels a frame, slides so that what is 10 m away moves as fast again, zooms up to 1 % and
    turns up to half a degree a frame, and shakes by half a pixel. Its place in the middle of the clip is up to `room`
    (y, x) pixels from the still's centre.
    """
    device = generator.device
    time = (torch.arange(frames, device=device) - (frames - 1) / 2)[None, :, None]

    def drift(most: float) -> Tensor:
        return uniform((-most, most), (count, 1, 2), generator) * time

    place = uniform((-1, 1), (count, 1, 2), generator) * torch.tensor(room, device=device)
    shake = normal(0.3, (count, frames, 2), generator).clamp(-1, 1)
    zoom = 1 + uniform((-0.01, 0.01), (count, 1), generator) * time[..., 0]
    turn = uniform((-0.5, 0.5), (count, 1), generator) * time[..., 0]
    return CameraPath(
        shift=place + drift(speed) + shake,
        slide=drift(10 * speed),
        zoom=zoom.clamp(min=0.5),
        turn=torch.deg2rad(turn),
        shutter=log_uniform((0.03, 0.5), (count,), generator),
    )
