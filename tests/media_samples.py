"""Small pictures and clips for the media tests, made from gradients and noise. No tests live here."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

TICKS = 90000


def picture(height: int = 24, width: int = 32, seed: int = 0) -> NDArray[np.uint8]:
    """A colour gradient with a little noise, (height, width, 3)."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    base = np.stack([0.15 + 0.7 * x, 0.15 + 0.7 * y, 0.8 - 0.6 * x], axis=-1)
    noise = np.random.default_rng(seed).normal(0, 0.01, base.shape)
    return np.round(np.clip(base + noise, 0, 1) * 255).astype(np.uint8)


def yuv_planes(rgb: NDArray[np.uint8], matrix: int, full: bool) -> NDArray[np.uint8]:
    """RGB as 4:4:4 planes (3, H, W), written independently of the code under test."""
    red, blue = {1: (0.2126, 0.0722), 6: (0.299, 0.114)}[matrix]
    r, g, b = np.moveaxis(rgb / 255.0, -1, 0)
    luma = red * r + (1 - red - blue) * g + blue * b
    chroma = [(b - luma) / (2 - 2 * blue), (r - luma) / (2 - 2 * red)]
    scale, base, chroma_scale = (255, 0, 255) if full else (219, 16, 224)
    planes = [luma * scale + base, *(c * chroma_scale + 128 for c in chroma)]
    return np.clip(np.round(np.stack(planes)), 0, 255).astype(np.uint8)


def clip(
    path: Path,
    frames: int = 12,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    times: list[int] | None = None,
    rotation: int = 0,
    sample_aspect: Fraction | None = None,
    tags: dict[str, int] | None = None,
    sound: bool = False,
    options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    chapters: bool = False,
    still: bool = True,
    ticks: int = TICKS,
) -> Path:
    """Write a clip at 25 frames per second, or with the given times in ticks."""
    tags = tags or {}
    times = times if times is not None else [i * ticks // 25 for i in range(frames)]
    with av.open(str(path), "w") as output:
        video: Any = output.add_stream(codec, rate=25, options=options or {}, time_base=Fraction(1, ticks))
        context = video.codec_context
        context.width, context.height, context.pix_fmt = *size, pixel_format
        if sample_aspect:
            context.sample_aspect_ratio = sample_aspect
        for name, value in tags.items():
            setattr(context, name, value)
        if rotation:
            video.set_display_rotation(rotation)
        audio: Any = output.add_stream("aac", rate=16000) if sound else None
        output.metadata.update(metadata or {})
        if chapters:
            output.set_chapters([_chapter(1, 0, 200, "wet"), _chapter(2, 200, 400, "dry")])
        for index, time in enumerate(times):
            output.mux(video.encode(_frame(index if not still else 0, size, tags, time, ticks)))
        if audio is not None:
            for block in _tone(len(times) / 25):
                output.mux(audio.encode(block))
            output.mux(audio.encode(None))
        output.mux(video.encode(None))
    return path


def _frame(index: int, size: tuple[int, int], tags: dict[str, int], time: int, ticks: int) -> av.VideoFrame:
    planes = yuv_planes(picture(size[1], size[0], index), tags.get("colorspace", 6), tags.get("color_range") == 2)
    frame = av.VideoFrame.from_ndarray(np.roll(planes, index, axis=2), format="yuv444p")
    frame.pts, frame.time_base, frame.duration = time, Fraction(1, ticks), ticks // 25
    return frame


def _chapter(number: int, start: int, end: int, title: str) -> Any:
    return {"id": number, "start": start, "end": end, "time_base": Fraction(1, 1000), "metadata": {"title": title}}


def _tone(seconds: float) -> Iterator[av.AudioFrame]:
    for start in range(0, int(seconds * 16000), 1024):
        wave = 0.2 * np.sin(np.arange(start, start + 1024) * 0.17, dtype=np.float32)
        block = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
        block.sample_rate, block.pts, block.time_base = 16000, start, Fraction(1, 16000)
        yield block


def stream_packets(path: Path, kind: str) -> list[tuple[bytes, Fraction | None]]:
    """Payload and time in seconds of each packet of the first stream of a kind."""
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        found = [p for p in container.demux(stream) if p.size]
        return [(bytes(p), None if p.pts is None else p.pts * Fraction(p.time_base)) for p in found]


def frame_times(path: Path) -> list[Fraction]:
    """Time in seconds of each shown frame."""
    with av.open(str(path)) as container:
        return [(f.pts or 0) * Fraction(f.time_base or 0) for f in container.decode(video=0)]


def first_frame(path: Path) -> av.VideoFrame:
    """The first decoded frame."""
    with av.open(str(path)) as container:
        return next(container.decode(video=0))
