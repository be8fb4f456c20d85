"""Measuring a network while it trains: PSNR and SSIM on a few pictures of `val/`, with our rain and without.

The rain of a picture is always the same, so that runs can be compared. Full evaluations are the room `evaluation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unrain.data.photos import clips, pictures, read_pixels
from unrain.errors import MediaError
from unrain.inference.motion import motion
from unrain.networks.j4rnet import J4RNet
from unrain.networks.j4rnet_half import J4RNetHalf
from unrain.networks.sapnet import SAPNet
from unrain.networks.sapnet_fast import SAPNetFast
from unrain.rain.render import render
from unrain.training.losses.ssim import ssim
from unrain.training.recipe import Recipe

KINDS = ("dry", "rain12", "rain100l", "rain100h", "light25", "complex25", "steady", "heavy", "storm", "cloudburst")
PHOTOS, FRAMES = 6, 6
PHOTO_SIZE, FRAME_SIZE = (160, 240), (120, 160)


@dataclass(frozen=True)
class Measured:
    """What a validation found.

    quality: for each kind of rain, mean y-PSNR in dB, at most 80, and y-SSIM.
    sheet: `(H, W, 3)` 8-bit; a column for each kind of rain: rainy, cleaned, clean.
    """

    quality: dict[str, tuple[float, float]]
    sheet: NDArray[np.uint8]


class Validation:
    """The pictures of a folder with `photos/` for SAPNet, `clips/` for J4R-Net, as 8 bits hold them.

    Dry, and with the rain that the recipe trains on, or every kind if that is mixed.
    """

    def __init__(self, folder: Path, recipe: Recipe, device: torch.device) -> None:
        self._stages = recipe.phases[-1].stages
        video = recipe.network.startswith("j4rnet")
        clean = film_pieces(folder, FRAMES, FRAME_SIZE) if video else photo_pieces(folder, PHOTOS, PHOTO_SIZE)
        self._clean = clean.to(device)
        kinds = KINDS if recipe.mixture.rain == "mixed" else ("dry", recipe.mixture.rain)
        self._rainy = {kind: rainy(clean, kind).to(device) for kind in kinds}
        self._motion = {kind: motions(wet).to(device) for kind, wet in self._rainy.items()} if video else {}

    @torch.inference_mode()
    def measure(self, network: nn.Module) -> Measured:
        """The quality of `network` on all of them."""
        quality, columns = {}, []
        for kind, wet in self._rainy.items():
            results = torch.cat([self._cleaned(network, kind, number) for number in range(len(wet))])
            results = (results.clamp(0, 1) * 255).round() / 255
            quality[kind] = _quality(results.flatten(0, 1), self._clean.flatten(0, 1))
            columns.append(torch.cat([wet[0, -1], results[0, -1], self._clean[0, -1]], dim=1))
        sheet = (torch.cat(columns, dim=2) * 255).byte().permute(1, 2, 0).cpu().numpy()
        return Measured(quality, sheet)

    def _cleaned(self, network: nn.Module, kind: str, number: int) -> Tensor:
        """One clip, `(1, T, 3, H, W)`."""
        clip = self._rainy[kind][number : number + 1]
        if isinstance(network, SAPNet):
            estimates: list[Tensor] = network(clip.flatten(0, 1), self._stages)
            return estimates[-1].view_as(clip)
        if isinstance(network, SAPNetFast):
            picture: Tensor = network(clip.flatten(0, 1))
            return picture.view_as(clip)
        assert isinstance(network, J4RNet | J4RNetHalf)
        return torch.stack(
            [out.background for out in network(clip, motion=self._motion[kind][number : number + 1])], dim=1
        )


def photo_pieces(folder: Path, count: int, size: tuple[int, int]) -> Tensor:
    """The middle pieces of up to `count` photos below `folder/photos`: `(N, 1, 3, H, W)` in [0, 1]."""
    paths = pictures(folder / "photos")
    photos = [read_pixels(path) for path in paths[:: max(1, len(paths) // count)][:count]]
    return _tensor([middle(photo[None], size) for photo in photos], size)


def film_pieces(folder: Path, frames: int, size: tuple[int, int]) -> Tensor:
    """The middle pieces of `frames` frames of each clip below `folder/clips`: `(N, T, 3, H, W)` in [0, 1]."""
    return _tensor([middle(clip[(len(clip) - frames) // 2 :][:frames], size) for clip in clips(folder / "clips")], size)


def middle(frames: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The middle piece of `(T, H, W, 3)`."""
    top, left = (max(side - wanted, 0) // 2 for side, wanted in zip(frames.shape[1:3], size, strict=True))
    return frames[:, top : top + size[0], left : left + size[1]]


def _tensor(pieces: list[NDArray[np.uint8]], size: tuple[int, int]) -> Tensor:
    pieces = [piece for piece in pieces if piece.shape[1:3] == size]
    if not pieces:
        raise MediaError(f"nothing in the validation folder is {size[1]} x {size[0]} pixels large")
    return torch.from_numpy(np.stack(pieces)).movedim(-1, 2).float() / 255


def rainy(clips: Tensor, kind: str) -> Tensor:
    """`(N, T, 3, H, W)` with rain of one kind, seeded by the clip's number, as 8 bits hold it; `dry` is no rain."""
    if kind == "dry":
        return clips
    rained = [render(clip[None], kind, torch.Generator().manual_seed(seed)).rainy for seed, clip in enumerate(clips)]
    return (torch.cat(rained) * 255).round() / 255


def motions(clips: Tensor) -> Tensor:
    """How clips `(N, T, 3, H, W)` move, as the runtime estimates it: `(N, T, 2, H, W)`, 0 for the first frames."""
    moved = torch.zeros_like(clips[:, :, :2])
    for clip, motion_of_clip in zip(clips.cpu().permute(0, 1, 3, 4, 2).numpy(), moved, strict=True):
        for time in range(1, len(clip)):
            motion_of_clip[time] = torch.from_numpy(motion(clip[time - 1], clip[time]))
    return moved


def _quality(results: Tensor, truth: Tensor) -> tuple[float, float]:
    """Mean y-PSNR and y-SSIM of pictures `(M, 3, H, W)`."""
    found, wanted = _luma(results), _luma(truth)
    errors = (found - wanted).square().mean(dim=(1, 2, 3)).clamp(min=1e-8)
    return float(-10 * errors.log10().mean()), float(ssim(found, wanted))


def _luma(pictures: Tensor) -> Tensor:
    """BT.601 in studio range, `(M, 1, H, W)`; as `evaluation.metrics` has it, in float64."""
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=torch.float64, device=pictures.device) / 255
    return (pictures.double() * weights.view(3, 1, 1)).sum(dim=1, keepdim=True) + 16 / 255
