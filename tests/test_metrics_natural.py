"""BRISQUE and NIQE: features against Octave, the regression against libsvm, and order on real photos."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from golden_pictures import pictures
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from unrain.errors import UnrainError
from unrain.evaluation.metrics import Pixels
from unrain.evaluation.metrics.natural import (
    Regression,
    brisque,
    brisque_features,
    brisque_model,
    niqe,
    niqe_features,
    niqe_model,
)
from unrain.evaluation.metrics.planes import grey, halved

GOLDEN = json.loads((Path(__file__).parent / "golden/metrics.json").read_text())
# Scores by libsvm 3.37's svm-predict, of Octave's features, with the authors' model.
SCORES = {"clean": 63.750748, "streaks": 99.633416, "few_levels": 70.934550, "dark": 60.158633, "soft": 57.941055}
# Flat ground has no sign but that of rounding: there Octave's numbers are not to be had to the last digit.
FLAT = {"few_levels", "dark"}
MODEL = """svm_type epsilon_svr
kernel_type rbf
gamma 0.05
nr_class 2
total_sv 3
rho -40.5
SV
-12 1:0.5 2:-0.25 36:1 
7.5 3:-1 10:0.125 
4.5 1:-0.75 20:0.3 35:-0.6 
"""


@pytest.fixture(scope="module")
def street() -> Image.Image:
    """A real photo with blocks enough."""
    with Image.open(Path(__file__).parents[1] / "samples/friends.jpg") as image:
        return image.convert("RGB")


def floats(image: Image.Image) -> NDArray[np.float32]:
    return np.asarray(image, np.float32) / np.float32(255)


def noisy(image: Image.Image, levels: float) -> NDArray[np.float32]:
    noise = np.random.default_rng(3).normal(0, levels / 255, (*image.size[::-1], 3))
    return np.clip(floats(image) + noise, 0, 1).astype(np.float32)


def test_grey_is_that_of_matlab() -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [10, 20, 30]]])
    assert grey(colours / 255).tolist() == [[76, 150, 29, 255, 18]]


@pytest.mark.parametrize("shape", [(8, 8), (9, 12), (11, 7)])
def test_halving_keeps_light_and_rounds_the_size_up(shape: tuple[int, int]) -> None:
    small = halved(np.full(shape, 3.0))
    assert small.shape == (-(-shape[0] // 2), -(-shape[1] // 2))
    np.testing.assert_allclose(small, 3, rtol=1e-14)


@pytest.mark.parametrize("name", GOLDEN)
def test_the_features_of_brisque_agree_with_octave(name: str) -> None:
    features = brisque_features(pictures()[name] / np.float32(255))
    tolerance = 1e-3 if name in FLAT else 1e-9
    np.testing.assert_allclose(features, GOLDEN[name]["brisque_features"], rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", GOLDEN)
def test_the_features_of_niqe_agree_with_octave(name: str) -> None:
    features, sharpness = niqe_features(pictures()[name] / np.float32(255))
    # Shapes are tried in steps of 0.001; two that fit alike may lie on either side.
    np.testing.assert_allclose(features, GOLDEN[name]["niqe_features"], rtol=0, atol=4e-3)
    np.testing.assert_allclose(sharpness, np.ravel(GOLDEN[name]["niqe_sharpness"]), rtol=0, atol=1e-5)
    if name == "clean":
        np.testing.assert_allclose(features, GOLDEN[name]["niqe_features"], rtol=0, atol=1e-9)


def test_niqe_is_the_distance_of_two_gaussians() -> None:
    clean = pictures()["clean"] / np.float32(255)
    features, _ = niqe_features(clean)
    mean, covariance = niqe_model()
    away = mean - features.mean(axis=0)
    centred = features - features.mean(axis=0)
    pooled = (covariance + centred.T @ centred / (len(features) - 1)) / 2
    assert niqe(clean) == pytest.approx(np.sqrt(away @ np.linalg.solve(pooled, away)), rel=1e-6)


def test_the_model_of_niqe_is_a_gaussian() -> None:
    mean, covariance = niqe_model()
    assert mean.shape == (36,)
    np.testing.assert_allclose(covariance, covariance.T, rtol=0, atol=1e-12)
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_niqe_prefers_photos_to_what_spoils_them(shared: Path) -> None:
    with Image.open(shared / "data/val/photos/kodak/006.webp") as image:
        photo = image.convert("RGB")
    clean = niqe(floats(photo))
    assert clean < 4
    blurred = [niqe(floats(photo.filter(ImageFilter.GaussianBlur(radius)))) for radius in (0.7, 2)]
    assert clean < blurred[0] < blurred[1]
    noise = [niqe(noisy(photo, levels)) for levels in (5, 20)]
    assert clean < noise[0] < noise[1]


def test_a_flat_block_does_not_count(street: Image.Image) -> None:
    pixels = floats(street.crop((0, 0, 288, 192)))
    every, _ = niqe_features(pixels)
    pixels[:96, :96] = 0.5
    rest, sharpness = niqe_features(pixels)
    assert (len(every), len(rest), len(sharpness)) == (6, 5, 5)


@pytest.mark.parametrize(("shape", "found"), [((191, 100, 3), "100x191 has none"), ((300, 300, 3), "300x300 has none")])
def test_niqe_of_too_little_texture_is_refused(shape: tuple[int, ...], found: str) -> None:
    with pytest.raises(UnrainError, match=f"NIQE needs two blocks of 96x96 pixels with texture.*{found}"):
        niqe(np.full(shape, 0.3, np.float32))


def test_brisque_of_too_little_texture_is_refused() -> None:
    with pytest.raises(UnrainError, match=r"BRISQUE needs texture.*60x40 has none"):
        brisque_features(np.zeros((40, 60, 3)))
    with pytest.raises(UnrainError, match="BRISQUE needs pictures of at least 16x16 pixels, not 15x40"):
        brisque_features(np.zeros((40, 15, 3)))


@pytest.mark.parametrize("measure", [brisque_features, niqe])
def test_what_is_no_picture_is_refused(measure: object) -> None:
    assert callable(measure)
    with pytest.raises(ValueError, match=r"\(H, W, 3\), not \(200, 200\)"):
        measure(np.zeros((200, 200)))
    with pytest.raises(ValueError, match=r"must be floats.*uint8"):
        measure(np.zeros((200, 200, 3), np.uint8))


def test_a_regression_predicts_what_libsvm_predicts(tmp_path: Path) -> None:
    (tmp_path / "model").write_text(MODEL)
    scaled = np.array([(number % 7 - 3) / 4 for number in range(36)])
    assert Regression.read(tmp_path / "model").predict(scaled) == pytest.approx(41.44762637758659, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (MODEL, "is not the model of the authors' BRISQUE_release"),
        (MODEL.replace("epsilon_svr", "nu_svr"), "needs an epsilon_svr"),
        (MODEL.replace("36:1", "37:1"), "is not a model as libsvm writes it"),
        (MODEL.replace("gamma 0.05\n", ""), "is not a model as libsvm writes it"),
        ("", "is not a model as libsvm writes it"),
        ("ü", "is not a model as libsvm writes it"),
    ],
)
def test_another_model_is_refused_in_one_line(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "allmodel"
    file.write_text(text, "utf-8")
    with pytest.raises(UnrainError, match=reason) as caught:
        brisque_model(file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif("UNRAIN_BRISQUE" not in os.environ, reason="the authors' model (UNRAIN_BRISQUE) is not here")
class TestWithTheAuthorsModel:
    @pytest.mark.parametrize("name", SCORES)
    def test_scores_agree_with_libsvm_on_the_features_of_octave(self, name: str) -> None:
        score = brisque(pictures()[name] / np.float32(255))
        assert score == pytest.approx(SCORES[name], abs=0.03 if name in FLAT else 1e-5)

    def test_photos_are_better_than_what_spoils_them(self, shared: Path) -> None:
        with Image.open(shared / "data/val/photos/kodak/006.webp") as image:
            photo = image.convert("RGB")
        clean = brisque(floats(photo))
        assert clean < 25
        blurred = [brisque(floats(photo.filter(ImageFilter.GaussianBlur(radius)))) for radius in (1.2, 2.5)]
        assert clean < blurred[0] < blurred[1]
        noise = [brisque(noisy(photo, levels)) for levels in (8, 20)]
        assert clean < noise[0] < noise[1]


def test_pictures_that_are_not_of_8_bits_are_measured_alike(street: Image.Image) -> None:
    pixels: Pixels = floats(street.crop((0, 0, 288, 192)))
    assert niqe(pixels.astype(np.float64) + 1e-5) == pytest.approx(niqe(pixels), abs=1e-6)
