"""How steady a derained video is: warping error and flicker, frame by frame.

Each function takes the frames of a clip as they come and holds a few of them at a time. Optical flow is OpenCV's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise, zip_longest
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrain.errors import UnrainError
from unrain.evaluation.metrics.planes import Pixels, check_pair, check_size, grey

Flow = NDArray[np.float32]
Mask = NDArray[np.bool_]


def warping(frames: Iterable[Pixels], truth: Iterable[Pixels] | None = None) -> list[float]:
    """Warping error of each frame but the first (Lai et al., "Learning blind video temporal consistency", ECCV 2018).

        E_t = Σ_i M_t(i) (V_t(i) − V̂_{t−1}(i))² / Σ_i M_t(i)

    V̂_{t−1} is the frame before, moved along the optical flow to where things are now; M leaves out what was hidden
    before, left the picture or lies at the border of a motion (the tests of Ruder et al., GCPR 2016). i runs over
    pixels and channels. The flow is DIS (Kroeger et al., ECCV 2016, OpenCV's medium preset) instead of FlowNet 2. A
    pair of frames with nothing in common, like a scene cut, has no error, as in the authors' code.

    A blurred video is steady too: read it beside a metric of the pictures.

    Args:
        frames: `(H, W, 3)` floats each, RGB in [0, 1]; H and W at least 16. Two or more.
        truth: The clean frames, on which flow and mask are then measured; else on `frames` themselves.

    Returns:
        A mean square per frame from the second on, in [0, 1]; 0 is steady.

    Raises:
        UnrainError: OpenCV is not installed, there are too few frames, or sizes or counts differ.
        ValueError: a frame is not `(H, W, 3)` of floats.
    """
    errors = []
    for (before, before_guide), (now, guide) in pairwise(_guided(frames, truth)):
        moved = _moved(before, _flow(guide, before_guide), _flow(before_guide, guide))
        difference = (now - moved.pixels)[moved.seen]
        errors.append(float(np.mean(np.square(difference, dtype=np.float64))) if difference.size else 0.0)
    return _enough(errors, "warping", 2)


def flicker(frames: Iterable[Pixels], truth: Iterable[Pixels] | None) -> list[float]:
    """How much the error of each frame but the first differs from the error of the frame before.

        F_t = 255 · mean_i | (V_t(i) − G_t(i)) − (V_{t−1}(i) − G_{t−1}(i)) |

    V are the frames, G the clean ones, i runs over pixels and channels. A lasting error, like a wrong tone, does not
    count; one that comes and goes does. unrain's own definition.

    Args:
        frames: `(H, W, 3)` floats each, RGB in [0, 1]. Two or more.
        truth: As many clean frames.

    Returns:
        Levels of 8 bits per frame from the second on; 0 is steady.

    Raises:
        UnrainError: there is no truth, there are too few frames, or sizes or counts differ.
        ValueError: a frame is not `(H, W, 3)` of floats.
    """
    if truth is None:
        raise UnrainError("flicker needs the clean frames; flicker-blind does without")
    errors = (frame - np.asarray(guide, np.float64) for frame, guide in _guided(frames, truth))
    return _enough([255 * float(np.mean(np.abs(now - before))) for before, now in pairwise(errors)], "flicker", 2)


def flicker_blind(frames: Iterable[Pixels], truth: object = None) -> list[float]:
    """How far each frame but the first and the last is from the mean of its neighbours, moved to where things are now.

        F_t = 255 · mean_i | V_t(i) − ½ (V̂_{t−1}(i) + V̂_{t+1}(i)) |

    Flow and mask as for `warping`, measured on the frames; i runs over what both neighbours show. What lasts for one
    frame counts, like a streak or a jump of brightness; a slow change does not. unrain's own definition.

    Args:
        frames: `(H, W, 3)` floats each, RGB in [0, 1]; H and W at least 16. Three or more.
        truth: Not looked at.

    Returns:
        Levels of 8 bits per frame from the second to the last but one; 0 is steady.

    Raises:
        UnrainError: OpenCV is not installed, there are too few frames, or sizes differ.
        ValueError: a frame is not `(H, W, 3)` of floats.
    """
    errors = []
    past: _Moved | None = None
    for (now, _), (after, _) in pairwise(_guided(frames, None)):
        onward, back = _flow(now, after), _flow(after, now)
        if past:
            future = _moved(after, onward, back)
            difference = (now - (past.pixels + future.pixels) / 2)[past.seen & future.seen]
            errors.append(255 * float(np.mean(np.abs(difference), dtype=np.float64)) if difference.size else 0.0)
        past = _moved(now, back, onward)
    return _enough(errors, "flicker-blind", 3)


def mean_of(
    curve: Callable[..., list[float]], frames: Iterable[Pixels], truth: Iterable[Pixels] | None = None
) -> float:
    """One number for a clip: the mean over the frames that one of the functions above gives a value for."""
    return float(np.mean(curve(frames, truth)))


def opencv() -> Any:
    """The package that optical flow needs, imported; `UnrainError` where it is not installed."""
    try:
        import cv2
    except ImportError as error:
        raise UnrainError("optical flow needs OpenCV: pip install 'unrain[eval]'") from error
    return cv2


def paired(frames: Iterable[Pixels], truth: Iterable[Pixels]) -> Iterator[tuple[Pixels, Pixels]]:
    """Each frame with its clean one; `UnrainError` if there are more of one kind."""
    for frame, clean in zip_longest(frames, truth):
        if frame is None or clean is None:
            raise UnrainError("a clip and its truth must have as many frames")
        yield frame, clean


def _guided(frames: Iterable[Pixels], truth: Iterable[Pixels] | None) -> Iterator[tuple[Pixels, Pixels]]:
    """Each frame with the picture to measure its motion on, all of one size."""
    first: Pixels | None = None
    for frame, guide in paired(frames, truth) if truth is not None else ((frame, frame) for frame in frames):
        first = frame if first is None else first
        check_pair(frame, guide)
        check_pair(first, frame)
        yield frame, guide


class _Moved(NamedTuple):
    """A frame moved to where things are in another one, and which of its pixels are to be trusted."""

    pixels: Pixels
    seen: Mask


def _moved(frame: Pixels, flow: Flow, back: Flow) -> _Moved:
    """Move a frame; `flow` leads from each pixel of the other one to its place here, `back` the other way."""
    cv2 = opencv()
    height, width = flow.shape[:2]
    rows, columns = np.indices((height, width), np.float32)
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    pixels = cv2.remap(frame.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    there_and_back = cv2.remap(back, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    length = _square(flow)
    hidden = _square(flow + there_and_back) > 0.01 * (length + _square(there_and_back)) + 0.5
    down, across = (np.diff(flow, axis=axis, append=flow.take([-1], axis)) for axis in (0, 1))
    border = _square(down) + _square(across) > 0.01 * length + 0.002
    return _Moved(pixels, inside & ~hidden & ~border)


def _flow(start: Pixels, end: Pixels) -> Flow:
    """For each pixel of `start`, how far right and down it lies in `end`: `(H, W, 2)` in pixels."""
    check_size(start, 16, "optical flow")
    cv2 = opencv()
    # A new one each time: the object keeps state, and clips may be measured in several threads.
    estimator = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(estimator.calc(grey(start).astype(np.uint8), grey(end).astype(np.uint8), None))


def _square(flow: Flow) -> NDArray[np.float32]:
    return np.asarray(np.einsum("hwc,hwc->hw", flow, flow))


def _enough(errors: list[float], metric: str, frames: int) -> list[float]:
    if not errors:
        raise UnrainError(f"{metric} needs a clip of {frames} frames or more")
    return errors
