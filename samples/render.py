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
from PIL import Image
from torch import Tensor

from unrain.data.motion import pan
from unrain.rain.presets import render

PHOTO, CLIP = "friends_by_Aitzol_Berasategi.jpg", "picosdeeuropa_by_Aitzol_Berasategi.jpg"
FRAMES, RATE = 36, 18
HEIGHT, WIDTH = 200, 320


def main(wallpapers: Path, samples: Path) -> None:
    """Write the rainy photo and the rainy clip, and the clean photo for comparison."""
    photo = load(wallpapers / PHOTO, 640)[:, 180:660]
    rainy = render(photo[None, None], "heavy", torch.Generator().manual_seed(3)).rainy[0, 0]
    save(rainy, samples / "friends.jpg")

    still = load(wallpapers / CLIP, 560)[:, 30:390, 60:420]
    camera = torch.Generator().manual_seed(2)
    clip = pan(still[None], FRAMES, WIDTH, camera, speed=0.8)[..., 60 : 60 + HEIGHT, :]
    rainy = render(clip, "light", torch.Generator().manual_seed(11)).rainy[0]
    write_clip(rainy, samples / "picos.mp4")


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
