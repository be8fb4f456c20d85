"""Where and with what something was measured: versions, processor, time. No measuring here."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from unrain import __version__

_LIBRARIES = ("numpy", "pillow", "openvino", "onnxruntime", "torch")


def provenance() -> dict[str, Any]:
    """The time (UTC), the versions of unrain and what it computes with, and the machine."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"unrain": __version__, "python": platform.python_version(), **_versions()},
        "machine": {"processor": processor(), "cores": os.cpu_count(), "system": platform.platform()},
    }


def _versions() -> dict[str, str]:
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def processor() -> str:
    """The processor's name as its maker calls it, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
