"""Where a scanner's voxels lie in a body's grid: slices, stations on one lattice, weights of each axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from marrowmap.data.exam import Affine
from marrowmap.data.simulate.labels import Tissue
from marrowmap.data.simulate.sampling import Axis, AxisWeights, axis_weights

if TYPE_CHECKING:
    from marrowmap.data.simulate.anatomy import Anatomy

#: Air that slices keep in front of and behind the body.
_MARGIN_MM = 12.0


@dataclass(frozen=True, kw_only=True)
class BodyGrid:
    """A body's grid.

    Attributes:
        affine_ras_mm: 4 x 4, axis-aligned RAS+.
        shape: Voxels along x, y, z.
        step_mm: Voxel side.
        depth_mm: From behind to before the body along y, with a margin of air.
    """

    affine_ras_mm: Affine
    shape: tuple[int, int, int]
    step_mm: float
    depth_mm: tuple[float, float]

    @classmethod
    def of(cls, anatomy: Anatomy) -> BodyGrid:
        """Return the grid of a body."""
        affine = np.asarray(anatomy.affine_ras_mm, dtype=np.float64)
        step, back = float(affine[0, 0]), float(affine[1, 3])
        i, j, k = anatomy.tissue.shape
        filled = np.flatnonzero((anatomy.tissue[::3, :, ::3] != Tissue.AIR).any(axis=(0, 2)))
        low, high = (int(filled[0]), int(filled[-1])) if filled.size else (0, j - 1)
        depth = (back + low * step - _MARGIN_MM, back + high * step + _MARGIN_MM)
        return cls(affine_ras_mm=affine, shape=(i, j, k), step_mm=step, depth_mm=depth)

    def span_mm(self, axis: int) -> tuple[float, float]:
        """Return the outer edges of the grid along an axis, RAS+ mm."""
        first = float(self.affine_ras_mm[axis, 3])
        return first - self.step_mm / 2, first + (self.shape[axis] - 0.5) * self.step_mm

    def weights(self, axis: int, voxels: Axis, *, shift_mm: float = 0.0, stretch: float = 1.0) -> AxisWeights:
        """Return how scanner voxels average the body along one axis (see `axis_weights`)."""
        return axis_weights(
            voxels,
            body_first_mm=float(self.affine_ras_mm[axis, 3]),
            body_step_mm=self.step_mm,
            body_count=self.shape[axis],
            shift_mm=shift_mm,
            stretch=stretch,
        )


def filling(span_mm: tuple[float, float], step_mm: float) -> Axis:
    """Return voxels that fill a span, centred on it."""
    low, high = span_mm
    count = max(int(np.ceil((high - low) / step_mm)), 1)
    return Axis(first_mm=(low + high - (count - 1) * step_mm) / 2, step_mm=step_mm, count=count)


def stations_along(
    span_mm: tuple[float, float], *, step_mm: float, number: int, overlap_mm: float
) -> list[Axis]:
    """Cut a span into equal overlapping stations whose voxels lie on one lattice.

    Args:
        span_mm: From feet to head, RAS+ mm.
        step_mm: Voxel step.
        number: How many stations.
        overlap_mm: What neighbours share, rounded to voxels.

    Returns:
        The stations, head first; the last one ends at the feet end of the span.
    """
    whole = filling(span_mm, step_mm)
    overlap = round(overlap_mm / step_mm)
    length = min(int(np.ceil((whole.count + (number - 1) * overlap) / number)), whole.count)
    starts = [max(whole.count - length - n * (length - overlap), 0) for n in range(number)]
    return [
        Axis(first_mm=whole.first_mm + start * step_mm, step_mm=step_mm, count=length) for start in starts
    ]


def affine_of(x: Axis, y: Axis, z: Axis) -> Affine:
    """Return the RAS+ affine of voxels along three axes."""
    affine = np.diag([x.step_mm, y.step_mm, z.step_mm, 1.0])
    affine[:3, 3] = [x.first_mm, y.first_mm, z.first_mm]
    return affine
