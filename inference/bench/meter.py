"""What a stage costs: wall seconds, CPU seconds, and the most memory that the process held meanwhile."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

#: Stages of both sides, in their order.
STAGES = ("start", "read", "resample", "windows", "export", "components", "report")

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of one stage.

    Attributes:
        seconds: Wall time.
        cpu_seconds: Time on processors, all threads together: what a busy machine cannot stretch.
        peak_mb: Most memory of the process during the stage, in MB (1e6 bytes).
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float


class Meter:
    """Costs by stage of the process that it lives in."""

    def __init__(self) -> None:
        """Start with no stage."""
        self.costs: dict[str, Cost] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure one stage."""
        forget_peak()
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.costs[name] = Cost(
            seconds=time.perf_counter() - wall, cpu_seconds=time.process_time() - cpu, peak_mb=peak_mb()
        )

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {name: asdict(cost) for name, cost in self.costs.items()}


def forget_peak() -> None:
    """Let the kernel count the peak anew; where it cannot, peaks only ever grow from stage to stage."""
    try:
        _CLEAR.write_text("5", encoding="ascii")
    except OSError:
        return


def peak_mb() -> float:
    """Return the peak of this process in MB: since `forget_peak` on Linux, since its start elsewhere.

    Linux's own count is read, since `getrusage` starts a child at what its parent held. 0 on Windows.
    """
    try:
        for line in _STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return 0.0
    # Kilobytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
