"""Durie-Salmon stages of 1975."""

from __future__ import annotations

from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.staging.result import Rule, StageResult, look_up
from marrowmap.inference.staging.tri import Claim, above, all_of, at_least, below, options, possible

DURIE_SALMON = Rule(
    key="durie_salmon",
    source="Durie & Salmon, Cancer 1975;36:842",
    values=("I", "II", "III"),
)
LABORATORY_FIELDS = (
    "haemoglobin_g_per_dl",
    "calcium_mg_per_dl",
    "m_protein_type",
    "m_protein_serum_g_per_dl",
    "m_protein_urine_g_per_24h",
)
FIELDS = (*LABORATORY_FIELDS, "bone_scale", "creatinine_mg_per_dl")
#: Serum M-protein in g/dL: below the first is stage I, above the second stage III.
SERUM_LIMITS = {"IgG": (5.0, 7.0), "IgA": (3.0, 5.0)}
URINE_LIMITS = (4.0, 12.0)


def stage_durie_salmon(clinical: ClinicalInput) -> StageResult:
    """Return the Durie-Salmon stage with its suffix.

    I (all): Hb above 10 g/dL, calcium of 12 mg/dL or less, normal radiographs or a solitary plasmacytoma
    only, IgG below 5, IgA below 3 g/dL, urine light chains below 4 g/24 h. III (any): Hb below 8.5,
    calcium above 12, advanced lytic lesions (bone scale 3), IgG above 7, IgA above 5, urine above 12.
    II: neither. Suffix A: creatinine below 2.0 mg/dL; B: 2.0 or more (mirrors differ at 2.0 itself).
    Bone is what radiographs showed, never the number of lesions on MRI. IgD, IgE and IgM have no serum
    limit in the table.

    Source: Durie & Salmon, Cancer 1975;36:842; read in mirrors that differ (IMF prints calcium below
    10.5 for stage I; the bone item of stage III is printed as "more than 3", "3 or more" and "scale 3").
    """
    inputs, missing = look_up(clinical, FIELDS)
    suffixes = {True: "B", False: "A", None: None}
    return DURIE_SALMON.result(
        possible(_stage, _facts(clinical) | {"bone": _bone(clinical)}),
        inputs=inputs,
        missing=missing,
        extras={"suffix": suffixes[at_least(clinical.creatinine_mg_per_dl, 2.0)]},
    )


def laboratory_stages(clinical: ClinicalInput) -> frozenset[str]:
    """Return the stages that the laboratory items alone leave possible (Durie-Salmon PLUS prints them)."""
    return possible(_stage, _facts(clinical) | {"bone": ("I",)})


def _facts(clinical: ClinicalInput) -> dict[str, tuple[str, ...]]:
    """Return what each laboratory item may say: stage I, II (between) or III."""
    haemoglobin, calcium = clinical.haemoglobin_g_per_dl, clinical.calcium_mg_per_dl
    return {
        "haemoglobin": _item(is_first=above(haemoglobin, 10.0), is_third=below(haemoglobin, 8.5)),
        "calcium": ("I", "III") if calcium is None else ("III",) if above(calcium, 12.0) else ("I",),
        "serum": _serum(clinical),
        "urine": _amount(clinical.m_protein_urine_g_per_24h, URINE_LIMITS, clinical),
    }


def _stage(haemoglobin: str, calcium: str, serum: str, urine: str, bone: str) -> str:
    """Return the stage of a patient of whom all is known: the worst item."""
    return max((haemoglobin, calcium, serum, urine, bone), key=len)


def _item(*, is_first: Claim, is_third: Claim) -> tuple[str, ...]:
    """Return what an item says from its two limits."""
    if is_first is None:
        return ("I", "II", "III")
    return ("III",) if is_third else ("I",) if is_first else ("II",)


def _amount(amount: float | None, limits: tuple[float, float], clinical: ClinicalInput) -> tuple[str, ...]:
    """Return what an amount of M-protein says; none at all when immunofixation found none."""
    known = 0.0 if clinical.m_protein_type == "none" else amount
    return _item(is_first=below(known, limits[0]), is_third=above(known, limits[1]))


def _serum(clinical: ClinicalInput) -> tuple[str, ...]:
    """Return what the serum M-protein says; of an unknown type it may be any."""
    kind, amount = clinical.m_protein_type, clinical.m_protein_serum_g_per_dl
    if kind is not None:
        return _amount(amount, SERUM_LIMITS[kind], clinical) if kind in SERUM_LIMITS else ("I",)
    found = {"I"}
    for limits in SERUM_LIMITS.values():
        found.update(_amount(amount, limits, clinical))
    return tuple(sorted(found))


def _bone(clinical: ClinicalInput) -> tuple[str, ...]:
    """Return what the radiographs say; a solitary plasmacytoma alone is still stage I."""
    scale = clinical.bone_scale
    if scale is None:
        return ("I", "II", "III")
    single = None if clinical.lytic_lesions_ct is None else clinical.lytic_lesions_ct == 1
    if scale == 2:
        alone = options(all_of(clinical.biopsy_proven_plasmacytoma, single))
        return tuple("I" if is_alone else "II" for is_alone in alone)
    return (("I", "II", "II", "III")[scale],)


def has_laboratory_half(clinical: ClinicalInput) -> bool:
    """Return whether every laboratory item of the table is known."""
    return all(len(values) == 1 for values in _facts(clinical).values())
