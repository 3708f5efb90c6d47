"""Instances come in: checked, on disk and in the queue's file before they are acknowledged.

Files are named by chance and folders by number: nothing that a peer sends ever becomes a path.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import os
import re
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.uid import EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage, MRImageStorage

from marrowmap.data.headers import tolerant
from marrowmap.inference.node.database import Database
from marrowmap.inference.node.limits import DiskQuota, QuotaError

logger = logging.getLogger(__name__)

#: What names us as the maker of an object.
OUR_MODEL_NAME = "marrowmap"
#: What can be a source. All else, our own results above all, is acknowledged and let go.
SOURCE_CLASSES = frozenset({MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage})
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_UID_LENGTH = 64


class Outcome(Enum):
    """What became of an instance."""

    STORED = "stored"
    KNOWN = "known"
    IGNORED = "ignored"


class InstanceError(Exception):
    """An instance that cannot be what it says it is."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """An instance as it arrived.

    Attributes:
        encoded: The DICOM file, preamble and file meta information included.
        study_uid: Its Study Instance UID.
        sop_uid: Its SOP Instance UID.
        sop_class: Its SOP Class UID.
        is_ours: Whether a marrowmap made it, this one or another.
    """

    encoded: bytes
    study_uid: str
    sop_uid: str
    sop_class: str
    is_ours: bool = False


def read_arrival(encoded: bytes) -> Arrival:
    """Read who an instance is.

    Raises:
        InstanceError: If it is no DICOM, or a UID is missing or malformed.
    """
    keywords = ["StudyInstanceUID", "SOPInstanceUID", "SOPClassUID"]
    wanted = [*keywords, "ManufacturerModelName", "ContributingEquipmentSequence"]
    try:
        with tolerant():
            header = pydicom.dcmread(BytesIO(encoded), specific_tags=wanted, stop_before_pixels=True)
            study_uid, sop_uid, sop_class = (str(header.get(word) or "") for word in keywords)
            makers = [header, *(header.get("ContributingEquipmentSequence") or ())]
            is_ours = any(str(maker.get("ManufacturerModelName")) == OUR_MODEL_NAME for maker in makers)
    except Exception as error:  # pydicom raises nearly anything on bytes that are no DICOM
        raise InstanceError(f"not readable ({type(error).__name__})") from None
    for word, uid in zip(keywords, (study_uid, sop_uid, sop_class), strict=True):
        if len(uid) > _UID_LENGTH or not _UID.fullmatch(uid):
            raise InstanceError(f"{word} missing or malformed")
    return Arrival(
        encoded=encoded, study_uid=study_uid, sop_uid=sop_uid, sop_class=sop_class, is_ours=is_ours
    )


class Intake:
    """Where instances are put."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        quota: DiskQuota,
        most_instances: int,
        *,
        is_synced: bool = True,
    ) -> None:
        """Use a folder of its own for the files."""
        self._database, self._folder, self._quota = database, folder, quota
        self._most, self._is_synced = most_instances, is_synced
        #: Studies fetched by C-MOVE, which come in by the same door as those that are sent.
        self._expected: set[str] = set()

    def accept(self, arrival: Arrival, *, opens: bool = True) -> Outcome:
        """Take an instance; on return it is safe.

        Args:
            arrival: The instance.
            opens: Whether its study is to be queued when no more of it comes. Not so for an exam fetched
                for comparison; and what the poller fetches is opened when it is all here.

        Raises:
            QuotaError: If there is no room for it.
            InstanceError: If its study has too many instances.
        """
        # Our composed series is MR like its sources: taken for one, it would start the next round.
        if arrival.is_ours or arrival.sop_class not in SOURCE_CLASSES:
            return Outcome.IGNORED
        opens = opens and arrival.study_uid not in self._expected
        return self._keep(self.study(arrival.study_uid), arrival, is_open=opens)

    def open(self, study_uid: str, arrived: float) -> None:
        """Let a study be queued of which the last instance came at a time (seconds since 1970)."""
        with self._database.change() as connection:
            connection.execute(
                "UPDATE study SET arrived = ?, is_open = 1 WHERE uid = ?", (arrived, study_uid)
            )

    @contextlib.contextmanager
    def expecting(self, study_uid: str) -> Iterator[None]:
        """Take what arrives of a study meanwhile as a prior exam."""
        self._expected.add(study_uid)
        try:
            yield
        finally:
            self._expected.discard(study_uid)

    def folder_of(self, study: int) -> Path:
        """Return where a study's files are."""
        return self._folder / f"{study:08d}"

    def files_of(self, study: int) -> list[Path]:
        """Return a study's files."""
        rows = self._database.read("SELECT file FROM instance WHERE study = ? AND is_kept", study)
        return [self.folder_of(study) / row["file"] for row in rows]

    def known(self, study_uid: str) -> int:
        """Return how many instances of a study have ever come."""
        sql = "SELECT count(*) AS n FROM instance JOIN study ON study.id = instance.study WHERE study.uid = ?"
        return int(self._database.read(sql, study_uid)[0]["n"])

    def clear(self, study: int) -> None:
        """Delete a study's files; what it held stays known."""
        with self._database.change() as connection:
            connection.execute("UPDATE instance SET is_kept = 0 WHERE study = ?", (study,))
        shutil.rmtree(self.folder_of(study), ignore_errors=True)

    def sweep(self) -> int:
        """Delete files that were cut off before they were acknowledged; return how many."""
        known = {
            f"{row['study']:08d}/{row['file']}"
            for row in self._database.read("SELECT study, file FROM instance WHERE is_kept")
        }
        strays = [path for path in self._folder.glob("*/*") if f"{path.parent.name}/{path.name}" not in known]
        for path in strays:
            path.unlink()
        return len(strays)

    def alias(self, study_uid: str) -> str:
        """Return the name of a study for logs and pages: a keyed hash of its UID."""
        return hmac.new(self._database.secret, study_uid.encode(), "sha256").hexdigest()[:12]

    def study(self, uid: str) -> int:
        """Return the number of a study, new or not."""
        rows = self._database.read("SELECT id FROM study WHERE uid = ?", uid)
        if not rows:
            with self._database.change() as connection:
                connection.execute(
                    "INSERT OR IGNORE INTO study (uid, alias, arrived, is_open) VALUES (?, ?, ?, 0)",
                    (uid, self.alias(uid), time.time()),
                )
            rows = self._database.read("SELECT id FROM study WHERE uid = ?", uid)
            logger.info("study %s: first instance", self.alias(uid))
        return int(rows[0]["id"])

    def _keep(self, study: int, arrival: Arrival, *, is_open: bool) -> Outcome:
        """Write the file first and its row second: a row always has its file."""
        held = self._database.read("SELECT count(*) AS n FROM instance WHERE study = ? AND is_kept", study)
        if self._is_kept(study, arrival.sop_uid):
            file = None
        elif held[0]["n"] >= self._most:
            raise InstanceError(f"its study has {self._most} instances already")
        else:
            file = self._write(self.folder_of(study), arrival.encoded)
        with self._database.change() as connection:
            is_new = file is not None and _record(connection, study, arrival, file.name)
            if is_open:
                connection.execute(
                    "UPDATE study SET arrived = ?, is_open = 1 WHERE id = ?", (time.time(), study)
                )
        if file is not None and not is_new:  # another association was faster
            self._remove(file, len(arrival.encoded))
        return Outcome.STORED if is_new else Outcome.KNOWN

    def _is_kept(self, study: int, sop_uid: str) -> bool:
        sql = "SELECT 1 FROM instance WHERE study = ? AND sop_uid = ? AND is_kept"
        return bool(self._database.read(sql, study, sop_uid))

    def _write(self, folder: Path, encoded: bytes) -> Path:
        """Write a file of a name that chance gives.

        Raises:
            QuotaError: If there is no room.
        """
        self._quota.take(len(encoded))
        path = folder / f"{secrets.token_hex(8)}.dcm"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with path.open("xb") as stream:
                stream.write(encoded)
                stream.flush()
                if self._is_synced:
                    os.fsync(stream.fileno())
        except OSError as error:
            self._remove(path, len(encoded))
            raise QuotaError(f"the disk cannot be written ({error.strerror})") from None
        return path

    def _remove(self, path: Path, length: int) -> None:
        path.unlink(missing_ok=True)
        self._quota.give_back(length)


def _record(connection: sqlite3.Connection, study: int, arrival: Arrival, file: str) -> bool:
    """Write an instance's row; False where it has one with a file."""
    done = connection.execute(
        "INSERT INTO instance VALUES (?, ?, ?, ?, 1) ON CONFLICT DO UPDATE "
        "SET file = excluded.file, bytes = excluded.bytes, is_kept = 1 WHERE NOT is_kept",
        (study, arrival.sop_uid, file, len(arrival.encoded)),
    )
    return done.rowcount == 1
