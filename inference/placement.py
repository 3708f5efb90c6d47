"""Where a lesion lies: in which bone region, beside bone, or away from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from marrowmap.data.grid import Grid
from marrowmap.data.skeleton import Region
from marrowmap.inference.findings import Kind

#: A component of more voxels than this outside bone is judged by every n-th of them.
MAXIMUM_DISTANCES = 4000


@dataclass(frozen=True, kw_only=True)
class PlacementSettings:
    """When a lesion counts as being in bone.

    Attributes:
        near_mm: A voxel this close to the segmented skeleton is in bone; two voxels, because the
            segmentation of a bone is often frayed exactly where a lesion sits.
        soft_tissue_share: A lesion in contact with bone is paramedullary when more of it is outside.
        soft_tissue_ml: ... and at least this much of it.
    """

    near_mm: float = 5.0
    soft_tissue_share: float = 0.3
    soft_tissue_ml: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a lesion lies.

    Attributes:
        region: None away from the skeleton.
        nearest: The region that is nearest, None without any skeleton.
        kind: In bone, beside it or away from it.
        distance_mm: From the skeleton to the nearest voxel of the lesion; infinite without a skeleton.
    """

    region: Region | None
    nearest: Region | None
    kind: Kind
    distance_mm: float


class Skeleton:
    """The segmented skeleton, ready to be asked which bone is near a voxel."""

    def __init__(self, regions: npt.NDArray[np.uint8], grid: Grid, settings: PlacementSettings) -> None:
        """Keep the map; the search tree is built when the first lesion leaves the bone.

        Args:
            regions: uint8 `(i, j, k)` of `Region` values.
            grid: Shape and affine of the map.
            settings: When a lesion counts as being in bone.
        """
        self._regions, self._grid, self._settings = regions, grid, settings
        self._tree: KDTree | None = None
        self._region_of_point = np.zeros(0, dtype=np.uint8)

    def place(self, voxels: npt.NDArray[np.intp]) -> Placement:
        """Place one lesion.

        Args:
            voxels: Indices `(n, 3)` of its voxels, n of one or more.

        Returns:
            Region by the majority of voxels in bone, or of the nearest bone when none is.
        """
        found = self._regions[tuple(voxels.T)]
        outside = voxels[found == 0]
        inside_share = 1.0 - len(outside) / len(voxels)
        if not len(outside):
            return _in_bone(found, "focal", 0.0)
        stride = -(-len(outside) // MAXIMUM_DISTANCES)
        distance, nearest = self._distances(outside[::stride])
        is_near = distance <= self._settings.near_mm
        if inside_share == 0.0 and not is_near.any():
            return self._away(distance, nearest)
        beyond_share = (1.0 - inside_share) * float((~is_near).mean())
        beyond_ml = beyond_share * len(voxels) * self._grid.voxel_ml
        is_soft = (
            beyond_share > self._settings.soft_tissue_share and beyond_ml >= self._settings.soft_tissue_ml
        )
        in_or_near = np.concatenate([found[found > 0], nearest[is_near]])
        distance_mm = 0.0 if inside_share else float(distance.min())
        return _in_bone(in_or_near, "paramedullary" if is_soft else "focal", distance_mm)

    def _distances(
        self, voxels: npt.NDArray[np.intp]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
        """Return the distance to the skeleton in mm, and the region there, for each voxel `(n, 3)`."""
        tree = self._tree or self._build_tree()
        if not tree.n:
            return np.full(len(voxels), np.inf), np.zeros(len(voxels), dtype=np.uint8)
        distance, index = tree.query(self._grid.points_mm(voxels))
        return np.asarray(distance), self._region_of_point[index]

    def _build_tree(self) -> KDTree:
        bone = np.argwhere(self._regions > 0)
        self._region_of_point = self._regions[tuple(bone.T)]
        self._tree = KDTree(self._grid.points_mm(bone), balanced_tree=False, compact_nodes=False)
        return self._tree

    @staticmethod
    def _away(distance: npt.NDArray[np.float64], nearest: npt.NDArray[np.uint8]) -> Placement:
        closest = int(distance.argmin())
        value = int(nearest[closest])
        return Placement(
            region=None,
            nearest=Region(value) if value else None,
            kind="extramedullary",
            distance_mm=float(distance[closest]),
        )


def _in_bone(regions: npt.NDArray[np.uint8], kind: Kind, distance_mm: float) -> Placement:
    region = Region(int(np.bincount(regions[regions > 0]).argmax()))
    return Placement(region=region, nearest=region, kind=kind, distance_mm=distance_mm)
