"""What a run tells while it goes on: JSON lines, TensorBoard, and sheets of pictures. What is measured is elsewhere."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from unrain.training.recipe import Recipe
from unrain.training.validation import Measured


@dataclass(frozen=True)
class Progress:
    """Where a run is: told every few steps, the loss and the time averaged over them."""

    step: int
    steps: int
    loss: float
    rate: float
    seconds_per_step: float


class Log:
    """The log of one run in the folder `run`, from step `step` on: what an earlier try wrote beyond it is taken out."""

    def __init__(self, run: Path, recipe: Recipe, step: int, report: Callable[[Progress], None]) -> None:
        self._run, self._recipe, self._report = run, recipe, report
        self._told, self._time, self._progress = step, time.monotonic(), Progress(step, recipe.steps, 0, 0, 0)
        run.mkdir(parents=True, exist_ok=True)
        for name in ("log.jsonl", "validation.jsonl"):
            _cut(run / name, step)
        self._board = SummaryWriter(run / "tensorboard", purge_step=step)

    def steps(self, step: int, losses: Sequence[float]) -> None:
        """The losses of the steps up to `step`, one each."""
        if not losses:
            return
        first = step - len(losses)
        for number, loss in enumerate(losses, start=first):
            rate = self._recipe.rate(number)
            _append(self._run / "log.jsonl", {"step": number + 1, "loss": loss, "rate": rate})
            self._board.add_scalar("loss", loss, number + 1)
            self._board.add_scalar("rate", rate, number + 1)
        now = time.monotonic()
        seconds = (now - self._time) / len(losses)
        self._progress = Progress(step, self._recipe.steps, float(np.mean(losses)), rate, seconds)
        self._time = now
        self._report(self._progress)

    def validation(self, step: int, measured: Measured) -> None:
        """What was measured after `step` steps, and its sheet."""
        for rain, (psnr, ssim) in measured.quality.items():
            _append(self._run / "validation.jsonl", {"step": step, "rain": rain, "psnr": psnr, "ssim": ssim})
            self._board.add_scalar(f"psnr/{rain}", psnr, step)
            self._board.add_scalar(f"ssim/{rain}", ssim, step)
        sheet = self._run / "sheets" / f"{step:06}.png"
        sheet.parent.mkdir(exist_ok=True)
        Image.fromarray(measured.sheet).save(sheet)
        self._board.add_image("sheet", measured.sheet, step, dataformats="HWC")
        self._board.flush()
        self._time = time.monotonic()

    def close(self) -> None:
        """Write what is still in memory."""
        self._board.close()


def _append(path: Path, line: dict[str, Any]) -> None:
    rounded = {key: round(value, 7) if isinstance(value, float) else value for key, value in line.items()}
    with path.open("a", encoding="utf-8") as log:
        log.write(json.dumps(rounded) + "\n")


def _cut(path: Path, step: int) -> None:
    """Keep the lines up to `step`, and drop the rest; a last line that a crash cut short is no line."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except json.JSONDecodeError:
            break
    path.write_text("".join(kept), encoding="utf-8")
