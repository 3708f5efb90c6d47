"""What became of a lesion between two exams, as a value; and its category again when a reader has decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import SettingsError
from marrowmap.inference.findings import Lesion
from marrowmap.inference.response.matching import MatchSettings
from marrowmap.inference.staging.rac import RAC, Category, LesionChange, RacSettings, rac_lesion

Points = npt.NDArray[np.float64]
Fate = Literal[
    "same", "grown", "shrunk", "merged", "split", "new", "returned", "vanished",
    "seen_before", "still_seen", "not_imaged",
]  # fmt: skip
#: Of a lesion that only one of the two exams outlines.
ONE_SIDED: frozenset[Fate] = frozenset({"new", "returned", "vanished", "seen_before", "still_seen"})


@dataclass(frozen=True, kw_only=True)
class JudgeSettings:
    """How lesions are matched and judged.

    Attributes:
        match: When two outlines are one lesion.
        rac: Guards and limits of the categories.
        acquired_voxel_mm3: A diffusion voxel as acquired, 3 x 3 x 5 mm in whole-body protocols.
        volume_change: A diameter counts as changed only if the volume changed as clearly the same way.
        image_change: A new lesion, an added rim or a vanished lesion must differ in high-b signal by this.
        seen_probability: A place of this probability in the earlier exam had been seen as a lesion, nearly.
        least_covered: With less of a lesion's place imaged, the other exam says nothing of it.
        same_place_mm: A new lesion this near to one that had vanished has come back.
    """

    match: MatchSettings = field(default_factory=MatchSettings)
    rac: RacSettings = RAC
    acquired_voxel_mm3: float = 45.0
    volume_change: float = 0.4
    image_change: float = 0.25
    seen_probability: float = 0.3
    least_covered: float = 0.7
    same_place_mm: float = 10.0

    def __post_init__(self) -> None:
        """Refuse a voxel without a volume.

        Raises:
            SettingsError: If the voxel or a share is not above 0.
        """
        for name in ("acquired_voxel_mm3", "volume_change", "image_change", "least_covered"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"need a {name} above 0, found {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class LesionResponse:
    """One lesion in two exams, as in `report.json` `response.lesions[]`.

    Attributes:
        id: Largest of its lesions in the later exam, None when it is gone.
        baseline_id: Largest of its lesions in the earlier exam, None when it is new.
        ids: All its lesions in the later exam.
        baseline_ids: All in the earlier.
        fate: In one word.
        category: 1 to 5; None where it cannot be judged (not imaged, rejected).
        region: Key of the skeletal region, None away from the skeleton.
        is_rejected: Whether a reader has rejected all its lesions in one of the exams.
        is_counted: Whether it has a say in the category of its region and of the patient.
        is_assessable: False where it is unchanged in size and too small for its ADC to say anything: then 3
            means not known rather than no change. False too where it is equivocal, outlined in one exam only,
            and said to have changed: then it has a say in its category, and none in the direction.
        change: What the category rests on.
        volume_before_ml: Of all its lesions.
        volume_after_ml: The same now.
        probability_before: 90th percentile of the lesion probability at its place in the earlier exam.
        centroid_ras_mm: Its middle, in the later exam's frame.
        reasons: Why this fate and this category, one sentence each.
    """

    id: int | None
    baseline_id: int | None
    ids: tuple[int, ...]
    baseline_ids: tuple[int, ...]
    fate: Fate
    category: Category | None
    region: str | None
    is_rejected: bool
    is_counted: bool
    is_assessable: bool
    change: LesionChange
    volume_before_ml: float
    volume_after_ml: float
    probability_before: float
    centroid_ras_mm: tuple[float, float, float]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """One exam's lesions: what the report says of them and where their voxels are.

    Attributes:
        lesions: By id.
        points_mm: Voxel middles `(n, 3)` by id, in the exam's own frame.
    """

    lesions: Mapping[int, Lesion]
    points_mm: Mapping[int, Points]

    def chosen(self, ids: Sequence[int]) -> tuple[Lesion, ...]:
        """Return lesions by id, largest first."""
        return tuple(sorted((self.lesions[n] for n in ids), key=lambda lesion: -lesion.volume_ml))

    def points_of(self, ids: Sequence[int]) -> Points:
        """Return the voxel middles of several lesions."""
        return np.concatenate([self.points_mm[n] for n in ids]) if ids else np.zeros((0, 3))


def set_aside(response: LesionResponse) -> LesionResponse:
    """Return a lesion that a reader has rejected: listed still, without a category and without a say."""
    return replace(response, is_rejected=True, category=None, is_counted=False, is_assessable=False)


def judged_again(
    response: LesionResponse, lesions: Sequence[Lesion], settings: JudgeSettings | None = None
) -> LesionResponse:
    """Judge a lesion again after a reader's decision, from what was measured.

    Args:
        response: As judged before.
        lesions: Its lesions in the later exam as the reader has left them; none for one that is gone.
        settings: Guards and limits.
    """
    settings = settings or JudgeSettings()
    if not lesions:
        return response
    if all_rejected(lesions):
        return set_aside(response)
    change = replace(response.change, is_certain=has_certain(lesions))
    category = _category_again(response.fate, change, settings)
    leading = max(lesions, key=lambda lesion: lesion.volume_ml)
    is_counted = category is not None and (leading.kind != "extramedullary" or leading.certainty == "certain")
    return replace(
        response,
        category=category,
        change=change,
        is_rejected=False,
        is_counted=is_counted,
        is_assessable=is_assessable(category, change, response.fate),
    )


def _category_again(fate: Fate, change: LesionChange, settings: JudgeSettings) -> Category | None:
    if fate == "not_imaged":
        return None
    if fate == "seen_before":
        return 4 if (guarded(change, settings.rac).signal_change or 0.0) >= settings.image_change else 3
    return rac_lesion(guarded(change, settings.rac), settings.rac)


def is_assessable(category: Category | None, change: LesionChange, fate: Fate) -> bool:
    """Say whether a category may decide where the disease goes.

    No change in a lesion too small for its ADC is not known. And an equivocal lesion that only one of the
    exams outlines may be chance in that one: what appears or disappears with it is told, and decides nothing
    alone.
    """
    if category is None:
        return False
    if category == 3:
        return change.voxels is None or change.voxels >= RAC.least_voxels
    return change.is_certain or fate not in ONE_SIDED


def guarded(change: LesionChange, rac: RacSettings) -> LesionChange:
    """Leave out what too few diffusion voxels show: ADC and signal of so small a lesion are not certain."""
    is_small = change.voxels is not None and change.voxels < rac.least_voxels
    return replace(change, signal_change=None) if is_small else change


def all_rejected(lesions: Sequence[Lesion]) -> bool:
    """Say whether a reader has rejected every one of some lesions; of none, no."""
    return bool(lesions) and all(lesion.certainty == "rejected" for lesion in lesions)


def has_certain(lesions: Sequence[Lesion]) -> bool:
    """Say whether one of some lesions is certain."""
    return any(lesion.certainty == "certain" for lesion in lesions)


def response_from_json(entry: Mapping[str, Any]) -> LesionResponse:
    """Read one entry of `response.lesions[]` back."""
    known = {name: entry[name] for name in LesionResponse.__dataclass_fields__}
    for name in ("ids", "baseline_ids", "centroid_ras_mm", "reasons"):
        known[name] = tuple(known[name])
    known["change"] = LesionChange(**entry["change"])
    return LesionResponse(**known)
