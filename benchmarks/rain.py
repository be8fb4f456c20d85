"""Rain measured: presets against published input figures, `rain100h` against real pairs, and the speed of rendering.

python benchmarks/rain.py calibrate DATA     mean PSNR and SSIM of each preset beside the published figure
python benchmarks/rain.py compare DATA       statistics of rain100h beside those of the pairs it imitates
python benchmarks/rain.py speed              megapixels a second
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from unrain.data.photos import pairs, pictures, read_pixels
from unrain.evaluation.metrics import psnr, ssim
from unrain.rain.presets import NAMES
from unrain.rain.render import render
from unrain.rain.statistics import RainStatistics, describe, distances, rain_layer

Picture = NDArray[np.float32]


class Figure(NamedTuple):
    """A published input figure: on which clean pictures it is imitated, and in which convention."""

    psnr: float
    ssim: float
    convention: Literal["rgb", "y"]
    folder: str


PUBLISHED = {
    "rain12": Figure(28.82, 0.836, "rgb", "photos/bsds500"),
    "rain100l": Figure(25.52, 0.825, "rgb", "photos/bsds500"),
    "rain100h": Figure(12.13, 0.349, "rgb", "photos/bsds500"),
    "light25": Figure(23.69, 0.8058, "y", "clips"),
    "complex25": Figure(14.67, 0.4563, "y", "clips"),
}


def add(picture: Picture, preset: str, seed: int) -> Picture:
    """Rain on one picture, rounded to 8 bits as the published files are."""
    clip = torch.from_numpy(picture).permute(2, 0, 1)[None, None]
    rainy = render(clip, preset, torch.Generator().manual_seed(seed)).rainy[0, 0].permute(1, 2, 0).numpy()
    return np.round(rainy * 255).astype(np.float32) / np.float32(255)


def clean_pictures(folder: Path, count: int) -> list[Picture]:
    """`count` pictures out of a folder, evenly spread."""
    found = pictures(folder)
    chosen = np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int)
    return [read_pixels(found[index]).astype(np.float32) / np.float32(255) for index in chosen]


def calibrate(data: Path, count: int, presets: list[str]) -> None:
    """Print mean PSNR and SSIM of each preset, its standard error, and the published figure."""
    print("| preset | on | n | PSNR | published | SSIM | published |\n| --- | --- | --- | --- | --- | --- | --- |")
    for name in presets:
        figure = PUBLISHED[name]
        scores = []
        for seed, clean in enumerate(clean_pictures(data / "train" / figure.folder, count)):
            rainy = add(clean, name, seed)
            scores.append((psnr(rainy, clean, figure.convention), ssim(rainy, clean, figure.convention)))
        mean, error = np.mean(scores, axis=0), np.std(scores, axis=0) / np.sqrt(len(scores))
        quality = (
            f"{mean[0]:.2f} ± {error[0]:.2f} | {figure.psnr:.2f} | {mean[1]:.3f} ± {error[1]:.3f} | {figure.ssim:.3f}"
        )
        print(f"| {name} | {figure.folder}, {figure.convention} | {len(scores)} | {quality} |", flush=True)


def statistics_of_pairs(data: Path, seeds: int) -> tuple[RainStatistics, RainStatistics]:
    """Statistics of the published pairs, and of `rain100h` on the clean pictures of the same pairs."""
    published = pairs(data / "train" / "pairs" / "rain_train_h")

    def ours() -> Iterator[NDArray[np.float64]]:
        for number, (_, clean) in enumerate(published):
            picture = clean.astype(np.float32) / np.float32(255)
            for seed in range(seeds):
                yield rain_layer(add(picture, "rain100h", 1000 * seed + number), picture)

    theirs = describe(rain_layer(rainy / 255, clean / 255) for rainy, clean in published)
    return describe(ours()), theirs


def compare(data: Path, seeds: int) -> None:
    """Print the statistics of `rain100h` beside those of the pairs, and the distances."""
    ours, theirs = statistics_of_pairs(data, seeds)
    print("| | rain100h | pairs |\n| --- | --- | --- |")
    for name in ("spread", "mean", "deviation", "length", "width"):
        print(f"| {name} | {getattr(ours, name):.3f} | {getattr(theirs, name):.3f} |")
    for level in (10, 25, 50, 75, 90, 95, 99):
        print(f"| brightness, {level} % quantile | {ours.brightness[level]:.3f} | {theirs.brightness[level]:.3f} |")
    print("\n| distance | |\n| --- | --- |")
    for name, value in distances(ours, theirs).items():
        print(f"| {name} | {value:.3f} |")


def speed(presets: list[str], device: str, threads: int, seconds: float = 4.0) -> None:
    """Print megapixels a second for batches of patches and for whole clips."""
    torch.set_num_threads(threads)
    print(f"device {device}, {threads} threads, torch {torch.__version__}")
    print("| preset | 4 clips of 8 frames of 640 x 360 | 64 patches of 100 x 100 |\n| --- | --- | --- |")
    for name in presets:
        rates = [
            megapixels(torch.rand(shape, device=device), name, seconds)
            for shape in ((4, 8, 3, 360, 640), (64, 1, 3, 100, 100))
        ]
        print(f"| {name} | {rates[0]:.1f} | {rates[1]:.1f} |", flush=True)


def megapixels(clip: torch.Tensor, preset: str, seconds: float) -> float:
    """Megapixels a second of `render`, over at least so many seconds and many draws of the preset."""
    generator = torch.Generator(clip.device).manual_seed(0)
    render(clip, preset, generator)
    start, rounds = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        render(clip, preset, generator)
        if clip.is_cuda:
            torch.cuda.synchronize()
        rounds += 1
    return rounds * clip.numel() / 3 / (time.perf_counter() - start) / 1e6


def main() -> None:
    """Read the arguments and run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("calibrate", "compare", "speed"))
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    parser.add_argument("--count", type=int, default=120, help="clean pictures for calibrate")
    parser.add_argument("--seeds", type=int, default=4, help="renderings of each picture for compare")
    parser.add_argument("--preset", action="append", help="only this preset; may be repeated")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    if options.what == "calibrate":
        calibrate(options.data, options.count, options.preset or list(PUBLISHED))
    elif options.what == "compare":
        compare(options.data, options.seeds)
    else:
        speed(options.preset or list(NAMES), options.device, options.threads)


if __name__ == "__main__":
    main()
