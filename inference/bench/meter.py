"""What a stage costs: wall seconds, CPU seconds, and the most memory that the process held meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from marrowmap.inference.peak_memory import peak_bytes

#: Stages of both sides, in their order.
STAGES = ("start", "read", "resample", "windows", "export", "components", "report")

_CLEAR = Path("/proc/self/clear_refs")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of one stage.

    Attributes:
        seconds: Wall time.
        cpu_seconds: Time on processors, all threads together: what a busy machine cannot stretch.
        peak_mb: Most memory of the process during the stage, in MB (1e6 bytes); 0 where it is not told.
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
            seconds=time.perf_counter() - wall,
            cpu_seconds=time.process_time() - cpu,
            peak_mb=(peak_bytes() or 0) / 1e6,
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
