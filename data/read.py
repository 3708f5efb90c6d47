"""A study's path -> Exam: DICOM folder or zip, or NIfTI folder; nothing is left out without a reason."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from marrowmap.data.assembly import RoleVolume, assemble_exam
from marrowmap.data.describe import (
    SeriesDescription,
    StudyDescription,
    describe,
    describe_exam,
    describe_study,
)
from marrowmap.data.errors import StudyError
from marrowmap.data.exam import Array3D, Exam, ExamWarning, Sequence, Volume
from marrowmap.data.nifti import is_nifti_folder, read_nifti_folder
from marrowmap.data.pixels import read_stack
from marrowmap.data.selection import Choices, Part
from marrowmap.data.stacks import Stack
from marrowmap.data.study import Study, open_study

__all__ = [
    "Choices",
    "Inspection",
    "SeriesDescription",
    "StudyDescription",
    "describe_study",
    "inspect_study",
    "read_exam",
    "read_exam_and_study",
]

_log = logging.getLogger(__name__)


def read_exam(path: Path, choices: Choices | None = None, study_uid: str = "") -> Exam:
    """Read one whole-body exam.

    Args:
        path: A DICOM folder of any depth, a zip of one, or a folder of NIfTI files named by sequence.
        choices: Series that the user names for a sequence (DICOM only).
        study_uid: Study Instance UID (or NIfTI case), needed where the path holds several.

    Returns:
        The exam: one volume a sequence, stations composed, ADC in um2/s.

    Raises:
        NoStudyError: If nothing readable is there, or several studies and none named.
        SequenceMissingError: If the minimum set is not there.
        GeometryError: If stations do not fit together.
        StudyError: If a file that is needed is damaged.
    """
    return read_exam_and_study(path, choices, study_uid)[0]


def read_exam_and_study(
    path: Path, choices: Choices | None = None, study_uid: str = ""
) -> tuple[Exam, Study | None]:
    """Read one exam and keep the headers it came from: opening 1,900 files twice costs seconds.

    Args:
        path: As for `read_exam`.
        choices: As for `read_exam`.
        study_uid: As for `read_exam`.

    Returns:
        The exam, and its DICOM study; None for NIfTI.

    Raises:
        MarrowmapError: As `read_exam`.
    """
    if is_nifti_folder(path):
        return read_nifti_folder(path, study_uid), None
    study = open_study(path, choices or Choices(), study_uid)
    return _exam_of(study), study


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a study holds and what became of it.

    Attributes:
        description: Every series with its role, or why it was left out.
        exam: The exam, None where the study is refused.
        refusal: Why it is refused, empty where it is not.
    """

    description: StudyDescription
    exam: Exam | None = None
    refusal: str = ""


def inspect_study(path: Path, choices: Choices | None = None, study_uid: str = "") -> Inspection:
    """Describe a study and read it as far as possible: an unusable study is still described.

    Args:
        path: As for `read_exam`.
        choices: As for `read_exam`.
        study_uid: As for `read_exam`.

    Raises:
        NoStudyError: If nothing readable is there, or several studies and none named.
    """
    if is_nifti_folder(path):
        exam = read_nifti_folder(path, study_uid)
        return Inspection(description=describe_exam(exam), exam=exam)
    study = open_study(path, choices or Choices(), study_uid)
    description = describe(study)
    try:
        return Inspection(description=description, exam=_exam_of(study))
    except StudyError as error:
        return Inspection(description=description, refusal=str(error))


def _exam_of(study: Study) -> Exam:
    """Read the pixels of a study and assemble its exam."""
    warnings = list(study.warnings)
    return assemble_exam(_role_volumes(study, warnings), study.info, warnings)


def _role_volumes(study: Study, warnings: list[ExamWarning]) -> Iterator[RoleVolume]:
    """Yield the stations of a study; one that cannot be read is left out with a warning, added here."""
    for part in study.parts:
        if part.key is None:
            continue
        try:
            volume = _role_volume(part)
        except StudyError as error:
            text = f"left out {part.series.name}: {error}"
            warnings.append(ExamWarning(code="series_unreadable", text=text))
            continue
        yield volume


def _role_volume(part: Part) -> RoleVolume:
    """Read a part's pixels as one station; repeats and directions are averaged."""
    stack = part.stacks[0]
    volume = Volume(
        array=_averaged(part.stacks, quantitative=part.key in (Sequence.ADC, Sequence.FAT_FRACTION)),
        affine_ras_mm=stack.affine_ras_mm,
        b_value_s_per_mm2=part.role.b_value_s_per_mm2,
    )
    return RoleVolume(
        sequence=part.role.sequence,
        volume=volume,
        name=part.series.name,
        series_uid=part.series.uid,
        frame_of_reference=str(stack.dataset.get("FrameOfReferenceUID") or ""),
    )


def _averaged(stacks: tuple[Stack, ...], *, quantitative: bool) -> Array3D:
    """Return the mean of repeats; diffusion directions as their geometric mean, which is the trace image."""
    arrays = [read_stack(stack, quantitative=quantitative) for stack in stacks]
    if len(arrays) == 1:
        return arrays[0]
    first = stacks[0].slices[0]
    is_directional = first.b_value is not None and first.b_value.s_per_mm2 > 0
    if not is_directional:
        return sum(arrays[1:], arrays[0]) / np.float32(len(arrays))
    logs = sum(np.log(np.maximum(a, np.float32(1e-6))) for a in arrays)
    return np.exp(logs / np.float32(len(arrays))).astype(np.float32)
