"""PSNR and SSIM: against Octave, scikit-image where the conventions meet, and the formula written out as a loop."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from golden_pictures import pictures
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from unrain.errors import UnrainError
from unrain.evaluation.metrics import Convention, Pixels, luma, psnr, ssim

GOLDEN = json.loads((Path(__file__).parent / "golden/metrics.json").read_text())


def picture(
    seed: int, shape: tuple[int, ...] = (40, 33, 3), dtype: type[np.float32 | np.float64] = np.float32
) -> Pixels:
    return np.random.default_rng(seed).random(shape, dtype=np.float32).astype(dtype)


def noisy(clean: Pixels, seed: int, sigma: float = 0.1) -> Pixels:
    noise = np.random.default_rng(seed).normal(0, sigma, clean.shape)
    return np.clip(clean + noise, 0, 1).astype(clean.dtype)


def reference_ssim(x: Pixels, y: Pixels, channel_axis: int | None = None) -> float:
    value = structural_similarity(
        x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1, channel_axis=channel_axis
    )
    return float(value)


@pytest.mark.parametrize(
    ("rgb", "level"),
    [
        ((0, 0, 0), 16),
        ((1, 1, 1), 235),
        ((1, 0, 0), 81.481),
        ((0, 1, 0), 144.553),
        ((0, 0, 1), 40.966),
        ((0, 1, 1), 169.519),
        ((1, 0, 1), 106.447),
        ((1, 1, 0), 210.034),
        ((0.5, 0.5, 0.5), 125.5),
    ],
)
def test_luma_gives_the_levels_of_matlab(rgb: tuple[float, float, float], level: float) -> None:
    y = luma(np.full((2, 3, 3), rgb, np.float32))
    assert y.shape == (2, 3)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y * 255, level, rtol=1e-12)


@pytest.mark.parametrize("name", ["streaks", "few_levels", "dark", "soft"])
@pytest.mark.parametrize("convention", ["y", "rgb"])
def test_psnr_and_ssim_agree_with_octave(name: str, convention: Convention) -> None:
    made = pictures()
    result, clean = (made[each] / np.float32(255) for each in (name, "clean"))
    golden = GOLDEN[name]
    assert psnr(result, clean, convention) == pytest.approx(golden[f"psnr_{convention}"], abs=1e-5)
    assert ssim(result, clean, convention) == pytest.approx(golden[f"ssim_{convention}"], abs=1e-7)


@pytest.mark.parametrize("name", ["streaks", "few_levels", "dark", "soft"])
def test_luma_rounded_to_levels_gives_what_octave_gives_for_8_bits(name: str) -> None:
    made = pictures()
    result, clean = (np.rint(255 * luma(made[each] / np.float32(255))) for each in (name, "clean"))
    rounded = 10 * math.log10(255**2 / np.mean((result - clean) ** 2))
    assert rounded == pytest.approx(GOLDEN[name]["psnr_y_rounded"], abs=1e-5)
    assert rounded != pytest.approx(GOLDEN[name]["psnr_y"], abs=1e-4)


def test_psnr_of_a_known_error() -> None:
    black = np.zeros((4, 5, 3))
    assert psnr(black, black + 0.1, "rgb") == pytest.approx(20)
    # One level of grey is 219/255 of a level of luma.
    assert psnr(black, black + 0.1, "y") == pytest.approx(20 - 20 * math.log10(219 / 255))
    assert psnr(black, np.ones_like(black), "rgb") == 0


def test_psnr_agrees_with_scikit_image() -> None:
    clean = picture(1, dtype=np.float64)
    rainy = noisy(clean, 2)
    assert psnr(rainy, clean, "rgb") == pytest.approx(peak_signal_noise_ratio(clean, rainy, data_range=1), abs=1e-12)
    expected = peak_signal_noise_ratio(luma(clean), luma(rainy), data_range=1)
    assert psnr(rainy, clean) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("sigma", [0.003, 0.1, 0.8])
def test_ssim_agrees_with_scikit_image(sigma: float) -> None:
    clean = picture(3, dtype=np.float64)
    rainy = noisy(clean, 4, sigma)
    assert ssim(rainy, clean, "rgb") == pytest.approx(reference_ssim(clean, rainy, channel_axis=2), abs=1e-10)
    assert ssim(rainy, clean) == pytest.approx(reference_ssim(luma(clean), luma(rainy)), abs=1e-10)


def test_ssim_agrees_with_the_formula_written_out() -> None:
    clean = picture(5, (13, 12, 3))
    rainy = noisy(clean, 6)
    window = np.array(
        [[math.exp(-(i * i + j * j) / (2 * 1.5**2)) for j in range(-5, 6)] for i in range(-5, 6)], np.float64
    )
    window /= window.sum()
    x_plane, y_plane = luma(clean), luma(rainy)
    values = []
    for i in range(3):
        for j in range(2):
            x, y = x_plane[i : i + 11, j : j + 11], y_plane[i : i + 11, j : j + 11]
            mx, my = (window * x).sum(), (window * y).sum()
            vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
            cov = (window * (x - mx) * (y - my)).sum()
            top = (2 * mx * my + 0.01**2) * (2 * cov + 0.03**2)
            values.append(top / ((mx * mx + my * my + 0.01**2) * (vx + vy + 0.03**2)))
    assert ssim(rainy, clean, "y") == pytest.approx(np.mean(values), abs=1e-12)


@pytest.mark.parametrize("convention", ["y", "rgb"])
def test_identical_pictures(convention: Convention) -> None:
    clean = picture(7)
    assert psnr(clean, clean.copy(), convention) == math.inf
    assert ssim(clean, clean.copy(), convention) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("convention", ["y", "rgb"])
@pytest.mark.parametrize("metric", [psnr, ssim])
def test_metrics_are_symmetric_and_measure_in_float64(
    metric: Callable[[Pixels, Pixels, Convention], float], convention: Convention
) -> None:
    clean = picture(8)
    rainy = noisy(clean, 9)
    value = metric(rainy, clean, convention)
    assert isinstance(value, float)
    assert metric(clean, rainy, convention) == pytest.approx(value, abs=1e-12)
    assert metric(rainy.astype(np.float64), clean.astype(np.float64), convention) == pytest.approx(value, abs=1e-12)


def test_rgb_ssim_is_the_mean_of_the_channels() -> None:
    clean = picture(10)
    rainy = clean.copy()
    rainy[..., 0] = noisy(clean, 11)[..., 0]
    grey_rainy, grey_clean = (np.repeat(pixels[..., :1], 3, axis=2) for pixels in (rainy, clean))
    assert ssim(rainy, clean, "rgb") == pytest.approx((ssim(grey_rainy, grey_clean, "rgb") + 2) / 3, abs=1e-12)


@pytest.mark.parametrize("metric", [psnr, ssim])
class TestErrors:
    def test_different_shapes(self, metric: Callable[..., float]) -> None:
        with pytest.raises(UnrainError, match="of one size, not 30x20 and 20x30"):
            metric(picture(0, (20, 30, 3)), picture(0, (30, 20, 3)))

    @pytest.mark.parametrize("shape", [(20, 30), (3, 20, 30), (1, 20, 30, 3), (20, 30, 4), (0, 30, 3)])
    def test_no_picture(self, metric: Callable[..., float], shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match=r"\(H, W, 3\), not \(" + ", ".join(map(str, shape))):
            metric(picture(0, shape), picture(0, shape))

    def test_integers(self, metric: Callable[..., float]) -> None:
        with pytest.raises(ValueError, match=r"\(20, 30, 3\) must be floats.*uint8"):
            metric(picture(0, (20, 30, 3)), np.zeros((20, 30, 3), np.uint8))

    def test_unknown_convention(self, metric: Callable[..., float]) -> None:
        with pytest.raises(ValueError, match="'ycbcr'; known are y, rgb"):
            metric(picture(0), picture(0), "ycbcr")


def test_ssim_of_a_picture_smaller_than_the_window() -> None:
    with pytest.raises(UnrainError, match="SSIM needs pictures of at least 11x11 pixels, not 50x10"):
        ssim(picture(0, (10, 50, 3)), picture(0, (10, 50, 3)))
    assert ssim(picture(0, (11, 11, 3)), picture(1, (11, 11, 3))) < 0.9
