"""The headers behind the high-b diffusion volume: what result objects are laid on and refer to."""

from __future__ import annotations

import json
import logging
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from marrowmap.data.errors import ReportFileError
from marrowmap.data.exam import Exam, Sequence
from marrowmap.data.grid import Grid
from marrowmap.data.header_bytes import header_bytes
from marrowmap.data.headers import Source, tolerant
from marrowmap.data.selection import Part
from marrowmap.data.slices import Slice
from marrowmap.data.study import Study

_log = logging.getLogger(__name__)

#: Name of the list inside the file of kept headers.
_INDEX = "index.json"
#: Elements that result objects copy or refer to; nothing else of a header is read or kept.
_KEYWORDS = """
SpecificCharacterSet ImageType SOPClassUID SOPInstanceUID StudyDate SeriesDate AcquisitionDate ContentDate
StudyTime SeriesTime AcquisitionTime ContentTime AccessionNumber Modality Manufacturer InstitutionName
ReferringPhysicianName StudyDescription SeriesDescription ManufacturerModelName PatientName PatientID
IssuerOfPatientID PatientBirthDate PatientSex PatientAge PatientSize PatientWeight BodyPartExamined
ScanningSequence SequenceVariant ScanOptions MRAcquisitionType RepetitionTime EchoTime EchoTrainLength
InversionTime
MagneticFieldStrength DeviceSerialNumber SoftwareVersions PatientPosition StudyInstanceUID SeriesInstanceUID
StudyID SeriesNumber AcquisitionNumber InstanceNumber ImagePositionPatient ImageOrientationPatient
FrameOfReferenceUID PositionReferenceIndicator SamplesPerPixel PhotometricInterpretation NumberOfFrames Rows
Columns PixelSpacing SliceThickness SpacingBetweenSlices BitsAllocated BitsStored HighBit PixelRepresentation
PatientIdentityRemoved DeidentificationMethod SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence
DimensionOrganizationSequence DimensionIndexSequence
"""
_TAGS: list[str] = [str(keyword) for keyword in _KEYWORDS.split()]


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceStack:
    """A regular pile of slices with the headers of their files.

    Attributes:
        datasets: Header of the file of each slice, in the order of k; a multi-frame file stands once a slice.
        frames: Index of each slice's frame in its file.
        grid: Voxels `(i, j, k)` = (column, row, slice), RAS+ mm.
    """

    datasets: tuple[Dataset, ...]
    frames: tuple[int, ...]
    grid: Grid


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceSeries:
    """What one object refers to, and to nothing else.

    A series; of multi-frame files each alone; each station alone where stations of one series overlap, since
    an object cannot have two frames at one place.

    Attributes:
        stacks: Its piles, several where one series holds several stations.
        sequence: What the series shows.
    """

    stacks: tuple[SourceStack, ...]
    sequence: Sequence

    @property
    def first(self) -> Dataset:
        """The first header."""
        return self.stacks[0].datasets[0]

    @property
    def is_multiframe(self) -> bool:
        """True where one file holds all slices."""
        return int(self.first.get("NumberOfFrames") or 1) > 1

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """Every file's header once, stack by stack in the order of k."""
        return (self.first,) if self.is_multiframe else tuple(d for s in self.stacks for d in s.datasets)


def read_sources(study: Study | None, exam: Exam) -> tuple[SourceSeries, ...]:
    """Read the headers behind the high-b diffusion volume of an exam, without pixels.

    Args:
        study: The study that the exam was read from, as `read_exam_and_study` returned it; None for NIfTI.
        exam: The exam; its series and b-value say which slices were used.

    Returns:
        The series by number; empty for NIfTI input, and without mosaics, whose tiles are no frames.
    """
    if study is None:
        return ()
    used = [part for part in study.parts if _is_used(part, exam)]
    files: dict[str, list[Part]] = defaultdict(list)
    for part in used:
        first = part.stacks[0].slices[0]
        if first.corner != (0, 0) or len({s.corner for s in part.stacks[0].slices}) > 1:
            _log.warning("no result object on %s: its slices are tiles of a mosaic", part.series.name)
            continue
        is_multiframe = int(first.header.dataset.get("NumberOfFrames") or 1) > 1
        files[str(first.header.dataset.SOPInstanceUID) if is_multiframe else part.series.uid].append(part)
    with tolerant():
        return tuple(series for parts in files.values() for series in _apart(_source_series(parts)))


def write_sources(file: Path, sources: Iterable[SourceSeries]) -> None:
    """Keep headers in a zip, so that objects can be made anew after a reader's decision.

    Args:
        file: The zip to write. It identifies the patient, as every object beside it does.
        sources: What `read_sources` returned.
    """
    index: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, tolerant():
        for series in sources:
            for dataset in series.datasets:
                name = f"{len(names) + 1:05d}.dcm"
                names[str(dataset.SOPInstanceUID)] = name
                archive.writestr(name, header_bytes(dataset))
            index.append(
                {"sequence": str(series.sequence), "stacks": [_index_of(s, names) for s in series.stacks]}
            )
        archive.writestr(_INDEX, json.dumps(index))


def read_kept_sources(file: Path) -> tuple[SourceSeries, ...]:
    """Read headers that `write_sources` kept.

    Raises:
        ReportFileError: If the zip is damaged.
    """
    try:
        with zipfile.ZipFile(file) as archive, tolerant():
            return tuple(_kept_series(archive, entry) for entry in json.loads(archive.read(_INDEX)))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ReportFileError(f"{file.name} is damaged: {error}; run infer again") from error


def _is_used(part: Part, exam: Exam) -> bool:
    """Say whether a part went into the high-b volume."""
    if part.key is None or part.series.uid not in exam.study.series_uids.get(Sequence.DWI_HIGH, ()):
        return False
    if part.role.sequence is not None:
        return part.role.sequence is Sequence.DWI_HIGH
    return part.role.b_value_s_per_mm2 == exam[Sequence.DWI_HIGH].b_value_s_per_mm2


def _source_series(parts: list[Part]) -> SourceSeries:
    """Return parts of one series with their headers; of repeats and directions the first stands for all."""
    stacks, known = [], {}
    for part in parts:
        stack = part.stacks[0]
        datasets = tuple(_header(one, known) for one in stack.slices)
        grid = Grid(shape=stack.shape, affine_ras_mm=stack.affine_ras_mm)
        stacks.append(
            SourceStack(datasets=datasets, frames=tuple(one.frame for one in stack.slices), grid=grid)
        )
    return SourceSeries(stacks=tuple(stacks), sequence=Sequence.DWI_HIGH)


def _apart(series: SourceSeries) -> list[SourceSeries]:
    """Return a series, or its stations one by one where two slices lie at the same place along the normal."""
    places = []
    for stack in series.stacks:
        count, affine = stack.grid.shape[2], stack.grid.affine_ras_mm
        normal = np.cross(affine[:3, 0], affine[:3, 1])
        middles = affine[:3, 3] + np.arange(count)[:, None] * affine[:3, 2]
        places += np.round(middles @ normal / np.linalg.norm(normal), 2).tolist()
    if len(set(places)) == len(places):
        return [series]
    return [SourceSeries(stacks=(stack,), sequence=series.sequence) for stack in series.stacks]


def _header(one: Slice, known: dict[Source, Dataset]) -> Dataset:
    """Return the header of a slice's file, read once."""
    source = one.header.source
    if source not in known:
        with source.open() as stream:
            known[source] = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=_TAGS, force=True)
    return known[source]


def _index_of(stack: SourceStack, names: dict[str, str]) -> dict[str, Any]:
    """Return one stack as JSON values."""
    return {
        "files": [names[str(dataset.SOPInstanceUID)] for dataset in stack.datasets],
        "frames": list(stack.frames),
        "shape": list(stack.grid.shape),
        "affine_ras_mm": stack.grid.affine_ras_mm.tolist(),
    }


def _kept_series(archive: zipfile.ZipFile, entry: dict[str, Any]) -> SourceSeries:
    """Return one series out of the zip."""
    known: dict[str, Dataset] = {}
    stacks = []
    for kept in entry["stacks"]:
        for name in kept["files"]:
            if name not in known:
                known[name] = pydicom.dcmread(BytesIO(archive.read(name)))
        i, j, k = kept["shape"]
        stacks.append(
            SourceStack(
                datasets=tuple(known[name] for name in kept["files"]),
                frames=tuple(kept["frames"]),
                grid=Grid(shape=(i, j, k), affine_ras_mm=np.array(kept["affine_ras_mm"])),
            )
        )
    return SourceSeries(stacks=tuple(stacks), sequence=Sequence(entry["sequence"]))
