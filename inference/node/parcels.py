"""What archives still lack: the results of each job, object by object."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import PurePosixPath

from marrowmap.inference.node.database import Database
from marrowmap.inference.node.queue import DONE, FAILED, SENDING


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """The results of one job that one archive still lacks.

    Attributes:
        job: Number of the job.
        alias: The study in logs.
        files: Result objects below the job's folder, not sent yet.
        tries: How often sending has failed.
        arrived: When the study's last instance came, seconds since 1970.
        inferred: When the results were there, likewise.
    """

    job: int
    alias: str
    files: tuple[PurePosixPath, ...]
    tries: int
    arrived: float
    inferred: float


class Parcels:
    """The results that wait for archives; `Queue.finish` puts them here."""

    def __init__(self, database: Database) -> None:
        """Go on where the last process stopped."""
        self._database = database

    def next(self, archive: str) -> Parcel | None:
        """Return what has waited longest for an archive and is due."""
        rows = self._database.read(
            "SELECT parcel.job, parcel.tries, job.inferred, study.alias, study.arrived FROM parcel "
            "JOIN job ON job.id = parcel.job JOIN study ON study.id = job.study "
            "WHERE archive = ? AND parcel.state = ? AND parcel.due <= ? "
            "ORDER BY parcel.due, parcel.job LIMIT 1",
            archive,
            SENDING,
            time.time(),
        )
        if not rows:
            return None
        sql = "SELECT file FROM delivery WHERE job = ? AND archive = ? AND sent IS NULL ORDER BY file"
        files = self._database.read(sql, rows[0]["job"], archive)
        names = tuple(PurePosixPath(row["file"]) for row in files)
        return Parcel(**dict(rows[0]), files=names)

    def sent(self, job: int, archive: str, file: PurePosixPath) -> None:
        """Record that an archive has a result object."""
        with self._database.change() as connection:
            connection.execute(
                "UPDATE delivery SET sent = ? WHERE job = ? AND archive = ? AND file = ?",
                (time.time(), job, archive, str(file)),
            )

    def postpone(self, job: int, archive: str, reason: str, pause_s: float) -> None:
        """Try again later."""
        with self._database.change() as connection:
            connection.execute(
                "UPDATE parcel SET tries = tries + 1, due = ?, note = ? WHERE job = ? AND archive = ?",
                (time.time() + pause_s, reason, job, archive),
            )

    def archive_is_back(self, archive: str) -> None:
        """Let everything that waits for an archive be tried now."""
        with self._database.change() as connection:
            connection.execute(
                "UPDATE parcel SET due = ? WHERE archive = ? AND state = ? AND due > ?",
                (time.time(), archive, SENDING, time.time()),
            )

    def end(self, job: int, archive: str, state: str) -> None:
        """Record that an archive has all of a job, or never will; the last parcel ends the job."""
        with self._database.change() as connection:
            connection.execute(
                "UPDATE parcel SET state = ? WHERE job = ? AND archive = ?", (state, job, archive)
            )
            states = connection.execute("SELECT state FROM parcel WHERE job = ?", (job,)).fetchall()
            if SENDING not in (row["state"] for row in states):
                end = FAILED if any(row["state"] == FAILED for row in states) else DONE
                connection.execute(
                    "UPDATE job SET state = ?, finished = ? WHERE id = ?", (end, time.time(), job)
                )
