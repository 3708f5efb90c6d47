"""From files on disk to an exam."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from marrowmap.data.errors import NoStudyError, SequenceMissingError, SettingsError, StudyError
from marrowmap.data.exam import Sequence
from marrowmap.data.read import Choices, describe_study, read_exam
from marrowmap.scripts.read import main

SHARED = Path(__file__).parents[2].parent / "shared" / "dicom"
WriteSeries = Callable[..., list[Path]]
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
T1 = {"SeriesDescription": "t1_tse_cor", "ScanningSequence": "SE", "RepetitionTime": 600, "EchoTime": 10}
STIR = {"SeriesDescription": "stir_cor", "ScanningSequence": ["SE", "IR"], "InversionTime": 160}
STIR |= {"RepetitionTime": 4000, "EchoTime": 60}
DWI = {"SeriesDescription": "ep2d_diff_tra", "ScanningSequence": "EP", "RepetitionTime": 6000, "EchoTime": 60}
DWI |= {"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"]}
ADC = DWI | {
    "SeriesDescription": "ep2d_diff_tra_ADC",
    "ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"],
}


def flat(value: float, slices: int = 8, rows: int = 16, columns: int = 12) -> np.ndarray:
    """Planes of a box of one value in air."""
    planes = np.zeros((slices, rows, columns))
    planes[:, 3:-3, 3:-3] = value
    return planes


def write_minimum(write: WriteSeries) -> None:
    """T1 coronal and DWI b50 and b900 axial, muscle with an ADC of 1500 um2/s."""
    write(1, flat(300, rows=30), orientation=CORONAL, origin=(0.0, 0.0, 40.0), **T1)
    write(2, flat(1000 * np.exp(-50 * 0.0015)), b_private=50, **DWI)
    write(2, flat(1000 * np.exp(-900 * 0.0015)), b_private=900, **DWI)


def test_the_minimum_set_is_read_and_adc_is_computed(write_series: WriteSeries, tmp_path: Path) -> None:
    write_minimum(write_series)
    exam = read_exam(tmp_path / "study")
    assert set(exam.volumes) == {Sequence.T1, Sequence.DWI_LOW, Sequence.DWI_HIGH, Sequence.ADC}
    assert exam[Sequence.DWI_HIGH].b_value_s_per_mm2 == 900
    assert exam[Sequence.DWI_LOW].shape == (12, 16, 8)
    assert exam[Sequence.ADC].array[6, 8, 4] == pytest.approx(1500, rel=0.01)
    assert exam[Sequence.ADC].is_computed
    assert exam.study.patient_sex == "F"
    assert exam.study.patient_age_years == 65
    assert exam.study.study_date == "2025-01-02"


def test_what_is_missing_is_named(write_series: WriteSeries, tmp_path: Path) -> None:
    write_minimum(write_series)
    codes = {warning.code for warning in read_exam(tmp_path / "study").warnings}
    assert {"missing_stir", "missing_dixon", "adc_computed", "coverage_short"} <= codes
    assert "missing_t1" not in codes


def test_a_place_in_the_patient_survives_the_reading(write_series: WriteSeries, tmp_path: Path) -> None:
    write_minimum(write_series)
    affine = read_exam(tmp_path / "study")[Sequence.T1].affine_ras_mm
    # Coronal rows run to the left, columns to the feet, slices to the back (the normal of both, in LPS +y).
    assert (affine @ [0, 0, 0, 1])[:3].tolist() == [0, 0, 40]
    assert (affine @ [1, 0, 0, 1])[:3].tolist() == [-2, 0, 40]
    assert (affine @ [0, 1, 0, 1])[:3].tolist() == [0, 0, 38]
    assert (affine @ [0, 0, 1, 1])[:3].tolist() == [0, -5, 40]


def test_two_stations_a_sequence_become_one_volume(write_series: WriteSeries, tmp_path: Path) -> None:
    write_series(1, flat(300, rows=30), orientation=CORONAL, origin=(0.0, 0.0, 80.0), **T1)
    for number, z in ((2, 0.0), (3, 30.0)):
        for b in (50, 900):
            write_series(number, flat(500), b_private=b, origin=(0.0, 0.0, z), **DWI)
        write_series(number + 10, flat(1200), b_private=900, origin=(0.0, 0.0, z), **ADC)
    exam = read_exam(tmp_path / "study")
    assert exam[Sequence.DWI_HIGH].shape == (12, 16, 14)
    assert exam.study.stations[Sequence.DWI_HIGH] == 2
    assert not exam[Sequence.ADC].is_computed
    assert exam[Sequence.ADC].array.max() == pytest.approx(1200)


@pytest.mark.parametrize(("code", "slope"), [("mm2/s", 1e-6), ("um2/s", 1.0), ("10-3.mm2/s", 1e-3)])
def test_an_adc_map_that_names_its_unit_is_taken_at_its_word(
    write_series: WriteSeries, tmp_path: Path, code: str, slope: float
) -> None:
    write_minimum(write_series)
    units = Dataset()
    units.CodeValue, units.CodingSchemeDesignator, units.CodeMeaning = code, "UCUM", code
    mapping = Dataset()
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = slope, 0.0
    mapping.MeasurementUnitsCodeSequence = [units]
    # The rescale alone would give 120 um2/s.
    tags = ADC | {"RescaleSlope": "0.1", "RescaleIntercept": "0", "RealWorldValueMappingSequence": [mapping]}
    write_series(3, flat(1200), b_private=900, **tags)
    adc = read_exam(tmp_path / "study")[Sequence.ADC]
    assert not adc.is_computed
    assert adc.array.max() == pytest.approx(1200)


def test_a_composed_series_goes_before_its_stations(write_series: WriteSeries, tmp_path: Path) -> None:
    write_minimum(write_series)
    write_series(9, flat(400, rows=60), orientation=CORONAL, origin=(0.0, 0.0, 80.0), **T1)
    exam = read_exam(tmp_path / "study")
    assert exam[Sequence.T1].shape == (12, 60, 8)
    parts = {s.number: s.parts[0] for s in describe_study(tmp_path / "study").series}
    assert parts[1].reason == "lies inside series 9 (t1_tse_cor), which covers more"


def test_a_repeated_series_is_read_once_the_later_one(write_series: WriteSeries, tmp_path: Path) -> None:
    write_minimum(write_series)
    write_series(4, flat(700, rows=30), orientation=CORONAL, origin=(0.0, 0.0, 40.0), **T1)
    assert read_exam(tmp_path / "study")[Sequence.T1].array.max() == 700


def test_the_user_names_a_series(write_series: WriteSeries, tmp_path: Path) -> None:
    write_minimum(write_series)
    write_series(4, flat(700, rows=30), orientation=CORONAL, origin=(0.0, 0.0, 40.0), **T1)
    assert read_exam(tmp_path / "study", Choices(t1=(1,)))[Sequence.T1].array.max() == 300
    with pytest.raises(SettingsError, match="no series 77 in this study; found 1, 2, 4"):
        read_exam(tmp_path / "study", Choices(t1=(77,)))


def test_a_missing_slice_is_named(write_series: WriteSeries, tmp_path: Path) -> None:
    write_minimum(write_series)
    files = write_series(5, flat(100, rows=30), orientation=CORONAL, origin=(0.0, 0.0, 40.0), **STIR)
    files[3].unlink()
    exam = read_exam(tmp_path / "study")
    assert Sequence.STIR not in exam
    texts = [w.text for w in exam.warnings if w.code == "series_incomplete"]
    assert texts == [
        "left out of series 5 (stir_cor): 1 gap between slices (10.0 and 20.0 mm) where others are 5.00 mm "
        "apart: a missing slice; export the series again"
    ]


def test_three_directions_make_their_geometric_mean(write_series: WriteSeries, tmp_path: Path) -> None:
    write_series(1, flat(300, rows=30), orientation=CORONAL, origin=(0.0, 0.0, 40.0), **T1)
    raw = DWI | {"ImageType": ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"]}
    write_series(2, flat(800), b_private=0, **raw)
    for direction, value in enumerate((100, 200, 400)):
        files = write_series(2, flat(value), b_private=1000, AcquisitionNumber=direction, **raw)
        for file in files:
            rename_instance(file, direction)
    high = read_exam(tmp_path / "study")[Sequence.DWI_HIGH]
    assert high.array[6, 8, 4] == pytest.approx(200, rel=1e-4)


def rename_instance(file: Path, direction: int) -> None:
    """Give a file a UID and a name of its own, as another direction has."""
    import pydicom

    dataset = pydicom.dcmread(file)
    dataset.SOPInstanceUID += f".{direction + 1}"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(file.with_name(f"{file.name}_{direction}"))
    file.unlink()


def test_the_same_file_twice_counts_once(write_series: WriteSeries, tmp_path: Path) -> None:
    write_minimum(write_series)
    shutil.copytree(tmp_path / "study" / "s001", tmp_path / "study" / "again")
    assert read_exam(tmp_path / "study")[Sequence.T1].shape == (12, 30, 8)


def test_a_slice_doubled_under_another_uid_is_refused_by_name(
    write_series: WriteSeries, tmp_path: Path
) -> None:
    write_minimum(write_series)
    files = write_series(5, flat(100, rows=30), orientation=CORONAL, origin=(0.0, 0.0, 40.0), **STIR)
    shutil.copy(files[2], files[2].with_name("kept"))
    rename_instance(files[2], 0)
    files[2].with_name("kept").rename(files[2])
    reasons = [w.text for w in read_exam(tmp_path / "study").warnings if w.code == "series_incomplete"]
    assert reasons[0].startswith(
        "left out of series 5 (stir_cor): 2 slices at 10.0 mm along the normal but 1"
    )


def test_other_files_are_passed_over_and_a_zip_is_as_good(write_series: WriteSeries, tmp_path: Path) -> None:
    write_minimum(write_series)
    (tmp_path / "study" / "readme.txt").write_text("no image")
    (tmp_path / "study" / "deep" / "er").mkdir(parents=True)
    shutil.move(tmp_path / "study" / "s001", tmp_path / "study" / "deep" / "er" / "s001")
    assert describe_study(tmp_path / "study").files_passed_over == 1
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for file in (tmp_path / "study").rglob("*"):
            target.write(file, file.relative_to(tmp_path))
    direct, zipped = read_exam(tmp_path / "study"), read_exam(archive)
    assert np.array_equal(direct[Sequence.T1].array, zipped[Sequence.T1].array)


def test_two_studies_in_one_folder_are_asked_about(write_series: WriteSeries, tmp_path: Path) -> None:
    write_minimum(write_series)
    write_series(7, flat(1), StudyInstanceUID="1.2.3", StudyDate="20240506", **T1)
    with pytest.raises(NoStudyError, match=r"found 2 studies, need one: 1\.2\.3 of 2024-05-06 \(8 files\)"):
        read_exam(tmp_path / "study")
    uid = "1.2.826.0.1.3680043.8.498.77.1"
    assert Sequence.T1 in read_exam(tmp_path / "study", study_uid=uid)
    with pytest.raises(NoStudyError, match="no study 9"):
        read_exam(tmp_path / "study", study_uid="9")


def test_two_patients_under_one_study_are_refused_without_their_names(
    write_series: WriteSeries, tmp_path: Path
) -> None:
    write_minimum(write_series)
    write_series(7, flat(1), PatientID="SECRET-7", PatientName="Doe^Jane", **STIR)
    with pytest.raises(NoStudyError, match="2 patients under one Study Instance UID") as refused:
        read_exam(tmp_path / "study")
    assert "SECRET" not in str(refused.value)


def test_a_folder_without_dicom_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("no image")
    with pytest.raises(NoStudyError, match="found 1 other files"):
        read_exam(tmp_path)
    with pytest.raises(NoStudyError, match="does not exist"):
        read_exam(tmp_path / "nowhere")


def test_a_damaged_zip_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("a", b"0" * 1000)
    damaged = bytearray(archive.read_bytes())
    damaged[60] ^= 0xFF
    archive.write_bytes(damaged)
    with pytest.raises(StudyError, match="damaged or encrypted"):
        read_exam(archive)


def test_a_truncated_file_leaves_its_series_out_by_name(write_series: WriteSeries, tmp_path: Path) -> None:
    write_minimum(write_series)
    files = write_series(5, flat(100, rows=30), orientation=CORONAL, origin=(0.0, 0.0, 40.0), **STIR)
    files[3].write_bytes(files[3].read_bytes()[:-100])
    texts = [w.text for w in read_exam(tmp_path / "study").warnings if w.code == "series_unreadable"]
    assert texts == [
        "left out series 5 (stir_cor): pixels cut short: need 720 bytes, found 620; copy the file again"
    ]


def test_without_high_b_the_exam_is_refused(write_series: WriteSeries, tmp_path: Path) -> None:
    write_series(1, flat(300, rows=30), orientation=CORONAL, **T1)
    write_series(2, flat(500), b_private=50, **DWI)
    with pytest.raises(SequenceMissingError, match="no high-b diffusion series"):
        read_exam(tmp_path / "study")


def test_a_segmentation_in_the_study_is_left_out_with_its_reason(
    write_series: WriteSeries, tmp_path: Path
) -> None:
    write_minimum(write_series)
    write_series(8, flat(1), Modality="SEG", SeriesDescription="lesions")
    reasons = {s.number: s.parts[0].reason for s in describe_study(tmp_path / "study").series}
    assert reasons[8] == "SEG, not MR images"


def test_different_frames_of_reference_are_told(write_series: WriteSeries, tmp_path: Path) -> None:
    write_minimum(write_series)
    write_series(
        5, flat(9, rows=30), orientation=CORONAL, origin=(0.0, 0.0, 40.0), FrameOfReferenceUID="1.2.9", **STIR
    )
    codes = [w.code for w in read_exam(tmp_path / "study").warnings]
    assert "frames_of_reference_differ" in codes


def test_rescale_is_applied_slice_by_slice(write_series: WriteSeries, tmp_path: Path) -> None:
    import pydicom

    write_minimum(write_series)
    files = write_series(5, flat(100, rows=30), orientation=CORONAL, origin=(0.0, 0.0, 40.0), **STIR)
    for k, file in enumerate(files):
        dataset = pydicom.dcmread(file)
        dataset.RescaleSlope, dataset.RescaleIntercept = k + 1, 5
        dataset.save_as(file)
    stir = read_exam(tmp_path / "study")[Sequence.STIR].array
    assert stir[6, 15].tolist() == [105, 205, 305, 405, 505, 605, 705, 805]


def test_command_prints_json_and_writes_nifti(
    write_series: WriteSeries, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_minimum(write_series)
    assert main([str(tmp_path / "study"), "--json", "--nifti", str(tmp_path / "out")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["missing"] == ["stir", "dixon"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "adc.nii.gz",
        "dwi_b50.nii.gz",
        "dwi_b900.nii.gz",
        "t1.nii.gz",
    ]
    again = read_exam(tmp_path / "out")
    assert again[Sequence.DWI_HIGH].b_value_s_per_mm2 == 900


def test_command_says_on_one_line_why_it_cannot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere")]) == 3
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real series (../shared/dicom) are not here")
def test_a_real_pelvis_is_an_exam_and_its_adc_agrees(tmp_path: Path) -> None:
    for name in ("pelvis_adc", "pelvis_dwi_3b", "pelvis_t2tra", "missing_slice"):
        (tmp_path / name).symlink_to(SHARED / f"siemens_skyra_d11_{name}".replace("d11_missing", "missing"))
    for folder in list(tmp_path.iterdir()):
        target = folder.resolve()
        folder.unlink()
        shutil.copytree(target, folder)
    exam = read_exam(tmp_path)
    assert exam[Sequence.DWI_LOW].b_value_s_per_mm2 == 50
    assert exam[Sequence.DWI_HIGH].b_value_s_per_mm2 == 800
    assert "adc_disagrees" not in {w.code for w in exam.warnings}
    from marrowmap.data.adc import adc_from_b_values

    ours = adc_from_b_values([exam[Sequence.DWI_LOW], exam[Sequence.DWI_HIGH]]).array
    theirs = exam[Sequence.ADC].array
    signal = exam[Sequence.DWI_HIGH].array > 20
    assert np.corrcoef(ours[signal], theirs[signal])[0, 1] > 0.98


def test_contrast_is_told_with_its_series(write_series: WriteSeries, tmp_path: Path) -> None:
    write_minimum(write_series)
    write_series(
        5, flat(9, rows=30), orientation=CORONAL, origin=(0.0, 0.0, 40.0), ContrastBolusAgent="Gd", **T1
    )
    exam = read_exam(tmp_path / "study")
    assert Sequence.T1_CONTRAST in exam
    assert [w.text for w in exam.warnings if w.code == "contrast_given"] == [
        "contrast was given (series 5): T1 after contrast is kept apart; what was acquired after it, "
        "diffusion too, can look different"
    ]


@pytest.mark.parametrize(("part", "is_told"), [("KNEE", True), ("WHOLEBODY", False), ("TSPINE", False)])
def test_another_body_part_is_told(
    part: str, is_told: bool, write_series: WriteSeries, tmp_path: Path
) -> None:
    write_series(
        1, flat(300, rows=30), orientation=CORONAL, origin=(0.0, 0.0, 40.0), BodyPartExamined=part, **T1
    )
    for b in (50, 900):
        write_series(2, flat(1000 - b), b_private=b, BodyPartExamined=part, **DWI)
    texts = [w.text for w in read_exam(tmp_path / "study").warnings if w.code == "wrong_body_part"]
    assert texts == (
        [
            "the headers say KNEE: not the spine, pelvis or whole body that counts, volumes and stages are "
            "meant for"
        ]
        if is_told
        else []
    )


def test_a_child_is_told(write_series: WriteSeries, tmp_path: Path) -> None:
    write_series(1, flat(300, rows=30), orientation=CORONAL, origin=(0.0, 0.0, 40.0), **T1, PatientAge="017Y")
    for b in (50, 900):
        write_series(2, flat(1000 - b), b_private=b, PatientAge="017Y", **DWI)
    assert "child" in {w.code for w in read_exam(tmp_path / "study").warnings}


def test_a_study_below_the_minimum_is_described_with_the_refusal(
    write_series: WriteSeries, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_series(1, flat(300, rows=30), orientation=CORONAL, **T1)
    assert main([str(tmp_path / "study"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["series"][0]["parts"][0]["role"] == "t1"
    assert printed["refusal"].startswith("no high-b diffusion series: found t1")
    assert main([str(tmp_path / "study"), "--nifti", str(tmp_path / "out")]) == 3
    assert not (tmp_path / "out").exists()


def test_command_writes_bids_and_warnings(
    write_series: WriteSeries, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_minimum(write_series)
    arguments = [str(tmp_path / "study"), "--nifti", str(tmp_path / "out"), "--layout", "bids"]
    assert main(arguments) == 0
    assert (tmp_path / "out" / "sub-001" / "anat" / "sub-001_T1w.nii.gz").is_file()
    assert (
        "warning: no STIR (or fat-suppressed T2); what depends on it is less certain"
        in capsys.readouterr().out
    )


def test_command_deidentifies_and_warns_of_faces(
    write_series: WriteSeries, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_minimum(write_series)
    assert main([str(tmp_path / "study"), "--deidentify", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"24 files without the person's data in {tmp_path / 'out'}\n"
    assert "a whole-body image can show a face" in printed.err


def test_a_series_named_for_diffusion_that_is_none_is_refused(
    write_series: WriteSeries, tmp_path: Path
) -> None:
    write_minimum(write_series)
    with pytest.raises(StudyError, match=r"series 1 was named for diffusion but is none \(T1-weighted "):
        read_exam(tmp_path / "study", Choices(dwi=(1,)))


def test_a_series_may_be_named_for_t2_or_contrast(write_series: WriteSeries, tmp_path: Path) -> None:
    write_minimum(write_series)
    write_series(4, flat(700, rows=30), orientation=CORONAL, origin=(0.0, 0.0, 40.0), **T1)
    exam = read_exam(tmp_path / "study", Choices(contrast=(4,), t1=(1,)))
    assert exam[Sequence.T1_CONTRAST].array.max() == 700
    assert exam[Sequence.T1].array.max() == 300
