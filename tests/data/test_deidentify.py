"""A study without its person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from marrowmap.data.deidentify import deidentify_study
from marrowmap.data.errors import StudyError
from marrowmap.data.exam import Sequence
from marrowmap.data.headers import read_headers
from marrowmap.data.pixels import read_stack
from marrowmap.data.read import read_exam
from marrowmap.data.series import group_series

WriteSeries = Callable[..., list[Path]]
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
T1 = {"SeriesDescription": "t1 Doe cor", "ScanningSequence": "SE", "RepetitionTime": 600, "EchoTime": 10}
DWI = {"SeriesDescription": "DWI Doe", "ScanningSequence": "EP", "RepetitionTime": 6000, "EchoTime": 60}
SECRETS = ("Doe", "PID-77", "ACC-88", "Hospital", "1.2.826.0.1.3680043.8.498.77", "19600102", "20250102")


def planes(value: float, slices: int = 4, rows: int = 8) -> np.ndarray:
    return np.full((slices, rows, 6), value)


def secret_tags() -> dict[str, Any]:
    """What must not be there afterwards, at the top and inside a sequence."""
    inside = Dataset()
    inside.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    inside.ReferencedSOPInstanceUID = "1.2.826.0.1.3680043.8.498.77.4.9"
    purpose = Dataset()
    purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning = "1", "DCM", "x"
    inside.PurposeOfReferenceCodeSequence = DicomSequence([purpose])
    return {
        "PatientName": "Doe^Jane",
        "PatientID": "PID-77",
        "PatientBirthDate": "19600102",
        "AccessionNumber": "ACC-88",
        "InstitutionName": "Hospital",
        "StudyDescription": "Doe whole body",
        "ImageComments": "Doe moved",
        "SourceImageSequence": DicomSequence([inside]),
    }


def write_study(write: WriteSeries) -> None:
    secrets = secret_tags()
    write(1, planes(300, rows=20), orientation=CORONAL, origin=(1.0, 2.0, 40.0), **T1, **secrets)
    for b in (50, 900):
        for file in write(2, planes(1000 - b), b_private=b, **DWI, **secrets):
            dataset = pydicom.dcmread(file)
            dataset.private_block(0x0019, "SIEMENS MR HEADER").add_new(0x08, "LO", "Doe in private")
            dataset.save_as(file)


def test_names_dates_and_uids_are_gone_from_every_byte(write_series: WriteSeries, tmp_path: Path) -> None:
    write_study(write_series)
    written = deidentify_study(tmp_path / "study", tmp_path / "out")
    assert len(written.files) == 12
    assert sorted(p for p in (tmp_path / "out").rglob("*.dcm")) == sorted(written.files)
    for file in written.files:
        data = file.read_bytes()
        assert [secret for secret in SECRETS if secret.encode() in data] == []
        assert [secret for secret in SECRETS if secret in str(file.relative_to(tmp_path))] == []


def test_geometry_b_values_and_roles_stay(write_series: WriteSeries, tmp_path: Path) -> None:
    write_study(write_series)
    deidentify_study(tmp_path / "study", tmp_path / "out")
    before, after = read_exam(tmp_path / "study"), read_exam(tmp_path / "out")
    assert set(after.volumes) == {Sequence.T1, Sequence.DWI_LOW, Sequence.DWI_HIGH, Sequence.ADC}
    for sequence, volume in before.volumes.items():
        assert np.array_equal(after[sequence].array, volume.array)
        assert np.array_equal(after[sequence].affine_ras_mm, volume.affine_ras_mm)
        assert after[sequence].b_value_s_per_mm2 == volume.b_value_s_per_mm2
    dataset = pydicom.dcmread(tmp_path / "out" / "series_002" / "00001.dcm")
    assert dataset.DiffusionBValue in (50, 900)
    assert not any(element.tag.is_private for element in dataset)
    assert dataset.PatientIdentityRemoved == "YES"
    assert [c.CodeValue for c in dataset.DeidentificationMethodCodeSequence] == ["113100", "113111"]
    assert after.study.study_date == ""
    assert after.study.patient_age_years is None


def test_one_series_and_one_study_stay_one(write_series: WriteSeries, tmp_path: Path) -> None:
    write_study(write_series)
    files = deidentify_study(tmp_path / "study", tmp_path / "out").files
    headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
    assert len({h.StudyInstanceUID for h in headers}) == 1
    assert len({h.SeriesInstanceUID for h in headers}) == 2
    assert len({h.FrameOfReferenceUID for h in headers}) == 1
    assert len({h.SOPInstanceUID for h in headers}) == 12
    assert all(h.file_meta.MediaStorageSOPInstanceUID == h.SOPInstanceUID for h in headers)


def test_it_says_that_a_face_can_be_seen(write_series: WriteSeries, tmp_path: Path) -> None:
    write_study(write_series)
    (warning,) = deidentify_study(tmp_path / "study", tmp_path / "out").warnings
    assert warning.code == "face_visible"
    assert "a whole-body image can show a face" in warning.text


def test_screenshots_and_burned_in_text_are_left_out(write_series: WriteSeries, tmp_path: Path) -> None:
    write_study(write_series)
    same = {"PatientID": "PID-77"}
    write_series(8, planes(1), SOPClassUID="1.2.840.10008.5.1.4.1.1.7", SeriesDescription="screen", **same)
    write_series(9, planes(1), BurnedInAnnotation="YES", **T1, **same)
    written = deidentify_study(tmp_path / "study", tmp_path / "out")
    assert written.left_out == {"a secondary capture, not MR images": 4, "images with burned-in text": 4}
    assert len(written.files) == 12


@pytest.mark.parametrize(
    ("vendor", "block", "value"),
    [
        ("GE MEDICAL SYSTEMS", (0x0043, "GEMS_PARM_01", 0x39, "IS"), [1_000_000_800, 8, 0, 0]),
        ("UIH", (0x0065, "Image Private Header", 0x0A, "FD"), 800.0),
        ("Philips", (0x2001, "Philips Imaging DD 001", 0x03, "FL"), 800.0),
    ],
)
def test_other_vendors_b_values_move_to_the_public_tag(
    vendor: str, block: tuple[int, str, int, str], value: Any, write_series: WriteSeries, tmp_path: Path
) -> None:
    group, creator, element, vr = block
    for file in write_series(1, planes(7), Manufacturer=vendor, **DWI):
        dataset = pydicom.dcmread(file)
        dataset.private_block(group, creator, create=True).add_new(element, vr, value)
        dataset.save_as(file)
    files = deidentify_study(tmp_path / "study", tmp_path / "out").files
    assert {pydicom.dcmread(file).DiffusionBValue for file in files} == {800.0}


def test_philips_scale_slope_is_kept(write_series: WriteSeries, tmp_path: Path) -> None:
    for file in write_series(1, planes(100), Manufacturer="Philips", **T1):
        dataset = pydicom.dcmread(file)
        dataset.RescaleSlope, dataset.RescaleIntercept = 2, 0
        dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(0x0E, "FL", 0.5)
        dataset.save_as(file)
    deidentify_study(tmp_path / "study", tmp_path / "out")
    (stack,) = group_series(read_headers(tmp_path / "out")[0])[0].stacks
    # 100 x 2 / (2 x 0.5)
    assert read_stack(stack, quantitative=False)[0, 0, 0] == 200


def test_a_folder_in_use_is_not_written_to(write_series: WriteSeries, tmp_path: Path) -> None:
    write_study(write_series)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(StudyError, match="need an empty folder to write to, found out in use; name another"):
        deidentify_study(tmp_path / "study", tmp_path / "out")


def test_a_damaged_file_leaves_nothing_behind(write_series: WriteSeries, tmp_path: Path) -> None:
    files = write_series(1, planes(100), **T1)
    files[2].write_bytes(files[2].read_bytes()[:-50])
    with pytest.raises(StudyError, match="pixels cut short in one file; copy the study again"):
        deidentify_study(tmp_path / "study", tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["study"]
