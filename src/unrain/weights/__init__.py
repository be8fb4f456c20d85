"""The shipped models: their step graphs, and `catalog.toml`, which says what each is and how it was made."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from unrain.errors import WeightsError

DEFAULT_IMAGE, DEFAULT_VIDEO = "sapnet", "j4rnet"
PRECISIONS = ("int8", "fp32")
QUALITIES = {
    "fast": ("sapnet-fast", "j4rnet-fast"),
    "balanced": (DEFAULT_IMAGE, DEFAULT_VIDEO),
    "best": (DEFAULT_IMAGE, DEFAULT_VIDEO),
}
"""Which models clean photos and videos. The best one does it in float32 and twice, whatever is faster."""


@dataclass(frozen=True)
class Twin:
    """The same model's graph in another precision. lost: the mean decibels that it costs on validation pictures."""

    file: str
    sha256: str
    lost: float


@dataclass(frozen=True)
class Entry:
    """One model of the catalog.

    kind: what it cleans. network: whose step graph it is. stages: how often that runs for one picture (1 for a video
    model's frame). memory: bytes that it needs per pixel of a picture, by engine and precision. The rest of the table
    is in `details`, for people to read.
    """

    name: str
    kind: Literal["image", "video"]
    network: str
    file: str
    sha256: str
    stages: int
    memory: dict[str, dict[str, int]]
    summary: str
    details: dict[str, Any]
    int8: Twin | None = None

    def bytes_per_pixel(self, engine: str, precision: str) -> int:
        """What a pixel takes on this engine, or on the one that takes the most."""
        known = self.memory.get(engine) or {precision: max(max(each.values()) for each in self.memory.values())}
        return known[precision]

    def graph(self, precision: str = "fp32") -> Path:
        """The step graph's file; `WeightsError` if it is missing or not the one that the catalog names."""
        file, sha256 = self.file, self.sha256
        if precision == "int8":
            if self.int8 is None:
                raise WeightsError(f"the model {self.name} has no {precision} graph; use fp32")
            file, sha256 = self.int8.file, self.int8.sha256
        path = _folder() / file
        try:
            digest = file_hash(path)
        except OSError as error:
            raise WeightsError(f"the weights of {self.name} are missing; install unrain again") from error
        if digest != sha256:
            raise WeightsError(f"the weights of {self.name} are damaged ({path}); install unrain again")
        return path


def file_hash(path: Path) -> str:
    """SHA-256 of a file, as the catalog has it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _folder() -> Path:
    # The engines want a path, so the package must lie in a folder, as pip installs it.
    return Path(str(resources.files(__name__)))


@cache
def catalog() -> dict[str, Entry]:
    """All shipped models by name, in the catalog's order."""
    tables = tomllib.loads((_folder() / "catalog.toml").read_text(encoding="utf-8"))
    known = ("kind", "network", "file", "sha256", "stages", "memory", "summary")
    return {
        name: Entry(
            name=name,
            details=table,
            int8=Twin(**table.pop("int8")) if "int8" in table else None,
            **{key: table.pop(key) for key in known},
        )
        for name, table in tables.items()
    }


def find(name: str) -> Entry:
    """The catalog's entry of this name; `WeightsError` names those that exist."""
    if name not in catalog():
        raise WeightsError(f"there is no model {name!r}; choose one of {', '.join(catalog())}")
    return catalog()[name]


def of_network(network: str) -> Entry:
    """The shipped model that a step graph of this network is like: one of the same, or else of the same kind."""
    same = next((entry for entry in catalog().values() if entry.network == network), None)
    if same is not None:
        return same
    if network == "j4rnet":  # as the paper has it, at full resolution
        return replace(find(DEFAULT_VIDEO), memory={"": {"int8": 3600, "fp32": 3600}})
    return find(DEFAULT_IMAGE)
