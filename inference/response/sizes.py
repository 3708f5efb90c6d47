"""Whether a lesion grew or shrank: diameters that the volume and the images must bear out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from marrowmap.inference.findings import Lesion
from marrowmap.inference.response.matching import LesionMatch
from marrowmap.inference.response.signals import ExamPair, relative
from marrowmap.inference.response.values import JudgeSettings, Side
from marrowmap.inference.staging.rac import LesionChange, RacSettings, rac_lesion

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Diameters that the growth rule sees, and volumes."""

    before_mm: float | None = None
    after_mm: float | None = None
    before_ml: float = 0.0
    after_ml: float = 0.0


def sizes_of(
    match: LesionMatch, first: Sequence[Lesion], second: Sequence[Lesion]
) -> tuple[Sizes, tuple[str, ...]]:
    """Return longest diameters of a lesion; of several in one, the diameters of spheres of their volume."""
    volumes = [sum(lesion.volume_ml for lesion in side) for side in (first, second)]
    if len(first) == len(second) == 1:
        longest = first[0].longest_diameter_mm, second[0].longest_diameter_mm
        return Sizes(before_mm=longest[0], after_mm=longest[1], before_ml=volumes[0], after_ml=volumes[1]), ()
    spheres = [_sphere_mm(volume) for volume in volumes]
    word = f"lesions {_list(match.before)} of the earlier exam are {_list(match.after)} now"
    sizes = Sizes(before_mm=spheres[0], after_mm=spheres[1], before_ml=volumes[0], after_ml=volumes[1])
    return sizes, (word,)


def confirmed(
    sizes: Sizes, match: LesionMatch, pair: ExamPair, before: Side, after: Side, settings: JudgeSettings
) -> tuple[Sizes, tuple[str, ...]]:
    """Take back a change of diameter that neither the volume nor the images bear out."""
    change = LesionChange(diameter_before_mm=sizes.before_mm, diameter_after_mm=sizes.after_mm)
    direction = growth_of(change, settings.rac)
    if not direction:
        return sizes, ()
    unchanged = replace(sizes, before_mm=None, after_mm=None)
    ratio = sizes.after_ml / sizes.before_ml
    if (ratio if direction > 0 else 1.0 / ratio) < 1.0 + settings.volume_change:
        return unchanged, ("the diameter differs, the volume hardly",)
    rim = _rim_change(match, pair, before, after, direction)
    if rim is not None and direction * rim < settings.image_change:
        return unchanged, (
            f"the outline differs, the images hardly: high-b signal of the rim {percent(rim)}",
        )
    return sizes, ()


def _rim_change(
    match: LesionMatch, pair: ExamPair, before: Side, after: Side, direction: int
) -> float | None:
    """Return how the high-b signal changed where one outline reaches beyond the other; None without such."""
    first, second = before.points_of(match.before), after.points_of(match.after)
    moved_back = pair.registration.moved_back(second)
    own, other = (moved_back, first) if direction > 0 else (first, moved_back)
    far = _far_from(own, other, 1.2 * max(pair.before.grid.spacing_mm))
    if not far.any():
        return None
    rim = own[far]
    then, now = pair.before_at(rim), pair.after_at(rim)
    return relative(then.dwi, now.dwi)


def _far_from(points: Points, others: Points, distance_mm: float) -> npt.NDArray[np.bool_]:
    return np.asarray(KDTree(others).query(points)[0]) > distance_mm


def growth_of(change: LesionChange, rac: RacSettings) -> int:
    """Return 1 for grown, -1 for shrunk, 0 for neither: sizes alone, by the rule's own limits."""
    alone = LesionChange(
        diameter_before_mm=change.diameter_before_mm, diameter_after_mm=change.diameter_after_mm
    )
    return {5: 1, 1: -1}.get(rac_lesion(alone, rac), 0)


def _sphere_mm(volume_ml: float) -> float:
    return float((6000.0 * volume_ml / np.pi) ** (1 / 3))


def percent(change: float) -> str:
    """Return a relative change in whole percent, signed."""
    return f"{100 * change:+.0f} %"


def _list(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids))


def ratio_of(one: float, other: float) -> float:
    """Return how many times the larger of two volumes holds the smaller."""
    return max(one, other) / max(min(one, other), 1e-9)
