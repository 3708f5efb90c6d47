"""Own annotated exams for training: which patients train and which validate, and each as a prepared exam.

An exam's number in the cache comes from the content of its files: an exam added later leaves the others
prepared, and one drawn anew is prepared anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from marrowmap.data.annotated import AnnotatedExam, find_annotated
from marrowmap.data.components import components_of, longest_diameter_mm
from marrowmap.data.dicom_seg import read_segmentation, same_lesions
from marrowmap.data.errors import MarrowmapError, SettingsError, StudyError
from marrowmap.data.exam import Affine, LabelArray
from marrowmap.data.grid import Grid, resample_nearest
from marrowmap.data.model_input import ModelInputSettings, to_model_input
from marrowmap.data.nifti import read_nifti
from marrowmap.data.read import read_exam
from marrowmap.data.skeleton import UNLABELLED, Region
from marrowmap.training.cache import PreparedExam
from marrowmap.training.config import StreamSettings
from marrowmap.training.prepare import ExamMaker
from marrowmap.training.run_folder import SPLIT_FILE

#: Numbers of annotated exams begin far above every seed of the simulator.
FIRST_NUMBER = 1 << 40


@dataclass(frozen=True, kw_only=True)
class AnnotatedSplit:
    """The annotated exams of a run by their number in the cache.

    Attributes:
        exams: All of them.
        training: Numbers of those that are learned from.
        validation: Numbers of those that are not.
    """

    exams: Mapping[int, AnnotatedExam]
    training: tuple[int, ...] = ()
    validation: tuple[int, ...] = ()

    def maker(self, make: ExamMaker) -> ExamMaker:
        """Return what prepares a number: an annotated exam from its files, a seed as before."""
        return partial(_make, dict(self.exams), make) if self.exams else make

    def validated_on(self, settings: StreamSettings) -> str:
        """Return what the validation exams of a run are: simulated, annotated, or both."""
        kinds = ["simulated"] * bool(settings.validation_seeds) + ["annotated"] * bool(self.validation)
        return " and ".join(kinds)

    def to_json(self) -> str:
        """Return what a run remembers of it."""
        parts = {"training": self.training, "validation": self.validation}
        plain = {
            part: [{"number": number, "name": self.exams[number].name} for number in numbers]
            for part, numbers in parts.items()
        }
        return json.dumps(plain, indent=2) + "\n"


def annotated_split(settings: StreamSettings) -> AnnotatedSplit:
    """Find the annotated exams of the settings and split them by patient; empty where none are named.

    Raises:
        StudyError: If the folder holds none, or two exams are the same.
        SettingsError: If there are fewer patients than folds.
    """
    if settings.annotated is None:
        return AnnotatedSplit(exams={})
    exams: dict[int, AnnotatedExam] = {}
    for exam in find_annotated(settings.annotated):
        number = content_number(exam)
        if number in exams:
            raise StudyError(f"{exams[number].name} and {exam.name} have the same files; remove one of them")
        exams[number] = exam
    held_out = held_out_patients([exam.patient for exam in exams.values()], settings)
    return AnnotatedSplit(
        exams=exams,
        training=tuple(number for number, exam in exams.items() if exam.patient not in held_out),
        validation=tuple(number for number, exam in exams.items() if exam.patient in held_out),
    )


def held_out_patients(patients: Sequence[str], settings: StreamSettings) -> set[str]:
    """Return the patients of the validation fold.

    Patients are shuffled by the hash of their name and dealt in turn, so that folds differ by one patient
    at most and do not follow the order in which exams were collected.

    Raises:
        SettingsError: If there are fewer patients than folds.
    """
    if settings.fold is None:
        return set()
    shuffled = sorted(set(patients), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    if len(shuffled) < settings.folds:
        raise SettingsError(
            f"{settings.folds} folds need as many patients, found {len(shuffled)}; lower --stream.folds, or "
            "train on all with --stream.fold null"
        )
    return set(shuffled[settings.fold :: settings.folds])


def content_number(exam: AnnotatedExam) -> int:
    """Return the exam's number: a hash of the names and content of its files."""
    digest = hashlib.sha256()
    for path in exam.files:
        digest.update(f"{path.name}:{path.stat().st_size}:".encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return FIRST_NUMBER + int(digest.hexdigest()[:10], 16)


def read_split(run: Path) -> dict[str, list[int]]:
    """Return the numbers of the annotated exams that a run trained and validated on; empty without any."""
    path = run / SPLIT_FILE
    plain = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {part: [int(row["number"]) for row in plain.get(part, [])] for part in ("training", "validation")}


def _make(
    exams: Mapping[int, AnnotatedExam], make: ExamMaker, number: int, settings: ModelInputSettings
) -> PreparedExam:
    return prepare_annotated(exams[number], settings) if number in exams else make(number, settings)


def prepare_annotated(exam: AnnotatedExam, settings: ModelInputSettings) -> PreparedExam:
    """Read an annotated exam and bring it with its labels to the working grid.

    Raises:
        MarrowmapError: Of the kind that reading it raised, with the exam's name in front.
    """
    try:
        return _prepared(exam, settings)
    except MarrowmapError as error:
        raise type(error)(f"{exam.name}: {error}") from error


def _prepared(exam: AnnotatedExam, settings: ModelInputSettings) -> PreparedExam:
    model_input = to_model_input(read_exam(exam.study, study_uid=exam.case), settings)
    drawn, regions = _drawn(exam, model_input.grid)
    on_grid = np.zeros(model_input.grid.shape, dtype=np.int32)
    for labels, affine in drawn:
        there = resample_nearest(labels, affine, model_input.grid)
        on_grid[there > 0] = there[there > 0]
    if any(labels.any() for labels, _ in drawn) and not on_grid.any():
        raise StudyError(
            f"no lesion of {exam.lesions.name} lies within the diffusion images; check its affine"
        )
    return PreparedExam(
        image=model_input.array,
        lesions=on_grid,
        regions=regions,
        affine_ras_mm=model_input.grid.affine_ras_mm,
        present=model_input.present,
        body=model_input.body,
        facts={
            "is_simulated": exam.seed is not None,
            "pattern": "",
            "lesions": _diameters(drawn),
        },
    )


def lesion_diameters_mm(exam: AnnotatedExam) -> list[float]:
    """Return the longest diameter of each annotated lesion, measured where it was drawn.

    Raises:
        MarrowmapError: Of the kind that reading it raised, with the exam's name in front.
    """
    try:
        parts = same_lesions([read_segmentation(path) for path in exam.segmentations])
        drawn = [(part.lesions, part.affine_ras_mm) for part in parts] or [_lesions(exam)]
    except MarrowmapError as error:
        raise type(error)(f"{exam.name}: {error}") from error
    return [float(row["longest_diameter_mm"]) for row in _diameters(drawn)]


def _drawn(exam: AnnotatedExam, grid: Grid) -> tuple[list[tuple[LabelArray, Affine]], LabelArray]:
    """Return the lesion ids as drawn, grid by grid, and the regions on the working grid."""
    if not exam.segmentations:
        return [_lesions(exam)], _regions(exam.regions, grid)
    parts = same_lesions([read_segmentation(path) for path in exam.segmentations])
    regions = np.full(grid.shape, UNLABELLED, dtype=np.uint8)
    with_regions = [(p.regions, p.affine_ras_mm) for p in parts if p.regions is not None]
    if with_regions:
        regions[:] = 0
    for labels, affine in with_regions:
        there = resample_nearest(labels, affine, grid)
        regions[there > 0] = there[there > 0]
    return [(part.lesions, part.affine_ras_mm) for part in parts], regions


def _lesions(exam: AnnotatedExam) -> tuple[LabelArray, Affine]:
    """Return lesion ids as drawn; a mask without instances is split into components."""
    labels, affine = _labels(exam.lesions)
    if exam.lesion_values:
        labels = np.isin(labels, exam.lesion_values).astype(np.int32)
    if labels.max(initial=0) <= 1:
        labels = components_of(labels > 0).astype(np.int32)
    return labels, affine


def _regions(path: Path | None, grid: Grid) -> LabelArray:
    """Return the regions on the working grid, `UNLABELLED` everywhere where nobody drew any."""
    if path is None:
        return np.full(grid.shape, UNLABELLED, dtype=np.uint8)
    labels, affine = _labels(path)
    strange = set(np.unique(labels).tolist()) - {0, UNLABELLED, *map(int, Region)}
    if strange:
        raise StudyError(
            f"{path.name} holds {min(strange)}; need 0 for no bone, 1 to {len(Region)} for regions, "
            f"{UNLABELLED} where nobody drew any"
        )
    return resample_nearest(labels.astype(np.uint8), affine, grid)


def _labels(path: Path) -> tuple[LabelArray, Affine]:
    array, affine = read_nifti(path)
    if array.ndim != 3:
        raise StudyError(f"need {path.name} with three axes, found {array.ndim}; write one label a voxel")
    labels = np.rint(array).astype(np.int32)
    if labels.min(initial=0) < 0:
        raise StudyError(f"{path.name} holds negative labels; need 0 for none and lesion ids from 1")
    return labels, affine


def _diameters(drawn: Sequence[tuple[LabelArray, Affine]]) -> list[dict[str, Any]]:
    """Return id and longest diameter, in mm, of each lesion on the grid where it was drawn longest."""
    longest: dict[int, float] = {}
    for lesions, affine in drawn:
        x, y, z = np.linalg.norm(affine[:3, :3], axis=0)
        for label, box in enumerate(ndimage.find_objects(lesions), start=1):
            if box is not None:
                voxels = np.argwhere(lesions[box] == label)
                size_mm = longest_diameter_mm(voxels, (float(x), float(y), float(z)))
                longest[label] = max(size_mm, longest.get(label, 0.0))
    return [{"id": label, "longest_diameter_mm": size_mm} for label, size_mm in sorted(longest.items())]
