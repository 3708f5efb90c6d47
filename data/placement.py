"""Where a station lies: its axes, the common lattice, and its block on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import ndimage

from marrowmap.data.errors import GeometryError
from marrowmap.data.exam import Affine, Array3D, Volume

#: Two stations whose axes turn more than this against each other are not one acquisition (cosine of 10 deg).
MINIMUM_AXIS_COSINE = float(np.cos(np.deg2rad(10.0)))
#: Copied, not interpolated, when no voxel lies further than this from the lattice (voxels).
COPY_TOLERANCE = 0.05
#: Axes that stray less than this over the whole grid run parallel (voxels).
_STRAY = 1e-3


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A station on the common grid: a block and where it starts.

    Attributes:
        array: float32 `(i, j, k)` block.
        start: Index of the block's first voxel in the common grid.
        gain: What its values are to be multiplied by; not yet done in `array`.
    """

    array: Array3D
    start: tuple[int, int, int]
    gain: float = 1.0

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Slices of the block in the common grid."""
        i, j, k = (slice(s, s + n) for s, n in zip(self.start, self.array.shape, strict=True))
        return i, j, k


def like_axes(station: Volume, grid: Volume) -> Volume:
    """Return the station with its axes permuted and flipped to those of the grid volume.

    Raises:
        GeometryError: If no permutation brings the axes within 10 degrees.
    """
    own = station.affine_ras_mm[:3, :3] / np.array(station.spacing_mm)
    wanted = grid.affine_ras_mm[:3, :3] / np.array(grid.spacing_mm)
    cosines = wanted.T @ own
    order = np.argmax(np.abs(cosines), axis=1)
    if np.abs(cosines).max(axis=1).min() < MINIMUM_AXIS_COSINE or len(set(order.tolist())) < 3:
        angle = np.rad2deg(np.arccos(np.clip(np.abs(cosines).max(axis=1).min(), 0, 1)))
        raise GeometryError(
            f"stations of one sequence must share an orientation: found two turned by {angle:.0f} degrees "
            "against each other; export each orientation as its own series"
        )
    signs = np.sign(cosines[np.arange(3), order])
    if np.array_equal(order, [0, 1, 2]) and np.all(signs > 0):
        return station
    array = station.array.transpose(order.tolist())
    affine = station.affine_ras_mm.copy()
    affine[:3, :3] = station.affine_ras_mm[:3, :3][:, order]
    for axis in [axis for axis in range(3) if signs[axis] < 0]:
        array = np.flip(array, axis)
        affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
        affine[:3, axis] *= -1
    return Volume(array=array, affine_ras_mm=affine, b_value_s_per_mm2=station.b_value_s_per_mm2)


def common_lattice(stations: list[Volume], reference: Affine) -> tuple[Affine, tuple[int, int, int]]:
    """Return affine and shape of the smallest grid with the reference's lattice that covers all stations."""
    to_grid = np.linalg.inv(reference)
    lows, highs = [], []
    for station in stations:
        last = np.array(station.shape) - 1.0
        corners = np.array([[c[0], c[1], c[2], 1.0] for c in np.ndindex(2, 2, 2)])
        corners[:, :3] *= last
        index = (to_grid @ station.affine_ras_mm @ corners.T)[:3]
        lows.append(index.min(axis=1))
        highs.append(index.max(axis=1))
    # 0.02 voxel of rounding in the headers must not add a plane.
    low = np.ceil(np.min(lows, axis=0) - 0.02).astype(int)
    high = np.floor(np.max(highs, axis=0) + 0.02).astype(int)
    affine = reference.copy()
    affine[:3, 3] = (reference @ np.append(low, 1.0))[:3]
    i, j, k = (int(n) for n in high - low + 1)
    return affine, (i, j, k)


def place(station: Volume, affine: Affine, shape: tuple[int, int, int]) -> Placed:
    """Return the station on the common grid: copied where it falls on it, interpolated where not."""
    to_grid = np.linalg.inv(affine) @ station.affine_ras_mm
    offset = to_grid[:3, 3]
    drift = np.abs((to_grid[:3, :3] - np.eye(3)) * np.array(station.shape)).max()
    if drift < COPY_TOLERANCE and np.abs(offset - np.round(offset)).max() < COPY_TOLERANCE:
        array, start = station.array, np.round(offset).astype(int)
    else:
        array, start = _interpolated(station, to_grid, shape)
    i, j, k = (int(n) for n in start)
    return Placed(array=array, start=(i, j, k))


def _interpolated(
    station: Volume, to_grid: Affine, shape: tuple[int, int, int]
) -> tuple[Array3D, np.ndarray]:
    """Return the station resampled linearly to the grid's voxels inside it, and where they start."""
    last = np.array(station.shape) - 1.0
    corners = np.array([[c[0], c[1], c[2], 1.0] for c in np.ndindex(2, 2, 2)])
    corners[:, :3] *= last
    index = (to_grid @ corners.T)[:3]
    start = np.maximum(np.ceil(index.min(axis=1) - 0.02), 0).astype(int)
    stop = np.minimum(np.floor(index.max(axis=1) + 0.02), np.array(shape) - 1).astype(int) + 1
    back = np.linalg.inv(to_grid)
    array: Array3D = np.empty([int(n) for n in stop - start], dtype=np.float32)
    ndimage.affine_transform(
        station.array,
        back[:3, :3],
        offset=back[:3, :3] @ start + back[:3, 3],
        output_shape=array.shape,
        output=array,
        order=1,
        mode="nearest",
    )
    return array, start


def resampled_like(volume: Volume, like: Volume) -> Volume:
    """Return a volume on another's grid, linearly, 0 outside of it."""
    to_own: Any = np.linalg.inv(volume.affine_ras_mm) @ like.affine_ras_mm
    source, matrix = volume.array, to_own[:3, :3]
    order = [int(axis) for axis in np.abs(matrix).argmax(axis=1)]
    stray = np.abs(matrix) * np.array(like.shape)
    stray[np.arange(3), order] = 0.0
    if sorted(order) == [0, 1, 2] and stray.max() < _STRAY:
        # Parallel axes: scaled along each, several times as fast as the general case.
        source = source.transpose(np.argsort(order))
        to_own = to_own[np.argsort(order)]
        matrix = np.diag(to_own[:, :3])
    array: Array3D = np.empty(like.shape, dtype=np.float32)
    ndimage.affine_transform(
        source, matrix, offset=to_own[:3, 3], output=array, order=1, mode="grid-constant"
    )
    return replace(volume, array=array, affine_ras_mm=like.affine_ras_mm)


def share_grid(first: Volume, second: Volume, *, tolerance_mm: float = 0.05) -> bool:
    """Say whether two volumes have the same voxels in the same places."""
    same_place = np.allclose(first.affine_ras_mm, second.affine_ras_mm, atol=tolerance_mm)
    return first.shape == second.shape and same_place
