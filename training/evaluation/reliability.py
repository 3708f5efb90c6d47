"""Whether a reported probability means what it says: reliability curve, expected calibration error, Brier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from marrowmap.training.evaluation.exam_score import ExamScore

#: Bins of equal width over [0, 1].
BINS = 10


def reliability(exams: Sequence[ExamScore], bins: int = BINS) -> dict[str, Any] | None:
    """Return how often findings of each probability belong to a lesion of the reference.

    Args:
        exams: Scores; findings without a probability are left out.
        bins: Number of bins.

    Returns:
        `bins[]` with `low`, `high`, `findings`, `mean_probability` and `share_lesions` (those that hold
        any), `expected_calibration_error`, `brier`, `findings`; None without any finding.
    """
    pairs = [
        (component.probability, component.is_lesion)
        for exam in exams
        for component in exam.components
        if component.probability is not None
    ]
    if not pairs:
        return None
    said = np.array([probability for probability, _ in pairs])
    truth = np.array([is_lesion for _, is_lesion in pairs], dtype=float)
    place = np.minimum((said * bins).astype(int), bins - 1)
    rows = [
        {
            "low": n / bins,
            "high": (n + 1) / bins,
            "findings": int((place == n).sum()),
            "mean_probability": float(said[place == n].mean()),
            "share_lesions": float(truth[place == n].mean()),
        }
        for n in np.unique(place).tolist()
    ]
    gaps = [row["findings"] * abs(row["mean_probability"] - row["share_lesions"]) for row in rows]
    return {
        "bins": rows,
        "expected_calibration_error": sum(gaps) / len(pairs),
        "brier": float(((said - truth) ** 2).mean()),
        "findings": len(pairs),
    }
