"""Two sets of predictions on the same exams: what differs, and whether chance would do as much.

Every exam is drawn with both of its predictions, so that what makes an exam hard cancels out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import wilcoxon

from marrowmap.data.errors import StudyError
from marrowmap.training.evaluation.bootstrap import draws, interval, ratio, resampled_ratio, sums
from marrowmap.training.evaluation.exam_score import ExamScore
from marrowmap.training.evaluation.froc import events_of, froc_values
from marrowmap.training.evaluation.settings import EvaluationSettings

Floats = npt.NDArray[np.float64]

#: What is compared; all tests of these together are held to one level.
COMPARED = (
    "sensitivity_focal",
    "sensitivity_10_mm",
    "precision",
    "false_positives_per_exam",
    "lesion_dice",
    "surface_dice",
    "panoptic_quality",
    "absolute_volume_error_ml",
    "absolute_count_error",
    "count_band_right",
)
#: Fewer exams than this give no bootstrap p-value: three that all lean one way would pass for significant.
MINIMUM_EXAMS = 10
FROC_FIGURES = ("mean_sensitivity", "average_precision")


def compare(
    first: Sequence[ExamScore], second: Sequence[ExamScore], settings: EvaluationSettings
) -> dict[str, Any]:
    """Return every figure of both sets, the difference first minus second, its interval and p-values.

    Args:
        first: Scores of the predictions.
        second: Scores of the others, the same exams in the same order.
        settings: Resamples, seed and level.

    Returns:
        `exams` and `figures` by name, each with `first`, `second`, `difference`, `interval`, `p_bootstrap`,
        `p_holm` (the former, corrected for the number of figures) and `p_wilcoxon` over exams.

    Raises:
        StudyError: If the exams differ.
    """
    if [exam.name for exam in first] != [exam.name for exam in second]:
        raise StudyError("need both sets of predictions for the same exams; run infer on those that lack one")
    drawn = draws(len(first), settings)
    parts = sums(first), sums(second)
    figures = {name: _ratios(parts[0][name], parts[1][name], drawn, settings) for name in COMPARED}
    has_curve = all(exam.has_probabilities for exam in (*first, *second))
    if has_curve and any(exam.reference_focal for exam in first):
        figures |= _curves(first, second, drawn, settings)
    for name, corrected in _holm({name: row["p_bootstrap"] for name, row in figures.items()}).items():
        figures[name]["p_holm"] = corrected
    return {"exams": len(first), "figures": figures}


def _ratios(
    first: tuple[Floats, Floats], second: tuple[Floats, Floats], drawn: Floats, settings: EvaluationSettings
) -> dict[str, Any]:
    values = [ratio(above.sum(), below.sum()) for above, below in (first, second)]
    resampled = resampled_ratio(*first, drawn) - resampled_ratio(*second, drawn)
    known = int(((first[1] > 0) & (second[1] > 0)).sum())
    return _row(values[0], values[1], resampled, settings, exams=known) | {
        "p_wilcoxon": _wilcoxon(first, second)
    }


def _curves(
    first: Sequence[ExamScore], second: Sequence[ExamScore], drawn: Floats, settings: EvaluationSettings
) -> dict[str, dict[str, Any]]:
    events = events_of(first), events_of(second)
    whole = [froc_values(one)[-2:] for one in events]
    resampled = [np.array([froc_values(one, weights)[-2:] for weights in drawn]) for one in events]
    rows = {}
    for place, name in enumerate(FROC_FIGURES):
        difference = resampled[0][:, place] - resampled[1][:, place]
        known = sum(exam.reference_focal > 0 for exam in first)
        row = _row(float(whole[0][place]), float(whole[1][place]), difference, settings, exams=known)
        rows[name] = row | {"p_wilcoxon": None}  # a curve has no value of one exam
    return rows


def _row(
    first: float | None, second: float | None, resampled: Floats, settings: EvaluationSettings, *, exams: int
) -> dict[str, Any]:
    """Return one line of the comparison; `exams` is how many have a value in both sets."""
    is_known = first is not None and second is not None
    return {
        "first": first,
        "second": second,
        "difference": first - second if first is not None and second is not None else None,
        "interval": interval(resampled, settings.level) if is_known else None,
        "exams": exams,
        "p_bootstrap": p_value(resampled) if is_known and exams >= MINIMUM_EXAMS else None,
    }


def p_value(resampled: Floats) -> float | None:
    """Return twice the share of resampled differences on the rarer side of zero; never below 2 / (n + 1).

    None where no resample has a difference.
    """
    finite = resampled[np.isfinite(resampled)]
    if not finite.size:
        return None
    rarer = min(int((finite <= 0).sum()), int((finite >= 0).sum()))
    return min(1.0, 2 * (rarer + 1) / (finite.size + 1))


def _wilcoxon(first: tuple[Floats, Floats], second: tuple[Floats, Floats]) -> float | None:
    """Return the p-value of the signed-rank test over exams that have both values; 1 where none differs."""
    has_both = (first[1] > 0) & (second[1] > 0)
    if not has_both.any():
        return None
    difference = first[0][has_both] / first[1][has_both] - second[0][has_both] / second[1][has_both]
    if not difference.any():
        return 1.0
    # Exact only without ties and zeros; the normal approximation holds from about ten exams.
    result: Any = wilcoxon(difference, zero_method="wilcox", method="auto")
    return float(result.pvalue)


def _holm(values: dict[str, float | None]) -> dict[str, float | None]:
    """Return p-values corrected for their number, step by step from the smallest."""
    known = sorted((value, name) for name, value in values.items() if value is not None)
    corrected: dict[str, float | None] = dict.fromkeys(values)
    highest = 0.0
    for place, (value, name) in enumerate(known):
        highest = max(highest, min(1.0, value * (len(known) - place)))
        corrected[name] = highest
    return corrected
