"""Linear interpolation along one axis of an array, as a small table of taps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import Array3D

#: Voxels of a block of work: small enough to stay in the processor's cache.
BLOCK_VOXELS = 1 << 19


@dataclass(frozen=True, kw_only=True)
class Taps:
    """For every target index of an axis: which source indices, with which weights.

    Attributes:
        index: int `(n_target, taps)`, within the source.
        weight: float32 `(n_target, taps)`, summing to 1; all 0 where the source does not reach.
        is_covered: bool `(n_target,)`.
    """

    index: npt.NDArray[np.intp]
    weight: npt.NDArray[np.float32]
    is_covered: npt.NDArray[np.bool_]

    def is_identity(self, source_count: int) -> bool:
        """Say whether every voxel stays what and where it is."""
        index, weight = self.index[:, 0], self.weight
        is_in_place = len(index) == source_count and bool((index == np.arange(source_count)).all())
        return is_in_place and weight.shape[1] == 1 and bool((weight == 1.0).all())


def linear_taps(position: npt.NDArray[np.float64], step: float, source_count: int) -> Taps:
    """Return the weights of linear interpolation, averaged over a window where steps skip voxels.

    The window is 0 wide at a step of one voxel or less and as wide as the step from two voxels on, so
    that a step of two weighs its voxels 1 : 2 : 1. A linear ramp is kept exactly at every step.

    Args:
        position: float64 `(n_target,)`, in source voxels.
        step: Source voxels between targets.
        source_count: Number of source voxels along the axis.
    """
    position = np.where(np.abs(position - np.rint(position)) < 1e-5, np.rint(position), position)
    window = min(max(0.0, 2.0 * (step - 1.0)), step)
    reach = 1.0 + window / 2
    index = np.floor(position - reach).astype(np.intp)[:, None] + 1 + np.arange(math.ceil(2 * reach))
    distance = index - position[:, None]
    if window > 1e-3:
        weight = (_hat_integral(distance + window / 2) - _hat_integral(distance - window / 2)) / window
    else:
        weight = np.maximum(0.0, 1.0 - np.abs(distance))
    is_covered = (position >= -0.5 - 1e-3) & (position <= source_count - 0.5 + 1e-3)
    weight = np.where(is_covered[:, None], weight, 0.0)
    used = np.asarray(weight.any(axis=0))
    used[0] = True
    index = np.clip(index[:, used], 0, source_count - 1)
    return Taps(index=index, weight=weight[:, used].astype(np.float32), is_covered=is_covered)


def _hat_integral(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the integral up to x of the hat `max(0, 1 - |x|)`."""
    x = np.clip(x, -1.0, 1.0)
    return np.where(x < 0, (x + 1) ** 2 / 2, 1 - (1 - x) ** 2 / 2)


def apply_taps(array: npt.NDArray, taps: Taps, axis: int) -> Array3D:
    """Interpolate along one axis, block by block.

    Args:
        array: `(i, j, k)` of numbers, in any memory order.
        taps: For every wanted index of the axis.
        axis: 0, 1 or 2.

    Returns:
        float32, C-contiguous, as long as the taps along `axis`.
    """
    shape = list(array.shape)
    shape[axis] = len(taps.index)
    result = np.empty(shape, dtype=np.float32)
    plane = max(1, int(np.prod(shape[1:])), int(np.prod(array.shape[1:])))
    rows = max(1, BLOCK_VOXELS // plane)
    for start in range(0, shape[0], rows):
        rows_here = slice(start, start + rows)
        if axis == 0:
            index, weight = taps.index[rows_here], taps.weight[rows_here]
            low, high = int(index.min()), int(index.max()) + 1
            _sum_of_takes(array[low:high], index - low, weight, axis, result[rows_here])
        else:
            _sum_of_takes(array[rows_here], taps.index, taps.weight, axis, result[rows_here])
    return result


def _sum_of_takes(
    block: npt.NDArray, index: npt.NDArray, weight: npt.NDArray, axis: int, out: Array3D
) -> None:
    block = np.ascontiguousarray(block, dtype=np.float32)
    weight_shape = [1, 1, 1]
    weight_shape[axis] = len(index)
    taken = np.empty_like(out)
    for tap in range(index.shape[1]):
        target = taken if tap else out
        np.take(block, index[:, tap], axis=axis, out=target, mode="clip")
        target *= weight[:, tap].reshape(weight_shape)
        if tap:
            out += taken
