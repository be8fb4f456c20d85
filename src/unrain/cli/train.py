"""`unrain train`: run a recipe. Needs the extra `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as recipes/sapnet-general.toml.", show_default=False)],
    data: Annotated[Path, typer.Option(help="Folder with photos/, clips/ and pairs/.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for checkpoint, weights and log.", show_default="runs/RECIPE"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's checkpoint.")] = False,
    start: Annotated[
        list[Path] | None,
        typer.Option(help="Weights to begin with, .onnx or .safetensors.", show_default="random weights"),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            help="VGG-16 for perceptual losses: a .safetensors or .pth file, or vgg16 to download it.",
            show_default=False,
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="ResNet-101 for the segmentation loss: a file, or resnet101 to download it.", show_default="VGG-16"
        ),
    ] = None,
    validation: Annotated[
        Path | None, typer.Option(help="Folder with photos/ and clips/ to measure on.", show_default=False)
    ] = None,
    avoid: Annotated[
        Path | None, typer.Option(help="Test pictures: photos that show one are left out.", show_default=False)
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another setting, as phases.0.steps=100.", show_default=False),
    ] = None,
    minutes: Annotated[float, typer.Option(help="Stop after so long, with a checkpoint.")] = float("inf"),
    device: Annotated[str, typer.Option(help="cpu, or cuda for a GPU.")] = "cpu",
    bf16: Annotated[bool, typer.Option("--bf16", help="Compute in bfloat16, for hardware that has it.")] = False,
    compile: Annotated[bool, typer.Option("--compile", help="Through torch.compile; worth it on a GPU.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.", show_default="all")] = None,
) -> None:
    """Train a network. The same recipe, seed and device give the same weights, also over interruptions.

    Under torchrun, several processes share each batch.
    """
    from unrain.errors import UnrainError

    try:
        import torch
    except ImportError:
        raise UnrainError("training needs PyTorch; try: pip install 'unrain[train]'") from None
    from unrain.training.features import resnet101, vgg16
    from unrain.training.log import Progress
    from unrain.training.loop import Setting
    from unrain.training.loop import train as run_recipe
    from unrain.training.recipe import load

    def report(at: Progress) -> None:
        left = (at.steps - at.step) * at.seconds_per_step / 60
        typer.echo(f"step {at.step}/{at.steps}  loss {at.loss:.4f}  rate {at.rate:.2e}  {left:.0f} min left")

    if threads:
        torch.set_num_threads(threads)
    folder = output or Path("runs") / recipe.stem
    setting = Setting(
        device=device,
        start=tuple(start or ()),
        features=vgg16(features) if features else None,
        backbone=resnet101(backbone) if backbone else None,
        validation=validation,
        avoid=avoid,
        minutes=minutes,
        bf16=bf16,
        compile=compile,
    )
    typer.echo(run_recipe(load(recipe, changes or ()), data, folder, setting, resume=resume, report=report))
