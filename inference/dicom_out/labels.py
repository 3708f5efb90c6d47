"""Labels of the working grid on the slices of a source series."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.exam import LabelArray
from marrowmap.data.grid import Grid, resample_nearest
from marrowmap.data.sources import SourceSeries, SourceStack

Middles = Mapping[int, npt.NDArray[np.float64]]


def middles_mm(labels: LabelArray, grid: Grid) -> dict[int, npt.NDArray[np.float64]]:
    """Return for every label the RAS+ mm of its voxel nearest to its own middle."""
    middles = {}
    for label, box in enumerate(ndimage.find_objects(labels.astype(np.int32)), start=1):
        if box is None:
            continue
        voxels = np.argwhere(labels[box] == label) + [side.start for side in box]
        nearest = np.argmin(((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1))
        middles[label] = grid.points_mm(voxels[nearest][None])[0]
    return middles


def label_frames(
    labels: LabelArray, grid: Grid, series: SourceSeries, middles: Middles | None = None
) -> npt.NDArray[np.uint16]:
    """Return labels on the slices of a series.

    Args:
        labels: `(i, j, k)` of non-negative integers.
        grid: Where they are.
        series: Where they are wanted.
        middles: A label that falls between the slices keeps the voxel at its middle; None lets it go.

    Returns:
        uint16 `(slice, row, column)`, stack by stack.
    """
    return np.concatenate([_on_stack(labels, grid, stack, middles or {}) for stack in series.stacks])


def _on_stack(labels: LabelArray, grid: Grid, stack: SourceStack, middles: Middles) -> npt.NDArray[np.uint16]:
    """Return labels on one pile, `(slice, row, column)`."""
    on_grid = resample_nearest(labels, grid.affine_ras_mm, stack.grid).astype(np.uint16)
    from_mm = np.linalg.inv(stack.grid.affine_ras_mm)
    for label in set(middles) - set(np.unique(on_grid).tolist()):
        nearest = np.rint((from_mm @ [*middles[label], 1.0])[:3]).astype(int)
        # Outside the pile the lesion belongs to another station.
        if np.all(nearest >= 0) and np.all(nearest < stack.grid.shape):
            on_grid[tuple(nearest)] = label
    return np.ascontiguousarray(on_grid.transpose(2, 1, 0))
