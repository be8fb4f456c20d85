"""The table of metrics: found by name, pickled by name, what they need is said before they measure."""

from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from unrain.errors import UnrainError
from unrain.evaluation.metrics import METRICS, Metric, Pixels, curve, find, psnr, ssim

FILES = {
    "brisque": ("UNRAIN_BRISQUE", "allmodel"),
    "lpips": ("UNRAIN_LPIPS", "vgg16-397923af.pth"),
    "unique": ("UNRAIN_UNIQUE", "model.pt"),
    "vgg-distance": ("UNRAIN_VGG16", ".safetensors"),
}


def test_metrics_are_found_by_name() -> None:
    assert [find(name) for name in METRICS] == list(METRICS.values())
    assert all(metric.name == name for name, metric in METRICS.items())


def test_an_unknown_metric_is_refused_with_the_names_of_the_known() -> None:
    with pytest.raises(UnrainError, match=r"no metric 'pnsr'; choose from psnr-y, psnr-rgb, .*warping"):
        find("pnsr")


@pytest.mark.parametrize("metric", METRICS.values(), ids=str)
def test_a_metric_says_how_it_is_to_be_read(metric: Metric) -> None:
    assert metric.label
    assert metric.convention
    assert metric.source
    assert metric.bounds[0] < metric.bounds[1]
    assert metric.digits > 0


@pytest.mark.parametrize("metric", METRICS.values(), ids=str)
def test_a_metric_is_pickled_by_its_name(metric: Metric) -> None:
    packed = pickle.dumps(metric)
    assert len(packed) < 100
    assert pickle.loads(packed) is metric


def test_metrics_measure_in_other_processes(photo: Pixels) -> None:
    dark = photo * np.float32(0.9)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(measured, find("psnr-y"), dark, photo).result() == psnr(dark, photo)


def measured(metric: Metric, result: Pixels, truth: Pixels) -> float:
    return metric.measure(result, truth)


def test_the_table_measures_what_its_functions_measure(photo: Pixels) -> None:
    dark = photo * np.float32(0.9)
    assert find("psnr-rgb").measure(dark, photo) == psnr(dark, photo, "rgb")
    assert find("ssim-y").measure(dark, photo) == ssim(dark, photo, "y")


@pytest.mark.parametrize("name", FILES)
def test_weights_that_are_not_there_are_named_in_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variable, file = FILES[name]
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UnrainError, match=f"{name} needs weights.*{variable}.*{file}") as caught:
        find(name).prepare()
    assert "\n" not in str(caught.value)
    monkeypatch.setenv(variable, "/nowhere/at/all")
    with pytest.raises(UnrainError, match=f"/nowhere/at/all: does not exist.*{file}"):
        find(name).prepare()


@pytest.mark.parametrize("name", METRICS.keys() - FILES.keys())
def test_what_needs_no_file_is_ready(name: str) -> None:
    find(name).prepare()


def test_the_table_imports_neither_torch_nor_opencv() -> None:
    code = "import sys, unrain.evaluation.metrics; print(sorted({'torch', 'cv2', 'safetensors'} & {*sys.modules}))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize(("name", "package"), [("warping", "cv2"), ("unique", "torch")])
def test_a_package_that_is_not_installed_is_named_in_one_line(name: str, package: str) -> None:
    code = (
        f"import sys, importlib.util; sys.modules['{package}'] = None\n"
        "found = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name: None if name == '{package}' else found(name)\n"
        "from unrain.errors import UnrainError\n"
        "from unrain.evaluation.metrics import find\n"
        f"try:\n    find('{name}').prepare()\nexcept UnrainError as error:\n    print(error)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'unrain[" in shown.stdout
    assert shown.stdout.count("\n") == 1


class TestCurves:
    def test_a_metric_of_pictures_has_a_value_per_frame(self, photo: Pixels) -> None:
        frames = [photo * np.float32(scale) for scale in (0.9, 1, 0.8)]
        assert curve(find("psnr-y"), frames, [photo] * 3) == [psnr(frame, photo) for frame in frames]

    def test_a_metric_of_clips_is_the_mean_of_its_curve(self, photo: Pixels) -> None:
        frames = [photo * np.float32(scale) for scale in (0.9, 1, 0.8, 0.8)]
        for name, values in (("flicker", 3), ("warping", 3), ("flicker-blind", 2)):
            metric = find(name)
            over_time = curve(metric, iter(frames), iter([photo] * 4))
            assert len(over_time) == values
            assert metric.measure(frames, [photo] * 4) == pytest.approx(np.mean(over_time))

    def test_a_truth_of_another_length_is_refused(self, photo: Pixels) -> None:
        for name in ("psnr-y", "flicker", "warping"):
            with pytest.raises(UnrainError, match="as many frames"):
                curve(find(name), [photo] * 3, [photo] * 2)

    def test_a_truth_that_is_needed_is_asked_for(self, photo: Pixels) -> None:
        with pytest.raises(UnrainError, match="flicker needs the clean frames"):
            curve(find("flicker"), [photo] * 3)
