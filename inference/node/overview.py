"""What the node does now, read from its queue: for the status page, the metrics and the health check."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from marrowmap.inference.node.database import Database
from marrowmap.inference.node.limits import DiskQuota
from marrowmap.inference.node.metrics import Gauge
from marrowmap.inference.node.queue import QUEUED, REFUSED, RUNNING, SENDING, STATES

_LAST = 50


@dataclass(frozen=True, kw_only=True)
class Line:
    """One study on the status page.

    Attributes:
        alias: The study's hash.
        state: Of its job.
        queued: When the study was complete, seconds since 1970.
        seconds: From then to the end, or to now.
        device: That works or worked on it.
        attempts: How often it was begun.
        note: What went wrong last, or why it was not compared.
    """

    alias: str
    state: str
    queued: float
    seconds: float
    device: str
    attempts: int
    note: str


class Overview:
    """Reads; changes nothing."""

    def __init__(self, database: Database, quota: DiskQuota) -> None:
        """Read from a queue."""
        self._database, self._quota = database, quota

    def states(self) -> dict[str, int]:
        """Return the number of jobs by state, zeros included; prior exams are not counted."""
        rows = self._database.read("SELECT state, count(*) AS n FROM job WHERE NOT is_prior GROUP BY state")
        return dict.fromkeys(STATES, 0) | {row["state"]: row["n"] for row in rows}

    def receiving(self) -> int:
        """Return the number of studies that still come in."""
        return int(self._database.read("SELECT count(*) AS n FROM study WHERE is_open")[0]["n"])

    def lines(self) -> list[Line]:
        """Return the newest jobs, those that wait or run first."""
        sql = (
            "SELECT job.*, study.alias, (SELECT group_concat(archive || ': ' || note, '; ') FROM parcel "
            "WHERE parcel.job = job.id AND parcel.note != '' AND parcel.state != 'done') AS sending "
            "FROM job JOIN study ON study.id = job.study WHERE NOT is_prior "
            "ORDER BY job.finished IS NOT NULL, job.id DESC LIMIT ?"
        )
        now = time.time()
        return [
            Line(
                seconds=(row["finished"] or now) - row["queued"],
                note="; ".join(text for text in (row["note"], row["sending"]) if text),
                **{key: row[key] for key in ("alias", "state", "queued", "device", "attempts")},
            )
            for row in self._database.read(sql, _LAST)
        ]

    def oldest_wait_s(self) -> float:
        """Return how long the study has waited that waits longest, 0 if none does."""
        sql = "SELECT min(queued) AS oldest FROM job WHERE NOT is_prior AND state IN (?, ?, ?)"
        oldest = self._database.read(sql, QUEUED, RUNNING, SENDING)[0]["oldest"]
        return max(0.0, time.time() - oldest) if oldest is not None else 0.0

    def last_refusal(self) -> str:
        """Return the reason of the last study refused, empty if none was."""
        sql = "SELECT note FROM job WHERE state = ? ORDER BY finished DESC LIMIT 1"
        rows = self._database.read(sql, REFUSED)
        return str(rows[0]["note"]) if rows else ""

    def gauges(self) -> Iterator[Gauge]:
        """Yield the numbers for Prometheus."""
        states = {(("state", state),): float(n) for state, n in self.states().items()}
        single = {
            "studies_open": ("Studies that still come in.", self.receiving()),
            "oldest_wait_seconds": ("Wait of the study that waits longest.", self.oldest_wait_s()),
            "disk_used_bytes": ("Images and results on disk.", self._quota.used_bytes),
            "disk_free_bytes": ("Left on the disk.", self._quota.free_bytes()),
        }
        yield Gauge(name="jobs", help="Jobs by state.", values=states)
        for name, (words, value) in single.items():
            yield Gauge(name=name, help=words, values={(): float(value)})
