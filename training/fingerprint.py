"""What own annotated exams are like as stored: voxel sizes, extents, sequences, lesion diameters."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from marrowmap.data.annotated import AnnotatedExam, find_annotated
from marrowmap.data.errors import MarrowmapError
from marrowmap.data.exam import Sequence, SpacingMm
from marrowmap.data.grid import Grid, box_grid
from marrowmap.data.read import read_exam
from marrowmap.training.annotated import lesion_diameters_mm

_log = logging.getLogger(__name__)

#: More exams say no more of a scanner's protocol, and each takes seconds to read.
MOST_EXAMS = 20
#: Extents are measured in cubes of this side.
EXTENT_STEP_MM = 5.0


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """What was measured on exams that somebody annotated.

    Attributes:
        exams: Exams that are there.
        patients: Patients that they belong to.
        read: Exams that were read, up to `MOST_EXAMS`.
        spacing_mm: Median voxel size of high-b diffusion: the two finer sides, then the coarsest.
        extent_mm: Median extent of high-b diffusion along `(x, y, z)` of the patient.
        sequences: In how many of the exams read each sequence is.
        diameters_mm: Longest diameter of every annotated lesion, in ascending order.
    """

    exams: int
    patients: int
    read: int
    spacing_mm: SpacingMm
    extent_mm: tuple[float, float, float]
    sequences: Mapping[Sequence, int]
    diameters_mm: tuple[float, ...]


def fingerprint(folder: Path) -> Fingerprint:
    """Read up to `MOST_EXAMS` annotated exams of a folder, evenly over their names, and measure them.

    Raises:
        MarrowmapError: Of the kind that finding or reading them raised, with the exam's name in front.
    """
    exams = find_annotated(folder)
    chosen = exams
    if len(exams) > MOST_EXAMS:
        chosen = [exams[n] for n in np.linspace(0, len(exams) - 1, MOST_EXAMS).round().astype(int)]
    spacings, extents, diameters = [], [], []
    sequences: Counter[Sequence] = Counter()
    for number, exam in enumerate(chosen, start=1):
        spacing, extent, found = _measured(exam)
        spacings.append(spacing)
        extents.append(extent)
        sequences.update(found)
        diameters += lesion_diameters_mm(exam)
        _log.info("measured %s (%d of %d)", exam.name, number, len(chosen))
    a, b, c = np.median(spacings, axis=0).tolist()
    x, y, z = np.median(extents, axis=0).tolist()
    return Fingerprint(
        exams=len(exams),
        patients=len({exam.patient for exam in exams}),
        read=len(chosen),
        spacing_mm=(a, b, c),
        extent_mm=(x, y, z),
        sequences=sequences,
        diameters_mm=tuple(sorted(diameters)),
    )


def _measured(annotated: AnnotatedExam) -> tuple[list[float], list[float], list[Sequence]]:
    """Return voxel size (ascending) and extent (x, y, z) of high-b diffusion in mm, and the sequences."""
    try:
        exam = read_exam(annotated.study, study_uid=annotated.case)
        high = exam[Sequence.DWI_HIGH]
        box = box_grid(Grid(shape=high.shape, affine_ras_mm=high.affine_ras_mm), EXTENT_STEP_MM)
    except MarrowmapError as error:
        raise type(error)(f"{annotated.name}: {error}") from error
    return sorted(high.spacing_mm), [side * EXTENT_STEP_MM for side in box.shape], list(exam.volumes)
