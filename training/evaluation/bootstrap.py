"""Figures that are ratios of sums over exams, and their intervals from resampled exams.

Exams are drawn, not lesions: lesions of one person are alike, and an interval that took them for strangers
would be too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from marrowmap.training.evaluation.exam_score import ExamScore
from marrowmap.training.evaluation.settings import FOCAL_MM, LARGE_MM, EvaluationSettings
from marrowmap.training.metrics import count_band

Floats = npt.NDArray[np.float64]


def exam_sums(exam: ExamScore) -> dict[str, tuple[float, float]]:
    """Return numerator and denominator of one exam's part in every figure that is a ratio of sums."""
    focal = [lesion for lesion in exam.lesions if lesion.diameter_mm >= FOCAL_MM]
    large = [lesion for lesion in exam.lesions if lesion.diameter_mm >= LARGE_MM]
    found, wrong = sum(lesion.is_found for lesion in focal), len(exam.false_positives)
    error_ml = exam.predicted_ml - exam.reference_ml
    is_right = count_band(exam.reference_focal) == count_band(exam.predicted_focal)
    return {
        "sensitivity_focal": (found, len(focal)),
        "sensitivity_10_mm": (sum(lesion.is_found for lesion in large), len(large)),
        "precision": (found, found + wrong),
        "f1": (2 * found, found + wrong + len(focal)),
        "false_positives_per_exam": (wrong, 1.0),
        "lesion_dice": _mean_part(exam.overlap.dice),
        "surface_dice": _mean_part(exam.overlap.surface_dice),
        "dice_of_found_lesions": (sum(lesion.overlap.dice or 0.0 for lesion in focal), found),
        "surface_dice_of_found_lesions": (sum(lesion.overlap.surface_dice or 0.0 for lesion in focal), found),
        "panoptic_quality": (exam.panoptic.iou_sum, exam.panoptic.halves),
        "volume_error_ml": (error_ml, 1.0),
        "absolute_volume_error_ml": (abs(error_ml), 1.0),
        "count_error": (exam.predicted_focal - exam.reference_focal, 1.0),
        "absolute_count_error": (abs(exam.predicted_focal - exam.reference_focal), 1.0),
        "count_band_right": (float(is_right), 1.0),
    }


def _mean_part(value: float | None) -> tuple[float, float]:
    return (0.0, 0.0) if value is None else (value, 1.0)


def sums(exams: Sequence[ExamScore]) -> dict[str, tuple[Floats, Floats]]:
    """Return numerators and denominators `(exams,)` of every figure."""
    rows = [exam_sums(exam) for exam in exams]
    names = rows[0] if rows else {}
    return {
        name: (np.array([r[name][0] for r in rows], float), np.array([r[name][1] for r in rows], float))
        for name in names
    }


def ratio(numerator: float, denominator: float) -> float | None:
    """Return a ratio, None over nothing."""
    return None if denominator == 0 else float(numerator / denominator)


def draws(exams: int, settings: EvaluationSettings) -> Floats:
    """Return how often each exam is drawn, float64 `(resamples, exams)`; the same for the same seed."""
    rng = np.random.default_rng(settings.seed)
    return rng.multinomial(exams, np.full(exams, 1 / exams), size=settings.resamples).astype(np.float64)


def resampled_ratio(numerator: Floats, denominator: Floats, drawn: Floats) -> Floats:
    """Return the ratio of every resample, NaN where it is over nothing."""
    below = drawn @ denominator
    return np.divide(drawn @ numerator, below, out=np.full(len(drawn), np.nan), where=below != 0)


def interval(values: Floats, level: float) -> tuple[float, float] | None:
    """Return the percentile interval of resampled values; None where none is finite."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
