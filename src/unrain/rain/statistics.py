"""What rain looks like in numbers: orientation, length, width, brightness, autocorrelation and spectrum.

For comparing a preset with the pictures that it imitates. No detector and no
network; NumPy only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]

LAGS = 96
"""Autocorrelation is measured for lags of 0 … LAGS − 1 pixels."""
LEVELS = np.linspace(0, 1, 101)
"""Quantiles at which brightness is compared."""
ANGLES = np.arange(-90, 90, 5)
"""Lower edges in degrees of the bins of orientation."""


class RainStatistics(NamedTuple):
    """What N pictures have in common. Lengths are in pixels.

    orientation: histogram over `ANGLES` of where streaks point, degrees from vertical, sums to 1. spread: standard
    deviation in degrees of the directions within a picture, mean over pictures. brightness: quantiles at `LEVELS` of
    rainy − clean. mean, deviation: of the pictures' mean brightness. length, width: lags where the autocorrelation
    along and across the streaks has fallen to a half, medians over the pictures. along, across: the autocovariance
    `(LAGS,)`.
    """

    orientation: Plane
    spread: float
    brightness: Plane
    mean: float
    deviation: float
    length: float
    width: float
    along: Plane
    across: Plane


def rain_layer(rainy: NDArray[np.floating], clean: NDArray[np.floating]) -> Plane:
    """Rain: rainy − clean of the channel that saturates least: `(H, W)` from pictures `(H, W, 3)` in [0, 1]."""
    layer: Plane = (rainy.astype(np.float64) - clean).max(axis=2)
    return layer


def describe(layers: Iterable[Plane]) -> RainStatistics:
    """The statistics of rain layers `(H, W)` as `rain_layer` gives them; each at least `LAGS` pixels wide and high."""
    orientations, spreads, values, alongs, acrosses = [], [], [], [], []
    for layer in layers:
        histogram, main, spread = _directions(layer)
        along, across = _autocovariance(layer, main)
        orientations.append(histogram)
        spreads.append(spread)
        values.append(np.quantile(layer, np.linspace(0, 1, 2001)))
        alongs.append(along)
        acrosses.append(across)
    if not values:
        raise ValueError("there are no pictures to describe")
    means = [quantiles.mean() for quantiles in values]
    return RainStatistics(
        orientation=np.mean(orientations, axis=0),
        spread=float(np.mean(spreads)),
        brightness=np.quantile(np.concatenate(values), LEVELS),
        mean=float(np.mean(means)),
        deviation=float(np.std(means)),
        length=float(np.median([_half(curve) for curve in alongs])),
        width=float(np.median([_half(curve) for curve in acrosses])),
        along=np.mean(alongs, axis=0),
        across=np.mean(acrosses, axis=0),
    )


def distances(a: RainStatistics, b: RainStatistics) -> dict[str, float]:
    """How far `a` is from `b`, each number 0 where they agree.

    orientation (degrees) and brightness: earth mover's distance. spread (degrees); length, width, mean, deviation: the
    ratio less 1. along, across: root mean square difference of the autocorrelations. spectrum_along, spectrum_across:
    the largest difference in dB over the band that holds 95 % of the energy of `b`.
    """
    step = float(ANGLES[1] - ANGLES[0])
    return {
        "orientation": step * float(np.abs(np.cumsum(a.orientation - b.orientation)).sum()),
        "spread": a.spread - b.spread,
        "brightness": float(np.abs(a.brightness - b.brightness).mean()),
        "mean": a.mean / b.mean - 1,
        "deviation": a.deviation / b.deviation - 1,
        "length": a.length / b.length - 1,
        "width": a.width / b.width - 1,
        "along": float(np.sqrt(np.mean((a.along / a.along[0] - b.along / b.along[0]) ** 2))),
        "across": float(np.sqrt(np.mean((a.across / a.across[0] - b.across / b.across[0]) ** 2))),
        "spectrum_along": spectrum_gap(a.along, b.along),
        "spectrum_across": spectrum_gap(a.across, b.across),
    }


def spectrum(autocovariance: Plane) -> Plane:
    """Power spectrum `(LAGS,)` from 0 to half a cycle per pixel, out of an autocovariance (Wiener and Khinchin)."""
    window = np.hanning(2 * LAGS + 1)[LAGS:-1]
    tapered = autocovariance * window
    symmetric = np.concatenate((tapered, [0], tapered[:0:-1]))
    return np.maximum(np.fft.rfft(symmetric).real[:LAGS], 1e-12)


def spectrum_gap(a: Plane, b: Plane) -> float:
    """The largest difference in dB of two spectra over the lowest frequencies that hold 95 % of the energy of `b`."""
    first, second = spectrum(a), spectrum(b)
    share = np.cumsum(second) / second.sum()
    band = slice(0, int(np.searchsorted(share, 0.95)) + 1)
    return float(np.abs(10 * np.log10(first[band] / second[band])).max())


def _directions(layer: Plane) -> tuple[Plane, float, float]:
    """Histogram over `ANGLES`, main direction and standard deviation in degrees, from the structure tensor."""
    smooth = _box(layer, 3)
    dy, dx = np.gradient(smooth)
    yy, xx, xy = (_box(np.asarray(value), 9) for value in (dy * dy, dx * dx, dx * dy))
    # The gradient stands across the streak; doubled angles make opposite directions one.
    double = np.arctan2(2 * xy, xx - yy)
    coherence = np.hypot(2 * xy, xx - yy)
    degrees = np.rad2deg(double) / 2
    total = coherence.sum()
    if total == 0:
        return np.full(len(ANGLES), 1 / len(ANGLES)), 0.0, 0.0
    histogram = np.histogram(degrees, bins=np.append(ANGLES, 90), weights=coherence)[0] / total
    mean = (coherence * np.exp(1j * double)).sum() / total
    spread = np.rad2deg(np.sqrt(-2 * np.log(np.clip(np.abs(mean), 1e-9, 1)))) / 2
    return histogram, float(np.rad2deg(np.angle(mean)) / 2), float(spread)


def _box(plane: Plane, size: int) -> Plane:
    """Mean over squares of `size` pixels, of the same shape; borders are repeated."""
    half = size // 2
    padded = np.pad(plane, half, mode="edge")
    for axis in (0, 1):
        total = np.cumsum(np.insert(padded, 0, 0, axis=axis), axis=axis)
        upper, lower = (np.s_[size:], np.s_[:-size])
        padded = (total[upper] - total[lower] if axis == 0 else total[:, upper] - total[:, lower]) / size
    return padded


def _autocovariance(layer: Plane, main: float) -> tuple[Plane, Plane]:
    """Along and across the direction `main` (degrees): two `(LAGS,)`."""
    height, width = layer.shape
    if min(height, width) < LAGS:
        raise ValueError(f"a picture of {width} x {height} is too small; at least {LAGS} pixels each way are needed")
    shape = (height + LAGS, width + LAGS)
    centred = np.fft.rfft2(layer - layer.mean(), shape)
    ones = np.fft.rfft2(np.ones_like(layer), shape)
    products, counts = (np.fft.irfft2(np.abs(spectrum) ** 2, shape) for spectrum in (centred, ones))
    covariance = products / np.maximum(counts, 1)
    lags = np.arange(LAGS)
    # The gradient's angle is that of the normal, from the x axis; the streak itself runs at right angles to it.
    sin, cos = np.sin(np.deg2rad(main)), np.cos(np.deg2rad(main))
    return _sample(covariance, lags * cos, -lags * sin), _sample(covariance, lags * sin, lags * cos)


def _sample(torus: Plane, y: Plane, x: Plane) -> Plane:
    """Bilinear samples of a plane that repeats itself."""
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    dy, dx = y - top, x - left
    height, width = torus.shape
    total = np.zeros_like(y, dtype=np.float64)
    for row, column, weight in (
        (top, left, (1 - dy) * (1 - dx)),
        (top, left + 1, (1 - dy) * dx),
        (top + 1, left, dy * (1 - dx)),
        (top + 1, left + 1, dy * dx),
    ):
        total += weight * torus[row % height, column % width]
    return total


def _half(curve: Plane) -> float:
    """The lag where a curve has fallen to half of its first value, between samples; the last lag if it never does."""
    below = np.nonzero(curve < curve[0] / 2)[0]
    if len(below) == 0:
        return float(len(curve) - 1)
    after = int(below[0])
    before = curve[after - 1]
    return float(after - 1 + (before - curve[0] / 2) / max(before - curve[after], 1e-12))
