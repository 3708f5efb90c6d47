"""The count of the rules: warnings that name a number, and how far the count spreads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from marrowmap.inference.staging.counting import SPINE, counting_warnings
from marrowmap.inference.staging.imaging import FocalLesion, ImagingFindings
from marrowmap.inference.staging.rasche import stage_rasche
from marrowmap.inference.staging.red_marrow import red_marrow_share
from marrowmap.models.calibration import NODES


def counting_texts(imaging: ImagingFindings) -> list[dict[str, Any]]:
    """Return the warnings that name a number, with places for the numbers, and when they are said.

    They are made by the rules for two exams of known numbers and must differ in these numbers alone; a
    warning that differs otherwise is left out.
    """
    sure = FocalLesion(diameter_mm=30.0, uncertainty_mm=1.0, perpendicular_diameter_mm=30.0)
    near, doubtful = replace(sure, diameter_mm=5.5), replace(sure, certainty="equivocal")

    def texts(lesions: Sequence[FocalLesion], *, rasche: bool = False) -> set[str]:
        exam = ImagingFindings(lesions=tuple(lesions), coverage=imaging.coverage)
        plain = ImagingFindings(lesions=(sure,) * len(lesions), coverage=imaging.coverage)
        if rasche:
            found, base = stage_rasche(exam).warnings, stage_rasche(plain).warnings
            return set(found) - set(base) - set(counting_warnings(exam))
        return set(counting_warnings(exam)) - set(counting_warnings(plain))

    made = [
        ("more", {"more": 7}, texts([doubtful] * 7), {"more": 8}, texts([doubtful] * 8)),
        (
            "near",
            {"near": 7, "sure": 19},
            texts([near] * 7 + [sure] * 12),
            {"near": 8, "sure": 23},
            texts([near] * 8 + [sure] * 15),
        ),
        (
            "large_doubtful",
            {"more": 7},
            texts([doubtful] * 7, rasche=True),
            {"more": 8},
            texts([doubtful] * 8, rasche=True),
        ),
    ]
    return [
        {"if": name, "text": text}
        for name, numbers, found, other_numbers, other in made
        for text in sorted(_with_places(found, numbers) & _with_places(other, other_numbers))
    ]


def _with_places(texts: set[str], numbers: Mapping[str, int]) -> set[str]:
    """Return texts with their numbers replaced by named places."""
    changed = set()
    for text in texts:
        words = text.split(" ")
        for name, number in numbers.items():
            words = [f"{{{name}}}" if word == str(number) else word for word in words]
        changed.add(" ".join(words))
    return changed


def count_spread(imaging: ImagingFindings) -> dict[str, Any]:
    """Return how the count spreads around the lesions: what an exam shares and what was missed."""
    spread = imaging.spread
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    if spread.exam_log_odds_sd <= 0.0:
        nodes, weights = np.zeros(1), np.ones(1)
    return {
        "shifts": (nodes * spread.exam_log_odds_sd).tolist(),
        "weights": (weights / weights.sum()).tolist(),
        "missed": {"all": spread.missed, "spine": spread.missed * red_marrow_share(SPINE)},
        "missed_per_lesion": spread.missed_per_lesion,
        "missed_size": spread.missed_size,
    }
