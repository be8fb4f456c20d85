"""Whether `unrain eval` prints what somebody else would measure: published checkpoints on the public pairs.

    python benchmarks/independent.py DATA PEERS report/results.json

`report/` is what `unrain eval` wrote with these labels:

    unrain eval prenet-l=PEERS/prenet/Rain100L.pth prenet-h=PEERS/prenet/Rain100H.pth
        sapnet=PEERS/sapnet/net_latest.pth --suite rain100l,rain100h --data DATA/test
        --metrics psnr-y,psnr-rgb,ssim-y -o report

The pictures are cleaned again by the layer tables in NumPy (`tests/layer_table.py`, float64, no network of ours), and
measured by scikit-image. Half an hour on a core for each 20 pairs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from unrain.evaluation.results import from_json

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from layer_table import Array, Weights, prenet, sapnet

STAGES = 6
TABLES: dict[str, tuple[str, Callable[[Weights, Array, int], list[Array]]]] = {
    "prenet-l": ("prenet/Rain100L.pth", prenet),
    "prenet-h": ("prenet/Rain100H.pth", prenet),
    "sapnet": ("sapnet/net_latest.pth", sapnet),
}
SUITES = {"rain100l": ("prenet-l", "sapnet"), "rain100h": ("prenet-h", "sapnet")}


def main(data: Path, peers: Path, results: Path) -> None:
    """Print both values of each row, and how far they are apart."""
    evaluation = from_json(results.read_text(encoding="utf-8"))
    print("| set | method | metric | unrain eval | independent | apart |\n| --- | --- | --- | --- | --- | --- |")
    for suite in evaluation.suites:
        for method in SUITES[suite.name]:
            for metric, value in measured(data / "test" / suite.name, method, peers).items():
                ours = evaluation.mean(suite, method, metric)
                assert ours is not None, f"{results} has no {metric} of {method}"
                values = (f"{each:.4f}" for each in (ours.value, value, abs(ours.value - value)))
                print("| " + " | ".join((suite.name, method, metric, *values)) + " |", flush=True)


def measured(folder: Path, method: str, peers: Path) -> dict[str, float]:
    """The mean of each metric over the pairs of a set."""
    file, clean = TABLES[method]
    state = torch.load(peers / file, map_location="cpu", weights_only=True)
    weights = {name.removeprefix("module."): value.double().numpy() for name, value in state.items()}
    rows = []
    for rainy in sorted((folder / "rainy").iterdir()):
        estimate = clean(weights, pixels(rainy).transpose(2, 0, 1) / 255, STAGES)[-1].transpose(1, 2, 0)
        rows.append(metrics(np.rint(estimate.clip(0, 1) * 255), pixels(folder / "clean" / rainy.name)))
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def metrics(result: NDArray[np.float64], truth: NDArray[np.float64]) -> dict[str, float]:
    """scikit-image's, of levels from 0 to 255; SSIM over the 'valid' part of an 11 x 11 window."""
    y = [rgb2ycbcr(levels.astype(np.uint8))[..., 0] for levels in (result, truth)]
    _, similarity = structural_similarity(
        *y, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    return {
        "psnr-y": peak_signal_noise_ratio(y[1], y[0], data_range=255),
        "psnr-rgb": peak_signal_noise_ratio(truth, result, data_range=255),
        "ssim-y": float(similarity[5:-5, 5:-5].mean()),
    }


def pixels(path: Path) -> NDArray[np.float64]:
    """A picture as `(H, W, 3)`, from 0 to 255."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), np.float64)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
