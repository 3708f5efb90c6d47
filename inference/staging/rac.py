"""Response assessment categories: 1 highly likely responding ... 5 highly likely progressing.

Source: Padhani, Eur Urol 2017;71:81, doi:10.1016/j.eururo.2016.05.033 (bone column read for 1 to 4);
Messiou, Radiology 2019;291:5, doi:10.1148/radiol.2019181949 (names read; 5 and the order in which the
clauses are tried are general knowledge and our choice).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from marrowmap.data.errors import SettingsError
from marrowmap.inference.staging.tri import ROUNDING

Category = Literal[1, 2, 3, 4, 5]

RAC_NAMES = {
    1: "highly likely responding",
    2: "likely responding",
    3: "no change",
    4: "likely progressing",
    5: "highly likely progressing",
}
#: Worst evidence first: a category is the first of these that has a clause.
PRECEDENCE: tuple[Category, ...] = (5, 1, 4, 2, 3)


@dataclass(frozen=True, kw_only=True)
class RacSettings:
    """Guards and limits of the categories.

    Attributes:
        repeatability: Relative ADC change that two exams of an unchanged person may show (coefficient of
            reproducibility 14.8 %; Messiou, Eur Radiol 2011, PubMed 21472473).
        least_voxels: Acquired diffusion voxels below which an ADC change says nothing.
        fat_rise: Rise of the fat fraction that marks returning fatty marrow.
        signal_rise: Rise of the high-b signal that marks progression; our choice.
        size_change: Relative change of the diameter beyond which a lesion has grown or shrunk; our choice.
        size_change_mm: And the least change in mm, about two voxels; our choice.
        new_diameter_mm: A certain new lesion of this diameter is category 5.
    """

    repeatability: float = 0.15
    least_voxels: int = 10
    fat_rise: float = 0.10
    signal_rise: float = 0.15
    size_change: float = 0.25
    size_change_mm: float = 4.0
    new_diameter_mm: float = 5.0

    def __post_init__(self) -> None:
        """Refuse limits below zero.

        Raises:
            SettingsError: Names the limit.
        """
        for name, value in vars(self).items():
            if value < 0:
                raise SettingsError(f"{name}: need 0 or more, found {value}")


RAC = RacSettings()


@dataclass(frozen=True, kw_only=True)
class LesionChange:
    """One lesion in two exams; None where it was not measured.

    Attributes:
        fate: `new`, `vanished` (marrow is normal there again), `returned` after having vanished before, or
            `matched`.
        adc_before_um2_per_s: Median ADC at first.
        adc_after_um2_per_s: Median ADC now.
        signal_change: Relative change of the high-b signal over muscle: -0.35 has fallen by 35 %.
        fat_change: Fat fraction now minus then.
        diameter_before_mm: Longest diameter at first.
        diameter_after_mm: Longest diameter now.
        is_certain: Whether the lesion is certain in the exam that decides: now for a new one.
        voxels: Acquired diffusion voxels in the smaller of both outlines, None when not known.
    """

    fate: Literal["matched", "new", "vanished", "returned"] = "matched"
    adc_before_um2_per_s: float | None = None
    adc_after_um2_per_s: float | None = None
    signal_change: float | None = None
    fat_change: float | None = None
    diameter_before_mm: float | None = None
    diameter_after_mm: float | None = None
    is_certain: bool = True
    voxels: int | None = None


@dataclass(frozen=True, kw_only=True)
class PatientResponse:
    """The categories of a patient or a region.

    Attributes:
        dominant: Most frequent category, the worse one of two equally frequent; None without lesions.
        secondary: Second most frequent, None when all agree.
        worst: Highest category.
        is_mixed: Some respond (1, 2) while others progress (4, 5).
    """

    dominant: int | None
    secondary: int | None
    worst: int | None
    is_mixed: bool


def rac_lesion(change: LesionChange, settings: RacSettings = RAC) -> Category:
    """Return the category of one lesion.

    New and certain from 5 mm: 5, smaller or equivocal: 4, and 4 for one that came back. Vanished: 1.
    Grown: 5 when certain, else 4. Shrunk: 1 when certain, else 2. A rising high-b signal with an ADC below
    1400 um2/s: 4. Otherwise ADC, signal and fat decide (`rac_by_adc`). The clauses are tried in the order
    5, 1, 4, 2, 3.

    Source: Padhani, Eur Urol 2017;71:81; Messiou, Radiology 2019;291:5; sizes for grown and shrunk are ours.
    """
    if change.fate == "new":
        is_large = (change.diameter_after_mm or 0.0) >= settings.new_diameter_mm - ROUNDING
        return 5 if change.is_certain and is_large else 4
    if change.fate != "matched":
        return 1 if change.fate == "vanished" else 4
    found: set[Category] = {_by_measures(change, settings)}
    growth = _growth(change, settings)
    if growth > 0:
        found.add(5 if change.is_certain else 4)
    elif growth < 0:
        found.add(1 if change.is_certain else 2)
    if _is_signal_rising(change, settings):
        found.add(4)
    return next(category for category in PRECEDENCE if category in found)


def rac_by_adc(
    adc_before_um2_per_s: float,
    adc_after_um2_per_s: float,
    signal_change: float,
    fat_change: float = 0.0,
    settings: RacSettings = RAC,
) -> Category:
    """Return the category by ADC, high-b signal and fat alone.

    ADC is not monotonic: fatty marrow has a very low ADC, so that a rising fat fraction with a falling
    signal is response even when ADC falls. Within repeatability ADC says nothing; then a signal that rises
    while ADC is below 1400 um2/s is 4. An increase of 40 % or more with a falling signal, or from 1400 or
    less to above 1400, is 1; above 25 % with a falling signal, or from 1000 or less to below 1400, is 2.

    Args:
        adc_before_um2_per_s: Median ADC at first, above 0.
        adc_after_um2_per_s: Median ADC now.
        signal_change: Relative change of the high-b signal over muscle.
        fat_change: Fat fraction now minus then.
        settings: Guards and limits.

    Raises:
        SettingsError: If the first ADC is not above 0.

    Source: Padhani, Eur Urol 2017;71:81, doi:10.1016/j.eururo.2016.05.033; repeatability: Messiou, Eur
    Radiol 2011 (PubMed 21472473).
    """
    before, after = adc_before_um2_per_s, adc_after_um2_per_s
    if before <= 0.0:
        raise SettingsError(f"need an ADC above 0 um2/s at first, found {before:g}")
    rise = (after - before) / before
    has_fat_returned = fat_change > settings.fat_rise
    if has_fat_returned and signal_change < 0.0:
        return 1
    if has_fat_returned or abs(rise) <= settings.repeatability + ROUNDING:
        return 4 if signal_change > settings.signal_rise and after < 1400.0 else 3
    if (rise >= 0.40 - ROUNDING and signal_change < 0.0) or (
        before <= 1400.0 < after and signal_change <= 0.0
    ):
        return 1
    if rise > 0.25 and signal_change < 0.0:
        return 2
    return 2 if before <= 1000.0 and rise > 0.0 and after < 1400.0 and signal_change <= 0.0 else 3


def rac_overall(categories: Iterable[int]) -> PatientResponse:
    """Return the category of a region or patient from those of its lesions.

    Source: dominant and secondary pattern as in Padhani, Eur Urol 2017;71:81; the worst is told apart so
    that a mixed response is not lost.
    """
    counts = Counter(categories)
    ranked = sorted(counts, key=lambda category: (counts[category], category), reverse=True)
    return PatientResponse(
        dominant=ranked[0] if ranked else None,
        secondary=ranked[1] if len(ranked) > 1 else None,
        worst=max(ranked, default=None),
        is_mixed=bool({1, 2} & set(ranked)) and bool({4, 5} & set(ranked)),
    )


def _by_measures(change: LesionChange, settings: RacSettings) -> Category:
    """Return the category by ADC where it was measured in both exams and on enough voxels, else 3."""
    before, after = change.adc_before_um2_per_s, change.adc_after_um2_per_s
    is_small = change.voxels is not None and change.voxels < settings.least_voxels
    if before is None or after is None or change.signal_change is None or is_small or before <= 0.0:
        return 3
    return rac_by_adc(before, after, change.signal_change, change.fat_change or 0.0, settings)


def _is_signal_rising(change: LesionChange, settings: RacSettings) -> bool:
    """Return whether the high-b signal rose while the ADC is not that of treated disease."""
    after, signal = change.adc_after_um2_per_s, change.signal_change
    return after is not None and signal is not None and signal > settings.signal_rise and after < 1400.0


def _growth(change: LesionChange, settings: RacSettings) -> int:
    """Return 1 for grown, -1 for shrunk, 0 for neither or not measured."""
    before, after = change.diameter_before_mm, change.diameter_after_mm
    if before is None or after is None:
        return 0
    difference = after - before
    limit = max(settings.size_change_mm, settings.size_change * before)
    return 0 if abs(difference) < limit - ROUNDING else 1 if difference > 0.0 else -1
