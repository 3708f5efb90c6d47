"""Every outcome of the staging that a reader's decisions can lead to, by the rules themselves.

The page must say what `marrowmap revise` would say, and no rule is written twice. A rule looks at few
numbers of an exam: how many focal lesions are certain, how many may be, how many are large, how many lie in
the spine, whether one lies away from bone, and what the marrow between them looks like. For every set of
these numbers that decisions can reach, up to where a rule no longer tells them apart, an exam is made that
has exactly these lesions, and the rules are run on it. The page counts and looks up.

Which numbers a rule looks at stands in `BANDS`; a rule that looks at another one fails the comparison with
`revise` in the tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from marrowmap.data.skeleton import Region
from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.findings import DiffuseGrade, Lesion, Pattern
from marrowmap.inference.pattern import pattern_from_evidence
from marrowmap.inference.staging.all_rules import stage_all
from marrowmap.inference.staging.counting import counting_warnings, is_micronodular
from marrowmap.inference.staging.imaging import FocalLesion, ImagingFindings
from marrowmap.inference.staging.result import StageResult

#: By rule: the numbers that it looks at, and from where on more of them change nothing.
BANDS: Mapping[str, Mapping[str, int]] = {
    "durie_salmon_plus": {"sure": 21, "away": 1},
    "imwg_mri_mde": {"sure": 2, "maybe": 2},
    "imwg_2014": {"sure": 2, "maybe": 2},
    "smm_20_2_20": {"sure": 2, "maybe": 2},
    "smm_imwg_points": {"sure": 2, "maybe": 2},
    "walker_7_lesions": {"sure": 8},
    "rasche_large_lesions": {"large": 3},
    "lecouvet_pattern": {"spine_sure": 11, "placeless": 11},
    "met_rads_p": {},
    "my_rads": {},
}

_SURE = FocalLesion(
    diameter_mm=10.0,
    uncertainty_mm=0.0,
    probability=1.0,
    perpendicular_diameter_mm=10.0,
    region=Region.SACRUM_PELVIS,
)
_LARGE = replace(_SURE, diameter_mm=30.0, perpendicular_diameter_mm=30.0)
_DOUBTFUL = replace(_SURE, certainty="equivocal", probability=0.0)
_AWAY = replace(_SURE, kind="extramedullary", region=None)


@dataclass(frozen=True, kw_only=True)
class Marrow:
    """What the marrow between the lesions looks like, as far as a rule cares.

    Attributes:
        grade: Diffuse grade, None when not known.
        is_micronodular: Many small nodules.
    """

    grade: DiffuseGrade | None
    is_micronodular: bool


@dataclass(frozen=True, kw_only=True)
class ImagingState:
    """An exam as the rules count it; every number includes the ones before it only where said.

    Attributes:
        marrow: Between the lesions.
        sure: Certain focal lesions of bone.
        maybe: Those that may be focal, sure ones included.
        spine_sure: Of the sure ones, those in the spine.
        placeless: Of the sure ones, those of no known region.
        large: Of the sure ones, the large ones.
        away: Certain lesions away from bone.
    """

    marrow: Marrow
    sure: int = 0
    maybe: int = 0
    spine_sure: int = 0
    placeless: int = 0
    large: int = 0
    away: int = 0

    def exam(self, like: ImagingFindings) -> ImagingFindings:
        """Return an exam that has exactly these lesions, imaged as far as another one."""
        sure = [_LARGE] * self.large + [_SURE] * (self.sure - self.large)
        regions = [Region.LUMBAR_SPINE] * self.spine_sure + [None] * self.placeless
        placed = [replace(lesion, region=region) for lesion, region in zip(sure, regions, strict=False)]
        doubtful = [_DOUBTFUL] * (self.maybe - self.sure)
        return ImagingFindings(
            lesions=(*placed, *sure[len(placed) :], *doubtful, *[_AWAY] * self.away),
            diffuse_grade=self.marrow.grade,
            is_micronodular=self.marrow.is_micronodular,
            coverage=like.coverage,
        )


@dataclass(frozen=True, kw_only=True)
class StagingTable:
    """What each rule says in every state that can be reached.

    Attributes:
        marrows: The kinds of marrow; a key names one by its place here.
        outcomes: By rule and then by key: the numbers of the rule up to their bands and the place of the
            marrow, with commas between them. Values are `staging.X` of `report.json`.
    """

    marrows: tuple[Marrow, ...]
    outcomes: Mapping[str, Mapping[str, Mapping[str, Any]]]


def tabulate(
    like: ImagingFindings, most: Mapping[str, int], marrows: tuple[Marrow, ...], clinical: ClinicalInput
) -> StagingTable:
    """Run the rules on every state that can be reached.

    Args:
        like: The exam itself, for how much of the skeleton was imaged.
        most: The largest value that each number can reach.
        marrows: The kinds of marrow that can be reached.
        clinical: What the clinic knows.
    """
    outcomes: dict[str, dict[str, Mapping[str, Any]]] = {rule: {} for rule in BANDS}
    for place, marrow in enumerate(marrows):
        for state in _states(most, marrow):
            missing = [rule for rule in BANDS if _key(rule, state, place) not in outcomes[rule]]
            if missing:
                exam = state.exam(like)
                results = stage_all(exam, clinical)
                for rule in missing:
                    outcomes[rule][_key(rule, state, place)] = _without_counts(results[rule], exam)
    return StagingTable(marrows=marrows, outcomes=outcomes)


def _without_counts(result: StageResult, exam: ImagingFindings) -> dict[str, Any]:
    """Return what a rule says, less the warnings that name how many lesions are doubtful."""
    numbered = set(counting_warnings(exam)) - set(counting_warnings(replace(exam, lesions=())))
    said = result.to_json()
    return said | {"warnings": [text for text in said["warnings"] if text not in numbered]}


def _states(most: Mapping[str, int], marrow: Marrow) -> Iterator[ImagingState]:
    """Yield states that hold every key of every rule; one state serves many rules."""
    sure, maybe, away = most["sure"], most["maybe"], min(most["away"], 1)
    # Up to the last band even where fewer lesions are listed: the doubt adds lesions that were missed.
    for count in range(BANDS["durie_salmon_plus"]["sure"] + 1):
        for is_away in range(away + 1):
            yield ImagingState(marrow=marrow, sure=count, maybe=count, spine_sure=count, away=is_away)
    for certain, possible in ((0, 1), (0, 2), (1, 2)):
        if certain <= sure and possible <= maybe:
            yield ImagingState(marrow=marrow, sure=certain, maybe=possible)
    for large in range(1, min(most["large"], 3) + 1):
        yield ImagingState(marrow=marrow, sure=large, maybe=large, large=large)
    spine, placeless = (min(most[name], 11) for name in ("spine_sure", "placeless"))
    for in_spine, nowhere in product(range(spine + 1), range(1, placeless + 1)):
        total = in_spine + nowhere
        yield ImagingState(marrow=marrow, sure=total, maybe=total, spine_sure=in_spine, placeless=nowhere)


def _key(rule: str, state: ImagingState, marrow: int) -> str:
    """Return where a state stands in the table of a rule."""
    numbers = [min(getattr(state, name), band) for name, band in BANDS[rule].items()]
    return ",".join(map(str, [*numbers, marrow]))


@dataclass(frozen=True, kw_only=True)
class PatternRow:
    """The pattern for one number of certain focal lesions.

    Attributes:
        few: Without and with equivocal focal lesions, while there are few nodules.
        many: The same with many nodules.
        nodules: From so many nodules on they are many, None where that cannot be reached.
    """

    few: tuple[Pattern, Pattern]
    many: tuple[Pattern, Pattern]
    nodules: int | None


def tabulate_pattern(
    lesion: Lesion, evidence: dict[str, Any], most_certain: int, most_nodules: int
) -> list[PatternRow]:
    """Return the pattern by the number of certain focal lesions; the last row holds for more.

    Args:
        lesion: Any lesion of the exam, of which the ones to count are made.
        evidence: `pattern.evidence` of the report.
        most_certain: The largest number of certain focal lesions that can be reached.
        most_nodules: The same of lesions that may measure 5 mm or less.
    """
    plain = replace(lesion, kind="focal", suspected_benign=None, diameter_uncertainty_mm=0.0)
    certain = replace(plain, certainty="certain", longest_diameter_mm=30.0)
    equivocal = replace(certain, certainty="equivocal")
    nodule = replace(plain, certainty="certain", longest_diameter_mm=1.0)

    def pattern(sure: int, doubtful: int, nodules: int) -> Pattern:
        lesions = [certain] * sure + [equivocal] * doubtful + [nodule] * nodules
        return pattern_from_evidence(lesions, evidence)

    rows = []
    for sure in range(most_certain + 1):
        few = (pattern(sure, 0, 0), pattern(sure, 1, 0))
        many = (pattern(sure, 0, most_nodules), pattern(sure, 1, most_nodules))
        is_changed = _said(many[0]) != _said(few[0])
        nodules = _first_many(pattern, sure, most_nodules, _said(few[0])) if is_changed else None
        rows.append(PatternRow(few=few, many=many, nodules=nodules))
        if sure and nodules is None:
            break
    return rows


def _said(pattern: Pattern) -> tuple[str, str | None]:
    return pattern.label, pattern.diffuse_grade


def _first_many(pattern: Any, sure: int, most: int, few: tuple[str, str | None]) -> int:
    """Return the least number of nodules that changes the pattern; more of them change nothing further."""
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _said(pattern(sure, 0, middle)) == few else (low, middle)
    return high


def micronodules(most_small: int) -> int | None:
    """Return from how many small lesions on the rules call the marrow micronodular, None if out of reach."""
    small = replace(_SURE, diameter_mm=1.0, perpendicular_diameter_mm=1.0)
    for count in range(most_small + 1):
        if is_micronodular(ImagingFindings(lesions=(small,) * count)):
            return count
    return None
