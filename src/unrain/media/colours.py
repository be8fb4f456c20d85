"""Y'CbCr to RGB and back, with the matrix and the range that the video's own tags name.

Files, streams and encoders live in videos.py. The matrices are written out here because libswscale's own conversion
darkens 16-bit RGB by half a level and shifts full-range chroma by half a level; only its chroma resampling is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from numpy.typing import NDArray

from unrain.errors import MediaError

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
_GREY_FORMATS = ("gray", "gray8")
_SUBSAMPLED = ("yuv420p", "yuvj420p", "yuv422p", "nv12")


@dataclass(frozen=True)
class Colours:
    """How a stream's Y'CbCr relates to RGB: `matrix` is an H.273 code, `full` says 0-255 instead of 16-235."""

    matrix: int
    full: bool

    @classmethod
    def of(cls, frame: VideoFrame) -> Colours:
        """What the frame's tags say; where they say nothing, BT.709 from 720 lines on, BT.601 below, limited range.

        Raises MediaError for a matrix that is not a plain Y'CbCr one (YCgCo, ICtCp, constant luminance).
        """
        guess = _BT709 if frame.height >= 720 else _BT601
        matrix = guess if frame.format.is_rgb or frame.colorspace == _UNSPECIFIED else frame.colorspace
        if matrix not in _KR_KB:
            raise MediaError(f"has the colour matrix number {matrix}, which is not supported; convert it to BT.709")
        return cls(matrix, frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj"))

    def to_rgb(self, frame: VideoFrame, width: int, height: int) -> NDArray[np.float32]:
        """The 8-bit frame as (height, width, 3) RGB, float32 in [0, 1]; what lies outside of RGB is clipped."""
        if frame.format.is_rgb or frame.format.has_palette:
            rgb = frame.reformat(width, height, "rgb24", interpolation=_RESAMPLING).to_ndarray()
            return np.asarray(rgb, dtype=np.float32) / np.float32(255)
        planes = self._planes(frame, width, height)
        matrix, offset = self._decoding
        # plane by plane, as BLAS is forty times slower on interleaved pixels
        channels: NDArray[np.float32] = matrix @ planes.reshape(3, -1).astype(np.float32)
        channels += offset[:, None]
        np.clip(channels, 0, 1, out=channels)
        return np.ascontiguousarray(channels.reshape(3, height, width).transpose(1, 2, 0))

    def to_frame(self, pixels: NDArray[np.float32], pixel_format: str) -> VideoFrame:
        """RGB (H, W, 3) in [0, 1] as a planar 8-bit frame, rounded to nearest. Raises MediaError for NaN."""
        height, width = pixels.shape[:2]
        matrix, offset = self._encoding
        planes = matrix @ np.clip(pixels, 0, 1).reshape(-1, 3).T
        planes += (offset + np.float32(0.5))[:, None]
        if np.isnan(planes.min()):
            raise MediaError("a cleaned frame holds values that are not numbers; try precision fp32")
        frame = VideoFrame.from_ndarray(_bytes(planes).reshape(3, height, width), format="yuv444p")
        return self._resampled(frame, width, height, pixel_format)

    def _planes(self, frame: VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
        if frame.format.name in _GREY_FORMATS and (frame.width, frame.height) == (width, height):
            luma = _bytes(frame.to_ndarray())
            return np.stack([luma, np.full_like(luma, 128), np.full_like(luma, 128)])
        if frame.format.name in _SUBSAMPLED and frame.width % 2 == frame.height % 2 == 0:
            # decoded frames say where their chroma samples lie, frames from arrays cannot; resampling by different
            # rules on the way in and out would shift colour edges by half a pixel, so both ways go without
            frame = VideoFrame.from_ndarray(frame.to_ndarray(), format=frame.format.name)
        return _bytes(self._resampled(frame, width, height, "yuv444p").to_ndarray())

    def _resampled(self, frame: VideoFrame, width: int, height: int, pixel_format: str) -> VideoFrame:
        space, span = Colorspace.ITU709, ColorRange.JPEG if self.full else ColorRange.MPEG
        return frame.reformat(width, height, pixel_format, space, space, _RESAMPLING, span, span)

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
        if self.full:
            return np.array([255.0, 255.0, 255.0]), np.array([0.0, 128.0, 128.0])
        return np.array([219.0, 224.0, 224.0]), np.array([16.0, 128.0, 128.0])


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


def _bytes(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    # full range can reach 255.5 + rounding, which would wrap around to 0
    return values if values.dtype == np.uint8 else np.clip(values, 0, 255).astype(np.uint8)  # type: ignore[return-value]
