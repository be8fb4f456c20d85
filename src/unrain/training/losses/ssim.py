"""The structural similarity of two batches, differentiable. The metric is `evaluation.metrics.ssim`, torch-free."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def ssim(a: Tensor, b: Tensor, window: int = 11, sigma: float = 1.5) -> Tensor:
    """Mean SSIM of two batches `(N, C, H, W)` in [0, 1] (Wang et al., 2004): a scalar, 1 for equal pictures.

        SSIM = (2 μa μb + c1)(2 σab + c2) / ((μa² + μb² + c1)(σa² + σb² + c2)),   c1 = 0.01², c2 = 0.03²

    under a Gaussian window, only where it fits whole ('valid').
    """
    channels = a.shape[1]
    axis = torch.arange(window, dtype=a.dtype, device=a.device) - (window - 1) / 2
    gauss = torch.exp(-(axis**2) / (2 * sigma**2))
    gauss = (gauss / gauss.sum()).expand(5 * channels, 1, -1)

    moments = torch.cat((a, b, a * a, b * b, a * b), dim=1)
    moments = F.conv2d(moments, gauss[:, :, :, None], groups=5 * channels)
    moments = F.conv2d(moments, gauss[:, :, None, :], groups=5 * channels)
    mean_a, mean_b, aa, bb, ab = moments.chunk(5, dim=1)
    variance_a, variance_b, covariance = aa - mean_a**2, bb - mean_b**2, ab - mean_a * mean_b
    likeness = (2 * mean_a * mean_b + 1e-4) * (2 * covariance + 9e-4)
    return (likeness / ((mean_a**2 + mean_b**2 + 1e-4) * (variance_a + variance_b + 9e-4))).mean()
