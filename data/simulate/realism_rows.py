"""Published figures and what was measured in simulated exams, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowmap.data.simulate.realism_figures import (
    BONE_TOLERANCE,
    BONE_WHY,
    BONES_ML,
    ORGAN_WHY,
    ORGANS_ML,
    OTHER_WHY,
    PUBLISHED,
    QUANTITY_WORDS,
    Published,
)
from marrowmap.data.simulate.realism_measure import SMALLEST_MM, MeasuredExam


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure beside what was measured.

    Attributes:
        name: Words.
        quantity: What was measured, with its unit.
        published: Mean.
        allowed: How far the simulated mean may lie from it.
        has_sd: True when that is a published standard deviation.
        simulated: Mean of the simulated values; NaN without any.
        spread: Their standard deviation.
        count: How many values.
        source: Of the published figure.
        why: Why it is missed, where that is known; empty when it is met.
    """

    name: str
    quantity: str
    published: float
    allowed: float
    has_sd: bool
    simulated: float
    spread: float
    count: int
    source: str
    why: str = ""

    @property
    def verdict(self) -> str:
        """`pass`, `fail`, or `not seen` where no exam had such a region."""
        if self.count == 0:
            return "not seen"
        return "pass" if abs(self.simulated - self.published) <= self.allowed else "fail"


def signal_rows(exams: Iterable[MeasuredExam]) -> Iterator[Row]:
    """Yield every published figure of signals, ADC and fat beside the exams'."""
    exams = list(exams)
    for figure in PUBLISHED:
        yield _row(
            figure.name,
            QUANTITY_WORDS[figure.quantity],
            (figure.mean, figure.allowed),
            values_of(figure, exams),
            source=figure.source,
            has_sd=figure.sd is not None,
            why=figure.why,
        )


def values_of(figure: Published, exams: Iterable[MeasuredExam]) -> list[float]:
    """Return the values that count for a figure: one a tissue and exam, one a finding of 10 mm or more."""
    values: list[float] = []
    for exam in exams:
        if figure.patterns and exam.pattern not in figure.patterns:
            continue
        if figure.grades and exam.diffuse_grade not in figure.grades:
            continue
        here = [
            float(getattr(region, figure.quantity))
            for region in exam.of(figure.kind)
            if not region.longest_diameter_mm < SMALLEST_MM
        ]
        here = [value for value in here if np.isfinite(value)]
        values += [max(here)] if figure.highest_only and here else here
    return values


def volume_rows(exams: Iterable[MeasuredExam]) -> Iterator[Row]:
    """Yield organ and bone volumes by sex beside the measured figures."""
    exams = list(exams)
    for sex, word in (("F", "women"), ("M", "men")):
        people = [exam for exam in exams if exam.sex == sex]
        for organ, (parts, figures) in ORGANS_ML.items():
            if sex in figures:
                values = [sum(p.volumes_ml.get(part, 0.0) for part in parts) for p in people]
                source = "organ labels of 362 studies"
                why = ORGAN_WHY.get(organ, OTHER_WHY)
                yield _row(
                    f"{organ}, {word}", "ml", figures[sex], values, source=source, has_sd=True, why=why
                )
        for bone, (_, single) in BONES_ML.items():
            values = [person.volumes_ml[bone] for person in people]
            allowed = (single[sex], BONE_TOLERANCE * single[sex])
            source = "ICRP 110, one person"
            yield _row(f"{bone}, {word}", "ml", allowed, values, source=source, has_sd=False, why=BONE_WHY)


def _row(
    name: str,
    quantity: str,
    published: tuple[float, float],
    values: list[float],
    *,
    source: str,
    has_sd: bool,
    why: str = "",
) -> Row:
    mean, allowed = published
    found = float(np.mean(values)) if values else float("nan")
    is_missed = bool(values) and abs(found - mean) > allowed
    return Row(
        name=name,
        quantity=quantity,
        published=mean,
        allowed=allowed,
        has_sd=has_sd,
        simulated=found,
        spread=float(np.std(values)) if values else float("nan"),
        count=len(values),
        source=source,
        why=why if is_missed else "",
    )


def lesion_sizes(exams: Iterable[MeasuredExam]) -> Mapping[str, npt.NDArray[np.float64]]:
    """Return the longest diameters of all lesions by pattern, mm, and as `count` how many each exam has."""
    by_pattern: dict[str, list[float]] = {}
    counts: list[float] = []
    for exam in exams:
        lesions = exam.of("lesion: ")
        by_pattern.setdefault(exam.pattern, []).extend(lesion.longest_diameter_mm for lesion in lesions)
        if exam.pattern in ("focal", "mixed"):
            counts.append(len(lesions))
    found = {pattern: np.array(sizes) for pattern, sizes in by_pattern.items() if sizes}
    return {**found, "count": np.array(counts)}
