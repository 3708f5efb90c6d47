"""NIfTI folders in and out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from marrowmap.data.errors import GeometryError, NoStudyError, SequenceMissingError, StudyError
from marrowmap.data.exam import Exam, Sequence, Volume
from marrowmap.data.nifti import read_nifti, read_nifti_folder, write_exam_nifti, write_nifti
from marrowmap.data.read import read_exam

AFFINE = np.array([[-2.0, 0, 0, 10], [0, 3, 0, 20], [0, 0, 4, 30], [0, 0, 0, 1]])


def box(value: float, side: int = 6) -> np.ndarray:
    array = np.zeros((side, side, side), dtype=np.float32)
    array[1:-1, 1:-1, 1:-1] = value
    return array


def write_minimum(folder: Path) -> None:
    write_nifti(folder / "t1.nii.gz", box(300), AFFINE)
    write_nifti(folder / "dwi_b50.nii.gz", box(1000 * np.exp(-0.05)), AFFINE)
    write_nifti(folder / "dwi_b900.nii.gz", box(1000 * np.exp(-0.9)), AFFINE)


def test_array_and_affine_come_back(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    write_nifti(tmp_path / "new" / "a.nii.gz", array, AFFINE)
    again, affine = read_nifti(tmp_path / "new" / "a.nii.gz")
    assert np.array_equal(again, array)
    assert np.array_equal(affine, AFFINE)


def test_a_mask_is_written_as_zero_and_one(tmp_path: Path) -> None:
    write_nifti(tmp_path / "m.nii.gz", np.ones((2, 2, 2), dtype=bool), AFFINE)
    assert read_nifti(tmp_path / "m.nii.gz")[0].max() == 1.0


def test_files_named_by_sequence_are_an_exam(tmp_path: Path) -> None:
    write_minimum(tmp_path)
    exam = read_exam(tmp_path)
    assert set(exam.volumes) == {Sequence.T1, Sequence.DWI_LOW, Sequence.DWI_HIGH, Sequence.ADC}
    assert exam[Sequence.ADC].array[3, 3, 3] == pytest.approx(1000, rel=1e-3)


def test_an_exam_survives_writing_and_reading(tmp_path: Path) -> None:
    high = Volume(array=box(50), affine_ras_mm=AFFINE, b_value_s_per_mm2=800.0)
    stir = Volume(array=box(70), affine_ras_mm=AFFINE)
    files = write_exam_nifti(Exam(volumes={Sequence.DWI_HIGH: high, Sequence.STIR: stir}), tmp_path)
    assert [f.name for f in files] == ["dwi_b800.nii.gz", "stir.nii.gz"]
    again = read_nifti_folder(tmp_path)
    assert again[Sequence.DWI_HIGH].b_value_s_per_mm2 == 800
    assert np.array_equal(again[Sequence.STIR].array, stir.array)


@pytest.mark.parametrize("unit", [1.0, 1e-3, 1e-6])
def test_adc_units_are_inferred(tmp_path: Path, unit: float) -> None:
    write_minimum(tmp_path)
    write_nifti(tmp_path / "adc.nii.gz", box(1000 * unit), AFFINE)
    exam = read_nifti_folder(tmp_path)
    assert exam[Sequence.ADC].array.max() == pytest.approx(1000, rel=1e-3)
    assert not exam[Sequence.ADC].is_computed


def test_an_adc_map_in_no_known_unit_is_left_out_and_computed(tmp_path: Path) -> None:
    write_minimum(tmp_path)
    write_nifti(tmp_path / "adc.nii.gz", box(40), AFFINE)
    exam = read_nifti_folder(tmp_path)
    assert exam[Sequence.ADC].is_computed
    assert "its median is 40, need 100 to 4000" in next(
        w.text for w in exam.warnings if w.code == "adc_unit_unknown"
    )


def test_an_adc_map_that_disagrees_is_told_with_its_size(tmp_path: Path) -> None:
    write_nifti(tmp_path / "t1.nii.gz", box(300, 20), AFFINE)
    write_nifti(tmp_path / "dwi_b50.nii.gz", box(1000 * np.exp(-0.05), 20), AFFINE)
    write_nifti(tmp_path / "dwi_b900.nii.gz", box(1000 * np.exp(-0.9), 20), AFFINE)
    write_nifti(tmp_path / "adc.nii.gz", box(1500, 20), AFFINE)
    texts = [w.text for w in read_nifti_folder(tmp_path).warnings if w.code == "adc_disagrees"]
    assert texts[0].startswith("the scanner's ADC is 1.50 times the ADC of the b-values")


@pytest.mark.parametrize("unit", [1, 100, 1000])
def test_fat_fraction_in_per_cent_or_per_mille_becomes_a_fraction(tmp_path: Path, unit: float) -> None:
    write_minimum(tmp_path)
    write_nifti(tmp_path / "fat_fraction.nii.gz", box(0.5 * unit if unit == 1 else 0.9 * unit), AFFINE)
    assert read_nifti_folder(tmp_path)[Sequence.FAT_FRACTION].array.max() == pytest.approx(
        0.5 if unit == 1 else 0.9
    )


def test_stations_are_composed(tmp_path: Path) -> None:
    write_minimum(tmp_path)
    moved = AFFINE.copy()
    moved[2, 3] += 16
    write_nifti(tmp_path / "stir_station1.nii.gz", box(9), AFFINE)
    write_nifti(tmp_path / "stir_station2.nii.gz", box(9), moved)
    exam = read_nifti_folder(tmp_path)
    assert exam[Sequence.STIR].shape == (6, 6, 10)
    assert exam.study.stations[Sequence.STIR] == 2


def test_bids_names_and_a_bval_file_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "sub-1"
    write_nifti(folder / "anat" / "sub-1_T1w.nii.gz", box(300), AFFINE)
    four = np.stack([box(900), box(500), box(400)], axis=-1)
    write_nifti(folder / "dwi" / "sub-1_dwi.nii.gz", four, AFFINE)
    (folder / "dwi" / "sub-1_dwi.bval").write_text("50 400 900\n")
    exam = read_nifti_folder(folder)
    assert exam[Sequence.DWI_LOW].b_value_s_per_mm2 == 50
    assert exam[Sequence.DWI_HIGH].array.max() == 400


def test_nnunet_channels_are_read(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"channel_names": {"0": "T1", "1": "dwi_b800"}}))
    write_nifti(tmp_path / "imagesTr" / "case_0000.nii.gz", box(300), AFFINE)
    write_nifti(tmp_path / "imagesTr" / "case_0001.nii.gz", box(30), AFFINE)
    assert set(read_nifti_folder(tmp_path / "imagesTr").volumes) == {Sequence.T1, Sequence.DWI_HIGH}


def test_a_dwi_without_its_b_values_is_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "dwi.nii.gz", np.stack([box(1), box(2)], axis=-1), AFFINE)
    with pytest.raises(StudyError, match=r"dwi.nii.gz needs 2 b-values in dwi.bval, found 0"):
        read_nifti_folder(tmp_path)


def test_unknown_names_only_are_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "scan.nii.gz", box(1), AFFINE)
    with pytest.raises(NoStudyError, match=r"found scan.nii.gz, need names such as t1.nii.gz"):
        read_nifti_folder(tmp_path)


def test_four_axes_where_three_are_needed_are_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "t1.nii.gz", np.ones((2, 2, 2, 2), dtype=np.float32), AFFINE)
    with pytest.raises(GeometryError, match=r"t1.nii.gz has 4 axes"):
        read_nifti_folder(tmp_path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    write_minimum(tmp_path)
    file = tmp_path / "t1.nii.gz"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(StudyError, match=r"cannot read t1.nii.gz as NIfTI"):
        read_nifti_folder(tmp_path)


def test_diffusion_alone_is_below_the_minimum(tmp_path: Path) -> None:
    write_nifti(tmp_path / "dwi_b900.nii.gz", box(1), AFFINE)
    with pytest.raises(SequenceMissingError, match="no anatomical series"):
        read_nifti_folder(tmp_path)


def test_dixon_stations_share_their_gains_so_that_the_fat_fraction_holds(tmp_path: Path) -> None:
    write_minimum(tmp_path)
    moved = AFFINE.copy()
    moved[2, 3] += 8
    # The second station has twice the gain, and in the overlap a little more fat than water by chance.
    for station, (affine, gain) in enumerate(((AFFINE, 1.0), (moved, 2.0))):
        write_nifti(tmp_path / f"dixon_water_station{station}.nii.gz", box(200 * gain), affine)
        write_nifti(tmp_path / f"dixon_fat_station{station}.nii.gz", box((600 + 60 * station) * gain), affine)
    exam = read_nifti_folder(tmp_path)
    fat, water = exam[Sequence.DIXON_FAT].array, exam[Sequence.DIXON_WATER].array
    assert fat[3, 3, 1] / water[3, 3, 1] == pytest.approx(3.0, rel=1e-4)
    assert fat[3, 3, -2] / water[3, 3, -2] == pytest.approx(3.3, rel=1e-4)
