"""What became of each lesion between two exams, and its response category.

An outline alone decides nothing: a lesion is new only where the earlier images differ, grown only where the
added rim has changed, gone only where its signal has fallen. So an outline that falls a little differently
in two exams of an unchanged person changes nothing. These guards are our choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from marrowmap.inference.findings import Lesion
from marrowmap.inference.response.matching import LesionMatch
from marrowmap.inference.response.signals import ExamPair, Measures, fat_change, relative
from marrowmap.inference.response.sizes import Sizes, confirmed, growth_of, percent, ratio_of, sizes_of
from marrowmap.inference.response.values import (
    Fate,
    JudgeSettings,
    LesionResponse,
    Side,
    all_rejected,
    guarded,
    has_certain,
    is_assessable,
    set_aside,
)
from marrowmap.inference.staging.rac import Category, LesionChange, rac_lesion

Points = npt.NDArray[np.float64]


def judge_match(
    match: LesionMatch,
    pair: ExamPair,
    before: Side,
    after: Side,
    settings: JudgeSettings,
    gone_mm: Sequence[Sequence[float]] = (),
) -> LesionResponse:
    """Say what became of a matched, new or vanished lesion.

    Args:
        match: Its ids in both exams.
        pair: The registered exams.
        before: The earlier exam's lesions.
        after: The later's.
        settings: Guards and limits.
        gone_mm: Where lesions had vanished by the earlier exam, in its frame.
    """
    rejected = [
        all_rejected(side.chosen(ids)) for side, ids in ((before, match.before), (after, match.after))
    ]
    first, second = before.points_of(match.before), after.points_of(match.after)
    if match.before and match.after:
        found = _judge_both(match, pair, before, after, settings)
    elif match.after:
        found = _judge_new(match, pair, after, settings, gone_mm)
    else:
        found = _judge_gone(match, pair, before, settings)
    place = second if len(second) else pair.registration.moved(first)
    x, y, z = place.mean(axis=0)
    found = replace(found, centroid_ras_mm=(float(x), float(y), float(z)))
    return set_aside(found) if any(rejected) else found


def _judge_both(
    match: LesionMatch, pair: ExamPair, before: Side, after: Side, settings: JudgeSettings
) -> LesionResponse:
    """Judge a lesion seen in both exams."""
    first, second = before.chosen(match.before), after.chosen(match.after)
    sizes, reasons = sizes_of(match, first, second)
    sizes, more = confirmed(sizes, match, pair, before, after, settings)
    grown = growth_of(
        LesionChange(diameter_before_mm=sizes.before_mm, diameter_after_mm=sizes.after_mm), settings.rac
    )
    points = before.points_of(match.before), after.points_of(match.after)
    is_redrawn = not grown and ratio_of(sizes.before_ml, sizes.after_ml) > 1.0 + settings.volume_change
    then, now = _measured(pair, *points, is_redrawn=is_redrawn)
    change = _change(then, now, sizes, has_certain(second), settings)
    category = rac_lesion(guarded(change, settings.rac), settings.rac)
    joined: Fate | None = "merged" if len(first) > 1 else "split" if len(second) > 1 else None
    fate: Fate = "grown" if grown > 0 else "shrunk" if grown < 0 else "same"
    return _response(
        first, second, joined or fate, category, change, then, (*reasons, *more, *_words(change))
    )


def _measured(
    pair: ExamPair, first: Points, second: Points, *, is_redrawn: bool
) -> tuple[Measures, Measures]:
    """Measure a lesion in both exams within its own outlines, which no registration can blur.

    Where it did not change in size and was only drawn wider in one of them, the smaller outline serves both:
    the marrow around must not look like a response.
    """
    if not is_redrawn:
        return pair.before_at(first), pair.after_own(second)
    common = (
        first if len(first) * pair.before.grid.voxel_ml <= len(second) * pair.after.grid.voxel_ml else None
    )
    common = pair.registration.moved_back(second) if common is None else common
    return pair.before_at(common), pair.after_at(common)


def _judge_new(
    match: LesionMatch,
    pair: ExamPair,
    after: Side,
    settings: JudgeSettings,
    gone_mm: Sequence[Sequence[float]],
) -> LesionResponse:
    """Judge a lesion that only the later exam outlines: look at its place in the earlier images."""
    lesions, points = after.chosen(match.after), after.points_of(match.after)
    volume_ml = sum(lesion.volume_ml for lesion in lesions)
    earlier_mm = pair.registration.moved_back(points)
    then, now = pair.before_at(earlier_mm), pair.after_own(points)
    change = _change(
        then,
        now,
        Sizes(after_mm=lesions[0].longest_diameter_mm, after_ml=volume_ml),
        has_certain(lesions),
        settings,
    )
    if then.covered < settings.least_covered:
        reason = "its place was not imaged in the earlier exam"
        return _response((), lesions, "not_imaged", None, change, then, (reason,))
    rise = change.signal_change
    if rise is not None and rise < settings.image_change:
        reason = f"not outlined before, but the images are alike: high-b signal {percent(rise)}"
        return _response((), lesions, "seen_before", 3, change, then, (reason,))
    if then.probability >= settings.seen_probability:
        reason = f"had a lesion probability of {then.probability:.2f} before, and its high-b signal has risen"
        is_known = guarded(change, settings.rac).signal_change is not None
        return _response((), lesions, "seen_before", 4 if is_known else 3, change, then, (reason,))
    is_back = any(
        np.linalg.norm(earlier_mm.mean(axis=0) - np.array(place)) <= settings.same_place_mm
        for place in gone_mm
    )
    change = replace(change, fate="returned" if is_back else "new")
    word = "is back where a lesion had vanished" if is_back else "was not there in the earlier exam"
    category = rac_lesion(change, settings.rac)
    fate: Fate = "returned" if is_back else "new"
    return _response((), lesions, fate, category, change, then, (word, *_words(change)))


def _judge_gone(match: LesionMatch, pair: ExamPair, before: Side, settings: JudgeSettings) -> LesionResponse:
    """Judge a lesion that only the earlier exam outlines: look at its place in the later images."""
    lesions, points = before.chosen(match.before), before.points_of(match.before)
    volume_ml = sum(lesion.volume_ml for lesion in lesions)
    then, now = pair.before_at(points), pair.after_at(points)
    change = _change(
        then,
        now,
        Sizes(before_mm=lesions[0].longest_diameter_mm, before_ml=volume_ml),
        has_certain(lesions),
        settings,
    )
    if now.covered < settings.least_covered:
        reason = "its place was not imaged in the later exam"
        return _response(lesions, (), "not_imaged", None, change, then, (reason,))
    fall = change.signal_change
    if fall is not None and fall > -settings.image_change:
        category = rac_lesion(guarded(change, settings.rac), settings.rac)
        reason = f"not outlined any more, but the images are alike: high-b signal {percent(fall)}"
        return _response(lesions, (), "still_seen", category if category < 3 else 3, change, then, (reason,))
    change = replace(change, fate="vanished")
    reasons = ("no longer to be seen where it was", *_words(change))
    return _response(lesions, (), "vanished", rac_lesion(change, settings.rac), change, then, reasons)


def _change(
    then: Measures, now: Measures, sizes: Sizes, is_certain: bool, settings: JudgeSettings
) -> LesionChange:
    smaller = min(v for v in (sizes.before_ml, sizes.after_ml, np.inf) if v > 0)
    return LesionChange(
        adc_before_um2_per_s=then.adc_um2_per_s,
        adc_after_um2_per_s=now.adc_um2_per_s,
        signal_change=relative(then.dwi, now.dwi),
        fat_change=fat_change(then, now),
        diameter_before_mm=sizes.before_mm,
        diameter_after_mm=sizes.after_mm,
        is_certain=is_certain,
        voxels=int(1000.0 * smaller / settings.acquired_voxel_mm3) if np.isfinite(smaller) else None,
    )


def _response(
    first: Sequence[Lesion],
    second: Sequence[Lesion],
    fate: Fate,
    category: Category | None,
    change: LesionChange,
    then: Measures,
    reasons: Sequence[str],
) -> LesionResponse:
    leading = (*second, *first)[0]
    return LesionResponse(
        id=second[0].id if second else None,
        baseline_id=first[0].id if first else None,
        ids=tuple(sorted(lesion.id for lesion in second)),
        baseline_ids=tuple(sorted(lesion.id for lesion in first)),
        fate=fate,
        category=category,
        region=leading.region,
        is_rejected=False,
        is_counted=category is not None
        and (leading.kind != "extramedullary" or leading.certainty == "certain"),
        is_assessable=is_assessable(category, change, fate),
        change=change,
        volume_before_ml=float(sum(lesion.volume_ml for lesion in first)),
        volume_after_ml=float(sum(lesion.volume_ml for lesion in second)),
        probability_before=then.probability,
        centroid_ras_mm=(0.0, 0.0, 0.0),
        reasons=tuple(reasons),
    )


def _words(change: LesionChange) -> tuple[str, ...]:
    """Return what was measured, one sentence each."""
    words = []
    before, after = change.adc_before_um2_per_s, change.adc_after_um2_per_s
    if before is not None and after is not None and before > 0:
        words.append(f"ADC {before:.0f} to {after:.0f} um2/s ({percent(after / before - 1)})")
    if change.signal_change is not None:
        words.append(f"high-b signal {percent(change.signal_change)}")
    if change.fat_change:
        words.append(f"fat fraction {change.fat_change:+.2f}")
    if change.diameter_before_mm is not None and change.diameter_after_mm is not None:
        words.append(f"{change.diameter_before_mm:.0f} to {change.diameter_after_mm:.0f} mm")
    return tuple(words)
