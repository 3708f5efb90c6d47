"""Where the network looks: windows of one fixed size that cover a target, and how they are blended."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import SettingsError
from marrowmap.data.exam import Array3D, LesionMask

Index = tuple[int, int, int]


def plan_windows(target: LesionMask, patch_size: Index, overlap: float = 0.25) -> list[Index]:
    """Return the starts of windows that together hold every True voxel.

    Along k, then i, then j, each row of windows spans only what the target needs there: the head takes
    fewer than the shoulders. A window without any True voxel is left out.

    Args:
        target: bool `(i, j, k)`.
        patch_size: Window size in voxels.
        overlap: Least share of a window's side that its neighbour in a row holds too, in [0, 1).

    Returns:
        Starts in a fixed order. A window stays inside the array where the array is at least as large;
        along a shorter axis it starts at 0 and the array needs padding at its end.

    Raises:
        SettingsError: If the overlap or the patch size is out of range.
    """
    if not 0.0 <= overlap < 1.0 or min(patch_size) < 1:
        raise SettingsError(f"need an overlap in [0, 1) and a patch of voxels, found {overlap}, {patch_size}")
    windows = []
    for k in _starts_along(target, 2, patch_size, overlap):
        slab = target[:, :, k : k + patch_size[2]]
        for i in _starts_along(slab, 0, patch_size, overlap):
            row = slab[i : i + patch_size[0]]
            for j in _starts_along(row, 1, patch_size, overlap):
                if row[:, j : j + patch_size[1]].any():
                    windows.append((i, j, k))
    return windows


def gaussian_weight(patch_size: Index, *, sigma_share: float = 0.125, floor: float = 1e-3) -> Array3D:
    """Return how much each voxel of a window counts: most in its middle, where the network sees around it.

    Args:
        patch_size: Window size in voxels.
        sigma_share: Standard deviation as a share of each side.
        floor: Least weight, so that a voxel seen only by a window's corner keeps its value.

    Returns:
        float32 of `patch_size`, 1.0 at the most.
    """
    sides = []
    for size in patch_size:
        distance = np.arange(size) - (size - 1) / 2
        sides.append(np.exp(-0.5 * (distance / (sigma_share * size)) ** 2))
    weight = sides[0][:, None, None] * sides[1][:, None] * sides[2]
    return np.maximum(weight / weight.max(), floor).astype(np.float32)


def window_slices(start: Index, patch_size: Index) -> tuple[slice, slice, slice]:
    """Return the slices of a window."""
    i, j, k = start
    return slice(i, i + patch_size[0]), slice(j, j + patch_size[1]), slice(k, k + patch_size[2])


def _starts_along(target: LesionMask, axis: int, patch_size: Index, overlap: float) -> list[int]:
    """Return evenly spread starts along one axis that cover the target's extent there."""
    extent = _extent(target, axis)
    if extent is None:
        return []
    low, high = extent
    size, limit = patch_size[axis], max(0, target.shape[axis] - patch_size[axis])
    spare = high - low - size
    if spare <= 0:
        return [min(max(0, low + spare // 2), limit)]
    steps = math.ceil(spare / max(1, math.floor(size * (1.0 - overlap))))
    return [low + round(step * spare / steps) for step in range(steps + 1)]


def _extent(mask: LesionMask, axis: int) -> tuple[int, int] | None:
    others = tuple(a for a in range(3) if a != axis)
    occupied: npt.NDArray[np.intp] = np.flatnonzero(mask.any(axis=others))
    return (int(occupied[0]), int(occupied[-1]) + 1) if occupied.size else None
