"""PReNet and SAPNet in NumPy and float64, transcribed from the layer tables, with the published parameter names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = dict[str, Array]


def conv(weights: Weights, name: str, x: Array, dilation: int = 1) -> Array:
    """The 3x3 convolution of this name, `(C, H, W)` to `(outputs, H, W)`."""
    kernel, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    _, height, width = x.shape
    padded = np.pad(x, ((0, 0), (dilation, dilation), (dilation, dilation)))
    out = np.zeros((len(kernel), height, width)) + bias[:, None, None]
    for row in range(3):
        for column in range(3):
            top, left = row * dilation, column * dilation
            window = padded[:, top : top + height, left : left + width]
            out += np.tensordot(kernel[:, :, row, column], window, axes=1)
    return out


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def progressive(weights: Weights, rainy: Array, stages: int, unit: Callable[[Array, int], Array]) -> list[Array]:
    """The estimates `(3, H, W)` of all stages; `unit` is what unit number 1 … 5 adds to x before the last ReLU."""
    h = c = np.zeros((32, *rainy.shape[1:]))
    estimate, estimates = rainy, []
    for _ in range(stages):
        x = relu(conv(weights, "conv0.0", np.concatenate((rainy, estimate))))
        x = np.concatenate((x, h))
        i, f, o = (sigmoid(conv(weights, f"conv_{gate}.0", x)) for gate in "ifo")
        c = f * c + i * np.tanh(conv(weights, "conv_g.0", x))
        h = o * np.tanh(c)
        x = h
        for number in range(1, 6):
            x = relu(x + unit(x, number))
        estimate = rainy + conv(weights, "conv.0", x)
        estimates.append(estimate)
    return estimates


def prenet(weights: Weights, rainy: Array, stages: int) -> list[Array]:
    """PReNet: two convolutions in each unit."""

    def unit(x: Array, number: int) -> Array:
        return relu(conv(weights, f"res_conv{number}.2", relu(conv(weights, f"res_conv{number}.0", x))))

    return progressive(weights, rainy, stages, unit)


def sapnet(weights: Weights, rainy: Array, stages: int) -> list[Array]:
    """SAPNet: two dilated convolutions in each unit, each with attention."""

    def attention(x: Array, name: str) -> Array:
        w1, w2, w3 = (weights[f"{name}.{part}.weight"][:, :, 0, 0] for part in ("conv_du.0", "conv_du.2", "conv_1_1"))
        y = x.mean(axis=(1, 2))
        gate = sigmoid(w2 @ relu(w1 @ y) + w3 @ y)
        return np.asarray(x * gate[:, None, None])

    def unit(x: Array, number: int) -> Array:
        for layer in (0, 3):
            x = conv(weights, f"res_conv{number}.{layer}", x, dilation=2 ** (number - 1))
            x = relu(attention(x, f"res_conv{number}.{layer + 1}"))
        return x

    return progressive(weights, rainy, stages, unit)
