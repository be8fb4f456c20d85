"""What each part of SAPNet brings: the six rows of its ablation, trained on equal budgets, as a table and curves.

    python benchmarks/ablation.py DATA --features VGG16.safetensors --picture docs/pictures/ablation.svg

Trains the recipes ablation-m1 … ablation-full on `DATA/train`, measures them on `DATA/val` on the way, and goes on
where it was stopped. `--set` changes every recipe alike, for another budget. No test set is touched.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from unrain.training.features import vgg16
from unrain.training.loop import Setting, train
from unrain.training.recipe import Recipe, load

ROWS = {
    "m1": "M1: CRA",
    "m2": "M2: + UBS",
    "m3": "M3: + PCL",
    "m4": "M4: + dilation",
    "m5": "M5: + decay of the rate",
    "full": "full: + LPISL",
}
RECIPES = Path(__file__).parents[1] / "recipes"


def main(
    data: Annotated[Path, typer.Argument(help="Folder with train/ and val/.")],
    features: Annotated[str, typer.Option(help="VGG-16.")],
    output: Annotated[Path, typer.Option("--output", "-o")] = Path("runs/ablation"),
    picture: Annotated[Path | None, typer.Option(help="Draw the curves here.")] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE")] = None,
    threads: Annotated[int | None, typer.Option()] = None,
    device: Annotated[str, typer.Option()] = "cpu",
) -> None:
    """Train what is not trained yet, and print the table."""
    if threads:
        torch.set_num_threads(threads)
    setting = Setting(device=device, features=vgg16(features), validation=data / "val")
    curves = {}
    for row in ROWS:
        recipe, run = load(RECIPES / f"ablation-{row}.toml", changes or ()), output / row
        train(recipe, data / "train", run, setting, resume=True, report=lambda at: print(at, flush=True))
        curves[row] = [json.loads(line) for line in (run / "validation.jsonl").read_text().splitlines()]
    print(table(curves, recipe))
    if picture is not None:
        draw(curves, recipe, picture)


def table(curves: dict[str, list[dict[str, Any]]], recipe: Recipe) -> str:
    """A row for each of the six: what it measured at its end."""
    kinds = [*sorted({line["rain"] for line in curves["m1"]} - {"dry"}), "dry"]
    heads = [f"{kind} {metric}" for kind in kinds for metric in ("PSNR", "SSIM")]
    lines = ["| row | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(heads)]
    for row, title in ROWS.items():
        last = {line["rain"]: line for line in curves[row] if line["step"] == recipe.steps}
        cells = [f"{last[kind]['psnr']:.2f} | {last[kind]['ssim']:.4f}" for kind in kinds]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(curves: dict[str, list[dict[str, Any]]], recipe: Recipe, path: Path) -> None:
    """PSNR over steps on the rain that they were trained for, a line for each row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for row, title in ROWS.items():
        lines = [line for line in curves[row] if line["rain"] == recipe.mixture.rain]
        axes.plot([line["step"] for line in lines], [line["psnr"] for line in lines], label=title, linewidth=1.5)
    axes.set_xlabel("training steps")
    axes.set_ylabel(f"PSNR of {recipe.mixture.rain} on validation photos (y), dB")
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    typer.run(main)
