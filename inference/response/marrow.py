"""How the marrow between the lesions changed, region by region: diffuse disease has no outlines to match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from marrowmap.data.skeleton import Region
from marrowmap.inference.pattern import PatternSettings
from marrowmap.inference.response.signals import ExamPair, fat_change
from marrowmap.inference.response.values import JudgeSettings
from marrowmap.inference.staging.rac import Category, RacSettings, rac_by_adc

#: Enough for a median.
_MOST_VOXELS = 20_000
_LEAST_VOXELS = 200
_GRADES = ("none", "mild", "moderate", "severe")


@dataclass(frozen=True, kw_only=True)
class MarrowResponse:
    """The marrow of one region in two exams, lesions left out.

    Attributes:
        region: Its key.
        category: 1 to 5; None where neither exam shows diffuse disease or it was not measured in both.
        adc_before_um2_per_s: Median then.
        adc_after_um2_per_s: Median now.
        signal_change: Relative change of the high-b signal.
        fat_change: Fat fraction now minus then.
    """

    region: str
    category: Category | None
    adc_before_um2_per_s: float | None
    adc_after_um2_per_s: float | None
    signal_change: float | None
    fat_change: float | None


def judge_marrow(pair: ExamPair, settings: JudgeSettings) -> tuple[MarrowResponse, ...]:
    """Measure the marrow of every region that both exams show.

    It is judged where either exam has a moderate or severe diffuse grade: normal marrow has a low ADC, so its
    changes mean nothing by the rules for lesions.
    """
    before, after = pair.before, pair.after
    grades = [exam.report["pattern"]["diffuse_grade"] for exam in (before, after)]
    is_diffuse = bool({"moderate", "severe"} & set(grades))
    # The outermost voxels are cortex; lesions of either exam are judged apart.
    inner = ndimage.binary_erosion(before.regions > 0) & (before.lesion_labels == 0)
    rng = np.random.default_rng(0)
    found = []
    for region in Region:
        voxels = np.argwhere(inner & (before.regions == region))
        if len(voxels) < _LEAST_VOXELS:
            continue
        if len(voxels) > _MOST_VOXELS:
            voxels = voxels[rng.choice(len(voxels), _MOST_VOXELS, replace=False)]
        points = before.grid.points_mm(voxels)
        then, now = pair.before_at(points), pair.after_at(points)
        if now.covered < settings.least_covered or then.dwi is None or now.dwi is None:
            continue
        signal, fat = now.dwi / max(then.dwi, 1e-6) - 1.0, fat_change(then, now)
        adc = then.adc_um2_per_s, now.adc_um2_per_s
        category = marrow_category(adc, signal, fat, grades, settings.rac) if is_diffuse else None
        found.append(
            MarrowResponse(
                region=region.key,
                category=category,
                adc_before_um2_per_s=adc[0],
                adc_after_um2_per_s=adc[1],
                signal_change=signal,
                fat_change=fat,
            )
        )
    return tuple(found)


def marrow_category(
    adc_um2_per_s: tuple[float | None, float | None],
    signal_change: float,
    fat_change: float | None,
    grades: Sequence[str | None],
    rac: RacSettings,
) -> Category | None:
    """Return the category of a region's diffuse marrow.

    Cells replace fat: the high-b signal rises while fat falls or ADC rises. That is 5 when the diffuse grade
    has become worse, else 4. Otherwise the rules for lesions hold: fat that returns, or an ADC that rises
    while the signal falls, is response. A rise that starts from the ADC of normal marrow
    (`PatternSettings.certain_adc_um2_per_s` or less) is 3: normal marrow holds little water, so its ADC
    wanders with noise and coil, and it has no cells to lose.

    Args:
        adc_um2_per_s: Median then and now.
        signal_change: Relative change of the high-b signal.
        fat_change: Fat fraction now minus then, None when not measured.
        grades: Diffuse grades then and now, None when not known.
        rac: Guards and limits.

    Source: Padhani, Eur Urol 2017;71:81 (return of normal marrow; diffuse infiltration in normal marrow).
    """
    before, after = adc_um2_per_s
    if not before or not after:
        return None
    is_brighter = signal_change > rac.signal_rise
    has_cells = (fat_change or 0.0) < -rac.fat_rise / 2 or after / before - 1.0 > rac.repeatability
    if is_brighter and has_cells:
        known = [_GRADES.index(grade) for grade in grades if grade is not None]
        return 5 if len(known) == 2 and known[1] > known[0] else 4
    category = rac_by_adc(before, after, signal_change, fat_change or 0.0, rac)
    has_fat_returned = (fat_change or 0.0) > rac.fat_rise
    is_response = category in (1, 2) and not has_fat_returned
    return 3 if is_response and before <= PatternSettings().certain_adc_um2_per_s else category
