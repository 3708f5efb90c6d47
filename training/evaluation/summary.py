"""What all exams amount to: pooled over lesions, averaged over exams, with intervals over exams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from marrowmap.data.skeleton import Region
from marrowmap.training.evaluation.agreement import (
    bland_altman,
    confusion,
    intraclass_correlation,
    volume_agreement,
)
from marrowmap.training.evaluation.bootstrap import draws, interval, ratio, resampled_ratio, sums
from marrowmap.training.evaluation.exam_score import ExamScore
from marrowmap.training.evaluation.froc import RATES, curve, events_of, froc_values
from marrowmap.training.evaluation.reliability import reliability
from marrowmap.training.evaluation.settings import HUMAN_LESION_DICE, EvaluationSettings
from marrowmap.training.metrics import COUNT_BANDS, SIZE_EDGES_MM, count_band, size_bin

#: Stages from mildest to most severe, over all rules that are compared.
STAGE_ORDER = ("0", "negative", "I", "single_lesion", "II", "equivocal", "III", "positive", "unknown")
#: Figures of a subgroup's row.
SUBGROUP_FIGURES = ("sensitivity_focal", "sensitivity_10_mm", "false_positives_per_exam", "lesion_dice")


def summarise(exams: Sequence[ExamScore], settings: EvaluationSettings) -> dict[str, Any]:
    """Return every figure of all exams.

    Keys ending in `_by_size` hold `[found, all]` by bin; a mean over nothing is None. By default the lesion
    Dice is that of exams with lesions; what was said of the others stands in `without_lesions_left_empty`
    (the share of them without any predicted lesion) and in the false positives.
    """
    parts, drawn = sums(exams), draws(len(exams), settings)
    healthy = [exam for exam in exams if not exam.matches.found]
    figures = {name: ratio(above.sum(), below.sum()) for name, (above, below) in parts.items()}
    bounds = {
        name: interval(resampled_ratio(above, below, drawn), settings.level)
        for name, (above, below) in parts.items()
    }
    return {
        "exams": len(exams),
        "is_simulated": all(exam.is_simulated for exam in exams),
        "simulated_exams": sum(exam.is_simulated for exam in exams),
        "settings": asdict(settings),
        "lesions_by_size": _by_size(exams),
        **figures,
        "intervals": bounds,
        "exams_without_lesions": len(healthy),
        "without_lesions_left_empty": _share([exam.matches.predicted == 0 for exam in healthy]),
        "human_lesion_dice": HUMAN_LESION_DICE,
        "region_dice": {
            region.key: _share([e.region_dice[region.key] for e in exams if region.key in e.region_dice])
            for region in Region
        },
        "froc": froc(exams, settings),
        "volume": volume_agreement(*_columns(exams, "reference_ml", "predicted_ml")),
        "count": _counts(exams),
        "stages": _stages(exams),
        "false_positives_by_region": _false_positives(exams, "region"),
        "false_positives_by_mimic": _false_positives(exams, "mimic"),
        "mimics_called_lesion": _mimics(exams),
        "calibration": reliability(exams),
        "subgroups": subgroup_tables(exams),
    }


def froc(exams: Sequence[ExamScore], settings: EvaluationSettings) -> dict[str, Any] | None:
    """Return the free-response curve with intervals; None where findings have no probability or no lesion is.

    `points[]` holds threshold, false positives an exam and sensitivity of the whole curve.
    """
    if not all(exam.has_probabilities for exam in exams) or not any(e.reference_focal for e in exams):
        return None
    events = events_of(exams)
    values = froc_values(events)
    resampled = np.array([froc_values(events, weights) for weights in draws(len(exams), settings)])
    bounds = [interval(column, settings.level) for column in resampled.T]
    drawn = curve(events)
    return {
        "sensitivity_at": [
            {"false_positives_per_exam": rate, "sensitivity": float(value), "interval": bound}
            for rate, value, bound in zip(RATES, values, bounds, strict=False)
        ],
        "mean_sensitivity": float(values[-2]),
        "mean_sensitivity_interval": bounds[-2],
        "average_precision": float(values[-1]),
        "average_precision_interval": bounds[-1],
        "points": np.stack([drawn.threshold, drawn.rate, drawn.sensitivity], axis=1).round(6).tolist(),
    }


def subgroup_tables(exams: Sequence[ExamScore]) -> dict[str, list[dict[str, Any]]]:
    """Return one table a kind of subgroup, one row a subgroup."""
    kinds = list(exams[0].subgroups) if exams else []
    tables = {}
    for kind in kinds:
        rows = []
        for name in sorted({exam.subgroups[kind] for exam in exams}):
            members = [exam for exam in exams if exam.subgroups[kind] == name]
            parts = sums(members)
            row: dict[str, Any] = {"subgroup": name, "exams": len(members)}
            row["focal_lesions"] = sum(exam.reference_focal for exam in members)
            row |= {figure: ratio(*(part.sum() for part in parts[figure])) for figure in SUBGROUP_FIGURES}
            rows.append(row)
        tables[kind] = rows
    return tables


def _by_size(exams: Sequence[ExamScore]) -> dict[str, list[int]]:
    names = [size_bin(low) for low in SIZE_EDGES_MM[:-1]]
    by_size = {name: [0, 0] for name in names if name}
    for lesion in (lesion for exam in exams for lesion in exam.lesions):
        name = size_bin(lesion.diameter_mm)
        if name is not None:
            by_size[name][0] += lesion.is_found
            by_size[name][1] += 1
    return by_size


def _counts(exams: Sequence[ExamScore]) -> dict[str, Any]:
    """Return the agreement of the number of focal lesions, as a number and by band."""
    reference, predicted = _columns(exams, "reference_focal", "predicted_focal")
    bands = [[count_band(int(number)) for number in column] for column in (reference, predicted)]
    return {
        **bland_altman(reference, predicted),
        "icc": intraclass_correlation(reference, predicted),
        "exact": _share((reference == predicted).tolist()),
        "bands": confusion(bands[0], bands[1], tuple(COUNT_BANDS)),
    }


def _stages(exams: Sequence[ExamScore]) -> dict[str, Any]:
    """Return the table of each rule over the exams that were staged."""
    rules = sorted({rule for exam in exams for rule in exam.stages})
    tables = {}
    for rule in rules:
        pairs = [exam.stages[rule] for exam in exams if rule in exam.stages]
        tables[rule] = confusion([a for a, _ in pairs], [b for _, b in pairs], STAGE_ORDER)
    return tables


def _false_positives(exams: Sequence[ExamScore], kind: str) -> dict[str, int]:
    named = Counter(getattr(component, kind) for exam in exams for component in exam.false_positives)
    return dict(named.most_common())


def _mimics(exams: Sequence[ExamScore]) -> dict[str, list[int]]:
    """Return `[called lesion, all]` by kind of benign look-alike."""
    seen: dict[str, list[int]] = {}
    for mimic in (mimic for exam in exams for mimic in exam.mimics):
        counts = seen.setdefault(mimic.kind, [0, 0])
        counts[0] += mimic.is_called_lesion
        counts[1] += 1
    return dict(sorted(seen.items()))


def _columns(exams: Sequence[ExamScore], *names: str) -> list[np.ndarray]:
    return [np.array([float(getattr(exam, name)) for exam in exams]) for name in names]


def _share(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None
