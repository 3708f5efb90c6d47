"""Two lesion masks on one grid: how much they share, and which lesions one has and the other has not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marrowmap.data.components import Components, find_components, longest_diameter_mm
from marrowmap.data.errors import MaskError
from marrowmap.data.exam import LesionMask
from marrowmap.data.grid import Grid

#: From this diameter on a lesion is focal (IMWG 2014): none may be gained or lost.
FOCAL_MM = 5.0


@dataclass(frozen=True, kw_only=True)
class ListedLesion:
    """One lesion that only one of two masks has.

    Attributes:
        centroid_ras_mm: Its middle in RAS+ mm.
        volume_ml: Its volume.
        longest_diameter_mm: Its longest extent.
    """

    centroid_ras_mm: tuple[float, float, float]
    volume_ml: float
    longest_diameter_mm: float

    @property
    def is_focal(self) -> bool:
        """True from 5 mm on."""
        return self.longest_diameter_mm >= FOCAL_MM


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How two lesion masks of one exam differ.

    Attributes:
        dice: Overlap, 1.0 where both are empty.
        usual_count: Components of the usual way's mask.
        our_count: Components of our mask.
        lost: Lesions of the usual way that share no voxel with ours.
        gained: Ours that share none with the usual way's.
    """

    dice: float
    usual_count: int
    our_count: int
    lost: tuple[ListedLesion, ...]
    gained: tuple[ListedLesion, ...]


def compare_masks(usual: LesionMask, ours: LesionMask, grid: Grid) -> Difference:
    """Compare two lesion masks.

    Args:
        usual: bool `(i, j, k)`, of the usual way.
        ours: bool of the same shape.
        grid: Where they lie.

    Raises:
        MaskError: If the shapes differ.
    """
    if usual.shape != ours.shape:
        raise MaskError(f"need masks of one shape, found {usual.shape} and {ours.shape}")
    total = int(usual.sum()) + int(ours.sum())
    both = int((usual & ours).sum())
    theirs, own = find_components(usual), find_components(ours)
    return Difference(
        dice=2 * both / total if total else 1.0,
        usual_count=theirs.count,
        our_count=own.count,
        lost=_without(theirs, ours, grid),
        gained=_without(own, usual, grid),
    )


def _without(components: Components, other: LesionMask, grid: Grid) -> tuple[ListedLesion, ...]:
    """Return the components that share no voxel with another mask."""
    shared = np.unique(components.labels[other])
    return tuple(_listed(components, n, grid) for n in components if n not in shared)


def _listed(components: Components, label: int, grid: Grid) -> ListedLesion:
    x, y, z = grid.points_mm(components.centroids[label - 1 : label])[0]
    return ListedLesion(
        centroid_ras_mm=(round(float(x), 1), round(float(y), 1), round(float(z), 1)),
        volume_ml=round(int(components.voxels[label - 1]) * grid.voxel_ml, 3),
        longest_diameter_mm=longest_diameter_mm(np.argwhere(components.mask(label)), grid.spacing_mm),
    )
