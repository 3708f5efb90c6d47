"""From the body's fine grid to a scanner's voxels: axis by axis, each by a sparse table of weights.

A voxel averages the body over its own width (partial volume); where it is finer than the body's grid it
interpolates linearly. The table of an axis is a sparse matrix, so only the slices asked for are computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

Volume32 = npt.NDArray[np.float32]

_PLANES_AT_ONCE = 32


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The voxels of one station along one axis.

    Attributes:
        first_mm: Centre of the first voxel, RAS+ mm.
        step_mm: Distance of neighbouring voxels, positive.
        count: Number of voxels.
    """

    first_mm: float
    step_mm: float
    count: int

    @property
    def centres_mm(self) -> npt.NDArray[np.float64]:
        """Centres of the voxels, RAS+ mm."""
        return self.first_mm + self.step_mm * np.arange(self.count, dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class AxisWeights:
    """How the voxels of one axis average the body's voxels.

    Attributes:
        matrix: float32 sparse `(voxels, used)`; each row sums to 1 inside the body's grid.
        used: The slice of the body's axis that the columns stand for.
    """

    matrix: sparse.csr_matrix
    used: slice


def axis_weights(
    axis: Axis,
    *,
    body_first_mm: float,
    body_step_mm: float,
    body_count: int,
    width_mm: float | None = None,
    shift_mm: float = 0.0,
    stretch: float = 1.0,
) -> AxisWeights:
    """Return the averaging weights of one axis.

    Args:
        axis: The scanner's voxels.
        body_first_mm: Centre of the body's first voxel.
        body_step_mm: The body's voxel side.
        body_count: Number of the body's voxels.
        width_mm: Width that a voxel averages over; its step if None, never below the body's voxel side.
        shift_mm: How far the body appears moved along the axis.
        stretch: How much longer the body appears, about the middle of the axis.

    Returns:
        Sparse weights and the part of the body's axis they need.
    """
    centres = axis.centres_mm
    middle = centres.mean()
    seen = (centres - middle - shift_mm) / stretch + middle
    position = (seen - body_first_mm) / body_step_mm
    taps, weight = _overlaps(position, max(width_mm or axis.step_mm, body_step_mm) / body_step_mm, body_count)
    inside = weight > 0
    if not inside.any():
        return AxisWeights(matrix=sparse.csr_matrix((axis.count, 1), dtype=np.float32), used=slice(0, 1))
    low, high = int(taps[inside].min()), int(taps[inside].max()) + 1
    rows = np.broadcast_to(np.arange(axis.count)[:, None], taps.shape)
    matrix = sparse.csr_matrix(
        (weight[inside].astype(np.float32), (rows[inside], taps[inside] - low)),
        shape=(axis.count, high - low),
    )
    return AxisWeights(matrix=matrix, used=slice(low, high))


def _overlaps(
    position: npt.NDArray[np.float64], width: float, count: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Return for each position the body voxels within a width around it and their shares of that width."""
    half = width / 2
    first = np.floor(position - half + 0.5).astype(np.intp)
    taps = first[:, None] + np.arange(int(np.ceil(width)) + 1)
    ends = np.minimum(taps + 0.5, (position + half)[:, None])
    starts = np.maximum(taps - 0.5, (position - half)[:, None])
    return taps, np.where((taps >= 0) & (taps < count), np.maximum(ends - starts, 0), 0) / width


def sample(first_axis_leading: Volume32, weights: tuple[AxisWeights, AxisWeights, AxisWeights]) -> Volume32:
    """Average a volume onto voxels, axis by axis.

    Args:
        first_axis_leading: float32 `(a, b, c)`, C-contiguous, already cut to the `used` slices.
        weights: Of axes a, b, c; put the one that shrinks most first.

    Returns:
        float32 `(a, b, c)` on the scanner's voxels.
    """
    volume = first_axis_leading
    for axis in weights:
        volume = _averaged(volume, axis)
    return volume


def _averaged(volume: Volume32, axis: AxisWeights) -> Volume32:
    """Return a volume averaged along its first axis, which becomes the last."""
    length, *others = volume.shape
    mixed = axis.matrix @ volume.reshape(length, -1)
    return np.ascontiguousarray(mixed.T).reshape(*others, -1)


def sample_materials(
    material: npt.NDArray[np.uint16],
    lookups: list[Volume32],
    weights: tuple[AxisWeights, AxisWeights, AxisWeights],
) -> list[Volume32]:
    """Look up signals of a body of materials and average them onto voxels, several signals in one pass.

    The same as `sample` of each looked-up volume, but a plane at a time: a whole body of float32 signals,
    made and thrown away for every sequence, would take most of the time of an exam.

    Args:
        material: uint16 `(a, b, c)`, rows of the look-ups, any memory order, cut to the `used` slices.
        lookups: float32 `(materials,)` each.
        weights: Of axes a, b, c; put the one that shrinks most first.

    Returns:
        For each look-up, float32 `(a, b, c)` on the scanner's voxels.
    """
    by_plane = sparse.csc_matrix(weights[0].matrix)
    first, rows, values = np.asarray(by_plane.indptr), np.asarray(by_plane.indices), np.asarray(by_plane.data)
    plane_shape = material.shape[1:]
    sums = [np.zeros((_voxels(weights[0]), *plane_shape), dtype=np.float32) for _ in lookups]
    weighted = np.empty(plane_shape, dtype=np.float32)
    for start in range(0, material.shape[0], _PLANES_AT_ONCE):
        # Copied in blocks: along a strided axis single planes would read every cache line many times.
        block = np.ascontiguousarray(material[start : start + _PLANES_AT_ONCE]).astype(np.intp)
        for plane, index in enumerate(block, start=start):
            entries = slice(first[plane], first[plane + 1])
            voxels, shares = rows[entries], values[entries]
            for lookup, total in zip(lookups, sums, strict=True):
                # "clip" skips the bounds check, which would cost three times the look-up.
                seen = np.take(lookup, index, mode="clip")
                for voxel, share in zip(voxels, shares, strict=True):
                    total[voxel] += np.multiply(seen, share, out=weighted)
    return [_rest(total, weights) for total in sums]


def _voxels(axis: AxisWeights) -> int:
    return len(np.asarray(axis.matrix.indptr)) - 1


def _rest(first_done: Volume32, weights: tuple[AxisWeights, AxisWeights, AxisWeights]) -> Volume32:
    """Return a volume whose first axis is averaged already, averaged along the other two."""
    volume = np.ascontiguousarray(np.moveaxis(first_done, 0, 2))
    return _averaged(_averaged(volume, weights[1]), weights[2])
