"""Exams out to BIDS and nnU-Net raw, and in again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from marrowmap.data.errors import NoStudyError
from marrowmap.data.exam import Exam, Sequence, Volume
from marrowmap.data.nifti import is_one_nifti_exam, read_nifti, write_nifti
from marrowmap.data.nifti_layouts import Layout, write_exam
from marrowmap.data.nifti_names import named_files
from marrowmap.data.read import read_exam

GRID = np.diag([3.0, 3.0, 5.0, 1.0])
FINE = np.diag([1.5, 1.5, 2.5, 1.0])


def ramp(side: int, top: float) -> np.ndarray:
    """Grows along i, so that a swapped axis would be seen."""
    values = np.linspace(1.0, top, side, dtype=np.float32)
    return np.broadcast_to(values[:, None, None], (side, side, side)).copy()


def whole_exam() -> Exam:
    """Every sequence that there is; T1 on a grid of half the voxel size."""
    volumes = {s: Volume(array=ramp(6, 10.0 + n), affine_ras_mm=GRID) for n, s in enumerate(Sequence)}
    volumes[Sequence.T1] = Volume(array=ramp(12, 300.0), affine_ras_mm=FINE)
    volumes[Sequence.ADC] = Volume(array=ramp(6, 2000.0), affine_ras_mm=GRID)
    volumes[Sequence.FAT_FRACTION] = Volume(array=ramp(6, 1.0), affine_ras_mm=GRID)
    for sequence, b in ((Sequence.DWI_LOW, 50.0), (Sequence.DWI_HIGH, 900.0)):
        volumes[sequence] = Volume(array=ramp(6, 1000 - b), affine_ras_mm=GRID, b_value_s_per_mm2=b)
    return Exam(volumes=volumes)


@pytest.mark.parametrize("layout", ["sequence", "bids", "nnunet"])
def test_every_layout_comes_back_with_every_sequence(layout: Layout, tmp_path: Path) -> None:
    exam = whole_exam()
    files = write_exam(exam, tmp_path, layout)
    assert len(files) == len(exam.volumes) == 12
    again = read_exam(tmp_path)
    assert set(again.volumes) == set(exam.volumes)
    for sequence, volume in exam.volumes.items():
        assert again[sequence].b_value_s_per_mm2 == volume.b_value_s_per_mm2
        if layout != "nnunet" or sequence is not Sequence.T1:
            assert np.allclose(again[sequence].array, volume.array, rtol=1e-6)
            assert np.array_equal(again[sequence].affine_ras_mm, volume.affine_ras_mm)


def test_bids_names_and_tables_are_bids(tmp_path: Path) -> None:
    write_exam(whole_exam(), tmp_path, "bids")
    names = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert "sub-001/anat/sub-001_T1w.nii.gz" in names
    assert "sub-001/anat/sub-001_acq-stir_T2w.nii.gz" in names
    assert "sub-001/anat/sub-001_ce-contrast_T1w.nii.gz" in names
    assert "sub-001/dwi/sub-001_acq-b900_dwi.nii.gz" in names
    assert (tmp_path / "sub-001/dwi/sub-001_acq-b900_dwi.bval").read_text() == "900\n"
    assert json.loads((tmp_path / "dataset_description.json").read_text())["BIDSVersion"] == "1.10.0"


def test_nnunet_channels_share_the_diffusion_grid(tmp_path: Path) -> None:
    exam = whole_exam()
    files = write_exam(exam, tmp_path, "nnunet")
    assert {read_nifti(file)[0].shape for file in files} == {(6, 6, 6)}
    described = json.loads((tmp_path / "dataset.json").read_text())
    assert described["channel_names"]["0"] == "t1"
    assert "dwi_b900" in described["channel_names"].values()
    # T1 grows by 299 over 11 steps of 1.5 mm; at 3 mm that is every second value.
    t1, _ = read_nifti(files[0])
    assert t1[:, 2, 2] == pytest.approx(1 + 299 / 11 * np.arange(0, 12, 2), rel=1e-5)


def write_cases(folder: Path) -> None:
    """Two nnU-Net cases with T1 and diffusion."""
    (folder / "dataset.json").write_text(json.dumps({"channel_names": {"0": "t1", "1": "dwi_b800"}}))
    for n, case in enumerate(("Anna", "Berta"), start=1):
        for channel in range(2):
            write_nifti(folder / "imagesTr" / f"{case}_{channel:04d}.nii.gz", ramp(6, 100.0 * n), GRID)


def test_several_nnunet_cases_are_asked_about(tmp_path: Path) -> None:
    write_cases(tmp_path)
    with pytest.raises(NoStudyError) as refused:
        read_exam(tmp_path)
    assert str(refused.value) == (
        "found 2 cases, need one: anna, berta; name the folder of one, or the case with --study-uid"
    )
    assert read_exam(tmp_path, study_uid="Berta")[Sequence.T1].array.max() == 200
    with pytest.raises(NoStudyError, match="no case Carla; found anna, berta"):
        read_exam(tmp_path, study_uid="Carla")


def test_several_bids_subjects_are_asked_about(tmp_path: Path) -> None:
    for subject in ("1", "2"):
        write_nifti(tmp_path / f"sub-{subject}" / "anat" / f"sub-{subject}_T1w.nii.gz", ramp(6, 9), GRID)
        name = f"sub-{subject}_acq-b900_dwi.nii.gz"
        write_nifti(tmp_path / f"sub-{subject}" / "dwi" / name, ramp(6, 9), GRID)
    with pytest.raises(NoStudyError, match="found 2 cases, need one: sub-1, sub-2"):
        read_exam(tmp_path)
    assert Sequence.T1 in read_exam(tmp_path, study_uid="sub-2")
    assert Sequence.T1 in read_exam(tmp_path / "sub-1")


@pytest.mark.parametrize(
    ("name", "sequence", "b_value", "station"),
    [
        ("sub-1_ses-2_acq-stir_run-1_T2w.nii.gz", Sequence.STIR, None, 0),
        ("sub-1_acq-stircor_chunk-3_T2w.nii.gz", Sequence.STIR, None, 3),
        ("sub-1_ce-gadolinium_T1w.nii.gz", Sequence.T1_CONTRAST, None, 0),
        ("sub-1_acq-dixonfat_T1w.nii", Sequence.DIXON_FAT, None, 0),
        ("sub-1_acq-b50_dir-AP_dwi.nii.gz", None, 50.0, 0),
        ("sub-1_dwi.nii.gz", None, None, 0),
        ("sub-1_desc-adc_dwimap.nii.gz", Sequence.ADC, None, 0),
        ("sub-1_ADC.nii.gz", Sequence.ADC, None, 0),
        ("dwi_b1000_station2.nii.gz", None, 1000.0, 2),
        ("pdff.nii.gz", Sequence.FAT_FRACTION, None, 0),
    ],
)
def test_names_say_sequence_b_value_and_station(
    name: str, sequence: Sequence | None, b_value: float | None, station: int, tmp_path: Path
) -> None:
    (tmp_path / name).touch()
    ((file,), unknown) = named_files(tmp_path)
    assert (file.sequence, file.b_value_s_per_mm2, file.station) == (sequence, b_value, station)
    assert unknown == []


@pytest.mark.parametrize(
    "name", ["sub-1_bold.nii.gz", "sub-1_task-rest_bold.nii.gz", "scan.nii.gz", "sub-1.nii"]
)
def test_names_that_say_nothing_known_are_listed(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    assert named_files(tmp_path) == ([], [name])


def test_the_same_volume_in_two_folders_is_two_exams(tmp_path: Path) -> None:
    for folder in ("anna", "berta"):
        for name in ("t1", "dwi_b900"):
            write_nifti(tmp_path / "all" / folder / f"{name}.nii.gz", ramp(6, 9), GRID)
    with pytest.raises(NoStudyError) as refused:
        read_exam(tmp_path / "all")
    assert str(refused.value) == (
        "found the same volume in 2 folders, need one exam: all/anna, all/berta; name one of them"
    )
    assert not is_one_nifti_exam(tmp_path / "all")
    assert is_one_nifti_exam(tmp_path / "all" / "anna")


def test_numbered_stations_in_folders_of_their_own_are_one_exam(tmp_path: Path) -> None:
    for station in (1, 2):
        affine = GRID.copy()
        affine[2, 3] += 6 * GRID[2, 2] * station
        for name in ("t1", "dwi_b900"):
            write_nifti(tmp_path / str(station) / f"{name}_station{station}.nii.gz", ramp(6, 9), affine)
    assert is_one_nifti_exam(tmp_path)
    assert read_exam(tmp_path)[Sequence.T1].array.shape[2] == 12
