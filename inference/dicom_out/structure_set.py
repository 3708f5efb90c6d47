"""RTSTRUCT: the lesions as closed contours on the slices of the source series, made on demand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage

from marrowmap.data.frames import ras_to_lps
from marrowmap.data.sources import SourceSeries, SourceStack
from marrowmap.inference.dicom_out.provenance import Maker, digest_of, new_object
from marrowmap.inference.dicom_out.segments import Segment

SERIES_NUMBER = 9109
DESCRIPTION = "marrowmap lesion contours (research)"
_STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"
#: Coordinates of a contour as the standard writes them: at most 16 characters each.
_DECIMALS = 3

Frames = npt.NDArray[np.uint16]
Contours = Mapping[int, list[Dataset]]


def structure_set(
    labelled: list[tuple[SourceSeries, Frames]], segments: list[Segment], maker: Maker
) -> Dataset | None:
    """Return the lesions as a structure set, None where there is no lesion.

    Args:
        labelled: Source series with their labels `(slice, row, column)`, stack by stack.
        segments: What the labels mean.
        maker: Who makes it.
    """
    found: dict[int, list[Dataset]] = defaultdict(list)
    frames_of: dict[int, str] = {}
    for series, frames in labelled:
        start = 0
        for stack in series.stacks:
            planes = frames[start : start + len(stack.datasets)]
            start += len(stack.datasets)
            for value, contour in _contours(stack, planes):
                found[value].append(contour)
                frames_of.setdefault(value, str(series.first.get("FrameOfReferenceUID") or ""))
    shown = [segment for segment in segments if segment.value in found]
    if not shown:
        return None
    seed = digest_of([str(shown).encode(), *(frames.tobytes() for _, frames in labelled)])
    made = new_object(labelled[0][0].first, RTStructureSetStorage, maker.uid("rtstruct", seed), maker)
    made.Modality = "RTSTRUCT"
    made.SeriesInstanceUID = maker.uid("rtstruct", seed, "series")
    made.SeriesNumber, made.InstanceNumber = SERIES_NUMBER, 1
    made.SeriesDescription = DESCRIPTION
    made.OperatorsName = ""
    made.StructureSetLabel = "MARROWMAP"
    made.StructureSetName = "Lesions (research)"
    made.StructureSetDate, made.StructureSetTime = made.ContentDate, made.ContentTime
    del made.ContentDate, made.ContentTime
    made.ApprovalStatus = "UNAPPROVED"
    made.ReferencedFrameOfReferenceSequence = _frames_of_reference([series for series, _ in labelled])
    made.FrameOfReferenceUID = made.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID
    made.PositionReferenceIndicator = ""
    made.StructureSetROISequence = [_roi(n, s, frames_of[s.value]) for n, s in enumerate(shown, start=1)]
    made.ROIContourSequence = [_roi_contour(n, s, found) for n, s in enumerate(shown, start=1)]
    made.RTROIObservationsSequence = [_observation(n) for n in range(1, len(shown) + 1)]
    return made


def _contours(stack: SourceStack, planes: Frames) -> Iterator[tuple[int, Dataset]]:
    """Yield every closed contour of every label; the edge runs midway between voxel centres."""
    from contourpy import contour_generator

    affine = ras_to_lps(stack.grid.affine_ras_mm)
    for index, plane in enumerate(planes):
        for value in np.unique(plane[plane > 0]):
            rows, columns = np.nonzero(plane == value)
            top, left = rows.min() - 1, columns.min() - 1
            mask = np.zeros((np.ptp(rows) + 3, np.ptp(columns) + 3))
            mask[rows - top, columns - left] = 1.0
            for line in contour_generator(z=mask).lines(0.5):
                closed = np.asarray(line)[:-1] + np.array([left, top])
                points = np.c_[closed, np.full(len(closed), index), np.ones(len(closed))] @ affine.T
                image = _image(stack.datasets[index], stack.frames[index])
                yield int(value), _contour(points[:, :3], image)


def _contour(points_lps_mm: npt.NDArray[np.float64], image: Dataset) -> Dataset:
    item = Dataset()
    item.ContourImageSequence = [image]
    item.ContourGeometricType = "CLOSED_PLANAR"
    item.NumberOfContourPoints = len(points_lps_mm)
    item.ContourData = [f"{value:.{_DECIMALS}f}" for value in points_lps_mm.ravel()]
    return item


def _image(dataset: Dataset, frame: int | None = None) -> Dataset:
    """Return a reference to a file, and to one frame of a multi-frame file."""
    item = Dataset()
    item.ReferencedSOPClassUID = dataset.SOPClassUID
    item.ReferencedSOPInstanceUID = dataset.SOPInstanceUID
    if frame is not None and int(dataset.get("NumberOfFrames") or 1) > 1:
        item.ReferencedFrameNumber = frame + 1
    return item


def _frames_of_reference(sources: list[SourceSeries]) -> list[Dataset]:
    """Return one item a frame of reference, with the series that lie in it."""
    by_frame: dict[str, list[SourceSeries]] = defaultdict(list)
    for series in sources:
        by_frame[str(series.first.get("FrameOfReferenceUID") or "")].append(series)
    return [_frame_of_reference(uid, members) for uid, members in by_frame.items()]


def _frame_of_reference(uid: str, members: list[SourceSeries]) -> Dataset:
    study = Dataset()
    study.ReferencedSOPClassUID = _STUDY_CLASS
    study.ReferencedSOPInstanceUID = members[0].first.StudyInstanceUID
    study.RTReferencedSeriesSequence = []
    for series in members:
        item = Dataset()
        item.SeriesInstanceUID = series.first.SeriesInstanceUID
        item.ContourImageSequence = [_image(dataset) for dataset in series.datasets]
        study.RTReferencedSeriesSequence.append(item)
    frame = Dataset()
    frame.FrameOfReferenceUID = uid
    frame.RTReferencedStudySequence = [study]
    return frame


def _roi(number: int, segment: Segment, frame_uid: str) -> Dataset:
    item = Dataset()
    item.ROINumber = number
    item.ReferencedFrameOfReferenceUID = frame_uid
    item.ROIName = segment.label
    item.ROIGenerationAlgorithm = "AUTOMATIC"
    return item


def _roi_contour(number: int, segment: Segment, found: Contours) -> Dataset:
    item = Dataset()
    item.ReferencedROINumber = number
    item.ROIDisplayColor = list(segment.rgb)
    item.ContourSequence = found[segment.value]
    return item


def _observation(number: int) -> Dataset:
    item = Dataset()
    item.ObservationNumber = number
    item.ReferencedROINumber = number
    item.RTROIInterpretedType = ""
    item.ROIInterpreter = ""
    return item
