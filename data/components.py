"""Connected components of a mask, and how large one is: count, box, centroid, diameters.

A voxel counts as an ellipsoid with its spacing as diameters, so that one voxel of 5 mm is 5 mm long
in every direction, and three in a row are 15 mm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cc3d
import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import MaskError
from marrowmap.data.exam import Affine, LesionMask, SpacingMm

PointsMm = npt.NDArray[np.float64]
Box = tuple[slice, slice, slice]

#: Up to so many points, all pairs are cheaper than a convex hull.
FEW_POINTS = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Components:
    """The connected components of a mask; component `n` (from 1) is entry `n - 1` of each list.

    Attributes:
        labels: uint32 or smaller, `(i, j, k)`: 0 outside, 1 to `count` inside, in the order of first voxels.
        voxels: int64 `(n,)`, number of voxels.
        boxes: Bounding box of each.
        centroids: float64 `(n, 3)`, mean voxel index.
    """

    labels: npt.NDArray[np.unsignedinteger]
    voxels: npt.NDArray[np.int64]
    boxes: tuple[Box, ...]
    centroids: npt.NDArray[np.float64]

    @property
    def count(self) -> int:
        """Number of components."""
        return len(self.boxes)

    def mask(self, label: int) -> LesionMask:
        """Return one component within its own box, bool."""
        return self.labels[self.boxes[label - 1]] == label

    def points_mm(self, label: int, affine_ras_mm: Affine) -> PointsMm:
        """Return the voxel centres of one component, float64 `(n, 3)` in RAS+ mm."""
        start = np.array([side.start for side in self.boxes[label - 1]])
        return (np.argwhere(self.mask(label)) + start) @ affine_ras_mm[:3, :3].T + affine_ras_mm[:3, 3]

    def __iter__(self) -> Iterator[int]:
        """Iterate over the labels, from 1."""
        return iter(range(1, self.count + 1))


class Diameters(NamedTuple):
    """How large a component is.

    Attributes:
        longest_mm: Greatest extent in any direction.
        perpendicular_mm: Greatest extent at right angles to it.
    """

    longest_mm: float
    perpendicular_mm: float


def components_of(mask: LesionMask) -> npt.NDArray[np.unsignedinteger]:
    """Label the components of a mask; voxels that share a face, an edge or a corner belong together.

    Args:
        mask: bool `(i, j, k)`.

    Returns:
        Unsigned `(i, j, k)`: 0 outside, 1 to n inside, in the order of first voxels.

    Raises:
        MaskError: If the mask is not boolean and three-dimensional.
    """
    if mask.dtype != np.bool_ or mask.ndim != 3:
        raise MaskError(f"need a boolean mask with 3 axes, found {mask.dtype} with {mask.ndim}")
    return np.asarray(cc3d.connected_components(np.ascontiguousarray(mask), connectivity=26))


def find_components(mask: LesionMask) -> Components:
    """Label the components of a mask and describe each.

    Raises:
        MaskError: If the mask is not boolean and three-dimensional.
    """
    return components_of_labels(components_of(mask))


def components_of_labels(labels: npt.NDArray[np.unsignedinteger]) -> Components:
    """Describe instance labels that exist already (a reference's, a simulator's): 1 to n, none missing.

    Raises:
        MaskError: If a label between 1 and the greatest has no voxel.
    """
    found = cc3d.statistics(np.ascontiguousarray(labels))
    voxels = np.asarray(found["voxel_counts"][1:], dtype=np.int64)
    if labels.size == 0 or not labels.any():
        voxels = voxels[:0]
    if (voxels == 0).any():
        raise MaskError(f"need labels 1 to {len(voxels)}, found none of {int(np.argmin(voxels)) + 1}")
    count = len(voxels)
    return Components(
        labels=labels,
        voxels=voxels,
        boxes=tuple((box[0], box[1], box[2]) for box in found["bounding_boxes"][1 : count + 1]),
        centroids=np.asarray(found["centroids"][1 : count + 1], dtype=np.float64).reshape(count, 3),
    )


def longest_diameter_mm(voxels: npt.NDArray[np.number], spacing_mm: SpacingMm) -> float:
    """Return the greatest extent of a component in any direction, its outer voxels included.

    Args:
        voxels: Voxel indices `(n, 3)`, at least one.
        spacing_mm: Voxel size along `(i, j, k)`.
    """
    return diameters_mm(voxels, spacing_mm).longest_mm


def diameters_mm(voxels: npt.NDArray[np.number], spacing_mm: SpacingMm) -> Diameters:
    """Return the longest diameter of a component and the longest one at right angles to it.

    Args:
        voxels: Voxel indices `(n, 3)`, at least one.
        spacing_mm: Voxel size along `(i, j, k)`.

    Raises:
        MaskError: If there is no voxel.
    """
    if len(voxels) == 0:
        raise MaskError("need at least one voxel to measure a diameter, found none")
    sides = np.asarray(spacing_mm, dtype=np.float64)
    corners = _extreme_points(voxels.astype(np.float64) * sides)
    span = _longest_span(corners)
    if not span.any():
        return Diameters(float(sides.max()), float(np.sort(sides)[1]))
    along = span / np.linalg.norm(span)
    across = _longest_span(corners - np.outer(corners @ along, along))
    longest = float(np.linalg.norm(span) + np.linalg.norm(along * sides))
    return Diameters(longest, _extent_across(along, across, sides))


def _extent_across(along: PointsMm, across: PointsMm, sides: PointsMm) -> float:
    """Return a span at right angles to `along`, with one voxel; a line is as wide as its voxels."""
    length = float(np.linalg.norm(across))
    if length > 1e-6:
        return length + float(np.linalg.norm(across / length * sides))
    in_plane = np.diag(sides) - np.outer(along, along * sides)
    return float(np.linalg.svd(in_plane, compute_uv=False)[0])


def _longest_span(points: PointsMm) -> PointsMm:
    """Return the vector between the two points farthest apart, zero for a single point."""
    if len(points) < 2:
        return np.zeros(3)
    from scipy.spatial.distance import pdist  # Half a second to import: only where lesions are measured.

    farthest = int(np.argmax(pdist(points)))
    first, second = np.triu_indices(len(points), k=1)
    return points[second[farthest]] - points[first[farthest]]


def _extreme_points(points: PointsMm) -> PointsMm:
    """Return the corners of the convex hull, in as many dimensions as the points really have.

    The farthest pair, also after any projection, is always among them.
    """
    if len(points) <= FEW_POINTS:
        return points
    centred = points - points.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    rank = int((sizes > 1e-6 * max(float(sizes[0]), 1e-9)).sum())
    flat = centred @ axes[:rank].T
    if rank <= 1:
        return points[[int(np.argmin(flat)), int(np.argmax(flat))]] if rank else points[:1]
    from scipy.spatial import ConvexHull

    return points[np.sort(ConvexHull(flat).vertices)]
