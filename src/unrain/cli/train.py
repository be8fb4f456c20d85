"""`unrain train`: run a recipe. Needs the extra `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as recipes/sapnet-general.toml.", show_default=False)],
    data: Annotated[Path, typer.Option(help="Folder with photos/, clips/ and pairs/.", show_default=False)],
    run: Annotated[
        Path, typer.Option(help="Folder for the checkpoint and the log.", show_default="runs/RECIPE")
    ] = Path(),
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's checkpoint.")] = False,
    start: Annotated[
        Path | None, typer.Option(help="A step graph (.onnx) to begin with.", show_default="random weights")
    ] = None,
    features: Annotated[
        Path | None, typer.Option(help="VGG-16, .safetensors, for recipes with perceptual losses.", show_default=False)
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another setting, as phases.0.steps=100.", show_default=False),
    ] = None,
    minutes: Annotated[float, typer.Option(help="Stop after so long, with a checkpoint.")] = float("inf"),
    device: Annotated[str, typer.Option(help="cpu, or cuda for a GPU.")] = "cpu",
    bf16: Annotated[bool, typer.Option("--bf16", help="Compute in bfloat16, for hardware that has it.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.", show_default="all")] = None,
) -> None:
    """Train a network. The same recipe, seed and device give the same weights, also over interruptions."""
    from unrain.errors import UnrainError

    try:
        import torch
    except ImportError:
        raise UnrainError("training needs PyTorch; try: pip install 'unrain[train]'") from None
    from unrain.training.features import vgg16
    from unrain.training.loop import Progress
    from unrain.training.loop import train as run_recipe
    from unrain.training.recipe import load

    def report(at: Progress) -> None:
        left = (at.steps - at.step) * at.seconds_per_step / 60
        typer.echo(f"step {at.step}/{at.steps}  loss {at.loss:.4f}  rate {at.rate:.2e}  {left:.0f} min left")

    if threads:
        torch.set_num_threads(threads)
    folder = run if run != Path() else Path("runs") / recipe.stem
    last = run_recipe(
        load(recipe, changes or ()),
        data,
        folder,
        resume=resume,
        start=start,
        features=None if features is None else vgg16(features),
        minutes=minutes,
        device=device,
        bf16=bf16,
        report=report,
    )
    typer.echo(last)
