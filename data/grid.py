"""One grid for all sequences of an exam, and the linear resampling that brings them there.

Arrays are `(i, j, k)`, affines map voxel indices to RAS+ mm. When source and target axes are
parallel (up to order and direction) the interpolation is separable: one small table of taps an
axis. Only an oblique source costs a full three-dimensional interpolation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.errors import GeometryError
from marrowmap.data.exam import Affine, Array3D, Exam, LabelArray, Sequence, SpacingMm
from marrowmap.data.taps import BLOCK_VOXELS, Taps, apply_taps, linear_taps

#: A source axis may drift this far (in source voxels, over the whole grid) and still count as parallel.
PARALLEL_DRIFT_VOXELS = 0.05
#: More voxels than any whole body needs (2.2 m x 0.7 m x 0.5 m at 2 mm are 96 million).
MAXIMUM_VOXELS = 150_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """Where the voxels of an array are.

    Attributes:
        shape: Number of voxels along `(i, j, k)`.
        affine_ras_mm: 4 x 4, voxel index to RAS+ patient mm.
    """

    shape: tuple[int, int, int]
    affine_ras_mm: Affine

    @property
    def spacing_mm(self) -> SpacingMm:
        """Voxel size along `(i, j, k)`, in mm."""
        x, y, z = np.linalg.norm(self.affine_ras_mm[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel, in ml."""
        return abs(float(np.linalg.det(self.affine_ras_mm[:3, :3]))) / 1000.0

    @property
    def extent_z_mm(self) -> tuple[float, float]:
        """Lowest and highest z covered, to the outer voxel faces, RAS+ mm."""
        corners = np.array(list(np.ndindex(2, 2, 2))) * np.array(self.shape) - 0.5
        z = self.points_mm(corners)[:, 2]
        return float(z.min()), float(z.max())

    def points_mm(self, voxels: npt.NDArray[np.number]) -> npt.NDArray[np.float64]:
        """Return the RAS+ mm of voxel indices `(n, 3)`, as float64 `(n, 3)`."""
        return voxels.astype(np.float64) @ self.affine_ras_mm[:3, :3].T + self.affine_ras_mm[:3, 3]


def common_grid(exam: Exam, spacing_mm: float) -> Grid:
    """Return the isotropic, axis-aligned RAS+ grid that covers the high-b diffusion volume.

    Args:
        exam: The exam; its `dwi_high` decides the coverage.
        spacing_mm: Side of a voxel, in mm.

    Raises:
        GeometryError: If the extent is larger than any body.
    """
    volume = exam[Sequence.DWI_HIGH]
    return box_grid(Grid(shape=volume.shape, affine_ras_mm=volume.affine_ras_mm), spacing_mm)


def box_grid(covered: Grid, spacing_mm: float) -> Grid:
    """Return the isotropic axis-aligned RAS+ grid around another grid, outer voxel faces included.

    Raises:
        GeometryError: If the extent is larger than any body.
    """
    corners = np.array(list(np.ndindex(2, 2, 2))) * np.array(covered.shape) - 0.5
    points = covered.points_mm(corners)
    low, high = points.min(axis=0), points.max(axis=0)
    i, j, k = (max(1, math.ceil((high[a] - low[a]) / spacing_mm - 1e-3)) for a in range(3))
    if i * j * k > MAXIMUM_VOXELS:
        size = " x ".join(f"{value / 10:.0f}" for value in high - low)
        raise GeometryError(
            f"need the size of a body, found {size} cm at {spacing_mm} mm; check voxel size and stations"
        )
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = (low + high) / 2 - spacing_mm * (np.array([i, j, k]) - 1) / 2
    return Grid(shape=(i, j, k), affine_ras_mm=affine)


def resample_linear(array: npt.NDArray, affine_ras_mm: Affine, grid: Grid, *, fill: float = 0.0) -> Array3D:
    """Return an array's values on another grid, linear, anti-aliased where it becomes coarser.

    A source reaches half a voxel beyond its outer voxel centres (to its outer voxel faces).

    Args:
        array: `(i, j, k)` of numbers.
        affine_ras_mm: 4 x 4, its voxels to RAS+ mm.
        grid: Where the values are wanted.
        fill: Value where the source does not reach.

    Returns:
        float32 of `grid.shape`, C-contiguous.
    """
    to_source = np.linalg.inv(affine_ras_mm) @ grid.affine_ras_mm
    source_axes = _parallel_axes(to_source, grid.shape)
    if source_axes is None:
        return _resample_oblique(array, to_source, grid.shape, fill)
    array = array.transpose(source_axes)
    taps = [_taps_along(a, source_axes[a], to_source, grid.shape[a], array.shape[a]) for a in range(3)]
    # The axis that shrinks most goes first: all later work is on a smaller array.
    result = array
    for axis in sorted(range(3), key=lambda a: grid.shape[a] / array.shape[a]):
        if not taps[axis].is_identity(array.shape[axis]):
            result = apply_taps(result, taps[axis], axis)
    # Never the source itself: what is returned may be written to.
    array = np.array(array, dtype=np.float32, order="C") if result is array else np.ascontiguousarray(result)
    if fill != 0.0:
        for axis in range(3):
            np.moveaxis(array, axis, 0)[~taps[axis].is_covered] = fill
    return array


def resample_nearest(labels: LabelArray, affine_ras_mm: Affine, grid: Grid) -> LabelArray:
    """Return the label of the nearest voxel on another grid, 0 (or False) where the source does not reach.

    Args:
        labels: `(i, j, k)` of integers or bools.
        affine_ras_mm: 4 x 4, its voxels to RAS+ mm.
        grid: Where the labels are wanted.

    Returns:
        `grid.shape`, of the type of `labels`.
    """
    to_source = np.linalg.inv(affine_ras_mm) @ grid.affine_ras_mm
    source_axes = _parallel_axes(to_source, grid.shape)
    result = np.zeros(grid.shape, dtype=labels.dtype)
    if source_axes is None:
        for block, position in _blocks_of_positions(to_source, grid.shape):
            _take_nearest(labels, position, result[block])
        return result
    labels = labels.transpose(source_axes)
    index, covered = [], []
    for axis in range(3):
        position = _positions(axis, source_axes[axis], to_source, grid.shape[axis])
        nearest = np.floor(position + 0.5 + 1e-6).astype(np.intp)
        inside = np.flatnonzero((nearest >= 0) & (nearest < labels.shape[axis]))
        covered.append(inside)
        index.append(nearest[inside])
    result[np.ix_(*covered)] = labels[np.ix_(*index)]
    return result


def is_parallel(affine_ras_mm: Affine, grid: Grid) -> bool:
    """Say whether an array's axes run along those of a grid, up to order and direction."""
    return _parallel_axes(np.linalg.inv(affine_ras_mm) @ grid.affine_ras_mm, grid.shape) is not None


def _parallel_axes(to_source: Affine, shape: tuple[int, int, int]) -> tuple[int, int, int] | None:
    """Return the source axis that each grid axis runs along, None where any is oblique."""
    travel = np.abs(to_source[:3, :3]) * np.maximum(np.array(shape), 2)
    i, j, k = (int(axis) for axis in np.abs(to_source[:3, :3]).argmax(axis=0))
    if {i, j, k} != {0, 1, 2}:
        return None
    drift = travel.copy()
    drift[[i, j, k], [0, 1, 2]] = 0.0
    return (i, j, k) if drift.sum(axis=1).max() <= PARALLEL_DRIFT_VOXELS else None


def _positions(axis: int, source_axis: int, to_source: Affine, count: int) -> npt.NDArray[np.float64]:
    return to_source[source_axis, axis] * np.arange(count) + to_source[source_axis, 3]


def _taps_along(axis: int, source_axis: int, to_source: Affine, count: int, source_count: int) -> Taps:
    position = _positions(axis, source_axis, to_source, count)
    return linear_taps(position, abs(to_source[source_axis, axis]), source_count)


def _resample_oblique(
    array: npt.NDArray, to_source: Affine, shape: tuple[int, int, int], fill: float
) -> Array3D:
    array, to_source = _shrink_for(array, to_source)
    result = np.empty(shape, dtype=np.float32)
    for block, position in _blocks_of_positions(to_source, shape):
        ndimage.map_coordinates(array, position, output=result[block], order=1, mode="nearest")
        is_outside = np.zeros(position.shape[1:], dtype=bool)
        for axis in range(3):
            is_outside |= (position[axis] < -0.501) | (position[axis] > array.shape[axis] - 0.499)
        result[block][is_outside] = fill
    return result


def _shrink_for(array: npt.NDArray, to_source: Affine) -> tuple[Array3D, Affine]:
    """Down-sample along the source's own axes before an oblique interpolation that would skip voxels.

    Both this step and the interpolation after it blur by step / sqrt(2): together about what the
    anti-aliased parallel case does.
    """
    to_source = to_source.copy()
    for axis in range(3):
        step = float(np.linalg.norm(to_source[axis, :3])) / math.sqrt(2)
        if step <= 1.0:
            continue
        count = math.ceil(array.shape[axis] / step)
        start = (array.shape[axis] - 1 - (count - 1) * step) / 2
        # Within half a voxel of the ends by construction, unless the clip is needed for a thin array.
        position = np.clip(start + step * np.arange(count), -0.5, array.shape[axis] - 0.5)
        array = apply_taps(array, linear_taps(position, step, array.shape[axis]), axis)
        to_source[axis, 3] -= start
        to_source[axis] /= step
    return np.ascontiguousarray(array, dtype=np.float32), to_source


def _blocks_of_positions(
    to_source: Affine, shape: tuple[int, int, int]
) -> Iterator[tuple[slice, npt.NDArray[np.float32]]]:
    """Yield slices of the first grid axis with their source positions, float32 `(3, i, j, k)`."""
    rows = max(1, BLOCK_VOXELS // (shape[1] * shape[2]))
    j, k = np.arange(shape[1])[:, None], np.arange(shape[2])[None, :]
    plane = to_source[:3, 1, None, None] * j + to_source[:3, 2, None, None] * k + to_source[:3, 3, None, None]
    for start in range(0, shape[0], rows):
        i = np.arange(start, min(start + rows, shape[0]))
        step = to_source[:3, 0, None] * i
        yield slice(start, start + len(i)), (step[:, :, None, None] + plane[:, None]).astype(np.float32)


def _take_nearest(labels: LabelArray, position: npt.NDArray[np.float32], out: LabelArray) -> None:
    index = np.floor(position + 0.5).astype(np.intp)
    limits = np.array(labels.shape)[:, None, None, None]
    is_inside = ((index >= 0) & (index < limits)).all(axis=0)
    i, j, k = index[:, is_inside]
    out[is_inside] = labels[i, j, k]
