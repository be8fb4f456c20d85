"""What a person may choose when files are cleaned. Doing it is `clean.py`'s business."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from unrain import __version__, weights
from unrain.errors import UnrainError
from unrain.inference.pictures import DEFAULT_MEMORY
from unrain.media import images
from unrain.media.videos import VideoOptions

AnyPath = str | PathLike[str]


@dataclass(frozen=True)
class Options:
    """How files are cleaned. `engine` and `precision` change a result by little, `threads` by nothing that one sees.

    quality: "fast", "balanced" or "best". memory: bytes that one photo or frame may take; larger ones are cleaned in
    tiles. stages: of the image model; None for its
    own. strength: 0 (as it was) to 1 (as the network has it). mask: a picture of the size of what is cleaned, white
    where to work. layers: also write the streaks that were taken out, as RESULT.streaks.png, or as a video, and of
    videos the degradation map. side_by_side: also write RESULT.side_by_side.png or a video, rainy to the left, clean
    to the right. preview: instead of all this, write one picture of a few frames before and after. strip_metadata:
    leave out of photos who took them, when and where. max_megapixels: larger photos are refused. video: codec, quality
    and part of videos.
    """

    quality: str = "balanced"
    engine: str = "auto"
    threads: int | None = None
    precision: str = "auto"
    memory: float = DEFAULT_MEMORY
    stages: int | None = None
    strength: float = 1.0
    mask: AnyPath | None = None
    layers: bool = False
    side_by_side: bool = False
    preview: bool = False
    strip_metadata: bool = False
    max_megapixels: float = images.MAX_MEGAPIXELS
    video: VideoOptions = field(default_factory=VideoOptions)

    def __post_init__(self) -> None:
        """Raises `UnrainError` for a strength or a quality that is none."""
        if self.quality not in weights.QUALITIES:
            raise UnrainError(f"there is no quality {self.quality!r}; choose one of {', '.join(weights.QUALITIES)}")
        if not 0 <= self.strength <= 1:
            raise UnrainError(f"a strength is from 0 to 1, and {self.strength:g} is not")

    @property
    def image_entry(self) -> weights.Entry:
        """The model that cleans photos."""
        return weights.find(weights.QUALITIES[self.quality][0])

    @property
    def video_entry(self) -> weights.Entry:
        """The model that cleans videos."""
        return weights.find(weights.QUALITIES[self.quality][1])

    @property
    def taken_precision(self) -> str:
        """What was asked for, or what goes with the quality."""
        if self.precision != "auto":
            return self.precision
        return "fp32" if self.quality == "best" else "auto"

    @property
    def mirrored(self) -> bool:
        """Whether photos are cleaned also left to right; see `PictureCleaner`."""
        return self.quality == "best"

    def settings(self) -> dict[str, Any]:
        """All that a result depends on besides its source, as a manifest remembers it."""
        return {
            "unrain": __version__,
            "models": [_hashes(entry) for entry in (self.image_entry, self.video_entry)],
            "engine": self.engine,
            "precision": self.taken_precision,
            "mirrored": self.mirrored,
            "stages": self.stages,
            "strength": self.strength,
            "mask": self.mask and hashlib.sha256(Path(self.mask).read_bytes()).hexdigest(),
            "layers": self.layers,
            "side_by_side": self.side_by_side,
            "preview": self.preview,
            "strip_metadata": self.strip_metadata,
            "video": repr(self.video),
        }


def _hashes(entry: weights.Entry) -> list[str]:
    return [entry.sha256, *([entry.int8.sha256] if entry.int8 else [])]
