"""Exams of one person: linked, in order, each compared with the one before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from marrowmap.data.errors import CohortError
from marrowmap.inference.cohort.content import identity_of
from marrowmap.inference.cohort.listing import StudySource

Rows = Callable[..., list[dict[str, Any]]]
Run = Callable[..., dict[str, Any]]


def write_list(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(["study,person,date", *lines]) + "\n")
    return path


def write_header(path: Path, **words: str) -> None:
    """A DICOM file without an image."""
    header = Dataset()
    header.SOPClassUID, header.SOPInstanceUID = MRImageStorage, generate_uid()
    header.StudyInstanceUID = "1.2.3"
    for name, value in words.items():
        setattr(header, name, value)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    pydicom.dcmwrite(path, header, enforce_file_format=True)


def test_three_exams_listed_out_of_order_are_compared_in_order(
    studies: Any, run: Run, rows: Rows, tmp_path: Path
) -> None:
    where = studies(first=2, second=4, third=1, other=3)
    listed = write_list(
        where / "list.csv",
        "third,P1,2021-09-01",
        "other,P2,2021-01-01",
        "first,P1,2021-01-01",
        "second,P1,2021-03-02",
    )
    found = run(listed)
    assert found["persons"] == 2
    mine = sorted(
        (row for row in rows("exams") if row["lesions_visible"] != 3), key=lambda r: r["exam_of_person"]
    )
    assert [row["lesions_visible"] for row in mine] == [2, 4, 1]
    assert [row["days_since_prior"] for row in mine] == [None, 60, 183]
    assert [row["tumour_volume_change_percent"] for row in mine] == [None, 100.0, -75.0]
    assert [row["response_category"] for row in mine] == [None, 5, 1]
    assert [row["prior_exam"] for row in mine] == [None, mine[0]["exam"], mine[1]["exam"]]


def test_dates_are_shifted_together_and_by_up_to_a_year(studies: Any, run: Run, rows: Rows) -> None:
    where = studies(a=1, b=2)
    run(write_list(where / "list.csv", "a,P1,2021-01-01", "b,P1,2021-03-02"))
    days = sorted(row["study_date_shifted"] for row in rows("exams"))
    assert (days[1] - days[0]).days == 60
    assert "2020-01-02" <= str(days[0]) < "2021-01-01"


def test_an_exam_that_comes_in_between_later_changes_what_is_compared(
    studies: Any, run: Run, rows: Rows
) -> None:
    where = studies(a=1, b=2, c=4)
    run(write_list(where / "list.csv", "a,P1,2021-01-01", "c,P1,2021-03-01"))
    run(write_list(where / "list.csv", "a,P1,2021-01-01", "b,P1,2021-02-01", "c,P1,2021-03-01"))
    changes = {row["exam_of_person"]: row["tumour_volume_change_percent"] for row in rows("exams")}
    assert changes == {1: None, 2: 100.0, 3: 100.0}


def test_two_exams_of_one_day_are_not_compared_where_no_time_orders_them(
    studies: Any, run: Run, rows: Rows
) -> None:
    where = studies(a=1, b=2)
    run(write_list(where / "list.csv", "a,P1,2021-01-01", "b,P1,2021-01-01"))
    second = next(row for row in rows("exams") if row["exam_of_person"] == 2)
    assert second["response_category"] is None
    assert second["not_compared"] == "two exams of one day, and no time tells which came first"


def test_comparing_can_be_switched_off_and_on(studies: Any, run: Run, rows: Rows) -> None:
    where = studies(a=1, b=2)
    listed = write_list(where / "list.csv", "a,P1,2021-01-01", "b,P1,2021-03-02")
    run(listed, compare=False)
    assert {row["not_compared"] for row in rows("exams")} == {None, "comparing was switched off"}
    run(listed)
    assert {row["response_category"] for row in rows("exams")} == {None, 5}


def test_a_wrong_date_in_the_list_is_refused_by_its_row(studies: Any, run: Run) -> None:
    where = studies(a=1)
    with pytest.raises(CohortError, match=r"list.csv, row 2: need a date as YYYY-MM-DD, found '1.2.2021'"):
        run(write_list(where / "list.csv", "a,P1,1.2.2021"))


def test_a_list_without_a_column_of_studies_is_refused(studies: Any, run: Run) -> None:
    where = studies(a=1)
    (where / "list.csv").write_text("folder\na\n")
    with pytest.raises(CohortError, match="need the column study"):
        run(where / "list.csv")


def test_a_listed_study_that_is_not_there_is_a_refused_row(studies: Any, run: Run, rows: Rows) -> None:
    where = studies(a=1)
    (where / "list.txt").write_text("# a comment\na\nmissing\n")
    assert run(where / "list.txt")["exams"] == 2
    assert {row["state"] for row in rows("exams")} == {"done", "failed"}


def test_one_identifier_with_two_birth_dates_is_two_people(tmp_path: Path) -> None:
    found = []
    for year in ("1950", "1951"):
        folder = tmp_path / year
        folder.mkdir()
        write_header(folder / "1.dcm", PatientID="7", PatientBirthDate=f"{year}0101", StudyDate="20210102")
        found.append(identity_of(folder, StudySource(place=str(folder))))
    assert found[0].words != found[1].words
    assert found[0].date == "2021-01-02"


def test_a_header_without_an_identifier_is_linked_to_nobody(tmp_path: Path) -> None:
    write_header(tmp_path / "1.dcm", PatientBirthDate="19500101", StudyDate="20210102")
    assert identity_of(tmp_path, StudySource(place=str(tmp_path))).words == ()
