"""Revised International Staging System."""

from __future__ import annotations

from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.staging.iss import FIELDS as ISS_FIELDS
from marrowmap.inference.staging.iss import stage_iss
from marrowmap.inference.staging.result import Rule, StageResult, look_up
from marrowmap.inference.staging.tri import above, any_of, options, possible

R_ISS = Rule(
    key="r_iss",
    source="Palumbo, J Clin Oncol 2015;33:2863, doi:10.1200/JCO.2015.61.2267",
    values=("I", "II", "III"),
)
FIELDS = (
    *ISS_FIELDS,
    "ldh_u_per_l",
    "ldh_upper_limit_u_per_l",
    "fish.del17p",
    "fish.t4_14",
    "fish.t14_16",
)


def stage_r_iss(clinical: ClinicalInput) -> StageResult:
    """Return the R-ISS stage.

    I: ISS I, no high-risk abnormality and normal LDH. III: ISS III with a high-risk abnormality or LDH
    above the upper limit of normal. II: all else. High risk is any of del(17p), t(4;14), t(14;16).

    Source: Palumbo, J Clin Oncol 2015;33:2863, doi:10.1200/JCO.2015.61.2267; read in mirrors.
    """
    inputs, missing = look_up(clinical, FIELDS)
    fish = clinical.fish
    facts = {
        "iss": stage_iss(clinical).candidates,
        "is_high_risk": options(any_of(fish.del17p, fish.t4_14, fish.t14_16)),
        "is_ldh_high": options(above(clinical.ldh_u_per_l, clinical.ldh_upper_limit_u_per_l)),
    }
    return R_ISS.result(possible(_stage, facts), inputs=inputs, missing=missing)


def _stage(iss: str, is_high_risk: bool, is_ldh_high: bool) -> str:
    """Return the stage of a patient of whom all is known."""
    if iss == "III" and (is_high_risk or is_ldh_high):
        return "III"
    return "I" if iss == "I" and not is_high_risk and not is_ldh_high else "II"
