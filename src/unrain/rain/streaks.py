"""Streaks: things that fall, each smeared along its path, and the picture that they add up to. Units are pixels.

Where the numbers come from (a look, or physics) is in `noise.py` and `drops.py`; what the streaks do to a picture in
`compose.py`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from unrain.rain.camera import CameraPath

# Streaks are summed up as whole numbers of this unit: a sum of integers is the same in every order, so a GPU, which
# adds in any order, gives the same bits twice, and where nothing falls the sum is exactly zero.
_UNIT = 2.0**-16
# Pixels drawn at a time: on a CPU the temporary arrays must stay in its cache, a GPU wants long ones.
_CPU_CHUNK, _GPU_CHUNK = 1 << 17, 1 << 24
# Groups that draw fewer pixels than this are joined with the next: a call costs as much.
_SMALL = 1 << 15
# Streaks are drawn in groups of similar size, so that each group is one array: so many lines long and pixels across.
# What is larger than the last is cut.
_LINES = tuple(math.ceil(2 * 1.5**power) for power in range(22))
_ACROSS = tuple(math.ceil(3 * 1.2**power) for power in range(26))


class Streaks(NamedTuple):
    """K streaks over N clips; a field is `(K,)` unless it says otherwise. A vector is (y, x), y downwards.

    clip: which of the N clips it falls in, int64.
    place: `(K, 2)`, its middle in frame 0.
    step: `(K, 2)`, how far it moves from frame to frame.
    path: `(K, 2)`, the way that it is smeared over while the shutter is open: the length of the streak.
    detour: how far sideways it comes back when it has left the torus at the bottom, so that rain does not repeat.
    width: across the streak.
    ramp: of the soft edges across, at least 1 (a plain antialiased edge).
    taper: of the soft ends along, at least 1.
    light: the peak of what it adds to the sum.
    depth: its distance from the camera in m.
    torus: `(K, 2)`, the region in which it falls: the frame and a margin around it that hides where it comes and goes.
    """

    clip: Tensor
    place: Tensor
    step: Tensor
    path: Tensor
    detour: Tensor
    width: Tensor
    ramp: Tensor
    taper: Tensor
    light: Tensor
    depth: Tensor
    torus: Tensor


def draw(
    streaks: Streaks, count: int, time: Tensor, height: int, width: int, camera: CameraPath | None = None
) -> Tensor:
    """The sum of all streaks at each pixel: `(count, T, height, width)`, at least 0, in frames number `time` `(T,)`.

    Streaks that cross add up. What is drawn in a frame depends on its number alone, so a clip can be drawn in parts. A
    `camera` moves the streaks as it moves the scene.
    """
    frames = len(time)
    middle, path = _project(streaks, time, height, width, camera)
    margin = (streaks.width + streaks.ramp + streaks.taper).repeat(frames)[:, None]
    reach = path.abs() / 2 + margin
    size = torch.tensor([height, width], device=time.device)
    # The same as `inside.all(1)`, in a tenth of the time.
    inside = ((middle + reach > 0) & (middle - reach < size - 1)).int()
    shown = inside.prod(1).nonzero()[:, 0]
    which = shown % len(streaks.clip)
    frame = streaks.clip.index_select(0, which) * frames + shown.div(len(streaks.clip), rounding_mode="floor")
    bars = _Bars(
        frame,
        *middle.index_select(0, shown).unbind(1),
        *path.index_select(0, shown).unbind(1),
        *(value.index_select(0, which) for value in (streaks.width, streaks.ramp, streaks.taper, streaks.light)),
    )
    steep = (bars.down.abs() >= bars.right.abs()).nonzero()[:, 0]
    if len(steep) == len(frame):
        return _rasterise(bars, (count * frames, height, width)).view(count, frames, height, width)
    flat = (bars.down.abs() < bars.right.abs()).nonzero()[:, 0]
    upright = _rasterise(bars.part(steep), (count * frames, height, width))
    lying = _rasterise(bars.part(flat).transposed(), (count * frames, width, height))
    return (upright + lying.transpose(1, 2)).view(count, frames, height, width)


def _project(
    streaks: Streaks, time: Tensor, height: int, width: int, camera: CameraPath | None
) -> tuple[Tensor, Tensor]:
    """Middle and path of each streak in each frame, in pixels of the frame: two `(T · K, 2)`."""
    size = torch.tensor([height, width], device=time.device)
    # In a long video the steps add up to millions of pixels, of which the fraction still counts: double precision.
    place = streaks.place + streaks.step.double() * time[:, None, None]
    path = streaks.path.expand(len(time), -1, -1)
    if camera is not None:
        moved, smeared = camera.moved(time, streaks.clip, streaks.depth)
        place, path = place - moved, path - smeared
    rounds = torch.floor(place[..., 0] / streaks.torus[:, 0])
    place[..., 1] += rounds * streaks.detour
    middle = place.remainder(streaks.torus).float() - (streaks.torus - size) / 2
    if camera is not None:
        centre = (size - 1) / 2
        middle = camera.seen(time, streaks.clip, middle - centre) + centre
        path = camera.seen(time, streaks.clip, path)
    return middle.flatten(0, 1), path.flatten(0, 1)


class _Bars(NamedTuple):
    """M bars to draw, every field `(M,)`: the frame, the middle (y, x), the path (down, right), and the profile."""

    frame: Tensor
    y: Tensor
    x: Tensor
    down: Tensor
    right: Tensor
    width: Tensor
    ramp: Tensor
    taper: Tensor
    light: Tensor

    def part(self, which: Tensor) -> _Bars:
        """Some of the bars."""
        return _Bars(*(field.index_select(0, which) for field in self))

    def transposed(self) -> _Bars:
        """The same in a picture whose rows and columns have changed places."""
        return self._replace(y=self.x, x=self.y, down=self.right, right=self.down)


def _rasterise(bars: _Bars, shape: tuple[int, int, int]) -> Tensor:
    """Draw bars of trapezoidal profile and add them up: `shape` = (frames, height, width).

    The bars are steeper than 45°, so that each line of the picture cuts them across.
    """
    frames, height, width = shape
    length = torch.hypot(bars.down, bars.right)
    cosine = (bars.down.abs() / length.clamp(min=1e-9)).clamp(min=0.7)
    slope = bars.right / (bars.down.abs() + 1e-9) * bars.down.sign()
    # Lines lie 1/cosine apart along the streak; ends softer than that keep its light, wherever the lines fall.
    taper = bars.taper.maximum(1 / cosine)
    half = (length + taper) / 2 * cosine
    first = (bars.y - half).ceil().clamp(min=0)
    lines = (bars.y + half).floor().clamp(max=height - 1) - first + 1
    sizes, counts, order = _groups(lines, (bars.width + bars.ramp) / cosine)

    border = max((size[1] for size in sizes), default=0)
    pitch = width + 2 * border
    plane = height * pitch
    origin = bars.frame * plane + border + first.long() * pitch
    thin = (bars.width / bars.ramp).clamp(max=1)
    short = (length / taper).clamp(max=1)
    numbers = torch.stack(
        (
            first - bars.y,
            lines,
            bars.x,
            slope,
            cosine / (bars.ramp * thin),
            (bars.width / (2 * bars.ramp) + 0.5) / thin,
            1 / (taper * cosine * short),
            (length / (2 * taper) + 0.5) / short,
            bars.light * thin * short / _UNIT,
        )
    ).index_select(1, order)
    origin = origin.index_select(0, order)
    # The lines of a group's shorter bars go on beyond the frame, with nothing on them.
    beyond = max((size[0] for size in sizes), default=0) * pitch
    field = torch.zeros(frames * plane + beyond, dtype=torch.int32, device=order.device)
    done = 0
    for size, many in zip(sizes, counts, strict=True):
        step = max(_chunk(order.device) // (size[0] * size[1]), 1)
        for start in range(done, done + many, step):
            part = slice(start, min(start + step, done + many))
            _add_bars(field, numbers[:, None, part], origin[part], size, pitch, width)
        done += many
    return field[: frames * plane].view(frames, height, pitch)[:, :, border : border + width] * _UNIT


def _chunk(device: torch.device) -> int:
    return _CPU_CHUNK if device.type == "cpu" else _GPU_CHUNK


def _groups(lines: Tensor, across: Tensor) -> tuple[list[tuple[int, int]], list[int], Tensor]:
    """Groups of bars of similar size: (lines, pixels across) of each, how many bars, and the bars in that order."""
    tall = ((lines.clamp(min=2) / 2).log() / math.log(1.5) - 1e-4).ceil().clamp(0, len(_LINES) - 1)
    wide = ((across.clamp(min=3) / 3).log() / math.log(1.2) - 1e-4).ceil().clamp(0, len(_ACROSS) - 1)
    empty = len(_LINES) * len(_ACROSS)
    group = (wide * len(_LINES) + tall).masked_fill_(lines <= 0, empty)
    group, order = group.to(torch.int16).sort(stable=True)
    kinds, counts = (found.tolist() for found in group.unique_consecutive(return_counts=True))
    if kinds and kinds[-1] == empty:
        order = order[: len(order) - counts.pop()]
        kinds.pop()
    sizes: list[tuple[int, int]] = []
    merged: list[int] = []
    for kind, many in zip(kinds, counts, strict=True):
        size = (_LINES[kind % len(_LINES)], _ACROSS[kind // len(_LINES)])
        if sizes and merged[-1] * sizes[-1][0] * sizes[-1][1] < _SMALL:
            last = sizes.pop()
            size = (max(size[0], last[0]), max(size[1], last[1]))
            many += merged.pop()
        sizes.append(size)
        merged.append(many)
    return sizes, merged, order


def _add_bars(field: Tensor, bars: Tensor, origin: Tensor, size: tuple[int, int], pitch: int, edge: int) -> None:
    """Add M bars to `field`, all of `size` = (lines, pixels across); `bars` is `(9, 1, M)`, see `_rasterise`.

    Pixels across come first, then lines, and bars last, so that the innermost loops are long.
    """
    start, lines, minor, slope, sharp, peak, end, ends, light = bars
    line = torch.arange(size[0], device=field.device, dtype=torch.float32)[:, None]
    offset = start + line
    centre = torch.addcmul(minor, slope, offset)
    within = (lines - line).clamp_(0, 1)
    strength = offset.mul_(end).abs_().neg_().add_(ends).clamp_(0, 1).mul_(light).mul_(within)
    first = (centre - size[1] / 2).ceil_().clamp_(-size[1], edge)
    place = torch.add(first, line, alpha=pitch).long().add_(origin)
    far = first.sub_(centre).mul_(sharp)
    pixel = torch.arange(size[1], device=field.device)[:, None]
    far = torch.addcmul(far.view(1, -1), sharp.expand_as(far).reshape(1, -1), pixel.float())
    value = far.abs_().neg_().add_(peak.expand_as(centre).reshape(1, -1)).clamp_(0, 1).mul_(strength.view(1, -1))
    field.scatter_add_(0, (place.view(1, -1) + pixel).view(-1), value.int().view(-1))
