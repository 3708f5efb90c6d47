"""What a study holds, without understanding it: the key by which done work is known, and whose it is."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pydicom

from marrowmap.data.headers import Source, tolerant
from marrowmap.inference.cohort.listing import StudySource

#: Files looked at for whose exam it is; the first ones of an export may be no DICOM.
_MOST_LOOKS = 50
_WORDS = (
    "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientName", "StudyDate", "StudyTime",
    "StudyInstanceUID",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whose exam it is and of when; never written anywhere.

    Attributes:
        patient_id: Patient ID, or the person that the list names.
        words: What tells people apart: the ID, its issuer and the birth date; empty where nothing is known.
        date: `YYYY-MM-DD` or empty.
        time: `hhmmss` or empty; orders exams of one day.
        name: Patient's name, only to keep it out of messages.
        study_uid: Study Instance UID.
    """

    patient_id: str = ""
    words: tuple[str, ...] = ()
    date: str = ""
    time: str = ""
    name: str = ""
    study_uid: str = ""


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What a look from outside tells of a study: enough to know it unchanged, at the cost of a listing.

    Attributes:
        digest: Changes when a file comes, goes, grows or is written again.
        length: Bytes of all its files; 0 where unknown.
    """

    digest: str
    length: int


def stamp_of(source: StudySource) -> Stamp:
    """Return the stamp of a study; one that does not exist has one too, so that it fails in its turn."""
    words, length = [source.place, source.study_uid, source.person, source.date, str(source.instances)], 0
    if not source.is_remote:
        for path in _files(Path(source.place)):
            with suppress(OSError):  # gone since the folder was listed
                found = path.stat()
                words.append(f"{path.name} {found.st_size} {found.st_mtime_ns}")
                length += found.st_size
    return Stamp(digest=_digest(words), length=length)


def content_sha256(study: Path, source: StudySource) -> str:
    """Return a hash of every byte of a study, wherever it lies.

    Args:
        study: Folder or zip; need not exist.
        source: What the list says of it.
    """
    names = sorted(_files(study), key=lambda path: path.relative_to(study).as_posix())
    words = [source.study_uid, source.person, source.date]
    for path in names:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        words.append(f"{path.relative_to(study).as_posix()} {digest}")
    # Without a file there is no content: then the place is what makes one study not another.
    return _digest(words if names else [*words, source.place])


def identity_of(study: Path, source: StudySource) -> Identity:
    """Return whose exam a study is: what the list says, else the DICOM header; empty for NIfTI."""
    header = _header(study, source.study_uid)
    patient_id = header.get("PatientID", "")
    words = tuple(header.get(word, "") for word in _WORDS[:3]) if patient_id else ()
    return Identity(
        patient_id=source.person or patient_id,
        words=(source.person,) if source.person else words,
        date=source.date or _iso(header.get("StudyDate", "")),
        time=header.get("StudyTime", "").partition(".")[0],
        name=header.get("PatientName", ""),
        study_uid=header.get("StudyInstanceUID", ""),
    )


def _header(study: Path, study_uid: str) -> dict[str, str]:
    """Return the words of the first DICOM file that names a study, nothing where none does."""
    for number, source in enumerate(_members(study)):
        if number == _MOST_LOOKS and not study_uid:
            break
        try:
            with tolerant(), source.open() as stream:
                found = pydicom.dcmread(stream, specific_tags=list(_WORDS), stop_before_pixels=True)
                words = {word: str(found.get(word) or "").strip() for word in _WORDS}
        except Exception:  # no DICOM, or damaged in any way: what is wrong with it, infer will say
            continue
        if words["StudyInstanceUID"] and study_uid in ("", words["StudyInstanceUID"]):
            return words
    return {}


def _members(study: Path) -> Iterator[Source]:
    if study.is_file() and zipfile.is_zipfile(study):
        with suppress(zipfile.BadZipFile, OSError), zipfile.ZipFile(study) as archive:
            for name in sorted(archive.namelist()):
                if not name.endswith("/"):
                    yield Source(path=study, member=name)
        return
    for path in _files(study):
        if not path.name.endswith((".nii", ".nii.gz", ".json")):
            yield Source(path=path)


def length_of(study: Path) -> int:
    """Return the bytes of a study's files."""
    return sum(path.stat().st_size for path in _files(study))


def _files(place: Path) -> list[Path]:
    """Return the files of a place at any depth, sorted; a file is its own; none where nothing is."""
    if place.is_file():
        return [place]
    return sorted(Path(folder, name) for folder, _, names in os.walk(place) for name in names)


def _digest(words: list[str]) -> str:
    return hashlib.sha256("\n".join(words).encode(errors="surrogateescape")).hexdigest()


def _iso(text: str) -> str:
    is_date = len(text) == 8 and text.isdigit() and text >= "1900"
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if is_date else ""
