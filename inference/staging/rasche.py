"""Three or more large focal lesions."""

from __future__ import annotations

from marrowmap.inference.staging.counting import (
    COUNTING,
    CountingSettings,
    bone_lesions,
    count_focal,
    counting_warnings,
)
from marrowmap.inference.staging.imaging import FocalLesion, ImagingFindings
from marrowmap.inference.staging.result import Rule, StageResult
from marrowmap.inference.staging.tri import Claim, above

RASCHE = Rule(
    key="rasche_large_lesions",
    source="Rasche, Blood 2018;132:59",
    values=(False, True),
)
LARGE_MM2 = 500.0
NEEDED = 3
COHORT = (
    "found in 13.8 % of 404 patients with newly diagnosed myeloma: median progression-free survival 2.3, "
    "overall survival 3.6 years"
)


def stage_rasche(imaging: ImagingFindings, settings: CountingSettings = COUNTING) -> StageResult:
    """Return whether at least 3 focal lesions have a product of perpendicular diameters above 5 cm2.

    That is 22.4 x 22.4 mm; a news text that says 5 cm is wrong. A lesion without a second diameter is
    large only if it may be: its product is at most the square of the longest.

    Source: Rasche, Blood 2018;132:59; the abstract was read.
    """
    count = count_focal(imaging, settings)
    sizes = [_is_large(lesion) for lesion in bone_lesions(imaging) if lesion.certainty == "certain"]
    sure, unknown = sizes.count(True), sizes.count(None)
    last = max(NEEDED, sure) if count.is_open else sure + unknown
    doubtful = [lesion for lesion in bone_lesions(imaging) if lesion.certainty == "equivocal"]
    large = sum(_is_large(lesion) is not False for lesion in doubtful)
    notes = (f"{large} equivocal lesions may be large as well",) if large else ()
    missing = {"perpendicular_diameter_mm": unknown > 0, "coverage": count.is_open}
    return RASCHE.result(
        {number >= NEEDED for number in range(sure, last + 1)},
        inputs={"large_lesions": sure, "large_from_mm2": LARGE_MM2},
        missing=tuple(name for name, is_missing in missing.items() if is_missing),
        warnings=(COHORT, *notes, *counting_warnings(imaging, settings)),
    )


def _is_large(lesion: FocalLesion) -> Claim:
    """Return whether the product of the two diameters is above the cut-off."""
    if lesion.perpendicular_diameter_mm is None:
        return None if above(lesion.diameter_mm**2, LARGE_MM2) else False
    return above(lesion.diameter_mm * lesion.perpendicular_diameter_mm, LARGE_MM2)
