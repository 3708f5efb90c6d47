"""Where a reader would put regions of interest: masks, points in them, values there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.exam import Volume
from marrowmap.data.simulate.anatomy import Anatomy
from marrowmap.data.simulate.truth import MimicTruth, Truth

#: Voxels of one region of interest that are looked at; more would not change a median.
_MOST_VOXELS = 4000

Points = npt.NDArray[np.float64]


def values_at(volume: Volume, points_ras_mm: Points) -> npt.NDArray[np.float32]:
    """Return a volume's values at RAS+ points `(n, 3)`, linear between voxels, 0 outside."""
    inverse = np.linalg.inv(volume.affine_ras_mm)
    places = inverse[:3, :3] @ points_ras_mm.T + inverse[:3, 3:]
    values = np.empty(len(points_ras_mm), dtype=np.float32)
    ndimage.map_coordinates(volume.array, places, order=1, output=values)
    return values


def shrunk(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return a mask without its outer voxels, or as it is where nothing would be left."""
    inner = mask.copy()
    for axis in range(3):
        moved = np.moveaxis(mask, axis, 0)
        kept = np.moveaxis(inner, axis, 0)
        kept[1:] &= moved[:-1]
        kept[:-1] &= moved[1:]
    return inner if inner.any() else mask


def points_in(
    mask: npt.NDArray[np.bool_], affine: npt.NDArray[np.float64], rng: np.random.Generator
) -> Points:
    """Return the RAS+ mm of random voxels of a mask, `(n, 3)`, not more than a median needs."""
    flat = np.flatnonzero(mask)
    chosen = rng.choice(flat, min(len(flat), _MOST_VOXELS), replace=False)
    voxels = np.stack(np.unravel_index(chosen, mask.shape), axis=1)
    return voxels @ affine[:3, :3].T + affine[:3, 3]


def ball_of_points(centre: Points, radius_mm: float) -> Points:
    """Return points spread over a ball, RAS+ mm, `(n, 3)`."""
    steps = np.linspace(-radius_mm, radius_mm, 5)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    return centre + grid[np.linalg.norm(grid, axis=1) <= radius_mm]


def labels_at(truth: Truth, points: Points) -> npt.NDArray[np.uint16]:
    """Return the lesion id at each RAS+ point `(n, 3)`."""
    labels, affine = truth.lesion_labels, truth.affine_ras_mm
    places = np.rint((points - affine[:3, 3]) / affine[0, 0]).astype(int)
    i, j, k = np.clip(places, 0, np.array(labels.shape) - 1).T
    return labels[i, j, k]


def near_findings(mimics: tuple[MimicTruth, ...], anatomy: Anatomy) -> npt.NDArray[np.bool_]:
    """Return the voxels near benign findings, which are not normal marrow."""
    near = np.zeros(anatomy.tissue.shape, dtype=bool)
    affine = anatomy.affine_ras_mm
    for mimic in mimics:
        middle = (np.array(mimic.centroid_ras_mm) - affine[:3, 3]) / affine[0, 0]
        reach = mimic.longest_diameter_mm / 2 / affine[0, 0] + 1
        low, high = np.maximum(middle - reach, 0).astype(int), (middle + reach + 1).astype(int)
        near[low[0] : high[0], low[1] : high[1], low[2] : high[2]] = True
    return near
