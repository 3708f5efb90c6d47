"""Studies as they should not be: each read right, or refused with the exact reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from marrowmap.data.describe import describe_study
from marrowmap.data.errors import GeometryError, NoStudyError, StudyError
from marrowmap.data.exam import Sequence
from marrowmap.data.headers import read_headers, tolerant
from marrowmap.data.pixels import read_stack
from marrowmap.data.read import read_exam
from marrowmap.data.selection import Choices, parts_of
from marrowmap.data.series import Series, group_series

WriteSeries = Callable[..., list[Path]]
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
T1 = {"SeriesDescription": "t1_tse_cor", "ScanningSequence": "SE", "RepetitionTime": 600, "EchoTime": 10}
STIR = {"SeriesDescription": "stir", "ScanningSequence": ["SE", "IR"], "InversionTime": 160}
STIR |= {"RepetitionTime": 4000, "EchoTime": 60}
DWI = {"SeriesDescription": "ep2d_diff_tra", "ScanningSequence": "EP", "RepetitionTime": 6000, "EchoTime": 60}


def ramp(slices: int = 8, rows: int = 6, columns: int = 4) -> np.ndarray:
    """Slice k holds 100 k + its pixel's number."""
    pixels = np.arange(rows * columns).reshape(rows, columns)
    return np.array([100 * k + pixels for k in range(slices)])


def edit(file: Path, change: Callable[[Dataset], Any]) -> None:
    """Change one file's data set."""
    dataset = pydicom.dcmread(file)
    change(dataset)
    dataset.save_as(file)


def series_in(folder: Path) -> list[Series]:
    with tolerant():
        return group_series(read_headers(folder)[0])


def problems_in(folder: Path) -> list[str]:
    return [problem for series in series_in(folder) for problem in series.problems]


def reasons_in(folder: Path) -> list[str]:
    with tolerant():
        return [p.role.reason for s in series_in(folder) for p in parts_of(s, Choices())]


def write_minimum(write: WriteSeries) -> None:
    write(1, ramp(rows=30), orientation=CORONAL, origin=(0.0, 0.0, 40.0), **T1)
    write(2, ramp() + 500, b_private=50, **DWI)
    write(2, ramp() + 200, b_private=900, **DWI)


# --- read right -------------------------------------------------------------------------------------


def test_slices_stored_from_head_to_foot_come_out_from_foot_to_head(
    write_series: WriteSeries, tmp_path: Path
) -> None:
    write_series(1, ramp(), step=-5.0, origin=(0.0, 0.0, 35.0), **T1)
    (stack,) = series_in(tmp_path)[0].stacks
    assert (stack.affine_ras_mm @ [0, 0, 0, 1])[2] == 0.0
    assert read_stack(stack, quantitative=False)[0, 0].tolist() == [700, 600, 500, 400, 300, 200, 100, 0]


def test_file_names_and_instance_numbers_in_a_wrong_order_do_no_harm(
    write_series: WriteSeries, tmp_path: Path
) -> None:
    files = write_series(1, ramp(), **T1)
    for k, file in enumerate(files):
        edit(file, lambda dataset, k=k: setattr(dataset, "InstanceNumber", 99 - 7 * k % 8))
        file.rename(file.with_name(f"{(5 * k) % 8}.IMA"))
    (stack,) = series_in(tmp_path)[0].stacks
    assert read_stack(stack, quantitative=False)[0, 0].tolist() == [0, 100, 200, 300, 400, 500, 600, 700]


def test_negative_cosines_turn_the_axes_and_not_the_patient(
    write_series: WriteSeries, tmp_path: Path
) -> None:
    # Rows run to the right, columns to the front: the normal is still to the head.
    write_series(1, ramp(), orientation=(-1.0, 0.0, 0.0, 0.0, -1.0, 0.0), origin=(6.0, 10.0, 0.0), **T1)
    (stack,) = series_in(tmp_path)[0].stacks
    # LPS (6, 10, 0) is RAS (-6, -10, 0); the last column lies 6 mm to the right, the last row 10 mm in front.
    assert (stack.affine_ras_mm @ [0, 0, 0, 1])[:3].tolist() == [-6, -10, 0]
    assert (stack.affine_ras_mm @ [3, 5, 7, 1])[:3].tolist() == [0, 0, 35]


def test_oblique_stations_are_composed_along_their_own_axis(
    write_series: WriteSeries, tmp_path: Path
) -> None:
    turn = np.deg2rad(20)
    tilted = (1.0, 0.0, 0.0, 0.0, round(float(np.cos(turn)), 9), round(float(np.sin(turn)), 9))
    normal = np.cross(tilted[:3], tilted[3:])
    write_minimum(write_series)
    for number, start in ((3, 0), (4, 6)):
        origin = tuple(float(v) for v in 5.0 * start * normal)
        write_series(number, 300 + ramp(rows=12, columns=12), orientation=tilted, origin=origin, **STIR)
    stir = read_exam(tmp_path / "study")[Sequence.STIR]
    # Two stations of eight slices, six apart, overlap in two.
    assert stir.shape == (12, 12, 14)
    assert stir.affine_ras_mm[:3, 2] == pytest.approx([0, 5 * np.sin(turn), 5 * np.cos(turn)], abs=1e-6)


def test_a_huge_private_element_is_passed_over(write_series: WriteSeries, tmp_path: Path) -> None:
    files = write_series(1, ramp(), **T1)

    def add(dataset: Dataset) -> None:
        dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x20, "OB", bytes(5_000_000))
        dataset.private_block(0x0009, "SOMEBODY", create=True).add_new(0x01, "OB", bytes(5_000_000))

    edit(files[2], add)
    (stack,) = series_in(tmp_path)[0].stacks
    assert read_stack(stack, quantitative=False)[0, 0, 2] == 200
    kept = stack.slices[2].header.dataset
    assert sum(len(e.value) for e in kept if isinstance(e.value, bytes)) < 1000


def test_a_b_value_in_the_description_only_is_taken_and_said(
    write_series: WriteSeries, tmp_path: Path
) -> None:
    write_series(1, ramp(), **(DWI | {"SeriesDescription": "DWI tra b800"}))
    assert reasons_in(tmp_path) == ["b = 800 s/mm2 (description only)"]


def test_two_echoes_in_one_series_are_two_stacks(write_series: WriteSeries, tmp_path: Path) -> None:
    files = write_series(1, ramp(), **(T1 | {"ScanningSequence": "GR"}))
    for file in files:
        copy = file.with_name(file.name + "_echo2")
        copy.write_bytes(file.read_bytes())

        def second(dataset: Dataset) -> None:
            dataset.EchoTime = 14.8
            dataset.SOPInstanceUID += ".2"

        edit(copy, second)
    assert sorted(s.slices[0].echo_time_ms for s in series_in(tmp_path)[0].stacks) == [10, 14.8]


# --- refused ----------------------------------------------------------------------------------------


def test_a_gap_is_named_with_both_sides(write_series: WriteSeries, tmp_path: Path) -> None:
    write_series(1, ramp(), **T1)[3].unlink()
    assert problems_in(tmp_path) == [
        "1 gap between slices (10.0 and 20.0 mm) where others are 5.00 mm apart: a missing slice; export the "
        "series again"
    ]


def test_a_slice_in_two_versions_is_named(write_series: WriteSeries, tmp_path: Path) -> None:
    files = write_series(1, ramp(), **T1)
    copy = files[3].with_name("again")
    copy.write_bytes(files[3].read_bytes())
    edit(copy, lambda dataset: setattr(dataset, "SOPInstanceUID", "1.2.3"))
    assert problems_in(tmp_path) == [
        "2 slices at 15.0 mm along the normal but 1 elsewhere: a doubled or a missing slice; export the "
        "series again"
    ]


def test_slices_at_unequal_distances_are_refused(write_series: WriteSeries, tmp_path: Path) -> None:
    files = write_series(1, ramp(), **T1)
    edit(files[7], lambda dataset: setattr(dataset, "ImagePositionPatient", [0, 0, 33]))
    assert problems_in(tmp_path) == [
        "slices 3.00 to 5.00 mm apart; need equal spacing; export the series again"
    ]


def test_a_leaning_pile_is_refused(write_series: WriteSeries, tmp_path: Path) -> None:
    for k, file in enumerate(write_series(1, ramp(), **T1)):
        edit(file, lambda dataset, k=k: setattr(dataset, "ImagePositionPatient", [k, 0, 5 * k]))
    assert problems_in(tmp_path) == [
        "slices shift sideways against each other (lean 20 %, bend 0.0 mm); need a straight pile, export the "
        "original series"
    ]


def test_a_pixel_spacing_of_zero_is_refused(write_series: WriteSeries, tmp_path: Path) -> None:
    write_series(1, ramp(), spacing=(0.0, 0.0), **T1)
    assert problems_in(tmp_path) == [
        "pixel spacing (0.0, 0.0) mm; need positive numbers, export the series again"
    ]


def test_cosines_that_are_not_perpendicular_are_refused(write_series: WriteSeries, tmp_path: Path) -> None:
    write_series(1, ramp(), orientation=(1.0, 0.0, 0.0, 0.6, 0.8, 0.0), **T1)
    assert problems_in(tmp_path) == [
        "direction cosines are no two perpendicular unit vectors; export the series again"
    ]


def test_a_position_that_is_no_number_is_refused(write_series: WriteSeries, tmp_path: Path) -> None:
    files = write_series(1, ramp(), **T1)
    data = files[0].read_bytes()
    files[0].write_bytes(data.replace(b"0.0\\0.0\\0.0 ", b"0.0\\nan\\0.0 "))
    assert (
        problems_in(tmp_path)[0] == "ImagePositionPatient holds 0.0, nan, 0.0, need numbers; export it again"
    )


def test_a_file_without_a_place_is_refused(write_series: WriteSeries, tmp_path: Path) -> None:
    for file in write_series(1, ramp(), **T1):
        edit(file, lambda dataset: dataset.__delattr__("ImagePositionPatient"))
    assert problems_in(tmp_path) == [
        "no ImagePositionPatient: not an image with a place in the patient, or cut short"
    ]


def test_frames_without_positions_are_refused(write_series: WriteSeries, tmp_path: Path) -> None:
    for file in write_series(1, ramp(1), **T1):
        edit(file, lambda dataset: setattr(dataset, "NumberOfFrames", 20))
    assert problems_in(tmp_path) == ["20 frames in one file without their positions"]


def test_colour_pixels_are_refused(write_series: WriteSeries, tmp_path: Path) -> None:
    write_minimum(write_series)
    for file in write_series(3, ramp(rows=30), orientation=CORONAL, origin=(0.0, 0.0, 40.0), **STIR):
        edit(file, lambda dataset: setattr(dataset, "SamplesPerPixel", 3))
    assert [w.text for w in read_exam(tmp_path / "study").warnings if w.code == "series_unreadable"] == [
        "left out series 3 (stir): colour pixels where a grey image is needed; export the original series"
    ]


def test_a_file_cut_off_in_its_header_leaves_a_named_gap(write_series: WriteSeries, tmp_path: Path) -> None:
    files = write_series(1, ramp(), **T1)
    files[3].write_bytes(files[3].read_bytes()[:500])
    assert problems_in(tmp_path) == [
        "no Rows: not an image, or a file cut short; copy it again",
        "1 gap between slices (10.0 and 20.0 mm) where others are 5.00 mm apart: a missing slice; export the "
        "series again",
    ]


def test_pixels_that_a_header_only_claims_are_refused_before_memory_is_taken(
    write_series: WriteSeries, tmp_path: Path
) -> None:
    for file in write_series(1, ramp(), **T1):

        def claim(dataset: Dataset) -> None:
            dataset.Rows = dataset.Columns = 65_535

        edit(file, claim)
    (stack,) = series_in(tmp_path)[0].stacks
    with pytest.raises(
        Exception, match="pixels cut short: need 8589672450 bytes, found 48; copy the file again"
    ):
        read_stack(stack, quantitative=False)


def test_a_file_without_pixels_is_refused(write_series: WriteSeries, tmp_path: Path) -> None:
    for file in write_series(1, ramp(), **T1):
        edit(file, lambda dataset: dataset.__delattr__("PixelData"))
    (stack,) = series_in(tmp_path)[0].stacks
    with pytest.raises(StudyError, match="no pixel data in a file that says it is an image; copy it again"):
        read_stack(stack, quantitative=False)


def test_two_patients_in_one_study_are_refused(write_series: WriteSeries, tmp_path: Path) -> None:
    write_minimum(write_series)
    write_series(7, ramp(), PatientID="OTHER", **STIR)
    with pytest.raises(NoStudyError) as refused:
        read_exam(tmp_path / "study")
    assert str(refused.value) == (
        "found 2 patients under one Study Instance UID; export one patient's study alone"
    )


def test_stations_turned_against_each_other_are_refused(write_series: WriteSeries, tmp_path: Path) -> None:
    write_minimum(write_series)
    turn = np.deg2rad(15)
    tilted = (1.0, 0.0, 0.0, 0.0, float(np.cos(turn)), float(np.sin(turn)))
    write_series(3, ramp(rows=12, columns=12), **STIR)
    write_series(4, ramp(rows=12, columns=12), orientation=tilted, origin=(0.0, 0.0, 30.0), **STIR)
    with pytest.raises(GeometryError) as refused:
        read_exam(tmp_path / "study")
    assert str(refused.value) == (
        "stations of one sequence must share an orientation: found two turned by 15 degrees against each "
        "other; export each orientation as its own series"
    )


def test_diffusion_without_a_b_value_is_left_out(write_series: WriteSeries, tmp_path: Path) -> None:
    write_series(1, ramp(), ImageType=["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"], **DWI)
    assert reasons_in(tmp_path) == ["diffusion without a b-value in any tag or in its description"]


def test_two_b_values_in_one_description_are_not_guessed_at(
    write_series: WriteSeries, tmp_path: Path
) -> None:
    write_series(1, ramp(), **(DWI | {"SeriesDescription": "DWI b50 b900"}))
    assert reasons_in(tmp_path) == ["echo-planar without a b-value"]


def test_a_screenshot_is_left_out(write_series: WriteSeries, tmp_path: Path) -> None:
    write_minimum(write_series)
    write_series(9, ramp(), SOPClassUID="1.2.840.10008.5.1.4.1.1.7", SeriesDescription="screen")
    reasons = {s.number: s.parts[0].reason for s in describe_study(tmp_path / "study").series}
    assert reasons[9] == "a secondary capture, not MR images"


def test_three_orientations_in_one_series_are_a_localizer(write_series: WriteSeries, tmp_path: Path) -> None:
    for n, orientation in enumerate(((1, 0, 0, 0, 1, 0), CORONAL, (0, 1, 0, 0, 0, -1))):
        for file in write_series(1, ramp(3), orientation=orientation, **T1):
            edit(
                file, lambda dataset, n=n: setattr(dataset, "SOPInstanceUID", f"{dataset.SOPInstanceUID}.{n}")
            )
            file.rename(file.with_name(f"{n}_{file.name}"))
    assert reasons_in(tmp_path) == ["a localizer: 3 orientations in one series"] * 3


def test_a_number_in_a_tag_that_is_no_number_is_named(write_series: WriteSeries, tmp_path: Path) -> None:
    files = write_series(1, ramp(), **T1)
    for file in files:
        file.write_bytes(file.read_bytes().replace(b"2.0\\2.0 ", b"two\\2.0 "))
    assert problems_in(tmp_path) == ["PixelSpacing holds two, 2.0, need numbers; export it again"]


def test_a_file_that_names_no_study_does_not_make_two_of_one(
    write_series: WriteSeries, tmp_path: Path
) -> None:
    write_minimum(write_series)
    file = write_series(5, ramp(), **STIR)[3]
    edit(file, lambda dataset: dataset.__delattr__("StudyInstanceUID"))
    exam = read_exam(tmp_path / "study")
    assert Sequence.STIR in exam


def test_several_values_where_one_belongs_are_as_none(write_series: WriteSeries, tmp_path: Path) -> None:
    for file in write_series(1, ramp(), **T1):
        edit(file, lambda dataset: setattr(dataset, "SamplesPerPixel", [1, 1]))
    (stack,) = series_in(tmp_path)[0].stacks
    assert read_stack(stack, quantitative=False)[0, 0, 7] == 700
