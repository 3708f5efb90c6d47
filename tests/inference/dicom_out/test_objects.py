"""The objects of one exam: whose they are, what they refer to, and that they say what the report says."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from marrowmap.data.frames import affine_ras_from_dicom
from marrowmap.data.nifti import read_nifti

from .conftest import Result

OBJECTS = (
    "seg.dcm",
    "seg_regions.dcm",
    "seg_source_1.dcm",
    "seg_source_2.dcm",
    "sr.dcm",
    "report.dcm",
    "mip.dcm",
    "adc.dcm",
    "probability.dcm",
    "rtstruct.dcm",
)


def masks_ras_mm(seg: Dataset) -> dict[int, set[tuple[float, ...]]]:
    """RAS mm of every voxel of every segment, worked out from the frames' own positions."""
    shared = seg.SharedFunctionalGroupsSequence[0]
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    found: dict[int, set[tuple[float, ...]]] = {}
    for frame, own in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        # A lone segment is named once for all frames.
        named = own if "SegmentIdentificationSequence" in own else shared
        number = named.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        position = own.PlanePositionSequence[0].ImagePositionPatient
        affine = affine_ras_from_dicom(orientation, position, spacing, np.zeros(3))
        rows, columns = np.nonzero(frame)
        points = np.c_[columns, rows, np.zeros((len(rows), 1)), np.ones(len(rows))] @ affine.T
        found.setdefault(number, set()).update(tuple(np.round(p[:3], 2) + 0.0) for p in points)
    return found


def source_files(result: Result, words: str) -> list[Dataset]:
    return [
        pydicom.dcmread(path, stop_before_pixels=True)
        for path in sorted(result.study.rglob("*.dcm"))
        if words in path.parent.name
    ]


def test_the_folder_holds_the_objects_and_nothing_else(result: Result) -> None:
    assert {path.name for path in result.dicom.iterdir()} == {*OBJECTS, "composed"}
    assert (result.out / "dicom_sources.zip").is_file()
    assert all(path.suffix == ".dcm" for path in (result.dicom / "composed").iterdir())


def test_every_object_belongs_to_the_patient_and_study_of_the_slices(result: Result) -> None:
    source = source_files(result, "dwi_high")[0]
    objects = [pydicom.dcmread(path) for path in result.dicom.rglob("*.dcm")]
    for made in objects:
        for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "PatientSex", "StudyDate", "StudyID"):
            assert made[keyword].value == source[keyword].value, (made.SOPClassUID.name, keyword)
    assert len({made.SOPInstanceUID for made in objects}) == len(objects)
    series = {made.SeriesInstanceUID: made.SeriesNumber for made in objects}
    assert len(set(series.values())) == len(series) == len(OBJECTS) + 1


def test_every_object_names_the_program_and_the_hash_of_its_weights(result: Result) -> None:
    for path in result.dicom.rglob("*.dcm"):
        equipment = next(
            item
            for item in pydicom.dcmread(path).ContributingEquipmentSequence
            if item.PurposeOfReferenceCodeSequence[0].CodeMeaning == "Processing Equipment"
        )
        assert "0123456789abcdef" * 4 in equipment.ContributionDescription
        assert "Research use only" in equipment.ContributionDescription


def test_a_segment_of_the_whole_body_has_the_lesions_volume(result: Result) -> None:
    seg = result.read("seg.dcm")
    masks = masks_ras_mm(seg)
    assert [item.SegmentNumber for item in seg.SegmentSequence] == [1, 2, 3]
    for lesion, voxels in zip(result.report["lesions"], masks.values(), strict=True):
        # A voxel of the working grid is 4 x 4 x 4 mm, 0.064 ml.
        assert 0.064 * len(voxels) == pytest.approx(lesion["volume_ml"], rel=1e-4)


def test_the_segments_of_the_whole_body_lie_where_the_map_has_the_lesions(result: Result) -> None:
    labels, affine = read_nifti(result.out / "lesions.nii.gz")
    masks = masks_ras_mm(result.read("seg.dcm"))
    for number, voxels in masks.items():
        points = np.argwhere(labels == number) @ affine[:3, :3].T + affine[:3, 3]
        assert voxels == {tuple(np.round(p, 2) + 0.0) for p in points}


def test_a_segment_says_what_viewers_need(result: Result) -> None:
    item = result.read("seg.dcm").SegmentSequence[0]
    assert item.SegmentLabel == "Lesion 1, sacrum and pelvis"
    assert item.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert item.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Lesion"
    assert item.AnatomicRegionSequence[0].CodeMeaning == "Pelvis"
    assert item.TrackingID == "marrowmap-lesion-001"
    assert len(item.RecommendedDisplayCIELabValue) == 3
    algorithm = item.SegmentationAlgorithmIdentificationSequence[0]
    assert algorithm.AlgorithmFamilyCodeSequence[0].CodeValue == "123110"
    assert f"weights_sha256={'0123456789abcdef' * 4}" in algorithm.AlgorithmParameters


def test_each_source_series_has_its_own_segmentation_of_what_lies_in_it(result: Result) -> None:
    lesion_in = {}
    for number in (1, 2):
        seg = result.read(f"seg_source_{number}.dcm")
        station = source_files(result, f"dwi_high_station{number}")
        referred = seg.ReferencedSeriesSequence
        assert [item.SeriesInstanceUID for item in referred] == [station[0].SeriesInstanceUID]
        assert {item.ReferencedSOPInstanceUID for item in referred[0].ReferencedInstanceSequence} <= {
            one.SOPInstanceUID for one in station
        }
        assert (seg.Rows, seg.Columns) == (station[0].Rows, station[0].Columns)
        lesion_in[number] = {item.TrackingUID for item in seg.SegmentSequence}
    whole = {item.TrackingUID for item in result.read("seg.dcm").SegmentSequence}
    # The third lesion lies across the seam: the same tracking UID in both.
    assert len(lesion_in[1]) == len(lesion_in[2]) == 2
    assert len(lesion_in[1] & lesion_in[2]) == 1
    assert lesion_in[1] | lesion_in[2] == whole


def test_a_lesion_lies_at_the_same_place_in_both_kinds_of_segmentation(result: Result) -> None:
    centres = []
    for name in ("seg.dcm", "seg_source_1.dcm", "seg_source_2.dcm"):
        masks, segments = masks_ras_mm(result.read(name)), result.read(name).SegmentSequence
        centres.append(
            {item.TrackingUID: np.mean(list(masks[item.SegmentNumber]), axis=0) for item in segments}
        )
    whole, first, second = centres
    (uid,) = set(first) - set(second)  # the lesion that no seam cuts
    # Slices are 5 mm thick: half of one is what nearest voxels may differ by.
    assert np.abs(whole[uid] - first[uid]).max() <= 2.5


def test_the_regions_are_anatomy_with_their_sites(result: Result) -> None:
    seg = result.read("seg_regions.dcm")
    assert [item.SegmentLabel for item in seg.SegmentSequence] == ["Sacrum and pelvis"]
    item = seg.SegmentSequence[0]
    assert item.SegmentedPropertyCategoryCodeSequence[0].CodeMeaning == "Anatomical Structure"
    assert item.SegmentedPropertyTypeCodeSequence[0].CodeValue == "118645006"
    regions, _ = read_nifti(result.out / "regions.nii.gz")
    assert len(masks_ras_mm(seg)[1]) == (regions == 5).sum()


def test_the_composed_series_shows_the_working_grid_head_up_and_front_first(result: Result) -> None:
    files = [pydicom.dcmread(path) for path in sorted((result.dicom / "composed").iterdir())]
    first, last = files[0], files[-1]
    assert list(first.ImageOrientationPatient) == [1, 0, 0, 0, 0, -1]
    assert first.ImagePositionPatient[1] < last.ImagePositionPatient[1]  # LPS: towards the back
    assert first.Manufacturer == "SIEMENS"
    assert first.FrameOfReferenceUID == source_files(result, "dwi_high")[0].FrameOfReferenceUID
    # A lesion shines 600 to muscle's 90; both are far from the edges of their voxels here.
    pixels = np.stack([one.pixel_array for one in files])
    seg = result.read("seg.dcm")
    referred = {
        own.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        for own in seg.PerFrameFunctionalGroupsSequence
    }
    assert referred <= {one.SOPInstanceUID for one in files}
    by_uid = {one.SOPInstanceUID: plane for one, plane in zip(files, pixels, strict=True)}
    inside = [
        by_uid[own.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID][frame > 0]
        for frame, own in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True)
    ]
    assert np.concatenate(inside).mean() > 3 * np.median(pixels)


def test_the_document_holds_the_very_report_unverified(result: Result) -> None:
    made = result.read("report.dcm")
    pdf = (result.out / "report.pdf").read_bytes()
    assert made.EncapsulatedDocument[: made.EncapsulatedDocumentLength] == pdf
    assert pdf.startswith(b"%PDF-")
    assert made.VerificationFlag == "UNVERIFIED"
    assert made.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert len(made.SourceInstanceSequence) == 34


def test_the_projection_is_the_picture_of_the_report(result: Result) -> None:
    picture = Image.open(io.BytesIO((result.out / "mip.png").read_bytes())).convert("RGB")
    assert np.array_equal(result.read("mip.dcm").pixel_array, np.asarray(picture))


@pytest.mark.parametrize(
    ("name", "stem", "unit"), [("adc", "adc", "um2/s"), ("probability", "lesion_probability", "1")]
)
def test_a_parametric_map_has_the_values_of_the_map(result: Result, name: str, stem: str, unit: str) -> None:
    made = result.read(f"{name}.dcm")
    values, affine = read_nifti(result.out / f"{stem}.nii.gz")
    mapping = made.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == unit
    assert mapping.RealWorldValueSlope == 1.0
    position = made.PerFrameFunctionalGroupsSequence[7].PlanePositionSequence[0].ImagePositionPatient
    ras = np.array([-position[0], -position[1], position[2], 1.0])
    i, j, k = np.rint(np.linalg.inv(affine) @ ras).astype(int)[:3]
    expected = values[i::-1, j, k::-1].T[: made.Rows, : made.Columns]
    # The file of the map keeps steps of 1/255 or of 1 um2/s.
    assert np.abs(made.pixel_array[7] - expected).max() <= (0.5 if name == "adc" else 0.5 / 255) + 1e-6


def test_the_contours_enclose_the_lesions_area_slice_by_slice(result: Result) -> None:
    made = result.read("rtstruct.dcm")
    assert [item.ROIName for item in made.StructureSetROISequence] == [
        f"Lesion {n}, sacrum and pelvis" for n in (1, 2, 3)
    ]
    known = {one.SOPInstanceUID for one in source_files(result, "dwi_high")}
    seg = result.read("seg_source_1.dcm")
    frame = seg.pixel_array[0]
    # Pixels are 4 x 4 mm; an outline midway between centres cuts an eighth of a pixel off each corner.
    expected = 16.0 * (frame.sum() - 4 * 0.125)
    areas = []
    for contour in made.ROIContourSequence[0].ContourSequence:
        assert contour.ContourImageSequence[0].ReferencedSOPInstanceUID in known
        x, y, _ = np.array(contour.ContourData, dtype=float).reshape(-1, 3).T
        areas.append(0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))))
    assert areas[0] == pytest.approx(expected)
    assert made.ApprovalStatus == "UNAPPROVED"


def test_nothing_burns_a_name_into_pixels(result: Result) -> None:
    assert result.read("mip.dcm").BurnedInAnnotation == "NO"
    assert b"SIMULATED^EXAM" not in Path(result.out / "report.pdf").read_bytes()
