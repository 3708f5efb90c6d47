"""Which studies get objects, and what headers may lack."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from marrowmap.data.exam import Sequence
from marrowmap.data.grid import Grid
from marrowmap.data.headers import tolerant
from marrowmap.data.nifti import write_exam_nifti
from marrowmap.data.read import read_exam
from marrowmap.data.sources import SourceSeries, SourceStack, read_kept_sources, write_sources
from marrowmap.inference.dicom_out.labels import label_frames, middles_mm
from marrowmap.inference.dicom_out.provenance import Maker, complete
from marrowmap.inference.dicom_out.segments import lesion_segments, segmentation
from marrowmap.inference.pipeline import InferSettings, infer

from .conftest import Result, write_study
from .validators import iod_errors, needs_dciodvfy

MAKER = Maker(
    program_version="0", model={"name": "n", "version": "1", "sha256": "ab" * 32}, study_uid="1.2.3", seed="s"
)


def edited_study(folder: Path, change: Callable[[Dataset], None]) -> Path:
    """The study with every header changed."""
    write_study(folder)
    with tolerant():  # pydicom complains of what some exports write
        for path in folder.rglob("*.dcm"):
            dataset = pydicom.dcmread(path)
            change(dataset)
            dataset.save_as(path)
    return folder


def test_a_nifti_study_gets_no_objects_and_the_report_says_so(result: Result, tmp_path: Path) -> None:
    write_exam_nifti(read_exam(result.study), tmp_path / "study")
    report = infer(tmp_path / "study", tmp_path / "out")
    assert not (tmp_path / "out" / "dicom").exists()
    assert not (tmp_path / "out" / "dicom_sources.zip").exists()
    (text,) = [w["text"] for w in report["study"]["warnings"] if w["code"] == "no_dicom_objects"]
    assert text.startswith("No DICOM objects were made: they need the headers of DICOM slices")
    assert (tmp_path / "out" / "report.pdf").read_bytes().startswith(b"%PDF-")


def test_an_exam_without_lesions_has_no_lesion_segment_but_says_where_was_looked(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", lesions=0)
    report = infer(study, tmp_path / "out")
    assert report["lesions"] == []
    assert "no_dicom_objects" not in {warning["code"] for warning in report["study"]["warnings"]}
    found = Result(study=study, out=tmp_path / "out", report=report)
    names = {path.name for path in found.dicom.glob("*.dcm")}
    assert names == {"seg.dcm", "seg_regions.dcm", "sr.dcm", "report.dcm", "mip.dcm"}
    (item,) = found.read("seg.dcm").SegmentSequence
    assert item.SegmentLabel == "Skeleton searched, no lesion found"
    assert item.SegmentedPropertyCategoryCodeSequence[0].CodeMeaning == "Anatomical Structure"
    groups = found.read("sr.dcm").ContentSequence[-1].ContentSequence
    count = next(item for item in groups[0].ContentSequence if item.ValueType == "NUM")
    assert (len(groups), count.MeasuredValueSequence[0].NumericValue) == (1, 0)


def test_no_objects_where_none_are_wanted(result: Result, tmp_path: Path) -> None:
    report = infer(result.study, tmp_path / "out", InferSettings(dicom=False))
    assert not (tmp_path / "out" / "dicom").exists()
    assert "no_dicom_objects" not in {warning["code"] for warning in report["study"]["warnings"]}


def test_the_same_study_again_gives_the_same_uids_and_nothing_on_demand(
    result: Result, tmp_path: Path
) -> None:
    report = infer(result.study, tmp_path / "out")
    again = Result(study=result.study, out=tmp_path / "out", report=report)
    assert not {"adc.dcm", "probability.dcm", "rtstruct.dcm"} & {p.name for p in again.dicom.iterdir()}
    for path in again.dicom.rglob("*.dcm"):
        name = str(path.relative_to(again.dicom))
        assert again.read(name).SOPInstanceUID == result.read(name).SOPInstanceUID, name


def test_a_study_that_holds_our_own_objects_reads_as_before(result: Result, tmp_path: Path) -> None:
    shutil.copytree(result.study, tmp_path / "study" / "b")
    shutil.copytree(result.dicom, tmp_path / "study" / "a")
    before, after = read_exam(result.study), read_exam(tmp_path / "study")
    assert after.study.series_uids == before.study.series_uids
    assert {w.code for w in after.warnings} == {w.code for w in before.warnings}
    for sequence, volume in before.volumes.items():
        assert np.array_equal(after[sequence].array, volume.array)


@needs_dciodvfy
def test_headers_that_an_export_stripped_still_make_valid_objects(tmp_path: Path) -> None:
    def strip(dataset: Dataset) -> None:
        dataset.SpecificCharacterSet = "ISO_IR 100"
        dataset.PatientName = "Müller"
        dataset.PatientSex = "unknown"
        dataset.PatientAge = "67"
        dataset.SoftwareVersions = None
        for keyword in (
            *("AccessionNumber", "StudyID", "StudyTime", "ReferringPhysicianName", "PatientBirthDate"),
            *("PositionReferenceIndicator", "SeriesDescription", "ScanOptions", "EchoTrainLength"),
            *("FrameOfReferenceUID", "SliceThickness"),
        ):
            if keyword in dataset:
                del dataset[keyword]

    study = edited_study(tmp_path / "study", strip)
    report = infer(study, tmp_path / "out", InferSettings(dicom_rtstruct=True))
    found = Result(study=study, out=tmp_path / "out", report=report)
    assert len(report["lesions"]) == 3
    for path in sorted(found.dicom.glob("*.dcm")):
        assert iod_errors(path) == []
        assert str(pydicom.dcmread(path).PatientName) == "Müller"


def test_kept_headers_read_back_as_they_were(result: Result, tmp_path: Path) -> None:
    kept = read_kept_sources(result.out / "dicom_sources.zip")
    assert [len(series.datasets) for series in kept] == [34, 34]
    write_sources(tmp_path / "again.zip", kept)
    again = read_kept_sources(tmp_path / "again.zip")
    for one, other in zip(kept, again, strict=True):
        assert [d.SOPInstanceUID for d in one.datasets] == [d.SOPInstanceUID for d in other.datasets]
        assert np.array_equal(one.stacks[0].grid.affine_ras_mm, other.stacks[0].grid.affine_ras_mm)
        assert "PixelData" not in one.first
        assert not [element for element in one.first if element.tag.is_private]


def multiframe_series() -> SourceSeries:
    """An enhanced file of six frames: b 50 and b 900 by turns, of which the second ones are used."""
    source = Dataset()
    source.SOPClassUID, source.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4.1", "1.2.3.4"
    source.StudyInstanceUID, source.SeriesInstanceUID = "1.2.3", "1.2.3.5"
    source.FrameOfReferenceUID, source.Modality, source.SeriesNumber = "1.2.3.6", "MR", 7
    source.Rows, source.Columns, source.NumberOfFrames = 12, 10, 6
    source.ImageType = ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"]
    measures, plane = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [3.0, 3.0], 5.0
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared = Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [plane]
    source.SharedFunctionalGroupsSequence = [shared]
    source.PerFrameFunctionalGroupsSequence = []
    for frame in range(6):
        own, position, content = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [0.0, 0.0, 5.0 * (frame // 2)]
        content.DimensionIndexValues = [frame // 2 + 1, frame % 2 + 1]
        own.PlanePositionSequence, own.FrameContentSequence = [position], [content]
        source.PerFrameFunctionalGroupsSequence.append(own)
    complete(source, 5.0)
    grid = Grid(shape=(10, 12, 3), affine_ras_mm=np.diag([-3.0, -3.0, 5.0, 1.0]))
    stack = SourceStack(datasets=(source,) * 3, frames=(1, 3, 5), grid=grid)
    return SourceSeries(stacks=(stack,), sequence=Sequence.DWI_HIGH)


def lesion(number: int) -> dict[str, object]:
    return {"id": number, "region": "femora", "certainty": "certain", "suspected_benign": None}


@needs_dciodvfy
def test_the_frames_of_a_multi_frame_file_that_were_used_are_referred_to(tmp_path: Path) -> None:
    series = multiframe_series()
    labels = np.zeros((10, 12, 3), dtype=np.uint16)
    labels[2:5, 3:6, 1:3] = 4
    frames = label_frames(labels, series.stacks[0].grid, series)
    assert [int((plane > 0).sum()) for plane in frames] == [0, 9, 9]
    seg = segmentation(
        series, frames, lesion_segments([lesion(4)], MAKER), MAKER, number=1, description="d", label="L"
    )
    assert seg is not None
    referred = {
        int(own.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)
        for own in seg.PerFrameFunctionalGroupsSequence
    }
    assert referred == {4, 6}
    seg.save_as(tmp_path / "seg.dcm")
    assert iod_errors(tmp_path / "seg.dcm") == []


def test_a_lesion_between_two_slices_keeps_the_voxel_at_its_middle() -> None:
    series = multiframe_series()
    # The lesion spans 1.5 to 2.1 mm; the slices lie at 0, 5 and 10 mm, and none of them cuts it.
    grid = Grid(shape=(60, 60, 60), affine_ras_mm=np.diag([-0.5, -0.5, 0.2, 1.0]))
    labels = np.zeros(grid.shape, dtype=np.uint16)
    labels[20:22, 21:23, 8:11] = 2
    assert label_frames(labels, grid, series).sum() == 0
    kept = label_frames(labels, grid, series, middles_mm(labels, grid))
    assert np.argwhere(kept).tolist() == [[0, 4, 3]]
    # Of another station there is nothing to keep.
    assert label_frames(labels, grid, series, {9: np.array([0.0, 0.0, 300.0])}).sum() == 0


def test_nothing_heavy_is_loaded_before_it_is_needed() -> None:
    code = (
        "import sys; import marrowmap.scripts.infer, marrowmap.scripts.revise; "
        "early = {'highdicom', 'reportlab', 'contourpy'} & set(sys.modules); assert not early, early"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_mosaic_of_the_high_b_images_gets_no_segmentation_of_its_own(result: Result) -> None:
    from dataclasses import replace

    from marrowmap.data.read import read_exam_and_study
    from marrowmap.data.sources import read_sources

    exam, study = read_exam_and_study(result.study)
    assert study is not None
    parts = []
    for part in study.parts:
        stack = part.stacks[0]
        tiles = tuple(replace(one, corner=(0, 8 * n)) for n, one in enumerate(stack.slices))
        parts.append(replace(part, stacks=(replace(stack, slices=tiles),)))
    assert read_sources(replace(study, parts=tuple(parts)), exam) == ()


def test_headers_of_a_study_are_opened_once(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from marrowmap.data import study

    opened: list[Path] = []
    read_headers = study.read_headers
    monkeypatch.setattr(study, "read_headers", lambda path: opened.append(path) or read_headers(path))
    infer(result.study, tmp_path / "out", InferSettings())
    assert opened == [result.study]
