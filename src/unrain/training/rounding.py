"""Rounding a convolution's weights to 8 bits so that its output changes least.

Which convolutions, and what they see, is the business of `quantize.py`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEVELS = 127
"""Weights become whole multiples, up to this one, of a step that each output channel has for itself."""
DAMPING = 1e-3
"""Part of the inputs' mean energy that is added to each: rare inputs must not steer the others' weights far off."""

Matrix = NDArray[np.float64]


def windows(features: NDArray[np.float32], dilation: int, places: NDArray[np.intp]) -> Matrix:
    """What a 3x3 convolution sees at some places of `(C, H, W)`, zeros around: `(9 C, places)`.

    places: indices into the H W positions, row by row.
    """
    padded = np.pad(features, ((0, 0), (dilation, dilation), (dilation, dilation)))
    row, column = np.divmod(places, features.shape[2])
    seen = [padded[:, row + dilation * y, column + dilation * x] for y in range(3) for x in range(3)]
    return np.stack(seen, axis=1).reshape(-1, len(places)).astype(np.float64)


def rounded(weight: NDArray[np.float32], gram: Matrix) -> NDArray[np.float32]:
    """`(outputs, inputs, 3, 3)` on the grid of each output channel, as multiples of its largest weight over 127.

    gram: X X^T over `windows` X of typical inputs. Weights are rounded one after the other, those of the strongest
    inputs first, and those that are left take over as much of each error as they can, by what the inputs have in
    common (Frantar et al., GPTQ, ICLR 2023, eq. 2 and 3). Neighbouring pixels have nearly everything in common, so
    next to nothing of the error is left.
    """
    flat = weight.reshape(len(weight), -1).astype(np.float64)
    largest = np.abs(flat).argmax(axis=1)
    step = np.maximum(np.abs(flat).max(axis=1), np.finfo(np.float32).tiny) / LEVELS
    order = np.argsort(-gram.diagonal(), kind="stable")
    damped = gram + np.eye(len(gram)) * (DAMPING * gram.diagonal().mean() + np.finfo(np.float64).tiny)
    # The upper Cholesky factor of the inverse holds, row by row, what each error asks of the weights behind it.
    factor = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T
    left, levels = flat[:, order], np.empty_like(flat)
    for number, place in enumerate(order):
        level = np.rint(left[:, number] / step).clip(-LEVELS, LEVELS)
        # The largest stays what it is, so that whoever measures the grid again finds the same.
        level = np.where(largest == place, LEVELS * np.sign(flat[:, place]), level)
        error = (left[:, number] - level * step) / factor[number, number]
        left[:, number:] -= np.outer(error, factor[number, number:])
        levels[:, place] = level
    return np.asarray((levels * step[:, None]).reshape(weight.shape), dtype=np.float32)
