"""Which levels of the body were imaged, from the crown to mid-thigh: complete, partial, absent or unknown.

Told from outlines and lengths alone, for `marrowmap read`; which bones were seen whole is told by `infer`
(`marrowmap.inference.coverage`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from marrowmap.data.exam import Exam, Sequence, Volume
from marrowmap.data.grid import Grid
from marrowmap.data.silhouette import MID_THIGH, PERINEUM, USUAL_STATURE_M, Silhouette, silhouette_of

LevelSeen = Literal["complete", "partial", "absent", "unknown"]

#: Where a level ends, as a part of the stature below the crown: chin, shoulders, perineum.
#: Source: Drillis and Contini, Body segment parameters, New York University 1966, report 1166-03: chin 0.870
#: and shoulder 0.818 of the stature above the floor. Where chest, abdomen and pelvis part is between those.
LEVELS: Mapping[str, tuple[float, float]] = {
    "head": (0.0, 0.13),
    "neck": (0.13, 0.18),
    "chest": (0.18, 0.33),
    "abdomen": (0.33, 0.43),
    "pelvis": (0.43, PERINEUM),
    "thighs": (PERINEUM, MID_THIGH),
}
#: A level is complete when so much of its length was imaged, absent below the other.
_COMPLETE, _ABSENT = 0.9, 0.05
#: Images that show a head best come first; diffusion decides what is covered.
_OUTLINED = (Sequence.T1, Sequence.DIXON_IN, Sequence.T2, Sequence.DWI_LOW, Sequence.STIR)


def outline_of(volumes: Mapping[Sequence, Volume], stature_m: float | None) -> Silhouette | None:
    """Return the body's outline on the image that shows a head best; None without an image.

    Diffusion decides where lesions are found, but its outline is the least sure; what it covers less than
    the others has a warning of its own (`partial_...`).
    """
    found = None
    for sequence in _OUTLINED:
        if sequence in volumes and min(volumes[sequence].shape) >= 3:
            silhouette = silhouette_of(volumes[sequence], stature_m)
            if silhouette.head == "complete":
                return silhouette
            found = found or silhouette
    return found


def coverage_by_level(exam: Exam) -> dict[str, LevelSeen]:
    """Return for every level whether high-b diffusion and the image that shows the outline cover it.

    Args:
        exam: The exam; its stature counts where it is known, else 1.70 m.

    Returns:
        By the names of `LEVELS`. Without a whole head nobody knows how far below the crown an image lies:
        all levels but the head are then unknown.
    """
    stature_m = exam.study.stature_m
    outline = outline_of(exam.volumes, stature_m)
    if outline is None or outline.head != "complete":
        head: LevelSeen = "unknown" if outline is None else outline.head
        return {name: head if name == "head" else "unknown" for name in LEVELS}
    high = exam[Sequence.DWI_HIGH]
    z_mm = Grid(shape=high.shape, affine_ras_mm=high.affine_ras_mm).extent_z_mm
    lowest, highest = max(z_mm[0], outline.top_z_mm - outline.length_mm), z_mm[1]
    return {
        name: _seen(
            outline.top_z_mm - below * 1000 * (stature_m or USUAL_STATURE_M),
            outline.top_z_mm - above * 1000 * (stature_m or USUAL_STATURE_M),
            lowest,
            highest,
        )
        for name, (above, below) in LEVELS.items()
    }


def _seen(bottom_mm: float, top_mm: float, lowest_mm: float, highest_mm: float) -> LevelSeen:
    """Return how much of a level lies between the lowest and the highest that was imaged."""
    share = (min(top_mm, highest_mm) - max(bottom_mm, lowest_mm)) / (top_mm - bottom_mm)
    return "complete" if share >= _COMPLETE else "absent" if share < _ABSENT else "partial"
