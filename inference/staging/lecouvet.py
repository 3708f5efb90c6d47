"""Patterns of the vertebral marrow and the fractures that go with them."""

from __future__ import annotations

from typing import Literal

from marrowmap.inference.staging.counting import (
    COUNTING,
    SPINE,
    CountingSettings,
    bone_lesions,
    counting_warnings,
    coverage_gaps,
    is_micronodular,
    is_sure,
)
from marrowmap.inference.staging.doubt import focal_distribution, value_probabilities
from marrowmap.inference.staging.imaging import ImagingFindings
from marrowmap.inference.staging.result import Rule, StageResult

LECOUVET = Rule(
    key="lecouvet_pattern",
    source="Lecouvet, Radiology 1997;204:201 (PubMed 9205247)",
    values=("A", "B", "C", "D"),
)
COHORT = (
    "patterns C and D had 6.2, 9.1 and 11.0 times the first, second and third vertebral fractures of A and B "
    "(50 patients); fractures also befall vertebrae that look normal, and no level can be foretold"
)
AT_TEN = (
    "exactly 10 vertebral lesions: the paper has below 10 (B) and above 10 (C); counted here as {pattern}"
)
MILD = "mild diffuse disease is not among the four patterns; ranked here with B at least"


def stage_lecouvet(
    imaging: ImagingFindings,
    settings: CountingSettings = COUNTING,
    *,
    at_ten: Literal["B", "C"] = "C",
) -> StageResult:
    """Return the pattern of the vertebral marrow.

    A: normal; B: fewer than 10 focal lesions; C: more than 10; D: diffuse. The paper has no place for
    exactly 10: `at_ten` decides, with a warning. Moderate and severe diffuse disease are D; mild
    (micronodular) is B at least, our choice after a three-stage scheme that ranks it with few lesions.
    A lesion whose region is not known may lie in the spine or not.

    Args:
        imaging: What the images showed.
        settings: What counts as a focal lesion.
        at_ten: Pattern of exactly 10 lesions.

    Source: Lecouvet, Radiology 1997;204:201; the abstract was read.
    """
    numbers, missing = _numbers(imaging, settings)
    floors = _floors(imaging, settings)
    notes = [AT_TEN.format(pattern=at_ten)] if tuple(numbers) == (10,) else []
    notes += [MILD] if "B" in floors and imaging.diffuse_grade is not None else []
    is_known = len(floors) == 1 and not missing
    distribution = focal_distribution(imaging, settings, regions=SPINE) if is_known else None
    return LECOUVET.result(
        {max(_pattern(number, at_ten), floor) for number in numbers for floor in floors},
        inputs={
            "vertebral_lesions": numbers[0],
            "diffuse_grade": imaging.diffuse_grade,
            "size": settings.convention,
        },
        missing=(*missing, *(("diffuse_grade",) if imaging.diffuse_grade is None else ())),
        probabilities=value_probabilities(
            distribution, lambda lesions: max(_pattern(lesions, at_ten), floors[0])
        ),
        warnings=(COHORT, *notes, *counting_warnings(imaging, settings, regions=SPINE)),
    )


def _numbers(imaging: ImagingFindings, settings: CountingSettings) -> tuple[range, tuple[str, ...]]:
    """Return the numbers of vertebral lesions that are possible, and what is missing to tell them apart."""
    sure = [lesion for lesion in bone_lesions(imaging) if is_sure(lesion, settings)]
    in_spine = sum(lesion.region in SPINE for lesion in sure)
    without_region = sum(lesion.region is None for lesion in sure)
    has_gaps = bool(coverage_gaps(imaging, SPINE))
    last = max(in_spine + without_region, 11 if has_gaps else 0)
    missing = {"region of the lesions": without_region > 0, "coverage of the spine": has_gaps}
    return range(in_spine, last + 1), tuple(name for name, is_missing in missing.items() if is_missing)


def _pattern(number: int, at_ten: str) -> str:
    """Return the pattern by the number of vertebral lesions alone."""
    if number == 10:
        return at_ten
    return "A" if number == 0 else "B" if number < 10 else "C"


def _floors(imaging: ImagingFindings, settings: CountingSettings) -> tuple[str, ...]:
    """Return the least pattern that diffuse disease allows, every possible one."""
    least = "B" if is_micronodular(imaging, settings) else "A"
    by_grade = {"none": least, "mild": "B", "moderate": "D", "severe": "D"}
    grades = tuple(by_grade) if imaging.diffuse_grade is None else (imaging.diffuse_grade,)
    return tuple(dict.fromkeys(by_grade[grade] for grade in grades))
