"""Several processes that train one network, as `torchrun` starts them; or one, which needs nothing of this."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from unrain.data.batches import Batch
from unrain.errors import RecipeError
from unrain.training.recipe import Recipe


@dataclass(frozen=True)
class Processes:
    """This process among `count`, the one with the number `rank`, and the device that it computes on."""

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def check(self, recipe: Recipe) -> None:
        """`RecipeError` for a batch that cannot be shared evenly: only equal parts have the mean of the whole."""
        uneven = [phase.batch for phase in recipe.phases if phase.batch % self.count]
        if uneven:
            raise RecipeError(f"a batch of {uneven[0]} cannot be shared evenly by {self.count} processes")

    def part(self, batch: Batch) -> Batch:
        """This process's part of a batch. Each renders the whole: so it is the same however many share it."""
        return Batch(*(layer[self.rank :: self.count] for layer in batch))

    def share(self, model: nn.Module) -> nn.Module:
        """The module whose gradients are the mean over all processes."""
        return model if self.count == 1 else DistributedDataParallel(model, find_unused_parameters=True)

    def mean(self, loss: Tensor) -> Tensor:
        """The loss of the whole batch, from those of its parts."""
        if self.count > 1:
            dist.all_reduce(loss)
        return loss / self.count

    def any(self, here: bool) -> bool:
        """Whether it is so in any process; all get the same answer."""
        if self.count == 1:
            return here
        flag = torch.tensor(float(here), device=self.device)
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag)


@contextmanager
def processes(device: str) -> Iterator[Processes]:
    """The processes that `torchrun` started, connected while this lasts; without it, this one."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(torch.device(device))
        return
    place = torch.device(f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" else device)
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield Processes(place, dist.get_rank(), count)
    finally:
        dist.destroy_process_group()
