"""The lesion mask on the grid of the images it was found on, without ever making a dense map there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from marrowmap.data.components import Box, find_components
from marrowmap.data.exam import Array3D, LesionMask
from marrowmap.data.grid import Grid, is_parallel, resample_linear

#: A target voxel within so many target voxels of a lesion voxel may still be reached by interpolation.
REACH_VOXELS = 2


def lesion_mask_on(lesion_probability: Array3D, grid: Grid, target: Grid, threshold: float) -> LesionMask:
    """Return where the probability, interpolated on another grid, reaches the threshold.

    Interpolation is a mean with weights: it reaches a threshold only beside a voxel that does. So blocks
    around lesions are interpolated and nothing else, and the result is that of the whole map to the voxel.
    Only oblique images take the whole map.

    Args:
        lesion_probability: float32 `(i, j, k)` in [0, 1].
        grid: Its grid.
        target: Grid of the images, for example of the high-b diffusion volume.
        threshold: Voxels of this probability or more are lesion; above 0.

    Returns:
        bool of `target.shape`.
    """
    if not is_parallel(grid.affine_ras_mm, target):
        # Oblique and coarser starts from the array's middle: no part is interpolated like the whole.
        return resample_linear(lesion_probability, grid.affine_ras_mm, target) >= threshold
    mask = np.zeros(target.shape, dtype=bool)
    for block in _blocks(lesion_probability >= threshold, grid, target):
        start = np.array([side.start for side in block])
        affine = target.affine_ras_mm.copy()
        affine[:3, 3] += affine[:3, :3] @ start
        i, j, k = (side.stop - side.start for side in block)
        around, around_affine = _source_around(lesion_probability, grid, affine, (i, j, k))
        here = resample_linear(around, around_affine, Grid(shape=(i, j, k), affine_ras_mm=affine))
        mask[block] |= here >= threshold
    return mask


def _blocks(mask: LesionMask, grid: Grid, target: Grid) -> Iterator[Box]:
    """Yield the boxes on the target grid that hold all that each component can reach."""
    to_target = np.linalg.inv(target.affine_ras_mm) @ grid.affine_ras_mm
    for box in find_components(mask).boxes:
        corners = np.array(list(np.ndindex(2, 2, 2)))
        low, high = (np.array([getattr(side, end) for side in box]) for end in ("start", "stop"))
        # Half a voxel beyond the outer centres is the voxel's face, one and a half the next centre.
        at = np.where(corners, high + 0.5, low - 1.5) @ to_target[:3, :3].T + to_target[:3, 3]
        first = np.maximum(np.floor(at.min(axis=0)).astype(int) - REACH_VOXELS, 0)
        last = np.minimum(np.ceil(at.max(axis=0)).astype(int) + REACH_VOXELS + 1, target.shape)
        if (last > first).all():
            i, j, k = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
            yield i, j, k


def _source_around(
    array: Array3D, grid: Grid, affine: npt.NDArray[np.float64], shape: tuple[int, int, int]
) -> tuple[Array3D, npt.NDArray[np.float64]]:
    """Return the part of an array that a block can draw from, and its affine."""
    to_source = np.linalg.inv(grid.affine_ras_mm) @ affine
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(shape) - 1)
    at = corners @ to_source[:3, :3].T + to_source[:3, 3]
    # Interpolation that becomes coarser averages over a window as wide as the step.
    margin = 2 + np.ceil(np.abs(to_source[:3, :3]).sum(axis=1)).astype(int)
    low = np.clip(np.floor(at.min(axis=0)).astype(int) - margin, 0, np.array(array.shape) - 1)
    high = np.clip(np.ceil(at.max(axis=0)).astype(int) + margin + 1, low + 1, array.shape)
    part = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    moved = grid.affine_ras_mm.copy()
    moved[:3, 3] += moved[:3, :3] @ low
    return array[part], moved
