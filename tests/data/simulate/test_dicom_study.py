"""A simulated exam as DICOM files: what a scanner would have written, and what reads back."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest

from marrowmap.data.exam import Affine, Sequence, Volume
from marrowmap.data.frames import ras_from_lps
from marrowmap.data.simulate.dicom_study import BRIGHTEST_PIXEL, pixel_gains, write_dicom_study
from marrowmap.data.simulate.exam import Acquisition, SimulatedExam
from marrowmap.data.simulate.person import Person
from marrowmap.data.simulate.signal import SignalSettings
from marrowmap.data.simulate.truth import Truth

AXIAL = np.array([[3.0, 0, 0, -9], [0, 3.0, 0, -6], [0, 0, 5.0, -100], [0, 0, 0, 1]])
CORONAL = np.array([[1.5, 0, 0, -9], [0, 6.0, 0, -12], [0, 0, 1.5, -100], [0, 0, 0, 1]])
B_VALUES = {Sequence.DWI_LOW: 50.0, Sequence.DWI_HIGH: 900.0}


def acquisition(
    sequence: Sequence,
    *,
    station: int = 1,
    affine: Affine = AXIAL,
    shape: tuple[int, int, int] = (6, 5, 4),
    seed: int = 0,
) -> Acquisition:
    array = np.random.default_rng(seed).uniform(0, 2000, shape).astype(np.float32)
    volume = Volume(array=array, affine_ras_mm=affine, b_value_s_per_mm2=B_VALUES.get(sequence))
    return Acquisition(sequence=sequence, station=station, volume=volume, description=f"wb {sequence}")


def simulated(acquisitions: Iterable[Acquisition], *, seed: int = 20_000) -> SimulatedExam:
    labels = np.zeros((2, 2, 2), dtype=np.uint16)
    truth = Truth(
        lesion_labels=labels,
        regions=labels.astype(np.uint8),
        affine_ras_mm=np.eye(4),
        lesions=(),
        person=Person(sex="M", age_years=67.0, stature_mm=1800.0, adiposity=0.0),
        pattern="normal",
        seed=seed,
    )
    return SimulatedExam(acquisitions=tuple(acquisitions), truth=truth)


def written(folder: Path, *acquisitions: Acquisition, seed: int = 20_000) -> list[pydicom.Dataset]:
    write_dicom_study(simulated(acquisitions, seed=seed), folder)
    return [pydicom.dcmread(path) for path in sorted(folder.rglob("*.dcm"))]


def values_by_position(slices: list[pydicom.Dataset]) -> dict[tuple[float, ...], int]:
    """Pixel values by RAS mm position, worked out from each slice's own tags."""
    found = {}
    for ds in slices:
        cosines, spacing = np.array(ds.ImageOrientationPatient, float), np.array(ds.PixelSpacing, float)
        for (row, column), value in np.ndenumerate(ds.pixel_array):
            offset = cosines[:3] * spacing[1] * column + cosines[3:] * spacing[0] * row
            position = ras_from_lps(np.array(ds.ImagePositionPatient, float) + offset)
            found[tuple(np.round(position, 3) + 0.0)] = int(value)
    return found


def expected_by_position(array: npt.NDArray[np.float32], affine: Affine) -> dict[tuple[float, ...], int]:
    return {
        tuple(np.round(affine[:3, :3] @ index + affine[:3, 3], 3) + 0.0): round(float(value))
        for index, value in np.ndenumerate(array)
    }


OBLIQUE = np.array([[2.4, -1.2, 0, 5], [1.8, 1.6, 0, -7], [0, 0, 5.0, 3], [0, 0, 0, 1]])


@pytest.mark.parametrize(
    "affine",
    [
        AXIAL,
        CORONAL,
        AXIAL @ np.diag([-1.0, 1, 1, 1]),
        CORONAL[:, [2, 0, 1, 3]],
        AXIAL[:, [2, 1, 0, 3]] @ np.diag([-1.0, -1, 1, 1]),
        OBLIQUE,
    ],
    ids=["axial", "coronal", "mirrored", "coronal, axes permuted", "axial, permuted and flipped", "oblique"],
)
def test_every_voxel_reads_back_with_its_value_at_its_place(tmp_path: Path, affine: Affine) -> None:
    adc = acquisition(Sequence.ADC, affine=affine)
    slices = written(tmp_path, adc)
    assert values_by_position(slices) == expected_by_position(adc.volume.array, affine)


def test_axial_slices_run_from_feet_to_head_with_the_back_at_the_bottom(
    tmp_path: Path,
) -> None:
    slices = written(tmp_path, acquisition(Sequence.DWI_HIGH))
    assert [float(ds.ImagePositionPatient[2]) for ds in slices] == [-100, -95, -90, -85]
    assert list(slices[0].ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
    # The first pixel is the rightmost and frontmost: x 6 mm right, y 6 mm front in RAS.
    assert list(slices[0].ImagePositionPatient) == [-6, -6, -100]


def test_coronal_slices_run_from_front_to_back_with_the_head_on_top(tmp_path: Path) -> None:
    slices = written(tmp_path, acquisition(Sequence.T1, affine=CORONAL))
    assert list(slices[0].ImageOrientationPatient) == [1, 0, 0, 0, 0, -1]
    assert len(slices) == 5
    assert [float(ds.ImagePositionPatient[1]) for ds in slices] == [-12, -6, 0, 6, 12]
    assert float(slices[0].ImagePositionPatient[2]) == -95.5
    assert float(slices[0].SliceThickness) == 6


def test_the_b_value_stands_in_the_private_tag_only(tmp_path: Path) -> None:
    ds = written(tmp_path, acquisition(Sequence.DWI_HIGH))[0]
    assert ds.private_block(0x0019, "SIEMENS MR HEADER")[0x0C].value in (900, b"900 ", "900")
    assert "DiffusionBValue" not in ds
    assert ds.SequenceName == "*ep_b900t"
    assert list(ds.ImageType)[:4] == ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"]
    assert ds.Manufacturer == "SIEMENS"


def test_the_adc_map_says_so_and_carries_no_b_value(tmp_path: Path) -> None:
    ds = written(tmp_path, acquisition(Sequence.ADC))[0]
    assert ds.ImageType[3] == "ADC"
    assert (0x0019, 0x100C) not in ds


def test_dixon_images_name_their_kind(tmp_path: Path) -> None:
    slices = written(tmp_path, acquisition(Sequence.DIXON_FAT), acquisition(Sequence.DIXON_WATER))
    assert {ds.ImageType[3] for ds in slices} == {"FAT", "WATER"}
    assert {ds.ScanningSequence for ds in slices} == {"GR"}


def test_an_inversion_time_stands_where_inversion_recovery_does_and_nowhere_else(tmp_path: Path) -> None:
    kinds = [Sequence.STIR, Sequence.T1, Sequence.DWI_HIGH, Sequence.DIXON_FAT]
    slices = written(tmp_path, *(acquisition(kind) for kind in kinds))
    with_time = {ds.SequenceName for ds in slices if "InversionTime" in ds}
    with_recovery = {ds.SequenceName for ds in slices if "IR" in ds.ScanningSequence}
    assert with_time == with_recovery == {"*tir2d1_15", "*ep_b900t"}


def test_field_strength_and_timings_are_the_simulated_scanners_own(tmp_path: Path) -> None:
    exam = replace(
        simulated([acquisition(Sequence.T1)]),
        signal=SignalSettings(field_strength_t=3.0, t1_repetition_ms=612.5, t1_echo_ms=11.0),
    )
    write_dicom_study(exam, tmp_path)
    ds = pydicom.dcmread(next(tmp_path.rglob("*.dcm")))
    assert (ds.MagneticFieldStrength, ds.RepetitionTime, ds.EchoTime) == (3, 612.5, 11)


def test_the_fat_fraction_comes_back_between_0_and_1_through_its_slope(tmp_path: Path) -> None:
    volume = Volume(array=np.full((2, 2, 2), 0.437, dtype=np.float32), affine_ras_mm=AXIAL)
    ds = written(
        tmp_path, Acquisition(sequence=Sequence.FAT_FRACTION, station=1, volume=volume, description="FF")
    )[0]
    assert float(ds.pixel_array[0, 0] * ds.RescaleSlope) == pytest.approx(0.437, abs=5e-4)


def test_each_station_of_each_sequence_is_a_series_of_one_study_and_one_frame_of_reference(
    tmp_path: Path,
) -> None:
    both = [acquisition(seq, station=n) for seq in (Sequence.DWI_LOW, Sequence.DWI_HIGH) for n in (1, 2)]
    slices = written(tmp_path, *both)
    assert len({ds.SeriesInstanceUID for ds in slices}) == 4
    assert len({ds.StudyInstanceUID for ds in slices}) == 1
    assert len({ds.FrameOfReferenceUID for ds in slices}) == 1
    assert len({ds.SOPInstanceUID for ds in slices}) == len(slices) == 16


def test_the_patient_is_plainly_simulated(tmp_path: Path) -> None:
    ds = written(tmp_path, acquisition(Sequence.T1), seed=123)[0]
    assert (str(ds.PatientName), ds.PatientID, ds.PatientSex, ds.PatientAge) == (
        "SIMULATED^EXAM",
        "SIM-123",
        "M",
        "067Y",
    )
    assert float(ds.PatientWeight) == 81.0  # 25 kg/m2 at 1.80 m


def test_the_same_seed_writes_the_same_bytes_and_another_seed_other_uids(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_dicom_study(simulated([acquisition(Sequence.T1)], seed=seed), tmp_path / name)
    first, same, other = (sorted((tmp_path / name).rglob("*.dcm"))[0] for name in "abc")
    assert first.read_bytes() == same.read_bytes()
    assert pydicom.dcmread(first).StudyInstanceUID != pydicom.dcmread(other).StudyInstanceUID


def test_the_header_names_the_same_instance_as_the_data_set(tmp_path: Path) -> None:
    for ds in written(tmp_path, acquisition(Sequence.T1)):
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert len(ds.SOPInstanceUID) <= 64
        assert re.fullmatch(r"[0-9.]+", ds.SOPInstanceUID)


def test_stations_and_b_values_share_one_gain_so_that_their_ratios_stay() -> None:
    low = acquisition(Sequence.DWI_LOW)
    low.volume.array[:] = 1000.0
    high = acquisition(Sequence.DWI_HIGH)
    high.volume.array[:] = 100.0
    gains = pixel_gains([low, high])
    assert gains[Sequence.DWI_LOW] == gains[Sequence.DWI_HIGH] == BRIGHTEST_PIXEL / 1000


def test_an_empty_volume_is_written_as_zeros(tmp_path: Path) -> None:
    dark = acquisition(Sequence.T1)
    dark.volume.array[:] = 0
    assert all(not ds.pixel_array.any() for ds in written(tmp_path, dark))


def test_a_thousand_slices_are_written_in_seconds(tmp_path: Path) -> None:
    exam = simulated([acquisition(Sequence.T1, shape=(64, 64, 1000))])
    start = time.process_time()
    assert write_dicom_study(exam, tmp_path) == 1000
    assert time.process_time() - start < 5.0


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian dicom3tools) is not installed")
def test_a_strict_validator_finds_no_error_in_any_sequence(tmp_path: Path) -> None:
    kinds = [sequence for sequence in Sequence if sequence is not Sequence.T2]
    write_dicom_study(simulated(acquisition(sequence) for sequence in kinds), tmp_path)
    for series in sorted(tmp_path.iterdir()):
        file = next(series.glob("*.dcm"))
        result = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
        assert "Error" not in result.stderr + result.stdout, result.stderr
        assert result.returncode == 0
