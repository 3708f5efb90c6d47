"""More than seven focal lesions on MRI."""

from __future__ import annotations

from marrowmap.inference.staging.counting import (
    COUNTING,
    CountingSettings,
    count_focal,
    counting_warnings,
)
from marrowmap.inference.staging.doubt import focal_distribution, lesions_to_change, value_probabilities
from marrowmap.inference.staging.imaging import ImagingFindings
from marrowmap.inference.staging.result import Rule, StageResult

WALKER = Rule(
    key="walker_7_lesions",
    source="Walker, J Clin Oncol 2007;25:1121 (PubMed 17296972)",
    values=(False, True),
)
COHORT = (
    "observed on axial MRI in symptomatic myeloma treated by transplant; a whole-body count is higher. "
    "5-year survival was 76 % with neither more than 7 lesions nor a cytogenetic abnormality, 61 % with one, "
    "37 % with both (n = 611)"
)


def stage_walker(imaging: ImagingFindings, settings: CountingSettings = COUNTING) -> StageResult:
    """Return whether there are more than 7 focal lesions.

    Source: Walker, J Clin Oncol 2007;25:1121 (PubMed 17296972); the abstract was read.
    """
    count = count_focal(imaging, settings)
    distribution = None if count.is_open else focal_distribution(imaging, settings)
    return WALKER.result(
        {_is_high(number) for number in count.possible(ceiling=8)},
        inputs={
            "focal_lesions": count.sure,
            "possible_focal_lesions": count.maybe,
            "size": settings.convention,
        },
        missing=("coverage",) if count.is_open else (),
        probabilities=value_probabilities(distribution, _is_high),
        warnings=(COHORT, *counting_warnings(imaging, settings)),
        extras={"lesions_to_change": lesions_to_change(count.sure, _is_high)},
    )


def _is_high(number: int) -> bool:
    """Return whether a number of lesions is above the cut-off."""
    return number > 7
