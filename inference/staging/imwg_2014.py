"""Diagnostic criteria of the International Myeloma Working Group, 2014."""

from __future__ import annotations

from typing import Any

from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.staging import imwg_events as events
from marrowmap.inference.staging.counting import COUNTING, CountingSettings, is_micronodular
from marrowmap.inference.staging.imaging import ImagingFindings
from marrowmap.inference.staging.imwg_classes import VALUES, Facts, disease_class
from marrowmap.inference.staging.imwg_mri import stage_imwg_mri
from marrowmap.inference.staging.result import Rule, StageResult, look_up
from marrowmap.inference.staging.tri import Claim, above, all_of, any_of, at_least, options, possible

IMWG_2014 = Rule(
    key="imwg_2014",
    source="Rajkumar, Lancet Oncol 2014;15:e538, doi:10.1016/S1470-2045(14)70442-5",
    values=VALUES,
)
FIELDS = (
    *events.FIELDS,
    "biopsy_proven_plasmacytoma",
    "amyloidosis",
    "m_protein_type",
    "m_protein_serum_g_per_dl",
    "m_protein_urine_g_per_24h",
)
#: Normal free light chains (Freelite), from general knowledge: Katzmann, Clin Chem 2002;48:1437.
HIGHEST_NORMAL_MG_PER_L = {"kappa": 19.4, "lambda": 26.3}
HIGHEST_NORMAL_RATIO = {"kappa": 1.65, "lambda": 1 / 0.26}
TEXTS = {
    "inconsistent": "no class of the rule fits: an event, a lesion, amyloidosis or an amount of M-protein "
    "stands without what its class needs; another cause is possible, and a biopsy would decide",
    "solitary_plasmacytoma_minimal_marrow": "a few per cent of plasma cells may be normal cells; "
    "the class means clonal ones",
    "none": "none of the plasma-cell disorders of this rule; it says nothing of other disease",
}


def stage_imwg_2014(
    imaging: ImagingFindings, clinical: ClinicalInput, settings: CountingSettings = COUNTING
) -> StageResult:
    """Return the plasma-cell disorder and the events that define myeloma.

    Myeloma: 10 % clonal plasma cells or more, or a biopsy-proven plasmacytoma, with one event or more:
    calcium, renal, anaemia, bone; 60 % plasma cells; free light chain ratio of 100 with 100 mg/L involved;
    more than one focal lesion on MRI. The other classes stand in `imwg_classes.disease_class`. An
    equivocal MRI leaves the event open.

    Source: Rajkumar, Lancet Oncol 2014;15:e538, doi:10.1016/S1470-2045(14)70442-5; read in reproductions,
    with footnotes from general knowledge where the text of a class says so.
    """
    inputs, missing = look_up(clinical, FIELDS)
    mri = stage_imwg_mri(imaging, settings)
    claims = event_claims(clinical, mri)
    candidates = possible(_class, _facts(imaging, clinical, mri, claims, settings))
    known = next(iter(candidates)) if len(candidates) == 1 else None
    missing_imaging = {
        "diffuse_grade": imaging.diffuse_grade is None,
        "focal lesions on MRI": claims["mri_lesions"] is None,
    }
    notes = [TEXTS[known]] if known in TEXTS else []
    if mri.value in ("equivocal", "single_lesion"):
        notes.append(mri.warnings[0])
    if known == "multiple_myeloma" and not _has_event(claims):
        notes.append(
            "a plasmacytoma with 10 % clonal plasma cells or more counts as myeloma (footnote of the rule)"
        )
    return IMWG_2014.result(
        candidates,
        inputs=inputs | {"imwg_mri_mde": mri.value, "diffuse_grade": imaging.diffuse_grade},
        missing=(*missing, *(name for name, is_missing in missing_imaging.items() if is_missing)),
        warnings=notes,
        extras={
            "events": [name for name, claim in claims.items() if claim],
            "event_states": {
                name: {True: "yes", False: "no", None: "unknown"}[claim] for name, claim in claims.items()
            },
        },
    )


def event_claims(clinical: ClinicalInput, mri: StageResult) -> dict[str, Claim]:
    """Return each myeloma-defining event by its name: present, absent or not known."""
    is_positive = None if {"positive", "equivocal"} & set(mri.candidates) else False
    return {
        "calcium": events.calcium(clinical),
        "renal": events.renal(clinical),
        "anaemia": events.anaemia(clinical),
        "bone": events.bone(clinical),
        "plasma_cells_60": events.plasma_cells_60(clinical),
        "flc_ratio": events.light_chains(clinical),
        "mri_lesions": True if mri.value == "positive" else is_positive,
    }


def _has_event(claims: dict[str, Claim]) -> bool:
    """Return whether one event is present for certain."""
    return any(claim is True for claim in claims.values())


def _class(**facts: Any) -> str:
    """Return the class of one possible patient."""
    return disease_class(Facts(**facts))


def _facts(
    imaging: ImagingFindings,
    clinical: ClinicalInput,
    mri: StageResult,
    claims: dict[str, Claim],
    settings: CountingSettings,
) -> dict[str, tuple[Any, ...]]:
    """Return what each fact that the classes need may be."""
    kind = clinical.m_protein_type
    other = any_of(*(claims[name] for name in ("calcium", "renal", "anaemia", "flc_ratio")))
    has_none = kind == "none"
    return {
        "marrow": _marrow(clinical.plasma_cells_percent),
        "has_plasmacytoma": options(clinical.biopsy_proven_plasmacytoma),
        "has_laboratory_event": options(other),
        "lytic_lesions": events.lytic_counts(clinical),
        "has_mri_lesions": options(claims["mri_lesions"]),
        "is_diffuse": options(_is_diffuse(imaging, settings)),
        "m_protein": ("heavy", "IgM", "light_chain", "none") if kind is None else (_heavy(kind),),
        "is_serum_high": options(False if has_none else at_least(clinical.m_protein_serum_g_per_dl, 3.0)),
        "is_urine_high": options(False if has_none else at_least(clinical.m_protein_urine_g_per_24h, 0.5)),
        "is_light_chain_clonal": options(_is_light_chain_clonal(clinical)),
        "has_amyloidosis": options(clinical.amyloidosis),
    }


def _marrow(percent: float | None) -> tuple[str, ...]:
    """Return the bands of clonal plasma cells that are possible."""
    if percent is None:
        return ("none", "below_10", "10_to_60", "60")
    if percent == 0.0:
        return ("none",)
    return ("60",) if at_least(percent, 60.0) else ("10_to_60",) if at_least(percent, 10.0) else ("below_10",)


def _heavy(kind: str) -> str:
    """Return the kind of M-protein as the classes tell them apart."""
    return kind if kind in ("IgM", "light_chain", "none") else "heavy"


def _is_diffuse(imaging: ImagingFindings, settings: CountingSettings) -> Claim:
    """Return whether the marrow is infiltrated beside the lesions."""
    if is_micronodular(imaging, settings):
        return True
    return None if imaging.diffuse_grade is None else imaging.diffuse_grade != "none"


def _is_light_chain_clonal(clinical: ClinicalInput) -> Claim:
    """Return whether the ratio is abnormal and the involved chain increased.

    The limits differ by chain (kappa over lambda below 0.26 or above 1.65); of an unknown chain both hold.
    """
    chains = [clinical.flc_involved_chain] if clinical.flc_involved_chain else ["kappa", "lambda"]
    answers = {
        all_of(
            above(clinical.light_chain_ratio, HIGHEST_NORMAL_RATIO[chain]),
            above(clinical.flc_involved_mg_per_l, HIGHEST_NORMAL_MG_PER_L[chain]),
        )
        for chain in chains
    }
    return answers.pop() if len(answers) == 1 else None
