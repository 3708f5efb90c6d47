"""Predictions against references: one score an exam, what they amount to, and two sets side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from marrowmap.training.evaluation.exam_score import ExamScore, Stager, score_pair
from marrowmap.training.evaluation.paired import compare
from marrowmap.training.evaluation.pairs import exam_folders, read_pair
from marrowmap.training.evaluation.settings import EvaluationSettings
from marrowmap.training.evaluation.summary import summarise

#: Parts of a score that are said in other words in the JSON.
_REPHRASED = frozenset({"matches", "overlap", "panoptic", "lesions", "components", "mimics"})


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All exams' scores, what they amount to, and the comparison with other predictions if any."""

    exams: tuple[ExamScore, ...]
    summary: dict[str, Any] = field(default_factory=dict)
    comparison: dict[str, Any] | None = None


def evaluate(
    predictions: Path,
    references: Path,
    settings: EvaluationSettings | None = None,
    *,
    stage: Stager | None = None,
    against: Path | None = None,
) -> Evaluation:
    """Compare every prediction with the reference of the same name.

    Args:
        predictions: Folder of `infer` outputs, or one such output.
        references: Folder of references, or one such reference.
        settings: What is left open.
        stage: The staging rules, None to leave stages out.
        against: Other predictions of the same exams, to compare with.

    Raises:
        StudyError: If a reference has no prediction, or a file is missing.
    """
    settings = settings or EvaluationSettings()
    exams = score_folders(predictions, references, settings, stage)
    comparison = None
    if against is not None:
        comparison = compare(exams, score_folders(against, references, settings, stage), settings)
        comparison |= {"first_name": predictions.name, "second_name": against.name}
    return Evaluation(exams=exams, summary=summarise(exams, settings), comparison=comparison)


def score_folders(
    predictions: Path, references: Path, settings: EvaluationSettings, stage: Stager | None = None
) -> tuple[ExamScore, ...]:
    """Score every prediction; one exam is in memory at a time.

    Raises:
        StudyError: If a reference has no prediction, or a file is missing.
    """
    pairs = exam_folders(predictions, references)
    return tuple(score_pair(read_pair(*folders), settings, stage) for folders in pairs)


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return the evaluation as plain values."""
    plain: dict[str, Any] = {"summary": evaluation.summary, "exams": _exams_json(evaluation.exams)}
    return plain if evaluation.comparison is None else plain | {"comparison": evaluation.comparison}


def _exams_json(exams: Sequence[ExamScore]) -> list[dict[str, Any]]:
    rows = []
    for exam in exams:
        found = exam.matches.found
        rows.append(
            {name: value for name, value in vars(exam).items() if name not in _REPHRASED}
            | {"lesions": len(found), "lesions_found": sum(found.values())}
            | {"false_positives": exam.matches.false_positives, "predicted": exam.matches.predicted}
            | {"lesion_dice": exam.overlap.dice, "surface_dice": exam.overlap.surface_dice}
            | {"panoptic": asdict(exam.panoptic)}
            | {"reference_lesions": [asdict(lesion) for lesion in exam.lesions]}
            | {"predicted_lesions": [asdict(component) for component in exam.components]}
        )
    return rows
