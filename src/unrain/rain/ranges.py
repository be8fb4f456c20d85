"""Random numbers in ranges, from the generator that is passed in and on its device. Nothing here knows of rain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

Range = tuple[float, float]


def table(kinds: Sequence[Any], counts: Sequence[int], device: torch.device) -> dict[str, Tensor]:
    """The fields of several dataclasses of numbers as tensors with `counts` equal rows for each of them.

    A number becomes `(R,)`, a range `(R, 2)`; fields of other types are left out.
    """
    number = torch.arange(len(kinds), device=device).repeat_interleave(torch.tensor(counts, device=device))
    columns = {field.name: [getattr(kind, field.name) for kind in kinds] for field in fields(kinds[0])}
    return {
        name: torch.tensor(column, dtype=torch.float32, device=device).index_select(0, number)
        for name, column in columns.items()
        if _is_numbers(column[0])
    }


def _is_numbers(value: object) -> bool:
    pair = isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, int | float) for part in value)
    return isinstance(value, int | float) or pair


def uniform(bounds: Range | Tensor, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Uniform random numbers in `bounds`, of this shape; bounds `(R, 2)` are those of the rows."""
    low, high = _split(bounds, shape, generator.device)
    return low + (high - low) * torch.rand(tuple(shape), generator=generator, device=generator.device)


def log_uniform(bounds: Range | Tensor, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Numbers in `bounds` whose logarithm is uniform, for what people think of in factors; from 0, they are uniform."""
    low, high = _split(bounds, shape, generator.device)
    part = torch.rand(tuple(shape), generator=generator, device=generator.device)
    ratio = high / low
    return torch.where(torch.isfinite(ratio), low * ratio**part, low + (high - low) * part)


def _split(bounds: Range | Tensor, shape: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    if isinstance(bounds, Tensor):
        low, high = bounds.view(len(bounds), *[1] * (len(shape) - 1), 2).unbind(-1)
        return low, high
    low, high = torch.tensor(bounds, device=device)
    return low, high


def normal(deviation: float | Tensor, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Normally distributed numbers around zero."""
    return deviation * torch.randn(tuple(shape), generator=generator, device=generator.device)


def scatter(mean: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
    """A Poisson number of things in each cell of `mean`: the indices of every single thing, one `(K,)` per dimension.

    The things of one cell follow each other, in the order of the cells.
    """
    counts = torch.poisson(mean, generator=generator).long().flatten()
    axes = torch.meshgrid([torch.arange(size, device=mean.device) for size in mean.shape], indexing="ij")
    return tuple(axis.flatten().repeat_interleave(counts) for axis in axes)


def check(name: str, bounds: Range, low: float, high: float = math.inf, above: bool = False) -> None:
    """Raise `ValueError` unless `bounds` is a range in order, within `low` and `high` (or strictly `above` low)."""
    first, last = bounds
    wrong = not (math.isfinite(first) and math.isfinite(last) and first <= last)
    if wrong or first < low or last > high or (above and first <= low):
        least = f"more than {low:g}" if above else f"at least {low:g}"
        most = f" and at most {high:g}" if math.isfinite(high) else ""
        raise ValueError(f"{name} is a range (low, high), {least}{most}; this one is ({first:g}, {last:g})")
