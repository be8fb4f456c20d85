"""How fast SAPNet is: the published network in eager PyTorch beside this project's engines, in the same minutes.

    python benchmarks/speed.py DATA CHECKPOINT [--size 481x321] [--pairs 10] [--rounds 5]

All run the checkpoint that SAPNet's authors released (CHECKPOINT), in its six stages: PyTorch through the layer table
of the paper with the four gates as four convolutions, as published, and each engine in each precision. The last row is
the shipped model with its own stages. Rounds are interleaved; times are medians, with the fastest and the slowest. The
quality is y-PSNR on the first pairs of DATA/test/rain100h, which nothing is tuned on; 8-bit graphs are calibrated on
photos of DATA/train.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from unrain import weights
from unrain.data.photos import pairs, pictures, read_pixels
from unrain.evaluation.metrics import psnr
from unrain.inference import engines
from unrain.inference.pictures import RESULTS, PictureCleaner
from unrain.networks.graphs import build, load_weights
from unrain.networks.sapnet import from_published
from unrain.training import checkpoint
from unrain.training.export import export
from unrain.training.quantize import quantize

Picture = NDArray[np.float32]
Clean = Callable[[Picture], Picture]
STAGES = 6


def main(
    data: Annotated[Path, typer.Argument(help="The benchmark data, with test/rain100h and train/photos.")],
    released: Annotated[Path, typer.Argument(help="SAPNet's released checkpoint.")],
    size: Annotated[str, typer.Option(help="Width x height.")] = "481x321",
    pairs_: Annotated[int, typer.Option("--pairs", help="Pairs to measure the quality on.")] = 10,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    threads: Annotated[int | None, typer.Option(min=1)] = None,
) -> None:
    """Print the table."""
    torch.set_num_threads(threads or torch.get_num_threads())
    state = checkpoint.load(released)
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "published.onnx"
        network = build("sapnet")
        load_weights(network, from_published(state))
        export(network, graph)
        twin = Path(folder) / "published-int8.onnx"
        quantize(graph, data / "train" / "photos", twin, STAGES)
        methods: dict[str, Clean] = {"published, eager PyTorch fp32": published(state)}
        for engine in engines.installed():
            for precision, path in (("fp32", graph), ("int8", twin)):
                if (engine, precision) != ("torch", "int8"):
                    methods[f"{engine} {precision}"] = ours(path, engine, threads, STAGES)
        shipped = weights.find(weights.DEFAULT_IMAGE)
        assert shipped.int8 is not None
        for precision in weights.PRECISIONS:
            methods[f"shipped model, openvino {precision}, {shipped.stages} stages"] = ours(
                shipped.graph(precision), "openvino", threads, shipped.stages
            )
        width, height = (int(part) for part in size.split("x"))
        times = timed(methods, photo(data, height, width), rounds)
        show(times, qualities(methods, data, pairs_), (width, height))


def published(state: dict[str, Tensor]) -> Clean:
    """The network as the layer table has it, one operation after the other."""
    parts = {name.removeprefix("module."): value for name, value in state.items()}

    def conv(x: Tensor, name: str, dilation: int = 1) -> Tensor:
        return torch.nn.functional.conv2d(
            x, parts[f"{name}.weight"], parts[f"{name}.bias"], padding=dilation, dilation=dilation
        )

    def attention(x: Tensor, name: str) -> Tensor:
        y = x.mean(dim=(2, 3), keepdim=True)
        squeeze, excite, residual = (parts[f"{name}.{part}.weight"] for part in ("conv_du.0", "conv_du.2", "conv_1_1"))
        bend = torch.nn.functional.conv2d(torch.relu(torch.nn.functional.conv2d(y, squeeze)), excite)
        return x * torch.sigmoid(bend + torch.nn.functional.conv2d(y, residual))

    def clean(picture: Picture) -> Picture:
        rainy = torch.from_numpy(picture.transpose(2, 0, 1)[None].copy())
        estimate = rainy
        h = c = torch.zeros(1, 32, *picture.shape[:2])
        for _ in range(STAGES):
            x = torch.relu(conv(torch.cat((rainy, estimate), 1), "conv0.0"))
            x = torch.cat((x, h), 1)
            i, f, g, o = (conv(x, f"conv_{gate}.0") for gate in "ifgo")
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            x = h
            for number, dilation in enumerate((1, 2, 4, 8, 16), start=1):
                before, name = x, f"res_conv{number}"
                x = torch.relu(attention(conv(x, f"{name}.0", dilation), f"{name}.1"))
                x = torch.relu(attention(conv(x, f"{name}.3", dilation), f"{name}.4"))
                x = torch.relu(before + x)
            estimate = rainy + conv(x, "conv.0")
        return np.asarray(estimate[0].permute(1, 2, 0).numpy())

    return torch.inference_mode()(clean)


def ours(graph: Path, engine: str, threads: int | None, stages: int) -> Clean:
    """A step graph on one engine."""
    cleaner = PictureCleaner(
        lambda steps: engines.create(graph, RESULTS["sapnet"], engine, threads, steps), "sapnet", 1.0
    )
    return lambda picture: cleaner.clean_piece(picture, stages)[0]


def photo(data: Path, height: int, width: int) -> Picture:
    """A training photo, repeated and cut to the size."""
    pixels = read_pixels(pictures(data / "train" / "photos")[0])
    times = (-(-height // pixels.shape[0]), -(-width // pixels.shape[1]), 1)
    return np.ascontiguousarray(np.tile(pixels, times)[:height, :width]).astype(np.float32) / np.float32(255)


def timed(methods: dict[str, Clean], picture: Picture, rounds: int) -> dict[str, list[float]]:
    """Seconds of each method in each round, after one that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(rounds + 1):
        for name, clean in methods.items():
            start = time.perf_counter()
            clean(picture)
            seconds[name].append(time.perf_counter() - start)
    return {name: values[1:] for name, values in seconds.items()}


def qualities(methods: dict[str, Clean], data: Path, count: int) -> dict[str, float]:
    """Mean y-PSNR of the first pairs of Rain100H."""
    found: dict[str, list[float]] = {name: [] for name in methods}
    for rainy, clean in pairs(data / "test" / "rain100h")[:count]:
        wet, truth = (pixels.astype(np.float32) / np.float32(255) for pixels in (rainy, clean))
        for name, method in methods.items():
            levels = np.rint(method(wet).clip(0, 1) * 255).astype(np.float32) / np.float32(255)
            found[name].append(psnr(levels, truth))
    return {name: statistics.mean(values) if values else float("nan") for name, values in found.items()}


def show(times: dict[str, list[float]], quality: dict[str, float], size: tuple[int, int]) -> None:
    """Print the rows; the first one is what the others are compared with."""
    first = statistics.median(next(iter(times.values())))
    table = Table("method", f"seconds at {size[0]} x {size[1]}", "fastest to slowest", "times as fast", "PSNR y")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        spread = f"{min(seconds):.3f} to {max(seconds):.3f}"
        table.add_row(name, f"{median:.3f}", spread, f"{first / median:.2f}", f"{quality[name]:.3f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    typer.run(main)
