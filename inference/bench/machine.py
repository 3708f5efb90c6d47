"""On which machine a time was taken: without it no second means anything."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from marrowmap.models.engine import usable_threads

#: Versions that decide how fast either side is.
_PACKAGES = ("numpy", "scipy", "torch", "monai", "openvino")


def machine() -> dict[str, Any]:
    """Return processor, cores, memory, load and versions; no host name, which may name a person."""
    return {
        "processor": _processor(),
        "cores": usable_threads(),
        "memory_mb": _memory_mb("MemTotal:"),
        "free_mb": free_mb(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def free_mb() -> int | None:
    """Return the memory that programs may still take, in MB; None where the system does not tell."""
    return _memory_mb("MemAvailable:")


def _memory_mb(key: str) -> int | None:
    return next((int(words[1]) * 1024 // 10**6 for words in _lines("/proc/meminfo") if words[0] == key), None)


def _processor() -> str:
    for words in _lines("/proc/cpuinfo"):
        if words[:2] == ["model", "name"]:
            return " ".join(words[3:])
    return platform.processor() or platform.machine()


def _lines(path: str) -> list[list[str]]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError:
        return []
    return [line.split() for line in text.splitlines() if line.strip()]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
