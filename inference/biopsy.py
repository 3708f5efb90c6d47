"""Lesions worth considering for biopsy, with the reasons. The route is decided by the team."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from marrowmap.data.skeleton import Region
from marrowmap.inference.findings import BiopsyCandidate, Lesion

#: The iliac crest and sacrum are reached from behind without passing organs.
ACCESSIBLE = (Region.SACRUM_PELVIS.key,)


@dataclass(frozen=True, kw_only=True)
class BiopsySettings:
    """What makes a lesion a candidate.

    Attributes:
        minimum_diameter_mm: A needle of 3 mm needs a target some times as wide.
        maximum_candidates: So many are listed.
    """

    minimum_diameter_mm: float = 10.0
    maximum_candidates: int = 3


def propose_biopsy(
    lesions: Sequence[Lesion], settings: BiopsySettings | None = None
) -> tuple[BiopsyCandidate, ...]:
    """Return the best candidates, best first.

    Args:
        lesions: All lesions; only certain ones that do not look treated or benign are proposed.
        settings: Least size and number.
    """
    settings = settings or BiopsySettings()
    possible = [
        lesion
        for lesion in lesions
        if lesion.certainty == "certain"
        and lesion.status != "treated"
        and lesion.longest_diameter_mm >= settings.minimum_diameter_mm
    ]
    best = sorted(possible, key=_rank)[: settings.maximum_candidates]
    return tuple(BiopsyCandidate(lesion_id=lesion.id, reasons=_reasons(lesion)) for lesion in best)


def _rank(lesion: Lesion) -> tuple[bool, bool, float, int]:
    """Return a key that sorts accessible, then viable, then large lesions first."""
    return (
        lesion.region not in ACCESSIBLE,
        lesion.status != "active",
        -lesion.longest_diameter_mm,
        lesion.id,
    )


def _reasons(lesion: Lesion) -> tuple[str, ...]:
    reasons = [f"{lesion.longest_diameter_mm:.0f} mm, {lesion.volume_ml:.1f} ml"]
    if lesion.region in ACCESSIBLE:
        reasons.append("in the pelvis or sacrum, often within reach from behind")
    if lesion.status == "active":
        reasons.append(f"ADC {lesion.adc_um2_per_s.median:.0f} um2/s, as in viable disease")
    if lesion.dwi_to_muscle is not None:
        reasons.append(f"{lesion.dwi_to_muscle:.1f} times as bright as muscle on high-b diffusion")
    x, y, z = lesion.centroid_ras_mm
    reasons.append(f"its middle lies at R {x:.0f}, A {y:.0f}, S {z:.0f} mm of the scanner's frame")
    reasons.append("the route is to be decided by the team")
    return tuple(reasons)
