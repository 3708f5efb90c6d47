"""The point score of smouldering myeloma of the International Myeloma Working Group."""

from __future__ import annotations

from bisect import bisect_left

from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.staging.result import Rule, StageResult, look_up
from marrowmap.inference.staging.smm_20_2_20 import FIELDS, HIGH_RISK_FISH
from marrowmap.inference.staging.tri import ROUNDING, any_of, options, possible

SMM_IMWG_POINTS = Rule(
    key="smm_imwg_points",
    source="Mateos, Blood Cancer J 2020;10:102, doi:10.1038/s41408-020-00366-3",
    values=("low", "low_intermediate", "intermediate", "high"),
)
#: Upper ends of the bands (each belongs to its band) and the points of each band.
FLC_RATIO = ((10.0, 25.0, 40.0), (0, 2, 3, 5))
M_PROTEIN_G_PER_DL = ((1.5, 3.0), (0, 3, 4))
PLASMA_CELLS_PERCENT = ((15.0, 20.0, 30.0, 40.0), (0, 2, 3, 5, 6))
FISH_POINTS = 2
#: Highest points of low, low-intermediate and intermediate.
GROUP_ENDS = (4, 8, 12)
RISK_PERCENT = (3.8, 26.0, 51.0, 73.0)

Bands = tuple[tuple[float, ...], tuple[int, ...]]


def stage_smm_imwg_points(
    clinical: ClinicalInput, high_risk_fish: tuple[str, ...] = HIGH_RISK_FISH
) -> StageResult:
    """Return the points and their group.

    Free light chain ratio to 10: 0, to 25: 2, to 40: 3, above: 5. Serum M-protein to 1.5 g/dL: 0, to 3: 3,
    above: 4. Plasma cells to 15 %: 0, to 20: 2, to 30: 3, to 40: 5, above: 6. Any high-risk abnormality: 2.
    0-4, 5-8, 9-12, above 12 points: 3.8, 26, 51, 73 % progress within 2 years.

    Args:
        clinical: What the clinic knows.
        high_risk_fish: Abnormalities of which any gives points; the lists in print differ.

    Source: Mateos, Blood Cancer J 2020;10:102, doi:10.1038/s41408-020-00366-3; the table was read in a
    reproduction.
    """
    names = tuple(f"fish.{name}" for name in high_risk_fish)
    inputs, missing = look_up(clinical, (*FIELDS, *names))
    genetic = any_of(*(clinical.value(name) for name in names))
    facts = {
        "flc": _points(clinical.light_chain_ratio, FLC_RATIO),
        "m_protein": _points(clinical.m_protein_serum_g_per_dl, M_PROTEIN_G_PER_DL),
        "cells": _points(clinical.plasma_cells_percent, PLASMA_CELLS_PERCENT),
        "fish": tuple(FISH_POINTS * found for found in options(genetic)),
    }
    points = possible(lambda **items: sum(items.values()), facts)
    groups = {bisect_left(GROUP_ENDS, total) for total in points}
    return SMM_IMWG_POINTS.result(
        [SMM_IMWG_POINTS.values[group] for group in groups],
        inputs=inputs,
        missing=missing,
        extras={
            "points": min(points) if len(points) == 1 else None,
            "points_range": [min(points), max(points)],
            "two_year_risk_percent": RISK_PERCENT[min(groups)] if len(groups) == 1 else None,
        },
    )


def _points(value: float | None, bands: Bands) -> tuple[int, ...]:
    """Return the points of a value; of an unknown one every number of points is possible."""
    ends, points = bands
    return points if value is None else (points[bisect_left(ends, value - ROUNDING)],)
