"""The MRI biomarker of the International Myeloma Working Group: more than one focal lesion."""

from __future__ import annotations

from marrowmap.inference.staging.counting import (
    COUNTING,
    SPINE_AND_PELVIS,
    CountingSettings,
    FocalCount,
    bone_lesions,
    count_focal,
    counting_warnings,
    coverage_gaps,
)
from marrowmap.inference.staging.doubt import focal_distribution, lesions_to_change, value_probabilities
from marrowmap.inference.staging.imaging import ImagingFindings
from marrowmap.inference.staging.result import Rule, StageResult

IMWG_MRI = Rule(
    key="imwg_mri_mde",
    source=(
        "Rajkumar, Lancet Oncol 2014;15:e538, doi:10.1016/S1470-2045(14)70442-5; "
        "Dimopoulos, J Clin Oncol 2015;33:657, doi:10.1200/JCO.2014.57.9961"
    ),
    values=("negative", "single_lesion", "equivocal", "positive"),
)
TEXTS = {
    "positive": "two focal lesions or more; with the plasma cells of the rule this defines myeloma",
    "equivocal": "the paper repeats an equivocal MRI after 3 to 6 months",
    "single_lesion": "a single focal lesion is not the biomarker; the paper repeats MRI after 3 to 6 months "
    "and looks for a plasmacytoma and a second lesion",
    "negative": "a negative MRI does not exclude myeloma",
}


def stage_imwg_mri(imaging: ImagingFindings, settings: CountingSettings = COUNTING) -> StageResult:
    """Return what MRI says of the focal-lesion biomarker.

    Positive: two or more certain focal lesions of 5 mm or more. Equivocal: two or more only when doubtful
    lesions, or diameters within their uncertainty, are counted. Single: one certain lesion. The coverage
    needed is the spine and the pelvis; where it is incomplete only a positive answer stands.

    Source: Rajkumar, Lancet Oncol 2014;15:e538, doi:10.1016/S1470-2045(14)70442-5, and Dimopoulos, J Clin
    Oncol 2015;33:657, doi:10.1200/JCO.2014.57.9961. The two print ">= 5 mm" and "> 5 mm"; the convention
    in use stands in the inputs. The words for a single lesion are ours.
    """
    count = count_focal(imaging, settings)
    value = mri_value(count)
    gaps = coverage_gaps(imaging, SPINE_AND_PELVIS)
    candidates = IMWG_MRI.values[IMWG_MRI.values.index(value) :] if gaps else (value,)
    distribution = focal_distribution(imaging, settings)
    active = [lesion.is_active for lesion in bone_lesions(imaging) if settings.is_focal(lesion.diameter_mm)]
    warnings = [] if len(candidates) > 1 else [TEXTS[value]]
    return IMWG_MRI.result(
        candidates,
        inputs={
            "focal_lesions": count.sure,
            "possible_focal_lesions": count.maybe,
            "size": settings.convention,
        },
        missing=("coverage of the spine and pelvis",) if gaps else (),
        probabilities={} if gaps else value_probabilities(distribution, _by_number),
        warnings=(*warnings, *counting_warnings(imaging, settings)),
        extras={
            "active_focal_lesions": sum(is_active is True for is_active in active),
            "lesions_to_change": lesions_to_change(count.sure, _by_number),
        },
    )


def mri_value(count: FocalCount) -> str:
    """Return the answer for what was imaged."""
    if count.sure >= 2:
        return "positive"
    if count.maybe >= 2:
        return "equivocal"
    return "single_lesion" if count.sure == 1 else "negative"


def _by_number(lesions: int) -> str:
    """Return the answer if the number of focal lesions were known."""
    return "positive" if lesions >= 2 else "single_lesion" if lesions else "negative"
