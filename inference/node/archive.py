"""What the node wants of an archive, whichever way it speaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

#: Takes one DICOM file as bytes.
Accept = Callable[[bytes], None]


@dataclass(frozen=True, kw_only=True)
class RemoteStudy:
    """A study that an archive holds.

    Attributes:
        uid: Study Instance UID.
        when: Study date and time as DICOM writes them, `YYYYMMDDhhmmss`; the time may be absent.
        birth_date: Of its patient, `YYYYMMDD` or empty.
        description: Study Description; empty where the archive does not say.
        modalities: Its modalities; empty where the archive does not say.
        instances: Number of its instances; None where the archive does not say.
    """

    uid: str
    when: str
    birth_date: str
    description: str
    modalities: frozenset[str]
    instances: int | None


class Archive(Protocol):
    """An archive. Every method raises `ArchiveError` where it does not answer or refuses."""

    def store(self, paths: Sequence[Path]) -> Iterator[Path]:
        """Store files, yielding each when the archive has it."""
        ...

    def find(self, patient_id: str) -> list[RemoteStudy]:
        """Return the studies of a patient."""
        ...

    def fetch(self, study_uid: str, accept: Accept) -> None:
        """Fetch the MR instances of a study."""
        ...
