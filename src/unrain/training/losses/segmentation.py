"""Unsupervised background segmentation (UBS): a clean picture is one that a segmentation network is sure about.

The network that looks at the picture is in `training/features.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor


def segmentation_loss(logits: Tensor, alpha: float = 1.0, gamma: float = 2.0) -> Tensor:
    """The focal loss of a network's own decision (SAPNet): a scalar, at least 0.

        L_seg = − 1/(N H W) Σ α (1 − p)^γ log p,    p = softmax(logits) at the class with the largest logit

    Args:
        logits: `(N, K, H, W)` of a frozen segmentation network that looked at the derained picture.
        alpha: weight of the classes; the paper gives one for all.
        gamma: how much the sure pixels are passed over.
    """
    likelihood = torch.log_softmax(logits, dim=1).amax(dim=1)
    return -(alpha * (1 - likelihood.exp()) ** gamma * likelihood).mean()
