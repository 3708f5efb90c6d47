"""MY-RADS: the parts that could be verified."""

from __future__ import annotations

from marrowmap.inference.staging.counting import COUNTING, CountingSettings, count_focal, is_micronodular
from marrowmap.inference.staging.descriptors import index_diameters, region_descriptor
from marrowmap.inference.staging.imaging import ImagingFindings
from marrowmap.inference.staging.result import Rule, StageResult

MY_RADS = Rule(
    key="my_rads",
    source="Messiou, Radiology 2019;291:5, doi:10.1148/radiol.2019181949",
    values=(),
)
REASON = (
    "the number and size bands of the MY-RADS burden score could not be verified on the paper: no score is "
    "given; counts and largest diameters by region are our own descriptor"
)


def stage_my_rads(imaging: ImagingFindings, settings: CountingSettings = COUNTING) -> StageResult:
    """Return the pattern, index lesions and regions; no score.

    Patterns: focal, diffuse, focal on diffuse, micronodular, normal. Response categories need two exams.

    Source: Messiou, Radiology 2019;291:5, doi:10.1148/radiol.2019181949; patterns read in a review, the
    tables of the paper not at all.
    """
    count = count_focal(imaging, settings)
    return MY_RADS.not_applicable(
        REASON,
        inputs={
            "focal_lesions": count.sure,
            "diffuse_grade": imaging.diffuse_grade,
            "size": settings.convention,
        },
        extras={
            "pattern": pattern(imaging, settings),
            "index_diameters_mm": index_diameters(imaging, settings),
            "regions": region_descriptor(imaging, settings),
        },
    )


def pattern(imaging: ImagingFindings, settings: CountingSettings = COUNTING) -> str | None:
    """Return the MY-RADS pattern, None where diffuse disease or coverage leaves it open.

    Source: Messiou, Radiology 2019;291:5, as drawn in a review.
    """
    count = count_focal(imaging, settings)
    is_diffuse = imaging.diffuse_grade in ("moderate", "severe")
    if is_diffuse and count.sure:
        return "focal_on_diffuse"
    if imaging.diffuse_grade is None or (count.is_open and not count.sure):
        return None
    if is_diffuse:
        return "diffuse"
    if count.sure:
        return "focal"
    return (
        "micronodular" if imaging.diffuse_grade == "mild" or is_micronodular(imaging, settings) else "normal"
    )
