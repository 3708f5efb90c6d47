"""The myeloma-defining events of the laboratory and of bone imaging, each true, false or not known."""

from __future__ import annotations

from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.clinical_units import QUANTITIES
from marrowmap.inference.staging.tri import Claim, above, all_of, any_of, at_least, below

#: Fields that the events look at, in the order of CRAB and then the biomarkers.
FIELDS = (
    "calcium_mg_per_dl",
    "calcium_upper_limit_mg_per_dl",
    "creatinine_mg_per_dl",
    "creatinine_clearance_ml_per_min",
    "haemoglobin_g_per_dl",
    "haemoglobin_lower_limit_g_per_dl",
    "lytic_lesions_ct",
    "bone_scale",
    "plasma_cells_percent",
    "flc_ratio",
    "flc_involved_mg_per_l",
)


def calcium(clinical: ClinicalInput) -> Claim:
    """Return whether calcium is more than 1 mg/dL above its upper limit, or above 11 mg/dL.

    An upper limit that is not known may be any plausible one.
    Source: Rajkumar, Lancet Oncol 2014;15:e538, doi:10.1016/S1470-2045(14)70442-5.
    """
    value, limit = clinical.calcium_mg_per_dl, clinical.calcium_upper_limit_mg_per_dl
    if limit is not None:
        return any_of(above(value, 11.0), above(value, limit + 1.0))
    lowest = QUANTITIES["calcium_upper_limit_mg_per_dl"].low
    is_normal = None if above(value, lowest + 1.0) is not False else False
    return any_of(above(value, 11.0), is_normal)


def renal(clinical: ClinicalInput) -> Claim:
    """Return whether creatinine clearance is below 40 ml/min or creatinine above 2 mg/dL.

    The clearance is taken as given and never estimated from creatinine.
    Source: Rajkumar, Lancet Oncol 2014;15:e538, doi:10.1016/S1470-2045(14)70442-5.
    """
    return any_of(
        below(clinical.creatinine_clearance_ml_per_min, 40.0), above(clinical.creatinine_mg_per_dl, 2.0)
    )


def anaemia(clinical: ClinicalInput) -> Claim:
    """Return whether haemoglobin is more than 2 g/dL below its lower limit, or below 10 g/dL.

    A lower limit that is not known may be any plausible one.
    Source: Rajkumar, Lancet Oncol 2014;15:e538, doi:10.1016/S1470-2045(14)70442-5.
    """
    value, limit = clinical.haemoglobin_g_per_dl, clinical.haemoglobin_lower_limit_g_per_dl
    if limit is not None:
        return any_of(below(value, 10.0), below(value, limit - 2.0))
    highest = QUANTITIES["haemoglobin_lower_limit_g_per_dl"].high
    is_normal = None if below(value, highest - 2.0) is not False else False
    return any_of(below(value, 10.0), is_normal)


def lytic_counts(clinical: ClinicalInput) -> tuple[int, ...]:
    """Return how many lytic lesions there may be: 0, 1, or 2 for two and more.

    The number on CT decides where it is known. Radiographs say whether there are any, not how many; that
    they show none does not exclude lesions on CT. Focal lesions of MRI are another input.
    Source: Rajkumar, Lancet Oncol 2014;15:e538, doi:10.1016/S1470-2045(14)70442-5.
    """
    if clinical.lytic_lesions_ct is not None:
        return (min(clinical.lytic_lesions_ct, 2),)
    return (1, 2) if (clinical.bone_scale or 0) >= 2 else (0, 1, 2)


def bone(clinical: ClinicalInput) -> Claim:
    """Return whether there are osteolytic lesions enough.

    One is enough with 10 % clonal plasma cells or more; below that it may be a solitary plasmacytoma and
    more than one is needed (footnote of the criteria, from general knowledge).
    Source: Rajkumar, Lancet Oncol 2014;15:e538, doi:10.1016/S1470-2045(14)70442-5.
    """
    counts, is_marrow_full = lytic_counts(clinical), at_least(clinical.plasma_cells_percent, 10.0)
    if min(counts) == 2:
        return True
    if max(counts) == 0:
        return False
    if counts == (1,):
        return is_marrow_full
    return True if min(counts) == 1 and is_marrow_full else None


def plasma_cells_60(clinical: ClinicalInput) -> Claim:
    """Return whether clonal plasma cells reach 60 %.

    Source: Rajkumar, Lancet Oncol 2014;15:e538, doi:10.1016/S1470-2045(14)70442-5.
    """
    return at_least(clinical.plasma_cells_percent, 60.0)


def light_chains(clinical: ClinicalInput) -> Claim:
    """Return whether the ratio reaches 100 and the involved free light chain 100 mg/L.

    Source: Rajkumar, Lancet Oncol 2014;15:e538, doi:10.1016/S1470-2045(14)70442-5.
    """
    return all_of(
        at_least(clinical.light_chain_ratio, 100.0), at_least(clinical.flc_involved_mg_per_l, 100.0)
    )


def end_organ_damage(clinical: ClinicalInput) -> Claim:
    """Return whether there is any of CRAB: calcium, renal failure, anaemia, bone lesions."""
    return any_of(calcium(clinical), renal(clinical), anaemia(clinical), bone(clinical))
