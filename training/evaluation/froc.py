"""Free-response curve and average precision: what every probability from which a finding counts would give.

At a threshold, a focal lesion is found when the components at or above it find it, and a false positive is
a component at or above it that belongs to no reference lesion. Findings on nodules below 5 mm are neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowmap.training.evaluation.exam_score import ExamScore
from marrowmap.training.evaluation.settings import FOCAL_MM

Floats = npt.NDArray[np.float64]

#: False positives an exam at which the sensitivity is read off the curve.
RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Events:
    """Everything that raises the curve of a set of exams, highest probability first.

    Attributes:
        probability: float64 `(n,)`, from which on it counts.
        is_lesion: bool `(n,)`: a lesion found, else a false positive.
        exam: intp `(n,)`, whose it is.
        lesions: float64 `(exams,)`, focal lesions of each exam, found or not.
    """

    probability: Floats
    is_lesion: npt.NDArray[np.bool_]
    exam: npt.NDArray[np.intp]
    lesions: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """Sensitivity against false positives, one point a threshold, highest threshold first.

    Attributes:
        threshold: float64 `(n,)`.
        found: float64 `(n,)`, focal lesions found at it.
        false_positives: float64 `(n,)`.
        lesions: All focal lesions.
        exams: Number of exams.
    """

    threshold: Floats
    found: Floats
    false_positives: Floats
    lesions: float
    exams: float

    @property
    def sensitivity(self) -> Floats:
        """Share of the focal lesions that is found."""
        return self.found / max(self.lesions, 1e-12)

    @property
    def rate(self) -> Floats:
        """False positives an exam."""
        return self.false_positives / max(self.exams, 1e-12)

    def sensitivity_at(self, rates: Sequence[float] = RATES) -> Floats:
        """Return the highest sensitivity with no more false positives an exam than each rate; 0 for none."""
        last = np.searchsorted(self.rate, np.asarray(rates) + 1e-12, side="right")
        return np.concatenate([[0.0], self.sensitivity])[last]

    def average_precision(self) -> float:
        """Return the area under precision against sensitivity, without interpolation; NaN without lesions."""
        if self.lesions <= 0:
            return float("nan")
        said = self.found + self.false_positives
        precision = np.divide(self.found, said, out=np.zeros_like(said), where=said > 0)
        return float((np.diff(self.sensitivity, prepend=0.0) * precision).sum())


def events_of(exams: Sequence[ExamScore]) -> Events:
    """Return what raises the curve; exams whose findings have no probability must be left out before."""
    rows: list[tuple[float, bool, int]] = []
    for number, exam in enumerate(exams):
        rows += [
            (lesion.probability, True, number)
            for lesion in exam.lesions
            if lesion.diameter_mm >= FOCAL_MM and lesion.probability is not None
        ]
        rows += [(c.probability, False, number) for c in exam.false_positives if c.probability is not None]
    rows.sort(key=lambda row: -row[0])
    return Events(
        probability=np.array([row[0] for row in rows], dtype=np.float64),
        is_lesion=np.array([row[1] for row in rows], dtype=np.bool_),
        exam=np.array([row[2] for row in rows], dtype=np.intp),
        lesions=np.array([float(exam.reference_focal) for exam in exams], dtype=np.float64),
    )


def curve(events: Events, weights: Floats | None = None) -> Curve:
    """Return the curve.

    Args:
        events: Of all exams.
        weights: How often each exam counts, `(exams,)`; once if None.
    """
    weights = np.ones(len(events.lesions)) if weights is None else weights
    weight = weights[events.exam]
    # Of equal probabilities the last row holds the whole step.
    is_last = np.append(np.diff(events.probability) != 0, True)[: len(events.probability)]
    return Curve(
        threshold=events.probability[is_last],
        found=np.cumsum(weight * events.is_lesion)[is_last],
        false_positives=np.cumsum(weight * ~events.is_lesion)[is_last],
        lesions=float(weights @ events.lesions),
        exams=float(weights.sum()),
    )


def froc_values(events: Events, weights: Floats | None = None) -> Floats:
    """Return the sensitivity at each of `RATES`, their mean and the average precision, float64 `(9,)`."""
    drawn = curve(events, weights)
    if drawn.lesions <= 0:
        return np.full(len(RATES) + 2, np.nan)
    at = drawn.sensitivity_at()
    return np.append(at, [at.mean(), drawn.average_precision()])
