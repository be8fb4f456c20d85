"""The Charbonnier distance: L1 with a rounded tip. Nothing else."""

from __future__ import annotations

import torch
from torch import Tensor


def charbonnier(a: Tensor, b: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Mean of sqrt((a − b)² + ε²) over all elements: a scalar (Charbonnier et al., 1994)."""
    return torch.sqrt((a - b) ** 2 + epsilon**2).mean()
