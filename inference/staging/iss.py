"""International Staging System."""

from __future__ import annotations

from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.staging.result import Rule, StageResult, look_up
from marrowmap.inference.staging.tri import at_least, below, options, possible

ISS = Rule(
    key="iss",
    source="Greipp, J Clin Oncol 2005;23:3412, doi:10.1200/JCO.2005.04.242",
    values=("I", "II", "III"),
)
FIELDS = ("beta2_microglobulin_mg_per_l", "albumin_g_per_dl")


def stage_iss(clinical: ClinicalInput) -> StageResult:
    """Return the ISS stage.

    I: beta2-microglobulin below 3.5 mg/L and albumin of 3.5 g/dL or more. III: beta2-microglobulin of
    5.5 mg/L or more (one mirror prints "above 5.5"). II: all else.

    Source: Greipp, J Clin Oncol 2005;23:3412, doi:10.1200/JCO.2005.04.242; the table was read in mirrors.
    """
    inputs, missing = look_up(clinical, FIELDS)
    b2m = clinical.beta2_microglobulin_mg_per_l
    levels = ("low", "middle", "high") if b2m is None else (_level(b2m),)
    facts = {"b2m": levels, "is_albumin_low": options(below(clinical.albumin_g_per_dl, 3.5))}
    return ISS.result(possible(_stage, facts), inputs=inputs, missing=missing)


def _level(b2m_mg_per_l: float) -> str:
    """Return the band of beta2-microglobulin."""
    if at_least(b2m_mg_per_l, 5.5):
        return "high"
    return "middle" if at_least(b2m_mg_per_l, 3.5) else "low"


def _stage(b2m: str, is_albumin_low: bool) -> str:
    """Return the stage of a patient of whom both are known."""
    if b2m == "high":
        return "III"
    return "I" if b2m == "low" and not is_albumin_low else "II"
