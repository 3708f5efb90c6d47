"""The queue: which study waits, runs, is sent; the same after a crash as before it.

```
queued ──> running ──> sending ──> done
   ^          │            └─────> failed      no archive took it for too long
   └──────────┤                    superseded  more of the study came before anything was sent
              └──────────────────> refused     this study cannot be processed; or it failed too often
```
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from marrowmap.inference.node.database import Database

QUEUED, RUNNING, SENDING = "queued", "running", "sending"
DONE, FAILED, REFUSED, SUPERSEDED = "done", "failed", "refused", "superseded"
FINISHED = (DONE, FAILED, REFUSED, SUPERSEDED)
STATES = (QUEUED, RUNNING, SENDING, *FINISHED)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of one model on one set of sources.

    Attributes:
        id: Its number, which names its folder.
        study: Number of the study.
        alias: The study in logs.
        attempts: How often it was begun, this time included.
        queued: When its study was complete, seconds since 1970.
    """

    id: int
    study: int
    alias: str
    attempts: int
    queued: float


@dataclass(frozen=True, kw_only=True)
class KnownJob:
    """A job and the state it is in."""

    job: Job
    state: str


class Queue:
    """Jobs of one model."""

    def __init__(self, database: Database, model: str, archives: Iterable[str]) -> None:
        """Go on where the last process stopped: what ran then, runs again."""
        self._database, self.model, self._archives = database, model, tuple(archives)
        with database.change() as connection:
            connection.execute("UPDATE job SET state = ? WHERE state = ?", (QUEUED, RUNNING))
            # Its senders could not reach us meanwhile: a study that was coming in gets its time again.
            connection.execute("UPDATE study SET arrived = ? WHERE is_open", (time.time(),))
            waiting = "state = ? AND model != ? AND NOT is_prior"
            old = connection.execute(f"SELECT study FROM job WHERE {waiting}", (QUEUED, model)).fetchall()
            connection.execute(f"UPDATE job SET state = ? WHERE {waiting}", (SUPERSEDED, QUEUED, model))
            for row in old:  # what waited for another model waits for this one
                self._enqueue(connection, row["study"], is_prior=False)

    def close_quiet_studies(self, quiet_s: float, busy: frozenset[str] = frozenset()) -> int:
        """Queue every study of which nothing has come for so long; return how many there were.

        Args:
            quiet_s: How long.
            busy: UIDs of studies that are being sent, however slowly.
        """
        sql = "SELECT id, uid, arrived FROM study WHERE is_open AND arrived <= ?"
        quiet = [row for row in self._database.read(sql, time.time() - quiet_s) if row["uid"] not in busy]
        for row in quiet:
            with self._database.change() as connection:
                closed = connection.execute(
                    "UPDATE study SET is_open = 0 WHERE id = ? AND arrived = ?", (row["id"], row["arrived"])
                )
                if closed.rowcount:
                    self._enqueue(connection, row["id"], is_prior=False)
        return len(quiet)

    def add_prior(self, study: int) -> Job:
        """Return the job of a study that is only compared with; it runs in its caller, not from the queue."""
        with self._database.change() as connection:
            self._enqueue(connection, study, is_prior=True)
            sources = _sources(connection, study)
        sql = _JOB + "WHERE job.study = ? AND sources = ? AND model = ?"
        return _job(self._database.read(sql, study, sources, self.model)[0])

    def last_job(self, study_uid: str) -> KnownJob | None:
        """Return the newest job of this model for a study that did not come to nothing half-way."""
        sql = _JOB + "WHERE study.uid = ? AND model = ? AND state != ? ORDER BY job.id DESC LIMIT 1"
        rows = self._database.read(sql, study_uid, self.model, SUPERSEDED)
        return KnownJob(job=_job(rows[0]), state=rows[0]["state"]) if rows else None

    def claim(self, device: str) -> Job | None:
        """Take the oldest job that is due."""
        with self._database.change() as connection:
            row = connection.execute(
                _JOB + "WHERE state = ? AND NOT is_prior AND model = ? AND due <= ? ORDER BY job.id LIMIT 1",
                (QUEUED, self.model, time.time()),
            ).fetchone()
            if row is None:
                return None
            connection.execute(
                "UPDATE job SET state = ?, attempts = attempts + 1, started = ?, device = ? WHERE id = ?",
                (RUNNING, time.time(), device, row["id"]),
            )
        return _job(row, attempts=row["attempts"] + 1)

    def finish(self, job: int, files: Iterable[PurePosixPath], length: int, note: str = "") -> bool:
        """Record that a job's results are on disk; they wait for every archive from now on.

        Returns:
            False if the job was superseded meanwhile: nothing will be sent.
        """
        now, files = time.time(), tuple(files)
        archives = self._archives if files else ()
        with self._database.change() as connection:
            done = connection.execute(
                "UPDATE job SET state = ?, inferred = ?, finished = ?, bytes = ?, note = ? "
                "WHERE id = ? AND state = ? AND NOT is_prior",
                (SENDING if archives else DONE, now, None if archives else now, length, note, job, RUNNING),
            )
            if done.rowcount:
                connection.executemany(
                    "INSERT INTO parcel (job, archive, state, due) VALUES (?, ?, ?, ?)",
                    [(job, archive, SENDING, now) for archive in archives],
                )
                connection.executemany(
                    "INSERT INTO delivery VALUES (?, ?, ?, NULL)",
                    [(job, archive, str(file)) for archive in archives for file in files],
                )
        return bool(done.rowcount)

    def finish_prior(self, job: int, length: int) -> None:
        """Record that the results of a prior exam are on disk; they are not sent."""
        now = time.time()
        with self._database.change() as connection:
            connection.execute(
                "UPDATE job SET state = ?, bytes = ?, inferred = ?, finished = ? WHERE id = ? AND is_prior",
                (DONE, length, now, now, job),
            )

    def refuse_prior(self, job: int, reason: str) -> None:
        """Record that an earlier study is no exam to compare with."""
        with self._database.change() as connection:
            connection.execute(
                "UPDATE job SET state = ?, note = ?, finished = ? WHERE id = ? AND is_prior",
                (REFUSED, reason, time.time(), job),
            )

    def refuse(self, job: int, reason: str) -> None:
        """Give a job up."""
        with self._database.change() as connection:
            connection.execute(
                "UPDATE job SET state = ?, note = ?, finished = ? WHERE id = ? AND state != ?",
                (REFUSED, reason, time.time(), job, SUPERSEDED),
            )

    def postpone(self, job: int, reason: str, pause_s: float, *, is_counted: bool = True) -> None:
        """Put a job back for later; a stop of the node does not count as an attempt."""
        with self._database.change() as connection:
            connection.execute(
                "UPDATE job SET state = ?, due = ?, note = ?, attempts = attempts - ? "
                "WHERE id = ? AND state = ?",
                (QUEUED, time.time() + pause_s, reason, not is_counted, job, RUNNING),
            )

    def _enqueue(self, connection: sqlite3.Connection, study: int, *, is_prior: bool) -> None:
        """Make the job of what a study holds now, unless there is one; what it replaces is not sent."""
        now, sources = time.time(), _sources(connection, study)
        if not sources:  # cleared away meanwhile
            return
        key = (study, sources, self.model)
        if not is_prior:
            _supersede(connection, *key)
            # Compared with before, now sent for its own sake: the results are there and only to be sent.
            connection.execute(
                "UPDATE job SET is_prior = 0, state = ?, due = ? "
                "WHERE study = ? AND sources = ? AND model = ? AND is_prior",
                (QUEUED, now, *key),
            )
        connection.execute(
            "INSERT OR IGNORE INTO job (study, sources, model, state, is_prior, due, queued) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*key, QUEUED, is_prior, now, now),
        )


_JOB = (
    "SELECT job.id, job.study, study.alias, job.attempts, job.queued, job.state "
    "FROM job JOIN study ON study.id = job.study "
)


def _job(row: sqlite3.Row, attempts: int = 0) -> Job:
    values = {key: row[key] for key in ("id", "study", "alias", "queued")}
    return Job(**values, attempts=attempts or row["attempts"])


def _sources(connection: sqlite3.Connection, study: int) -> str:
    """Return a hash of which instances a study holds, whatever their order; empty where it holds none."""
    sql = "SELECT sop_uid FROM instance WHERE study = ? AND is_kept ORDER BY sop_uid"
    uids = [row["sop_uid"] for row in connection.execute(sql, (study,))]
    return hashlib.sha256("\n".join(uids).encode()).hexdigest() if uids else ""


def _supersede(connection: sqlite3.Connection, study: int, sources: str, model: str) -> None:
    """End the jobs of an earlier set of sources of which no archive has anything yet."""
    where = (
        "study = ? AND NOT (sources = ? AND model = ?) AND NOT is_prior AND state IN (?, ?, ?) "
        "AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.job = job.id AND sent IS NOT NULL)"
    )
    values = (study, sources, model, QUEUED, RUNNING, SENDING)
    connection.execute(
        f"UPDATE parcel SET state = ? WHERE job IN (SELECT id FROM job WHERE {where})", (SUPERSEDED, *values)
    )
    connection.execute(
        f"UPDATE job SET state = ?, finished = ? WHERE {where}", (SUPERSEDED, time.time(), *values)
    )
