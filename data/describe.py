"""What a study holds, in words and numbers, from headers alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from marrowmap.data.exam import Exam, Sequence, StudyInfo
from marrowmap.data.nifti import is_nifti_folder, read_nifti_folder
from marrowmap.data.selection import Choices, Part
from marrowmap.data.series import Series
from marrowmap.data.study import Study, open_study

_ORIENTATIONS = ("sagittal", "coronal", "axial")


@dataclass(frozen=True, kw_only=True)
class PartDescription:
    """One part of a series, as `marrowmap read` tells it.

    Attributes:
        role: The sequence, `dwi` for diffusion, or None if left out.
        reason: Why it was taken so, or left out.
        b_value_s_per_mm2: b, None where it has no meaning.
        shape: Columns, rows, slices; empty where no pile could be made.
        spacing_mm: Voxel size along `(i, j, k)`.
        orientation: sagittal, coronal, axial or empty.
        repeats: Volumes averaged into one (directions, averages).
        extent_z_mm: Lowest and highest z covered, RAS+.
    """

    role: str | None
    reason: str
    b_value_s_per_mm2: float | None = None
    shape: tuple[int, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    orientation: str = ""
    repeats: int = 1
    extent_z_mm: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SeriesDescription:
    """One series, as `marrowmap read` tells it."""

    number: int
    description: str
    series_instance_uid: str
    files: int
    parts: tuple[PartDescription, ...]

    @property
    def is_used(self) -> bool:
        """True when some part of it is used."""
        return any(part.role for part in self.parts)


@dataclass(frozen=True, kw_only=True)
class StudyDescription:
    """A study, as `marrowmap read` tells it; no name, no identifier of a person.

    Attributes:
        study: Identifiers, vendor, field strength, sex, age.
        series: Every series, used or left out.
        files_passed_over: Files that are not DICOM.
        missing: Wanted sequences that no series shows.
    """

    study: StudyInfo
    series: tuple[SeriesDescription, ...]
    files_passed_over: int = 0
    missing: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


def describe_study(path: Path, choices: Choices | None = None, study_uid: str = "") -> StudyDescription:
    """Say what a DICOM study or a NIfTI folder holds, from headers alone.

    Args:
        path: As for `read_exam`.
        choices: As for `read_exam`.
        study_uid: As for `read_exam`.

    Returns:
        Every series with its role or the reason for leaving it out.

    Raises:
        NoStudyError: If nothing readable is there, or several studies and none named.
    """
    if is_nifti_folder(path):
        return describe_exam(read_nifti_folder(path, study_uid))
    return describe(open_study(path, choices or Choices(), study_uid))


def describe(study: Study) -> StudyDescription:
    """Say what a DICOM study holds; see `describe_study`."""
    by_series: dict[str, list[Part]] = defaultdict(list)
    for part in study.parts:
        by_series[part.series.uid].append(part)
    series = tuple(_describe_series(s, by_series[s.uid]) for s in study.series)
    roles = {part.key for part in study.parts if part.key is not None}
    return StudyDescription(
        study=study.info, series=series, files_passed_over=study.passed_over, missing=_missing_words(roles)
    )


def _missing_words(roles: set[Sequence | float]) -> tuple[str, ...]:
    """Return the wanted sequences that are not among the roles."""
    b_values = [role for role in roles if isinstance(role, float)]
    wanted = {
        "t1": bool(roles & {Sequence.T1, Sequence.DIXON_IN}),
        "stir": bool(roles & {Sequence.STIR, Sequence.T2}),
        "dixon": {Sequence.DIXON_FAT, Sequence.DIXON_WATER} <= roles or Sequence.FAT_FRACTION in roles,
        "dwi_low": Sequence.DWI_LOW in roles or any(b <= 200 for b in b_values),
        "dwi_high": Sequence.DWI_HIGH in roles or any(b >= 700 for b in b_values),
        "adc": Sequence.ADC in roles or len(b_values) > 1,
    }
    return tuple(name for name, is_there in wanted.items() if not is_there)


def _describe_series(series: Series, parts: list[Part]) -> SeriesDescription:
    """Return one series with all its parts and what could not be piled up."""
    return SeriesDescription(
        number=series.number,
        description=series.description,
        series_instance_uid=series.uid,
        files=series.files,
        parts=(
            *(_describe_part(part) for part in parts),
            *(PartDescription(role=None, reason=problem) for problem in series.problems),
        ),
    )


def _describe_part(part: Part) -> PartDescription:
    """Return one part in words and numbers."""
    stack, box = part.stacks[0], part.box_ras_mm
    spacing = np.linalg.norm(stack.affine_ras_mm[:3, :3], axis=0)
    is_dwi = part.role.b_value_s_per_mm2 is not None
    return PartDescription(
        role="dwi" if is_dwi else None if part.role.sequence is None else str(part.role.sequence),
        reason=part.role.reason,
        b_value_s_per_mm2=part.role.b_value_s_per_mm2,
        shape=stack.shape,
        spacing_mm=tuple(round(float(s), 3) for s in spacing),
        orientation=_ORIENTATIONS[part.orientation],
        repeats=len(part.stacks),
        extent_z_mm=(round(float(box[0, 2]), 1), round(float(box[1, 2]), 1)),
    )


def describe_exam(exam: Exam) -> StudyDescription:
    """Return the description of an exam read from NIfTI."""
    series = []
    for number, (sequence, volume) in enumerate(exam.volumes.items(), start=1):
        part = PartDescription(
            role=str(sequence),
            reason="computed from the b-values" if volume.is_computed else "the file's name",
            b_value_s_per_mm2=volume.b_value_s_per_mm2,
            shape=volume.shape,
            spacing_mm=tuple(round(s, 3) for s in volume.spacing_mm),
        )
        series.append(
            SeriesDescription(
                number=number, description=str(sequence), series_instance_uid="", files=1, parts=(part,)
            )
        )
    return StudyDescription(study=exam.study, series=tuple(series), missing=_missing_words(set(exam.volumes)))
