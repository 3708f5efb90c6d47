"""False positives by what they fell for: a region of the skeleton, a benign look-alike, or neither."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import LabelArray
from marrowmap.data.skeleton import Region

OUTSIDE = "outside_skeleton"
NO_MIMIC = "no_mimic"


@dataclass(frozen=True, kw_only=True)
class MimicSeen:
    """A benign look-alike of the reference.

    Attributes:
        kind: As in `truth.json`.
        is_called_lesion: Whether a false positive lies on it.
    """

    kind: str
    is_called_lesion: bool


def region_of(regions: LabelArray | None) -> str:
    """Return the key of the region that most of a component's skeleton voxels have.

    Args:
        regions: Region of each of its voxels; None when no map is there.
    """
    if regions is None:
        return "unknown"
    known = regions[(regions >= 1) & (regions <= len(Region))]
    return Region(int(np.bincount(known).argmax())).key if known.size else OUTSIDE


def reach_mm(mimic: Mapping[str, Any], spacing_mm: float) -> float:
    """Return how far from a mimic's centroid a component still lies on it.

    The radius of a sphere of its volume plus a voxel: half its diameter would reach far beyond the thin
    bands along a disc.
    """
    return (3 * 1000 * float(mimic["volume_ml"]) / (4 * math.pi)) ** (1 / 3) + spacing_mm


def mimic_under(
    points_mm: npt.NDArray[np.float64], mimics: Sequence[Mapping[str, Any]], spacing_mm: float
) -> int | None:
    """Return the number of the nearest mimic that a component lies on, None for none.

    Args:
        points_mm: `(n, 3)` RAS+ voxel centres of the component.
        mimics: `mimics[]` of `truth.json`.
        spacing_mm: Largest voxel side.
    """
    best, nearest = None, math.inf
    for number, mimic in enumerate(mimics):
        distance = float(np.linalg.norm(points_mm - np.asarray(mimic["centroid_ras_mm"]), axis=1).min())
        if distance <= reach_mm(mimic, spacing_mm) and distance < nearest:
            best, nearest = number, distance
    return best


def mimics_seen(mimics: Sequence[Mapping[str, Any]], called: Iterable[int]) -> tuple[MimicSeen, ...]:
    """Return each mimic and whether a false positive lies on it."""
    taken = set(called)
    return tuple(
        MimicSeen(kind=str(mimic["kind"]), is_called_lesion=number in taken)
        for number, mimic in enumerate(mimics)
    )
