"""Who is simulated: sex, age, stature and build, drawn wider than the population."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Person:
    """A simulated adult.

    Attributes:
        sex: "F" or "M".
        age_years: 30 to 90.
        stature_mm: 1450 to 2000.
        adiposity: Build in standard deviations of the population, about -1.8 (lean) to 2.5 (obese).
        kyphosis_mm: Extra forward shift of the upper spine, in mm.
        scoliosis_mm: Largest sideways shift of the spine, in mm, signed.
    """

    sex: Literal["F", "M"]
    age_years: float
    stature_mm: float
    adiposity: float
    kyphosis_mm: float = 0.0
    scoliosis_mm: float = 0.0


def draw_person(rng: np.random.Generator) -> Person:
    """Draw a person; kyphosis grows with age, most spines are nearly straight.

    Args:
        rng: Source of randomness.

    Returns:
        A valid person.
    """
    sex: Literal["F", "M"] = "F" if rng.random() < 0.5 else "M"
    mean, sd = (1630.0, 75.0) if sex == "F" else (1760.0, 80.0)
    age = float(rng.uniform(30, 90))
    return Person(
        sex=sex,
        age_years=age,
        stature_mm=float(np.clip(rng.normal(mean, sd), 1450, 2000)),
        adiposity=float(np.clip(rng.normal(0.2, 1.0), -1.8, 2.5)),
        kyphosis_mm=float(abs(rng.normal(0, 6)) + max(0.0, age - 60) * rng.uniform(0, 0.8)),
        scoliosis_mm=float(rng.normal(0, 6) if rng.random() < 0.8 else rng.normal(0, 15)),
    )
