"""Segmentations come back in: what a reader corrected in a viewer trains the next network."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nibabel.nifti1
import numpy as np
import pydicom
import pytest

from marrowmap.data.annotated import find_annotated
from marrowmap.data.dicom_seg import read_segmentation, same_lesions
from marrowmap.data.errors import NoStudyError, StudyError
from marrowmap.data.model_input import ModelInputSettings
from marrowmap.data.skeleton import UNLABELLED
from marrowmap.training.annotated import prepare_annotated

#: The working grid of the stand-in weights.
SETTINGS = ModelInputSettings(spacing_mm=4.0)


def maps_of(result: Any, name: str) -> np.ndarray:
    return np.asarray(nibabel.nifti1.load(result.out / f"{name}.nii.gz").dataobj)


def saved_by_a_viewer(source: Path, target: Path, **changed: str) -> Path:
    """Write a SEG of ours as another program would: under its own name."""
    dataset = pydicom.dcmread(source)
    dataset.ManufacturerModelName = "viewer"
    for keyword, value in changed.items():
        for segment in dataset.SegmentSequence:
            setattr(segment, keyword, value)
    target.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(target)
    return target


@pytest.fixture
def folder(result: Any, tmp_path: Path) -> Path:
    """A folder of annotated exams: one patient with one DICOM study, nothing drawn yet."""
    shutil.copytree(result.study, tmp_path / "data" / "anna" / "first" / "images")
    return tmp_path / "data"


def test_lesions_and_regions_are_the_voxels_that_were_written(result: Any, folder: Path) -> None:
    place = folder / "anna" / "first"
    for name in ("seg.dcm", "seg_regions.dcm"):
        saved_by_a_viewer(result.dicom / name, place / "drawn" / name)
    (exam,) = find_annotated(folder)
    assert (exam.name, exam.patient) == ("anna/first", "anna")
    prepared = prepare_annotated(exam, SETTINGS)
    labels, regions = maps_of(result, "lesions"), maps_of(result, "regions")
    assert prepared.lesions.shape == labels.shape
    assert np.array_equal(prepared.lesions > 0, labels > 0)
    pairs = set(zip(prepared.lesions[labels > 0].tolist(), labels[labels > 0].tolist(), strict=True))
    assert len(pairs) == len(np.unique(labels)) - 1  # one to one
    assert np.array_equal(prepared.regions, regions)
    expected = sorted(lesion["longest_diameter_mm"] for lesion in result.report["lesions"])
    found = sorted(lesion["longest_diameter_mm"] for lesion in prepared.facts["lesions"])
    assert found == pytest.approx(expected, abs=4.0)


def test_a_lesion_in_the_segmentations_of_two_stations_is_one(result: Any, folder: Path) -> None:
    for path in result.dicom.glob("seg_source_*.dcm"):
        saved_by_a_viewer(path, folder / "anna" / "first" / path.name)
    (exam,) = find_annotated(folder)
    assert len(exam.segmentations) == 2
    prepared = prepare_annotated(exam, SETTINGS)
    assert len(prepared.facts["lesions"]) == len(result.report["lesions"]) == 3
    assert set(np.unique(prepared.regions)) == {UNLABELLED}
    labels = maps_of(result, "lesions")
    overlap = 2 * ((prepared.lesions > 0) & (labels > 0)).sum()
    assert overlap / ((prepared.lesions > 0).sum() + (labels > 0).sum()) > 0.9


def test_what_marrowmap_itself_found_is_no_annotation(result: Any, folder: Path) -> None:
    shutil.copy(result.dicom / "seg.dcm", folder / "anna" / "first")
    with pytest.raises(NoStudyError, match=r"DICOM studies with segmentations \(SEG\) that a person drew"):
        find_annotated(folder)


def test_segments_without_tracking_are_lesions_of_their_own(result: Any, tmp_path: Path) -> None:
    paths = [
        saved_by_a_viewer(result.dicom / "seg.dcm", tmp_path / f"{n}.dcm", TrackingUID="", TrackingID="")
        for n in (1, 2)
    ]
    first, second = same_lesions([read_segmentation(path) for path in paths])
    assert first.lesion_names == second.lesion_names
    assert len(first.lesion_names) == 6
    assert not set(np.unique(first.lesions[first.lesions > 0])) & set(np.unique(second.lesions))


def test_segments_that_say_nothing_of_lesions_are_refused(result: Any, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(result.dicom / "seg.dcm")
    for segment in dataset.SegmentSequence:
        segment.SegmentLabel = "Segment 1"
        segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue = "85756007"
        segment.SegmentedPropertyCategoryCodeSequence[0].CodeMeaning = "Tissue"
    dataset.save_as(tmp_path / "tissue.dcm")
    with pytest.raises(StudyError, match=r"^no segment of tissue.dcm is a lesion: need the category"):
        read_segmentation(tmp_path / "tissue.dcm")


def test_a_file_that_is_no_segmentation_is_refused(result: Any, tmp_path: Path) -> None:
    path = shutil.copy(next(result.study.rglob("*.dcm")), tmp_path / "image.dcm")
    with pytest.raises(StudyError, match=r"^cannot read image.dcm as a DICOM segmentation"):
        read_segmentation(Path(path))
