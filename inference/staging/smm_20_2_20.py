"""The 20-2-20 risk groups of smouldering myeloma."""

from __future__ import annotations

from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.staging.result import Rule, StageResult, look_up
from marrowmap.inference.staging.tri import Claim, above, any_of, options, possible

SMM_20_2_20 = Rule(
    key="smm_20_2_20",
    source=(
        "Lakshman, Blood Cancer J 2018;8:59, doi:10.1038/s41408-018-0077-4; "
        "Mateos, Blood Cancer J 2020;10:102, doi:10.1038/s41408-020-00366-3"
    ),
    values=("low", "intermediate", "high"),
)
#: High-risk abnormalities as in the table that was read; the paper is remembered with t(4;14), t(14;16),
#: gain of 1q and del(13q): a caller may give that list instead.
HIGH_RISK_FISH = ("del17p", "t4_14", "gain_1q", "del13q")
FIELDS = ("plasma_cells_percent", "m_protein_serum_g_per_dl", "flc_ratio")
RISK_PERCENT = {"low": 6, "intermediate": 18, "high": 44}
FOUR_GROUPS = ("low", "low_intermediate", "intermediate", "high")
FOUR_GROUP_RISK_PERCENT = (6, 23, 46, 63)


def stage_smm_20_2_20(
    clinical: ClinicalInput, high_risk_fish: tuple[str, ...] = HIGH_RISK_FISH
) -> StageResult:
    """Return the risk group by the number of factors, and with cytogenetics as a fourth factor.

    Factors, each strictly greater: plasma cells above 20 %, serum M-protein above 2 g/dL, free light
    chain ratio above 20. None is low, one intermediate, two or three high: 6, 18, 44 % progress within
    2 years (n = 1996). With a high-risk abnormality as a fourth factor 0, 1, 2, 3 or more: 6, 23, 46, 63 %.

    Args:
        clinical: What the clinic knows.
        high_risk_fish: Abnormalities of which any is the fourth factor.

    Source: Lakshman, Blood Cancer J 2018;8:59, and Mateos, Blood Cancer J 2020;10:102.
    """
    names = tuple(f"fish.{name}" for name in high_risk_fish)
    inputs, missing = look_up(clinical, (*FIELDS, *names))
    claims = factor_claims(clinical)
    genetic = any_of(*(clinical.value(name) for name in names))
    facts = {name: options(claim) for name, claim in claims.items()}
    counts = possible(lambda **factors: sum(factors.values()), facts)
    all_counts = possible(lambda **factors: sum(factors.values()), facts | {"fish": options(genetic)})
    groups = sorted({min(count, 3) for count in all_counts})
    values = {SMM_20_2_20.values[min(count, 2)] for count in counts}
    return SMM_20_2_20.result(
        values,
        inputs=inputs,
        missing=missing,
        extras={
            "two_year_risk_percent": RISK_PERCENT[str(min(values))] if len(values) == 1 else None,
            "factors": [name for name, claim in claims.items() if claim],
            "with_cytogenetics": {
                "value": FOUR_GROUPS[groups[0]] if len(groups) == 1 else None,
                "candidates": [FOUR_GROUPS[group] for group in groups],
                "two_year_risk_percent": FOUR_GROUP_RISK_PERCENT[groups[0]] if len(groups) == 1 else None,
            },
        },
    )


def factor_claims(clinical: ClinicalInput) -> dict[str, Claim]:
    """Return each risk factor by its name: present, absent or not known."""
    return {
        "plasma_cells_percent": above(clinical.plasma_cells_percent, 20.0),
        "m_protein_serum_g_per_dl": above(clinical.m_protein_serum_g_per_dl, 2.0),
        "flc_ratio": above(clinical.light_chain_ratio, 20.0),
    }
