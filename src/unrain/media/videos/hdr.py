"""High dynamic range: which display a film was graded on and how bright it gets, from its frames to encoders."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import cast

from av.sidedata.sidedata import SideDataContainer, Type
from av.video.frame import VideoFrame

_DYNAMIC = (Type.DYNAMIC_HDR_PLUS, Type.DOVI_METADATA, Type.DOVI_RPU_BUFFER, Type.DYNAMIC_HDR_VIVID)


@dataclass(frozen=True)
class Mastering:
    """SMPTE ST 2086 and CTA-861.3.

    `display` is x and y of red, green, blue and white, then the lowest and the highest luminance in cd/m²; `light` is
    the maximum content and frame-average light level in cd/m². Each is None if the frame does not say. `dynamic` tells
    that there is more, frame by frame (Dolby Vision, HDR10+), which holds for the old pixels only.
    """

    display: tuple[float, ...] | None = None
    light: tuple[int, int] | None = None
    dynamic: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> Mastering:
        """What the side data of a frame says."""
        data = cast(SideDataContainer, frame.side_data)
        dynamic = any(data.get(kind) is not None for kind in _DYNAMIC)
        return cls(_display(data), _light(data), dynamic)

    def x265(self) -> list[str]:
        """As parameters of x265, which counts in units of 0.00002 and 0.0001 cd/m²."""
        found = []
        if self.display:
            points = (round(50000 * value) for value in self.display[:8])
            low, high = (round(10000 * value) for value in self.display[8:])
            found.append(f"master-display={_named(*points)}L({high},{low})")
        if self.light:
            found.append(f"max-cll={self.light[0]},{self.light[1]}")
        return found

    def svt(self) -> list[str]:
        """As parameters of SVT-AV1, which counts in plain units."""
        found = []
        if self.display:
            points = (f"{value:.5f}" for value in self.display[:8])
            found.append(f"mastering-display={_named(*points)}L({self.display[9]:.4f},{self.display[8]:.4f})")
        if self.light:
            found.append(f"content-light={self.light[0]},{self.light[1]}")
        return found


def _named(rx: object, ry: object, gx: object, gy: object, bx: object, by: object, wx: object, wy: object) -> str:
    """Red, green, blue and white in the order and with the names that encoders want."""
    return f"G({gx},{gy})B({bx},{by})R({rx},{ry})WP({wx},{wy})"


def _display(data: SideDataContainer) -> tuple[float, ...] | None:
    """AVMasteringDisplayMetadata: ten fractions, and whether the colours and the luminances are there."""
    found = data.get(Type.MASTERING_DISPLAY_METADATA)
    if found is None or len(bytes(found)) < 88:
        return None
    *numbers, has_colours, has_luminance = struct.unpack_from("=22i", bytes(found))
    if not (has_colours and has_luminance) or 0 in numbers[1::2]:
        return None
    return tuple(top / bottom for top, bottom in zip(numbers[::2], numbers[1::2], strict=True))


def _light(data: SideDataContainer) -> tuple[int, int] | None:
    found = data.get(Type.CONTENT_LIGHT_LEVEL)
    return None if found is None or len(bytes(found)) < 8 else struct.unpack_from("=2I", bytes(found))
