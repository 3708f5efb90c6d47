"""How many lesions: the numbers that reports print and rules use."""

from __future__ import annotations

from collections.abc import Sequence

from marrowmap.data.skeleton import Region
from marrowmap.inference.certainty import FOCAL_DIAMETER_MM
from marrowmap.inference.findings import Counts, Lesion


def count_lesions(lesions: Sequence[Lesion]) -> Counts:
    """Count lesions; `visible` is not `active`: scars stay visible after treatment.

    Args:
        lesions: All lesions, rejected ones too.
    """
    visible = [lesion for lesion in lesions if lesion.certainty != "rejected"]
    return Counts(
        visible=len(visible),
        active=sum(lesion.status == "active" for lesion in visible),
        focal_5mm=sum(is_certain_focal(lesion) for lesion in visible),
        equivocal=sum(lesion.certainty == "equivocal" for lesion in visible),
        by_region={region.key: sum(lesion.region == region.key for lesion in visible) for region in Region},
    )


def is_certain_focal(lesion: Lesion) -> bool:
    """Say whether a lesion counts for the rules: certain, of bone, 5 mm or more."""
    is_of_bone = lesion.certainty == "certain" and lesion.kind != "extramedullary"
    return is_of_bone and lesion.longest_diameter_mm >= FOCAL_DIAMETER_MM
