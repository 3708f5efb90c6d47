"""Whether two measurements of the same exams agree: bias, limits, intraclass correlation, kappa."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Added to both volumes before the logarithm: an exam without tumour has none.
LOG_OFFSET_ML = 0.1
#: Limits of agreement hold 95 % of normal differences.
NORMAL_95 = 1.96


def bland_altman(reference: Floats, predicted: Floats) -> dict[str, float | None]:
    """Return the mean difference, prediction minus reference, and the limits that hold 95 % of them.

    The limits need two exams, else they are None.

    Source: Bland and Altman, Lancet 1986;1:307, doi:10.1016/S0140-6736(86)90837-8.
    """
    if not len(reference):
        return {"bias": None, "lower_limit": None, "upper_limit": None}
    difference = predicted - reference
    bias = float(difference.mean())
    if len(reference) < 2:
        return {"bias": bias, "lower_limit": None, "upper_limit": None}
    reach = NORMAL_95 * float(difference.std(ddof=1))
    return {"bias": bias, "lower_limit": bias - reach, "upper_limit": bias + reach}


def intraclass_correlation(*measurements: Floats) -> float | None:
    """Return ICC(2,1): two-way random effects, absolute agreement, one measurement.

    Args:
        measurements: Two or more times float64 `(exams,)`.

    Returns:
        1 for equal values; None below two exams or where nothing varies.

    Source: Shrout and Fleiss, Psychol Bull 1979;86:420, doi:10.1037/0033-2909.86.2.420.
    """
    table = np.stack(measurements, axis=1).astype(np.float64)
    n, k = table.shape
    if n < 2:
        return None
    mean, by_exam, by_rater = (
        table.mean(),
        table.mean(axis=1, keepdims=True),
        table.mean(axis=0, keepdims=True),
    )
    between = k * ((by_exam - mean) ** 2).sum() / (n - 1)
    raters = n * ((by_rater - mean) ** 2).sum() / (k - 1)
    error = ((table - by_exam - by_rater + mean) ** 2).sum() / ((n - 1) * (k - 1))
    below = between + (k - 1) * error + k * (raters - error) / n
    return None if below <= 0 else float((between - error) / below)


def volume_agreement(reference_ml: Floats, predicted_ml: Floats) -> dict[str, Any]:
    """Return the agreement of volumes in ml, and on the logarithmic scale as ratios.

    Args:
        reference_ml: Lesion volume of each exam.
        predicted_ml: The same, predicted.
    """
    logs = [np.log(volume + LOG_OFFSET_ML) for volume in (reference_ml, predicted_ml)]
    ratios = {name: None if value is None else math.exp(value) for name, value in bland_altman(*logs).items()}
    return {
        "ml": bland_altman(reference_ml, predicted_ml),
        "ratio": ratios,
        "icc": intraclass_correlation(reference_ml, predicted_ml),
        "icc_log": intraclass_correlation(*logs),
        "log_offset_ml": LOG_OFFSET_ML,
    }


def confusion(
    reference: Sequence[str], predicted: Sequence[str], order: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the table of two gradings and Cohen's kappa, plain and with quadratic weights.

    Args:
        reference: Grade of each exam.
        predicted: The same, predicted.
        order: Grades from mildest to most severe; others follow in the order of the alphabet.

    Returns:
        `grades`, `table[reference][predicted]`, `agreement`, `kappa`, `kappa_quadratic` (None where
        everything is one grade).
    """
    seen = {*reference, *predicted}
    grades = [grade for grade in order if grade in seen] + sorted(seen - set(order))
    table = np.zeros((len(grades), len(grades)))
    for truth, said in zip(reference, predicted, strict=True):
        table[grades.index(truth), grades.index(said)] += 1
    steps = np.abs(np.subtract.outer(np.arange(len(grades)), np.arange(len(grades))))
    return {
        "grades": grades,
        "table": table.astype(int).tolist(),
        "agreement": float(np.trace(table) / table.sum()) if table.sum() else None,
        "kappa": kappa(table, (steps > 0).astype(float)),
        "kappa_quadratic": kappa(table, steps.astype(float) ** 2),
    }


def kappa(table: Floats, disagreement: Floats) -> float | None:
    """Return Cohen's kappa: 1 - observed disagreement / that of independent graders; None without any.

    Args:
        table: `(grades, grades)`, number of exams.
        disagreement: `(grades, grades)`, how much each cell disagrees; 0 on the diagonal.

    Source: Cohen, Psychol Bull 1968;70:213, doi:10.1037/h0026256.
    """
    total = table.sum()
    if not total:
        return None
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / total
    by_chance = float((expected * disagreement).sum())
    return None if by_chance == 0 else 1 - float((table * disagreement).sum()) / by_chance
