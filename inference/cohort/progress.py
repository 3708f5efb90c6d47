"""How far it is and how long it will take, for people and for programs."""

from __future__ import annotations

import json
import math
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from marrowmap.data.whole_file import write_whole

PROGRESS_FILE = "progress.json"
#: The estimate rests on so many last ends: speed changes with the archive and the machines.
_WINDOW = 200
_WRITE_EVERY_S = 1.0
#: 90 % of a normal distribution lie within so many standard errors.
_NINETY = 1.645


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What is left, in seconds, with the interval that holds in nine of ten cases."""

    seconds: float
    low: float
    high: float


class Progress:
    """Counts ends and says what is left."""

    def __init__(
        self,
        file: Path,
        *,
        say: Callable[[str], None] = lambda words: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the clock.

        Args:
            file: Written anew about every second.
            say: Takes one line for a person now and then.
            clock: Seconds that only grow.
        """
        self._file, self._say, self._clock = file, say, clock
        self._counts: Counter[str] = Counter()
        self._began = self._written = clock()
        self._written -= _WRITE_EVERY_S
        self.phase, self.total, self.skipped = "list", 0, 0
        self._ends: deque[float] = deque(maxlen=_WINDOW + 1)

    def start(self, phase: str, total: int, skipped: int = 0) -> None:
        """Begin a phase: `read` or `compare`.

        Args:
            phase: Its name.
            total: How much there is, what is skipped included.
            skipped: What was done before.
        """
        self.phase, self.total, self.skipped = phase, total, skipped
        self._counts.clear()
        self._ends = deque([self._clock()], maxlen=_WINDOW + 1)
        self.write()

    def end(self, state: str, running: int = 0) -> None:
        """Count one that has ended."""
        self._counts[state] += 1
        self._ends.append(self._clock())
        if self._clock() - self._written >= _WRITE_EVERY_S:
            self.write(running)

    @property
    def left(self) -> int:
        """What has not ended."""
        return self.total - self.skipped - sum(self._counts.values())

    def estimate(self) -> Estimate | None:
        """Return what is left from the pauses between the last ends; None before the second of them.

        A pause already holds how many workers there are. The interval is that of a sum of as many pauses as
        are left, of the spread that was seen, with a mean that is itself known only so well.
        """
        if self.left == 0:
            return Estimate(seconds=0.0, low=0.0, high=0.0)
        ends = list(self._ends)
        pauses = [later - earlier for earlier, later in pairwise(ends)]
        if len(pauses) < 2:
            return None
        mean = sum(pauses) / len(pauses)
        variance = sum((pause - mean) ** 2 for pause in pauses) / (len(pauses) - 1)
        spread = _NINETY * math.sqrt(variance * (self.left + self.left**2 / len(pauses)))
        middle = mean * self.left
        return Estimate(seconds=middle, low=max(0.0, middle - spread), high=middle + spread)

    def write(self, running: int = 0, *, phase: str | None = None) -> None:
        """Write the file, and say it."""
        self.phase = phase or self.phase
        self._written = self._clock()
        found = self.as_json(running)
        write_whole(self._file, json.dumps(found, indent=2) + "\n")
        self._say(_line(found))

    def as_json(self, running: int = 0) -> dict[str, Any]:
        """Return everything, for a program."""
        estimate, ended = self.estimate(), sum(self._counts.values())
        ends = self._ends
        seconds = ends[-1] - ends[0] if len(ends) > 1 else 0.0
        return {
            "schema": "marrowmap-cohort-progress/1",
            "phase": self.phase,
            "total": self.total,
            "skipped": self.skipped,
            "ended": ended,
            "left": self.left,
            "running": min(running, self.left),
            "by_state": dict(sorted(self._counts.items())),
            "per_hour": round(3600 * (len(ends) - 1) / seconds, 1) if seconds > 0 else None,
            "seconds_so_far": round(self._clock() - self._began, 1),
            "seconds_left": None if estimate is None else round(estimate.seconds, 1),
            "seconds_left_low": None if estimate is None else round(estimate.low, 1),
            "seconds_left_high": None if estimate is None else round(estimate.high, 1),
            "updated": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def _line(found: dict[str, Any]) -> str:
    states = ", ".join(f"{number} {state}" for state, number in found["by_state"].items())
    words = f"{found['phase']}: {found['skipped'] + found['ended']} of {found['total']}"
    words += f" ({states})" if states else ""
    if found["seconds_left"]:
        low, middle, high = (found[f"seconds_left{end}"] for end in ("_low", "", "_high"))
        words += f", {duration(middle)} left ({duration(low)} to {duration(high)})"
    return words


def duration(seconds: float) -> str:
    """Return seconds in words: `40 s`, `12 min`, `3.5 h`, `2.1 days`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"
