"""Short videos for the page, which every browser plays: previews. Results are written by media/videos."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from numpy.typing import NDArray

from unrain.media.images import to_uint8


class Clip:
    """Writes frames `(H, W, 3)` in [0, 1] as H.264 in MP4. Odd sizes lose a row or column: players need even ones."""

    def __init__(self, path: Path, rate: Fraction, aspect: Fraction = Fraction(1)) -> None:
        self._rate, self._aspect = rate, aspect
        self._container = av.open(str(path), "w", "mp4", container_options={"movflags": "faststart"})
        self._stream = self._container.add_stream("libx264", rate, {"crf": "17", "preset": "veryfast"})
        self._written = 0

    def __enter__(self) -> Clip:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None and self._written:
            self._container.mux(self._stream.encode(None))
        self._container.close()

    def write(self, pixels: NDArray[np.float32]) -> None:
        """Add one frame; all have the same size, two pixels each way at least."""
        height, width = (size - size % 2 for size in pixels.shape[:2])
        if not self._written:
            context = self._stream.codec_context
            context.width, context.height, context.pix_fmt = width, height, "yuv420p"
            context.sample_aspect_ratio = self._aspect
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(to_uint8(pixels[:height, :width])), format="rgb24")
        frame.pts, frame.time_base = self._written, 1 / self._rate
        self._container.mux(self._stream.encode(frame))
        self._written += 1
