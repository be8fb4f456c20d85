"""J4R-Net's losses: joint, detection, reconstruction of detail, and removal. How they add up is `objectives.py`."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def joint_loss(background: Tensor, clean: Tensor) -> Tensor:
    """l_joint = ‖B̂ − b‖², the mean over all elements of `(N, 3, H, W)` (J4R-Net)."""
    return F.mse_loss(background, clean)


def detection_loss(logits: Tensor, degradation: Tensor) -> Tensor:
    """l_detect: softmax cross-entropy of f^d_2 `(N, 2, H, W)` against α `(N, 1, H, W)` of zeros and ones."""
    return F.cross_entropy(logits, degradation[:, 0].long())


def reconstruction_loss(detail: Tensor, clean: Tensor) -> Tensor:
    """l_rect = ‖E(B̂) − E(b)‖², E the high-pass filter below: only what blurring would lose counts."""
    return F.mse_loss(high_pass(detail), high_pass(clean))


def removal_loss(removed: Tensor, streaks: Tensor) -> Tensor:
    """l_removal = ‖Ŝ − s‖², the mean over all elements of `(N, 3, H, W)`."""
    return F.mse_loss(removed, streaks)


def high_pass(picture: Tensor) -> Tensor:
    """E: the Laplacian of `(N, 3, H, W)`, by finite differences, without its border."""
    centre = picture[..., 1:-1, 1:-1]
    around = picture[..., :-2, 1:-1] + picture[..., 2:, 1:-1] + picture[..., 1:-1, :-2] + picture[..., 1:-1, 2:]
    return 4 * centre - around
