"""Frames as they are coded, and upright as people see them: what a display matrix says, by quarter turns."""

from __future__ import annotations

from typing import cast

import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.frame import VideoFrame
from numpy.typing import NDArray

Matrix = tuple[int, ...]


def display_matrix(frame: VideoFrame) -> Matrix | None:
    """The nine numbers of a frame's display matrix, if it has one."""
    data = cast(SideDataContainer, frame.side_data).get(Type.DISPLAYMATRIX)
    return None if data is None else tuple(int(value) for value in np.frombuffer(bytes(data), dtype=np.int32))


def upright(pixels: NDArray[np.float32], matrix: Matrix | None) -> NDArray[np.float32]:
    """Turn and mirror (H, W, 3) by quarter turns as a display matrix says: x' = a x + c y, y' = b x + d y."""
    turned, rows, columns = _quarter_turns(matrix)
    pixels = pixels.transpose(1, 0, 2) if turned else pixels
    return np.ascontiguousarray(pixels[::rows, ::columns])


def as_coded(pixels: NDArray[np.float32], matrix: Matrix | None) -> NDArray[np.float32]:
    """The way back from `upright`."""
    turned, rows, columns = _quarter_turns(matrix)
    pixels = pixels[::rows, ::columns]
    return np.ascontiguousarray(pixels.transpose(1, 0, 2) if turned else pixels)


def _quarter_turns(matrix: Matrix | None) -> tuple[bool, int, int]:
    """Whether rows and columns change places, and then the steps, 1 or -1, through rows and columns."""
    if matrix is None:
        return False, 1, 1
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    turned = abs(a) < abs(b)
    rows, columns = (b, c) if turned else (d, a)
    return turned, -1 if rows < 0 else 1, -1 if columns < 0 else 1
