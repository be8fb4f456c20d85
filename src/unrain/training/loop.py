"""The training loop: recipe and data in, checkpoints and a log out. No networks, rain or losses here."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from unrain.data.batches import Batches
from unrain.errors import RecipeError
from unrain.networks.graphs import build, load_weights, read_network
from unrain.networks.j4rnet_half import J4RNetHalf
from unrain.networks.sapnet_fast import SAPNetFast
from unrain.training import checkpoint
from unrain.training.features import Backbone
from unrain.training.log import Log, Progress
from unrain.training.objectives import OBJECTIVES, PictureLoss
from unrain.training.processes import Processes, processes
from unrain.training.recipe import Phase, Recipe
from unrain.training.validation import Validation

SAVE_SECONDS = 45.0
CLIP_NORM = 1.0
LOG_STEPS = 20


@dataclass(frozen=True)
class Setting:
    """Where and how a recipe runs. What it trains is the recipe's own.

    start: weights that a new run begins with, in place of random ones.
    features, backbone: what the perceptual losses and the segmentation loss look with.
    validation: a folder with `photos/` and `clips/` to measure on.
    avoid: a folder of test pictures; photos that show one of them are not trained on.
    minutes: when to stop, with a checkpoint.
    bf16: the network computes in bfloat16; losses and weights stay in float32.
    compile: through `torch.compile`.
    """

    device: str = "cpu"
    start: tuple[Path, ...] = ()
    features: Backbone | None = None
    backbone: Backbone | None = None
    validation: Path | None = None
    avoid: Path | None = None
    minutes: float = math.inf
    bf16: bool = False
    compile: bool = False


class Trained(nn.Module):
    """A network with its loss as one module, for DistributedDataParallel and `torch.compile`."""

    def __init__(self, network: nn.Module, judge: PictureLoss) -> None:
        super().__init__()
        self.network, self.judge = network, judge

    def forward(self, batch: Any, objective: str, repeats: int) -> Tensor:
        """The loss of a batch: a scalar."""
        return OBJECTIVES[objective](self.network, batch, repeats, self.judge)


class State:
    """All that a checkpoint holds: weights, their average, the optimiser's moments, and the number of steps done."""

    def __init__(self, recipe: Recipe, device: torch.device, start: Sequence[Path]) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.step = recipe, 0
        self.network = build(recipe.network, **recipe.options).to(device)
        for path in start:
            begin_from(self.network, path)
        for part in recipe.frozen:
            self.network.get_submodule(part).requires_grad_(False)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
        weights = [weight for weight in self.network.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.AdamW(weights, weight_decay=recipe.decay)

    def save(self, run: Path) -> None:
        """Write the checkpoint, and the averaged weights alone as safetensors."""
        table = {
            "recipe": self.recipe.name,
            "network_name": self.recipe.network,
            "options": self.network.options,
            "seed": self.recipe.seed,
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        checkpoint.save(run / "last.pt", table)
        about = {"network": self.recipe.network, "options": self.network.options} | {
            "recipe": self.recipe.name,
            "step": self.step,
        }
        checkpoint.save_weights(run / "last.safetensors", self.average.module.state_dict(), about)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint; `WeightsError` if it is of another network."""
        table = checkpoint.load(path)
        load_weights(self.network, table["network"])
        self.average.load_state_dict(table["average"])
        self.optimizer.load_state_dict(table["optimizer"])
        self.step = table["step"]


def train(
    recipe: Recipe,
    data: Path,
    run: Path,
    setting: Setting = Setting(),
    *,
    resume: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Path:
    """Train `recipe` on the folder `data`; returns the checkpoint, `run/last.pt`.

    With `resume`, goes on from that checkpoint as if it had never stopped: batch k and all of its randomness depend on
    the seed and k alone. Under `torchrun`, every process computes its part of each batch. Beside the checkpoint come
    the averaged weights (`last.safetensors`), the log (`log.jsonl`, and TensorBoard's), and with a validation folder
    what was measured there (`validation.jsonl`) and `sheets/` of pictures.

    Raises `RecipeError` where the loss is no number any more, or the memory is too small, and `UnrainError` where the
    disk is full. The checkpoint before stays, and the run can go on.
    """
    with processes(setting.device) as others:
        return _train(recipe, data, run, setting, resume, report, others)


def _train(
    recipe: Recipe,
    data: Path,
    run: Path,
    setting: Setting,
    resume: bool,
    report: Callable[[Progress], None],
    others: Processes,
) -> Path:
    state, last = State(recipe, others.device, setting.start), run / "last.pt"
    if resume and last.exists():
        state.load(last)
    others.check(recipe)
    batches = Batches(data, recipe.mixture, recipe.seed, others.device, setting.avoid)
    trained = Trained(state.network, PictureLoss(recipe.losses, setting.features, setting.backbone).to(others.device))
    if setting.compile:
        trained.compile(dynamic=False)
    model = others.share(trained)
    record = Record(state, run, setting, report) if others.first else Silent()
    started = time.monotonic()
    while state.step < recipe.steps:
        if state.step % LOG_STEPS == 0 and others.any(time.monotonic() - started >= 60 * setting.minutes):
            break
        phase, _ = recipe.at(state.step)
        with _enough_memory(phase):
            batch = others.part(batches.batch(state.step, phase.batch, phase.frames, phase.size))
            with torch.autocast(others.device.type, torch.bfloat16, enabled=setting.bf16):
                loss = model(batch, phase.objective, phase.repeats)
            _optimise(state.network, state.optimizer, loss, recipe.rate(state.step))
        state.average.update_parameters(state.network)
        state.step += 1
        record.add(others.mean(loss.detach()))
    record.finish()
    return last


class Silent:
    """The record of the processes beside the first: none."""

    def add(self, loss: Tensor) -> None:
        """See `Record`."""

    def finish(self) -> None:
        """See `Record`."""


class Record:
    """What a run leaves on the disk: log, validation and checkpoints, each when it is due."""

    def __init__(self, state: State, run: Path, setting: Setting, report: Callable[[Progress], None]) -> None:
        self._state, self._run = state, run
        self._log = Log(run, state.recipe, state.step, report)
        device = next(state.network.parameters()).device
        self._validation = Validation(setting.validation, state.recipe, device) if setting.validation else None
        self._losses: list[Tensor] = []
        self._saved = time.monotonic()

    def add(self, loss: Tensor) -> None:
        """The loss of the step just done."""
        self._losses.append(loss)
        step = self._state.step
        if step % LOG_STEPS == 0:
            self._tell()
        if self._validation is not None and self._state.recipe.validates(step):
            self._tell()
            self._log.validation(step, self._validation.measure(self._state.average.module))
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self._save()

    def finish(self) -> None:
        """The run has ended, for now."""
        self._save()
        self._log.close()

    def _tell(self) -> None:
        # Read from the device in bunches: each reading waits until it has caught up.
        losses = torch.stack(self._losses).tolist() if self._losses else []
        self._losses = []
        if not all(math.isfinite(loss) for loss in losses):
            raise RecipeError("the loss is no number any more; lower the learning rate, and go on with --resume")
        self._log.steps(self._state.step, losses)

    def _save(self) -> None:
        self._tell()
        self._state.save(self._run)
        self._saved = time.monotonic()


def begin_from(network: nn.Module, start: Path) -> None:
    """Load the weights of a step graph; into J4R-Net at half the resolution also those of a smaller network."""
    known = read_network(start)
    if isinstance(network, J4RNetHalf) and isinstance(known, J4RNetHalf | SAPNetFast):
        network.step.begin_from(known.step if isinstance(known, J4RNetHalf) else known)
    elif isinstance(known, type(network)):
        load_weights(network, known.state_dict())
    else:
        raise RecipeError(f"{start}: the recipe trains a {type(network).__name__}; this is a {type(known).__name__}")


def _optimise(network: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
    optimizer.step()


@contextmanager
def _enough_memory(phase: Phase) -> Iterator[None]:
    """Out of memory, which CPU and GPU say in different ways, as one line."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        shape = f"{phase.batch} x {phase.frames} patches of {phase.size} x {phase.size}"
        raise RecipeError(
            f"the memory is too small for batches of {shape}; lower batch or size, and go on with --resume"
        ) from error
