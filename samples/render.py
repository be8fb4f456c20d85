"""Render the samples: our rain, and a moving camera, on two photos by Aitzol Berasategi (CC BY 4.0, see NOTICE).

    apt-get download lomiri-wallpapers-16.04 && dpkg-deb -x lomiri-wallpapers-16.04_*.deb wallpapers
    python samples/render.py wallpapers/usr/share/backgrounds samples

Needs the extra `train`. The same command writes the same samples.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from unrain.data.motion import film
from unrain.rain import PRESETS, render
from unrain.rain.camera import CameraPath
from unrain.rain.scene import random_depth

PHOTO, CLIP = "friends_by_Aitzol_Berasategi.jpg", "picosdeeuropa_by_Aitzol_Berasategi.jpg"
FRAMES, RATE = 36, 18
HEIGHT, WIDTH = 200, 320
SHEET_COLUMNS = 5


def main(wallpapers: Path, samples: Path) -> None:
    """Write the rainy photo, the rainy clip, and the contact sheet of all kinds of rain."""
    photo = load(wallpapers / PHOTO, 640)[:, 180:660]
    rainy = render(photo[None, None], "rain100l", torch.Generator().manual_seed(3)).rainy[0, 0]
    save(rainy, samples / "friends.jpg")

    still = load(wallpapers / CLIP, 560)[:, 30:390, 60:420]
    camera, depth = dolly(), random_depth(1, WIDTH, WIDTH, torch.Generator().manual_seed(1))
    clip = film(still[None], WIDTH, camera, depth)
    rainy = render(clip, "heavy", torch.Generator().manual_seed(4), camera, depth).rainy[0]
    write_clip(rainy[..., 60 : 60 + HEIGHT, :], samples / "picos.mp4")

    contact_sheet(photo[:, 20:340, 100:420]).save(samples.parent / "docs" / "pictures" / "presets.jpg", quality=88)


def dolly() -> CameraPath:
    """A camera that drifts sideways, slowly, with a hand's unrest."""
    time = torch.arange(FRAMES) - (FRAMES - 1) / 2
    zeros = torch.zeros(FRAMES)
    unrest = 0.3 * torch.randn(FRAMES, 2, generator=torch.Generator().manual_seed(2))
    return CameraPath(
        shift=(torch.stack((0.2 * time, 0.5 * time), dim=1) + unrest)[None],
        slide=torch.stack((zeros, 3 * time), dim=1)[None],
        zoom=1 + 0.002 * time[None],
        turn=zeros[None],
        shutter=torch.tensor([0.1]),
    )


def contact_sheet(photo: Tensor) -> Image.Image:
    """The same photo `(3, H, W)` in each kind of rain, its name below."""
    _, height, width = photo.shape
    band, font = 28, ImageFont.load_default(18)
    rows = -(-len(PRESETS) // SHEET_COLUMNS)
    sheet = Image.new("RGB", (SHEET_COLUMNS * width, rows * (height + band)), "white")
    for number, name in enumerate(PRESETS):
        rainy = render(photo[None, None], name, torch.Generator().manual_seed(9)).rainy[0, 0]
        left, top = number % SHEET_COLUMNS * width, number // SHEET_COLUMNS * (height + band)
        sheet.paste(Image.fromarray(to_pixels(rainy)), (left, top))
        ImageDraw.Draw(sheet).text((left + 8, top + height + 20), name, "black", font, anchor="ls")
    return sheet


def load(path: Path, width: int) -> Tensor:
    """A photo as `(3, H, W)` in [0, 1], this wide."""
    with Image.open(path) as image:
        scaled = image.convert("RGB").resize(
            (width, round(image.height * width / image.width)), Image.Resampling.LANCZOS
        )
    return torch.from_numpy(np.array(scaled)).permute(2, 0, 1) / 255


def to_pixels(picture: Tensor) -> np.ndarray:
    """`(3, H, W)` in [0, 1] to 8-bit `(H, W, 3)`."""
    return (picture * 255).round().byte().permute(1, 2, 0).numpy()


def save(picture: Tensor, path: Path) -> None:
    """Write a photo."""
    Image.fromarray(to_pixels(picture)).save(path, quality=92)


def write_clip(clip: Tensor, path: Path) -> None:
    """Write `(T, 3, H, W)` as H.264."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(RATE), options={"crf": "18"})
        stream.height, stream.width, stream.pix_fmt = clip.shape[2], clip.shape[3], "yuv420p"
        for picture in clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(to_pixels(picture), format="rgb24")))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
