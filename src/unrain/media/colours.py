"""Y'CbCr to RGB and back, at 8 bits or more, with the matrix and the range that the video's own tags name.

Files, streams and encoders live in videos/. The matrices are written out here because libswscale's own conversion
darkens 16-bit RGB by half a level and shifts full-range chroma by half a level; only its chroma resampling is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from numpy.typing import NDArray

from unrain.errors import MediaError

TRANSFERS = {16: "PQ", 18: "HLG"}
"""H.273 transfer codes of high dynamic range."""
_BT709, _UNSPECIFIED, _BT601 = 1, 2, 6
_KR_KB = {  # H.273 matrix code: weights of red and blue in luma
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
_FULL_RANGE = 2
_RESAMPLING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND


@dataclass(frozen=True)
class Colours:
    """How a stream's Y'CbCr relates to RGB.

    `matrix` is an H.273 code; `full` says that 8 bits go from 0 to 255 instead of from 16 to 235; `bits` is the depth.
    """

    matrix: int
    full: bool
    bits: int = 8

    def __post_init__(self) -> None:
        """Raises MediaError for a matrix that is not a plain Y'CbCr one (YCgCo, ICtCp, constant luminance)."""
        if self.matrix not in _KR_KB:
            raise MediaError(
                f"has the colour matrix number {self.matrix}, which is not supported; convert it to BT.709"
            )

    @classmethod
    def of(cls, frame: VideoFrame) -> Colours:
        """What the frame's tags say; where they say nothing, BT.709 from 720 lines on, BT.601 below, limited range."""
        guess = _BT709 if frame.height >= 720 else _BT601
        matrix = guess if frame.format.is_rgb or frame.colorspace == _UNSPECIFIED else frame.colorspace
        full = frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj")
        return cls(matrix, full, depth(frame))

    def to_rgb(self, frame: VideoFrame, width: int, height: int) -> NDArray[np.float32]:
        """The frame as (height, width, 3) RGB, float32 in [0, 1]; what lies outside of RGB is clipped."""
        if frame.format.is_rgb or frame.format.has_palette:
            name = "gbrp" if self.bits == 8 else f"gbrp{self.bits}le"
            green, blue, red = _planes(frame.reformat(width, height, name, interpolation=_RESAMPLING))
            return np.stack([red, green, blue], axis=-1).astype(np.float32) / np.float32(2**self.bits - 1)
        planes = self._planes(frame, width, height)
        matrix, offset = self._decoding
        # plane by plane, as BLAS is forty times slower on interleaved pixels
        channels: NDArray[np.float32] = matrix @ planes.reshape(3, -1).astype(np.float32)
        channels += offset[:, None]
        np.clip(channels, 0, 1, out=channels)
        return np.ascontiguousarray(channels.reshape(3, height, width).transpose(1, 2, 0))

    def to_frame(self, pixels: NDArray[np.float32], pixel_format: str) -> VideoFrame:
        """RGB (H, W, 3) in [0, 1] as a planar frame of `bits` bits, rounded to nearest. Raises MediaError for NaN."""
        height, width = pixels.shape[:2]
        matrix, offset = self._encoding
        planes = matrix @ np.clip(pixels, 0, 1).reshape(-1, 3).T
        planes += (offset + np.float32(0.5))[:, None]
        if np.isnan(planes.min()):
            raise MediaError("a cleaned frame holds values that are not numbers; try precision fp32")
        # full range can reach half a level above the highest, which would wrap around to 0
        np.clip(planes, 0, 2**self.bits - 1, out=planes)
        frame = VideoFrame(width, height, self._whole)
        for plane, values in zip(_planes(frame), planes.reshape(3, height, width), strict=True):
            plane[:] = values
        return self._resampled(frame, width, height, pixel_format)

    def _planes(self, frame: VideoFrame, width: int, height: int) -> NDArray[Any]:
        if len(frame.format.components) == 1 and (frame.width, frame.height) == (width, height):
            luma = _planes(frame)[0]
            return np.stack([luma, *[np.full_like(luma, 2 ** (self.bits - 1))] * 2])
        # decoded frames say where their chroma samples lie, ours cannot; resampling by different rules on the way in
        # and out would shift colour edges by half a pixel, so both ways go without
        return np.stack(_planes(self._resampled(_bare(frame), width, height, self._whole)))

    def _resampled(self, frame: VideoFrame, width: int, height: int, pixel_format: str) -> VideoFrame:
        space, span = Colorspace.ITU709, ColorRange.JPEG if self.full else ColorRange.MPEG
        return frame.reformat(width, height, pixel_format, space, space, _RESAMPLING, span, span)

    @property
    def _whole(self) -> str:
        """The pixel format with chroma in every pixel."""
        return "yuv444p" if self.bits == 8 else f"yuv444p{self.bits}le"

    @cached_property
    def _decoding(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        scale, offset = self._levels
        matrix = _to_rgb(*_KR_KB[self.matrix]) / scale
        return matrix.astype(np.float32), (-matrix @ offset).astype(np.float32)

    @cached_property
    def _encoding(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        scale, offset = self._levels
        matrix = np.linalg.inv(_to_rgb(*_KR_KB[self.matrix])) * scale[:, None]
        return matrix.astype(np.float32), offset.astype(np.float32)

    @property
    def _levels(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Spans and offsets of Y, Cb and Cr: ITU-R BT.2100, table 9, which holds for 8 bits too."""
        step = 2.0 ** (self.bits - 8)
        if self.full:
            return np.full(3, 256 * step - 1), np.array([0.0, 128.0, 128.0]) * step
        return np.array([219.0, 224.0, 224.0]) * step, np.array([16.0, 128.0, 128.0]) * step


def depth(frame: VideoFrame) -> int:
    """Bits per channel."""
    return max(component.bits for component in frame.format.components)


def luma(frame: VideoFrame) -> NDArray[np.float32]:
    """The first plane of a planar frame in full range, (H, W) in [0, 1]."""
    return _planes(frame)[0].astype(np.float32) / np.float32(2 ** depth(frame) - 1)


def _to_rgb(red: float, blue: float) -> NDArray[np.float64]:
    """ITU-R BT.601/709/2020: the matrix from (Y, Cb, Cr) to (R, G, B) for the luma weights of red and blue."""
    green = 1 - red - blue
    return np.array(
        [
            [1, 0, 2 * (1 - red)],
            [1, -2 * (1 - blue) * blue / green, -2 * (1 - red) * red / green],
            [1, 2 * (1 - blue), 0],
        ]
    )


def _planes(frame: VideoFrame) -> list[NDArray[Any]]:
    """The planes (H, W) of a frame that has one component in each, as views into it."""
    kind = np.uint8 if depth(frame) == 8 else np.dtype("<u2")
    lines = ((np.frombuffer(memoryview(plane), kind), plane) for plane in frame.planes)
    return [values.reshape(plane.height, -1)[:, : plane.width] for values, plane in lines]


def _bare(frame: VideoFrame) -> VideoFrame:
    """The same pixels, without anything that a decoder says of them."""
    copy = VideoFrame(frame.width, frame.height, frame.format.name)
    for old, new in zip(frame.planes, copy.planes, strict=True):
        lines = (
            np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size) for plane in (old, new)
        )
        before, after = lines
        width = min(old.line_size, new.line_size)
        after[:, :width] = before[:, :width]
    return copy
