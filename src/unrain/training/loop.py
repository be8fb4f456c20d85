"""The training loop: recipe and data in, checkpoints and a log out. No networks, rain or losses here."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from unrain.data.batches import Batches
from unrain.errors import RecipeError
from unrain.networks.graphs import build, load_weights, read_network
from unrain.networks.j4rnet import J4RNet
from unrain.networks.sapnet import SAPNet
from unrain.training import checkpoint
from unrain.training.features import Features
from unrain.training.objectives import OBJECTIVES, PictureLoss
from unrain.training.recipe import Phase, Recipe

SAVE_SECONDS = 45.0
CLIP_NORM = 1.0
LOG_STEPS = 20


@dataclass(frozen=True)
class Progress:
    """Where a run is: told after every `LOG_STEPS` steps, averaged over them."""

    step: int
    steps: int
    loss: float
    rate: float
    seconds_per_step: float


def train(
    recipe: Recipe,
    data: Path,
    run: Path,
    *,
    resume: bool = False,
    start: Path | None = None,
    features: Features | None = None,
    minutes: float = math.inf,
    device: str = "cpu",
    bf16: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Path:
    """Train `recipe` on the folder `data`; returns the checkpoint, `run/last.pt`.

    With `resume`, goes on from that checkpoint as if it had never stopped: batch k and all of its randomness depend on
    the seed and k alone. A new run begins with random weights, or with those of the step graph `start`. `features` are
    what perceptual losses look with; `bf16` computes the network in bfloat16, losses and weights in float32. Stops
    early, with a checkpoint, after `minutes`. The log, a JSON line each `LOG_STEPS` steps, is `run/log.jsonl`.
    """
    torch.manual_seed(recipe.seed)
    network = build(recipe.network, **recipe.options).to(device)
    if start is not None:
        begin_from(network, start)
    for part in recipe.frozen:
        network.get_submodule(part).requires_grad_(False)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
    judge = PictureLoss(recipe.losses, features).to(device)
    optimizer = torch.optim.Adam(weight for weight in network.parameters() if weight.requires_grad)
    last, step = run / "last.pt", 0
    if resume and last.exists():
        state = checkpoint.load(last)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    batches = Batches(data, recipe.mixture, recipe.seed, torch.device(device))

    def save() -> None:
        checkpoint.save(last, _state(recipe, step, network, average, optimizer))

    started = saved = told = time.monotonic()
    losses: list[float] = []
    while step < recipe.steps and time.monotonic() - started < 60 * minutes:
        phase, done = recipe.at(step)
        rate = learning_rate(phase, done)
        batch = batches.batch(step, phase.batch, phase.frames, phase.size)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bf16):
            loss = OBJECTIVES[phase.objective](network, batch, phase.repeats, judge)
        losses.append(_optimise(network, optimizer, loss, rate))
        average.update_parameters(network)
        step += 1
        if step % LOG_STEPS == 0:
            seconds = (time.monotonic() - told) / len(losses)
            progress = Progress(step, recipe.steps, sum(losses) / len(losses), rate, seconds)
            _log(run, progress)
            report(progress)
            losses, told = [], time.monotonic()
        if time.monotonic() - saved > SAVE_SECONDS:
            save()
            saved = time.monotonic()
    save()
    return last


def begin_from(network: nn.Module, start: Path) -> None:
    """Load the weights of a step graph; those of SAPNet also into the part of a J4R-Net that looks at frames first."""
    known = read_network(start)
    if isinstance(network, J4RNet) and isinstance(known, SAPNet) and network.step.first is not None:
        network.step.first.load_state_dict(known.stage.state_dict())
    elif isinstance(known, type(network)):
        load_weights(network, known.state_dict())
    else:
        raise RecipeError(f"{start}: the recipe trains a {type(network).__name__}; this is a {type(known).__name__}")


def learning_rate(phase: Phase, done: float) -> float:
    """A cosine from the phase's first rate to its last, at the fraction `done` of the phase."""
    first, last = phase.rate
    return last + (first - last) * (1 + math.cos(math.pi * done)) / 2


def _optimise(network: nn.Module, optimizer: torch.optim.Optimizer, loss: torch.Tensor, rate: float) -> float:
    for group in optimizer.param_groups:
        group["lr"] = rate
    value = loss.item()
    if not math.isfinite(value):
        raise RecipeError(f"the loss has become {value}; lower the learning rate, and go on with --resume")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
    optimizer.step()
    return value


def _state(
    recipe: Recipe, step: int, network: nn.Module, average: AveragedModel, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    return {
        "recipe": recipe.name,
        "network_name": recipe.network,
        "options": recipe.options,
        "seed": recipe.seed,
        "step": step,
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
    }


def _log(run: Path, progress: Progress) -> None:
    run.mkdir(parents=True, exist_ok=True)
    with (run / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps({key: round(value, 7) for key, value in vars(progress).items()}) + "\n")
