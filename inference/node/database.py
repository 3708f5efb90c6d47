"""What the node must not forget: one SQLite file, every change in a transaction."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from marrowmap.data.errors import NodeError

FORMAT = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
-- A study as it comes in. It is open while instances arrive; a prior exam is never opened.
CREATE TABLE IF NOT EXISTS study (
    id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, alias TEXT NOT NULL,
    arrived REAL NOT NULL, is_open INTEGER NOT NULL
);
-- An instance keeps its row when its file is cleared away: sent again, it makes no second job.
CREATE TABLE IF NOT EXISTS instance (
    study INTEGER NOT NULL REFERENCES study, sop_uid TEXT NOT NULL, file TEXT NOT NULL,
    bytes INTEGER NOT NULL, is_kept INTEGER NOT NULL, PRIMARY KEY (study, sop_uid)
) WITHOUT ROWID;
-- One run of one model on one set of sources: the key is what makes "never twice" true.
CREATE TABLE IF NOT EXISTS job (
    id INTEGER PRIMARY KEY, study INTEGER NOT NULL REFERENCES study, sources TEXT NOT NULL,
    model TEXT NOT NULL, state TEXT NOT NULL, is_prior INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL, queued REAL NOT NULL, started REAL, inferred REAL, finished REAL,
    device TEXT NOT NULL DEFAULT '', bytes INTEGER NOT NULL DEFAULT 0, note TEXT NOT NULL DEFAULT '',
    UNIQUE (study, sources, model)
);
CREATE INDEX IF NOT EXISTS job_by_state ON job (state, due);
-- One result object for one archive.
CREATE TABLE IF NOT EXISTS delivery (
    job INTEGER NOT NULL REFERENCES job, archive TEXT NOT NULL, file TEXT NOT NULL, sent REAL,
    PRIMARY KEY (job, archive, file)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parcel (
    job INTEGER NOT NULL REFERENCES job, archive TEXT NOT NULL, state TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL, note TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (job, archive)
) WITHOUT ROWID;
-- What an archive that is polled held when we last looked.
CREATE TABLE IF NOT EXISTS seen (
    study_uid TEXT PRIMARY KEY, instances INTEGER NOT NULL, since REAL NOT NULL, is_fetched INTEGER NOT NULL
) WITHOUT ROWID;
"""


class Database:
    """The file, and a connection of its own for every thread."""

    def __init__(self, path: Path, *, is_synced: bool = True) -> None:
        """Open or make the file.

        Args:
            path: The file.
            is_synced: Wait for the disk after every change. False outlives a crash, but not a power cut.

        Raises:
            NodeError: If it is damaged, or of another version.
        """
        self.path, self._is_synced = path, is_synced
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            raise NodeError(
                f"cannot use the queue {path}: {error}; restore it or name another folder"
            ) from None
        self.secret = self._secret()

    def read(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Return the rows of a question."""
        return self._connection().execute(sql, values).fetchall()

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Change all or nothing; on disk when the block has ended without an error."""
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def close(self) -> None:
        """Close the connections of all threads; they must have ended."""
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            # Closed by another thread only at the very end, so the check of threads is not needed.
            connection = sqlite3.connect(
                self.path, timeout=60.0, isolation_level=None, check_same_thread=False
            )
            connection.row_factory = sqlite3.Row
            connection.execute(f"PRAGMA synchronous = {'FULL' if self._is_synced else 'NORMAL'}")
            connection.execute("PRAGMA foreign_keys = ON")
            self._local.connection = connection
            with self._lock:
                self._connections.append(connection)
        return connection

    def _prepare(self) -> None:
        is_new = not self.path.exists()
        connection = self._connection()
        if is_new:
            os.chmod(self.path, 0o600)
        connection.execute("PRAGMA journal_mode = WAL")
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, FORMAT):
            raise NodeError(
                f"need a queue of format {FORMAT}, found {found} in {self.path}; name another folder"
            )
        connection.executescript(_SCHEMA)
        connection.execute(f"PRAGMA user_version = {FORMAT}")

    def _secret(self) -> bytes:
        """Return what makes our study hashes ours: nobody can compute them from a UID alone."""
        with self.change() as connection:
            connection.execute("INSERT OR IGNORE INTO meta VALUES ('secret', ?)", (secrets.token_hex(32),))
        return bytes.fromhex(self.read("SELECT value FROM meta WHERE name = 'secret'")[0]["value"])
