"""Surfaces to voxels: which voxels of a grid lie inside a triangle mesh.

Rays run along a grid axis through the voxel centres; the signed number of faces that a ray has
crossed is the winding number. A closed surface needs one axis. An open one (a skull with its
foramina, a scapula with a missing face) gets a majority vote of three axes, since a hole misleads
the rays of one axis only.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import LesionMask

#: Keeps rays off the vertices and edges of surfaces that lie on round numbers.
_NUDGE_VOXELS = np.array([1.37e-4, 2.11e-4, 0.73e-4])


def inside_surface(
    vertices: npt.NDArray[np.float64],
    faces: npt.NDArray[np.integer],
    shape: tuple[int, int, int],
    *,
    is_closed: bool = True,
) -> tuple[tuple[slice, slice, slice], LesionMask]:
    """Return the box of voxels that a surface touches and which of them lie inside it.

    Args:
        vertices: float `(n, 3)` in voxel coordinates of the grid (voxel centres at integers).
        faces: int `(m, 3)`, vertex indices, all faces oriented alike.
        shape: Grid size.
        is_closed: False takes the majority of three ray directions.

    Returns:
        Slices of the grid and a bool array of that box. The box is empty outside the grid.
    """
    low = np.clip(np.floor(vertices.min(axis=0)).astype(int), 0, shape)
    high = np.clip(np.ceil(vertices.max(axis=0)).astype(int) + 1, 0, shape)
    box = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    size = np.maximum(high - low, 0)
    if size.min() == 0:
        return box, np.zeros(tuple(size), dtype=bool)
    local = vertices + _NUDGE_VOXELS - low
    if is_closed:
        return box, _winding(local, faces, size) != 0
    votes = np.zeros(tuple(size), dtype=np.uint8)
    for axis in range(3):
        order = np.roll(np.arange(3), 2 - axis)
        turned = _winding(local[:, order], faces, size[order]) != 0
        votes += np.transpose(turned, np.argsort(order))
    return box, votes >= 2


def _winding(
    vertices: npt.NDArray[np.float64], faces: npt.NDArray[np.integer], size: npt.NDArray[np.integer]
) -> npt.NDArray[np.int8]:
    """Return the winding number of every voxel centre, by rays along the last axis."""
    triangles = vertices[faces]
    face, column_i, column_j = _columns_below(triangles, size)
    a, b, c = (triangles[face, corner] for corner in range(3))
    area = _cross(b - a, c - a)
    point = np.stack([column_i, column_j], axis=1) - a[:, :2]
    with np.errstate(divide="ignore", invalid="ignore"):  # a face seen edge-on has no area and no hit
        u = (point[:, 0] * (c - a)[:, 1] - point[:, 1] * (c - a)[:, 0]) / area
        v = ((b - a)[:, 0] * point[:, 1] - (b - a)[:, 1] * point[:, 0]) / area
        hit = (area != 0) & (u >= 0) & (v >= 0) & (u + v <= 1)
    height = a[hit, 2] + u[hit] * (b - a)[hit, 2] + v[hit] * (c - a)[hit, 2]
    first = np.clip(np.ceil(height).astype(np.int64), 0, size[2])
    steps = np.zeros((size[0], size[1], size[2] + 1), dtype=np.int8)
    column = (column_i[hit].astype(np.int64), column_j[hit].astype(np.int64))
    np.add.at(steps, (*column, first), np.sign(area[hit]).astype(np.int8))
    np.cumsum(steps, axis=2, dtype=np.int8, out=steps)
    return steps[:, :, : size[2]]


def _columns_below(
    triangles: npt.NDArray[np.float64], size: npt.NDArray[np.integer]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """List (face, i, j) for every grid column inside the bounding rectangle of a face."""
    low = np.maximum(np.ceil(triangles[:, :, :2].min(axis=1)), 0).astype(np.int64)
    high = np.minimum(np.floor(triangles[:, :, :2].max(axis=1)), size[:2] - 1).astype(np.int64)
    width = np.maximum(high - low + 1, 0)
    count = width[:, 0] * width[:, 1]
    face = np.repeat(np.arange(len(triangles)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    column_i = low[face, 0] + within // np.maximum(width[face, 1], 1)
    column_j = low[face, 1] + within % np.maximum(width[face, 1], 1)
    return face, column_i.astype(np.float64), column_j.astype(np.float64)


def _cross(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]
