"""Studies that are fetched from a DICOMweb archive, read and let go."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

pytest.importorskip("dicomweb_client", reason="archives need the extra [serve]")

from marrowmap.data.errors import ArchiveError, SettingsError
from marrowmap.inference.node import dicomweb
from marrowmap.inference.node.archive import RemoteStudy

URL = "https://pacs.example/dicom-web"
DAYS = {"1.2.1": "20210101", "1.2.2": "20210401"}

Rows = Callable[..., list[dict[str, Any]]]
Run = Callable[..., dict[str, Any]]


def instance(study_uid: str, number: int) -> bytes:
    """An MR instance of Jane Doe without pixels."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = MRImageStorage, f"{study_uid}.{number}"
    made.StudyInstanceUID, made.StudyDate = study_uid, DAYS[study_uid]
    made.PatientID, made.PatientName, made.PatientBirthDate = "4711", "Doe^Jane", "19500101"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, made, enforce_file_format=True)
    return buffer.getvalue()


class FakeArchive:
    """Two studies of one person; the second has one instance more."""

    asked: list[dict[str, str]]
    broken: str

    def __init__(self, settings: Any) -> None:
        assert settings.url == URL

    def studies(self, filters: dict[str, str], *, limit: int, offset: int) -> list[RemoteStudy]:
        self.asked.append(filters)
        return [
            RemoteStudy(
                uid=uid, when=day, birth_date="", description="", modalities=frozenset(), instances=1 + number
            )
            for number, (uid, day) in enumerate(DAYS.items())
        ]

    def fetch(self, study_uid: str, accept: Callable[[bytes], None]) -> None:
        if study_uid == self.broken:
            raise ArchiveError("the archive does not answer")
        for number in range(1 if study_uid == "1.2.1" else 2):
            accept(instance(study_uid, number))


@pytest.fixture(autouse=True)
def archive(monkeypatch: pytest.MonkeyPatch, stand_in: ModuleType) -> type[FakeArchive]:
    def infer(_: Any, study: Path, out: Path, **__: Any) -> dict[str, Any]:
        out.mkdir(exist_ok=True)
        report = stand_in.make_report(len(list(study.glob("*.dcm"))))
        (out / "report.json").write_text(stand_in.json.dumps(report))
        return report

    FakeArchive.asked, FakeArchive.broken = [], ""
    monkeypatch.setattr(dicomweb, "WebArchive", FakeArchive)
    monkeypatch.setattr(stand_in.StandIn, "infer", infer)
    return FakeArchive


def test_what_a_query_finds_is_read_linked_and_not_kept(run: Run, rows: Rows, tmp_path: Path) -> None:
    found = run(f"{URL}/studies?StudyDescription=WB*")
    assert FakeArchive.asked == [{"ModalitiesInStudy": "MR", "StudyDescription": "WB*"}]
    assert (found["exams"], found["persons"]) == (2, 1)
    second = next(row for row in rows("exams") if row["exam_of_person"] == 2)
    assert second["lesions_visible"] == 2
    assert second["days_since_prior"] == 90
    assert second["bytes_read"] > 0
    assert list((tmp_path / "out" / "scratch").iterdir()) == []
    for path in (path for path in (tmp_path / "out").rglob("*") if path.is_file()):
        assert not any(word in path.read_bytes() for word in (b"Doe", b"4711", b"1.2.2", b"19500101"))


def test_a_study_that_the_archive_does_not_give_is_asked_for_again(
    run: Run, rows: Rows, archive: type[FakeArchive]
) -> None:
    archive.broken = "1.2.1"
    assert run(URL)["by_state"] == {"done": 1, "failed": 1}
    archive.broken = ""
    assert run(URL)["by_state"] == {"done": 2}
    assert len(rows("exams")) == 2


def test_what_is_no_url_of_an_archive_is_refused(run: Run) -> None:
    with pytest.raises(SettingsError, match="need a URL such as"):
        run("https://")
