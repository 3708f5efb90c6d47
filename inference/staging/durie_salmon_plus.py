"""Durie-Salmon PLUS: its imaging component, and the suffix."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.staging import imwg_events
from marrowmap.inference.staging.counting import (
    COUNTING,
    CountingSettings,
    count_focal,
    counting_warnings,
    extramedullary,
    is_micronodular,
)
from marrowmap.inference.staging.doubt import focal_distribution, lesions_to_change, value_probabilities
from marrowmap.inference.staging.durie_salmon import LABORATORY_FIELDS, has_laboratory_half, laboratory_stages
from marrowmap.inference.staging.imaging import ImagingFindings
from marrowmap.inference.staging.result import Rule, StageResult, look_up
from marrowmap.inference.staging.tri import Claim, any_of, at_least

STAGES = ("0", "I", "II", "III")
DURIE_SALMON_PLUS = Rule(
    key="durie_salmon_plus",
    source="Durie, Eur J Cancer 2006;42:1539, doi:10.1016/j.ejca.2005.11.037",
    values=STAGES,
)
GRADES = ("none", "mild", "moderate", "severe")
CAUTION = (
    "imaging component of Durie-Salmon PLUS; its stages agreed with those of 1975 in 45 % of 403 patients, "
    "and the authors of that comparison warn against deciding on it alone (Fechtner, Radiology 2010, "
    "doi:10.1148/radiol.10091809)"
)


def stage_durie_salmon_plus(
    imaging: ImagingFindings, clinical: ClinicalInput, settings: CountingSettings = COUNTING
) -> StageResult:
    """Return the stage by MRI, with its suffix.

    I: 1 to 4 focal lesions or mild diffuse disease (micronodular, "salt and pepper"); II: 5 to 20, or
    moderate; III: more than 20, or severe; of the two the worse one (our choice, as is usual). 0: neither.
    A focal lesion has 5 mm or more. Suffix of II and III: B with creatinine of 2.0 mg/dL or more or with
    extramedullary disease, A with neither. Suffix of I: A without end-organ damage or with a single
    plasmacytoma, else B; these letters have nothing to do with creatinine.

    Source: Durie, Eur J Cancer 2006;42:1539, doi:10.1016/j.ejca.2005.11.037; the abstract was read, the
    table in a mirror. The table also prints the laboratory limits of 1975, here given apart.
    """
    count = count_focal(imaging, settings)
    grades = _grades(imaging, settings)
    candidates = {_stage(number, grade) for number in count.possible(ceiling=21) for grade in grades}
    disease_outside = _extramedullary(imaging, clinical)
    inputs = {
        "focal_lesions": count.sure,
        "diffuse_grade": imaging.diffuse_grade,
        "size": settings.convention,
        **look_up(clinical, (*LABORATORY_FIELDS, "creatinine_mg_per_dl"))[0],
        "extramedullary_disease": disease_outside,
    }
    suffixes = {_suffix(stage, clinical, count.sure, disease_outside) for stage in candidates}
    suffix = suffixes.pop() if len(suffixes) == 1 else None
    is_whole = has_laboratory_half(clinical) and (suffix is not None or candidates == {"0"})
    by_number = partial(_stage, grade=grades[0])
    distribution = focal_distribution(imaging, settings) if len(grades) == 1 else None
    return DURIE_SALMON_PLUS.result(
        candidates,
        inputs=inputs,
        missing=[*(name for name in inputs if inputs[name] is None), *["coverage"] * count.is_open],
        known_status="complete" if is_whole else "imaging_only",
        probabilities={} if count.is_open else value_probabilities(distribution, by_number),
        warnings=(CAUTION, *counting_warnings(imaging, settings), *_disagreement(candidates, clinical)),
        extras={
            "suffix": suffix,
            "laboratory_stages": sorted(laboratory_stages(clinical)),
            "stage_range": _stage_range(count.sure, count.maybe, grades),
            "lesions_to_change": lesions_to_change(count.sure, by_number),
        },
    )


def _stage(number: int, grade: str) -> str:
    """Return the stage when number of focal lesions and diffuse grade are known."""
    focal = 0 if number == 0 else 1 if number < 5 else 2 if number <= 20 else 3
    return STAGES[max(focal, GRADES.index(grade))]


def _grades(imaging: ImagingFindings, settings: CountingSettings) -> tuple[str, ...]:
    """Return the diffuse grades that are possible, mildest first; micronodular marrow is mild at least."""
    grades = GRADES if imaging.diffuse_grade is None else (imaging.diffuse_grade,)
    if not is_micronodular(imaging, settings):
        return grades
    return tuple(dict.fromkeys("mild" if grade == "none" else grade for grade in grades))


def _extramedullary(imaging: ImagingFindings, clinical: ClinicalInput) -> Claim:
    """Return whether there is extramedullary disease, seen on MRI or known to the clinic."""
    seen, stated = extramedullary(imaging), clinical.extramedullary_disease
    return True if seen or stated else stated if stated is not None else seen


def _suffix(stage: str, clinical: ClinicalInput, lesions: int, disease_outside: Claim) -> str | None:
    """Return the suffix; of stage I it is about end-organ damage, of II and III about the kidney."""
    if stage == "0":
        return None
    if stage == "I":
        is_plasmacytoma = clinical.biopsy_proven_plasmacytoma is True and lesions <= 1
        is_worse = False if is_plasmacytoma else imwg_events.end_organ_damage(clinical)
    else:
        is_worse = any_of(disease_outside, at_least(clinical.creatinine_mg_per_dl, 2.0))
    return {True: "B", False: "A", None: None}[is_worse]


def _stage_range(sure: int, maybe: int, grades: tuple[str, ...]) -> list[str]:
    """Return the lowest and highest stage that doubtful lesions allow."""
    return [_stage(sure, grades[0]), _stage(maybe, grades[-1])]


def _disagreement(stages: Collection[str], clinical: ClinicalInput) -> tuple[str, ...]:
    """Return a warning when the laboratory half of the table points to another stage."""
    laboratory = laboratory_stages(clinical)
    if len(laboratory) > 1 or laboratory & set(stages):
        return ()
    return (f"the laboratory items of the table point to stage {min(laboratory)}",)
