"""Second revision of the International Staging System."""

from __future__ import annotations

from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.staging.iss import FIELDS as ISS_FIELDS
from marrowmap.inference.staging.iss import stage_iss
from marrowmap.inference.staging.result import Rule, StageResult, look_up
from marrowmap.inference.staging.tri import above, options, possible

R2_ISS = Rule(
    key="r2_iss",
    source="D'Agostino, J Clin Oncol 2022;40:3406, doi:10.1200/JCO.21.02614",
    values=("low", "low_intermediate", "intermediate_high", "high"),
)
FIELDS = (
    *ISS_FIELDS,
    "ldh_u_per_l",
    "ldh_upper_limit_u_per_l",
    "fish.del17p",
    "fish.t4_14",
    "fish.gain_1q",
)
ISS_POINTS = {"I": 0.0, "II": 1.0, "III": 1.5}


def stage_r2_iss(clinical: ClinicalInput) -> StageResult:
    """Return the R2-ISS group and its points.

    Points: ISS II 1.0, ISS III 1.5, LDH above the upper limit 1.0, del(17p) 1.0, t(4;14) 1.0, gain or
    amplification of 1q 0.5. Low 0; low-intermediate 0.5-1.0; intermediate-high 1.5-2.5; high 3.0-5.0.

    Source: D'Agostino, J Clin Oncol 2022;40:3406, doi:10.1200/JCO.21.02614.
    """
    inputs, missing = look_up(clinical, FIELDS)
    facts = {
        "iss": stage_iss(clinical).candidates,
        "is_ldh_high": options(above(clinical.ldh_u_per_l, clinical.ldh_upper_limit_u_per_l)),
        "has_del17p": options(clinical.fish.del17p),
        "has_t4_14": options(clinical.fish.t4_14),
        "has_gain_1q": options(clinical.fish.gain_1q),
    }
    points = possible(_points, facts)
    extras = {
        "points": min(points) if len(points) == 1 else None,
        "points_range": [min(points), max(points)],
    }
    return R2_ISS.result(map(_group, points), inputs=inputs, missing=missing, extras=extras)


def _points(iss: str, is_ldh_high: bool, has_del17p: bool, has_t4_14: bool, has_gain_1q: bool) -> float:
    """Return the points of a patient of whom all is known."""
    return ISS_POINTS[iss] + is_ldh_high + has_del17p + has_t4_14 + 0.5 * has_gain_1q


def _group(points: float) -> str:
    """Return the group; points go in steps of a half."""
    if points >= 3.0:
        return "high"
    if points >= 1.5:
        return "intermediate_high"
    return "low_intermediate" if points > 0.0 else "low"
