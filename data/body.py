"""Where the body is, and where its lean tissue is: found on a coarse grid from the exam itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cc3d
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.exam import Array3D, LesionMask, Sequence
from marrowmap.data.grid import Grid, box_grid, resample_linear

#: Voxel of the coarse grid, in mm: the body's outline is smooth at this scale, and noise averages out.
COARSE_SPACING_MM = 7.5
#: Signals are compressed by this power before thresholds are sought: bright organs must not decide them.
COMPRESSION = 1 / 3
#: Fewer lean voxels than this on the coarse grid (about 20 ml) are no reference.
MINIMUM_LEAN_VOXELS = 50

_IN_PLANE = np.zeros((3, 3, 3), dtype=bool)
_IN_PLANE[1, :, 1] = _IN_PLANE[:, 1, 1] = True


@dataclass(frozen=True, kw_only=True, eq=False)
class BodyMasks:
    """The body and its lean tissue.

    Attributes:
        body: bool `(i, j, k)` on the working grid: the biggest component, holes filled slice by slice.
        lean: bool on the coarse grid: inside the body, bright where fat is suppressed (muscle, organs).
        signals: float32 on the coarse grid, by sequence.
    """

    body: npt.NDArray[np.bool_]
    lean: npt.NDArray[np.bool_]
    signals: Mapping[str, Array3D]

    def lean_median(self, sequence: str) -> float:
        """Return the median signal of lean tissue where this sequence covers it; 1.0 if there is none."""
        signal = self.signals[sequence]
        inside = signal[self.lean & (signal > 0)]
        if inside.size < MINIMUM_LEAN_VOXELS:
            inside = signal[signal > 0]
        return float(np.median(inside)) if inside.size else 1.0


def find_body(signals: Mapping[str, Array3D], low_b: Array3D | None, grid: Grid) -> BodyMasks:
    """Find the body and its lean tissue.

    Args:
        signals: High-b diffusion, T1, STIR on `grid`, by sequence, 0 where not covered.
        low_b: Low-b diffusion on `coarse_grid(grid)`, None when the exam has none.
        grid: The working grid.

    Returns:
        Body on `grid`, lean tissue and coarse signals.
    """
    coarse = coarse_grid(grid)
    small = {name: resample_linear(array, grid.affine_ras_mm, coarse) for name, array in signals.items()}
    outlines = dict(small)
    if low_b is not None:
        outlines[Sequence.DWI_LOW.value] = low_b
    body = np.zeros(coarse.shape, dtype=bool)
    for signal in outlines.values():
        body |= _above_threshold(signal)
    body = _solid(body)
    lean = body & _above_threshold(_fat_suppressed(outlines))
    fine = resample_linear(body.astype(np.float32), coarse.affine_ras_mm, grid) >= 0.5
    return BodyMasks(body=fine, lean=lean, signals=small)


def coarse_grid(grid: Grid) -> Grid:
    """Return the grid of 7.5 mm (or the grid's own voxels, if larger) around a grid."""
    return box_grid(grid, max(COARSE_SPACING_MM, *grid.spacing_mm))


def _fat_suppressed(signals: Mapping[str, Array3D]) -> Array3D:
    """Return the signal in which muscle stands best above fat and air."""
    for sequence in (Sequence.DWI_LOW, Sequence.STIR, Sequence.DWI_HIGH):
        if sequence.value in signals:
            return signals[sequence.value]
    raise ValueError("high-b diffusion is always there: the exam demands it")


def _above_threshold(signal: Array3D) -> LesionMask:
    """Split a volume's covered box into dark and bright; all that has signal when there is no contrast."""
    return signal > signal_floor(signal)


def signal_floor(signal: Array3D) -> float:
    """Return the signal that best splits a volume's covered box into dark and bright; 0 for no signal."""
    covered = np.power(np.maximum(signal[_covered_box(signal)], 0.0), COMPRESSION)
    if covered.size == 0:
        return 0.0
    return max(0.0, otsu_threshold(np.minimum(covered, np.percentile(covered, 98)))) ** (1 / COMPRESSION)


def _covered_box(signal: Array3D) -> tuple[slice, ...]:
    """Return the bounding box of what is not 0: beyond a volume's coverage there is nothing to learn."""
    found = ndimage.find_objects((signal > 0).astype(np.uint8))
    return found[0] if found else (slice(0, 0),) * 3


def otsu_threshold(values: npt.NDArray[np.floating], bins: int = 256) -> float:
    """Return the value that splits values into the two classes of greatest distance.

    Equal values have no classes: the threshold is then just below them.

    Source: Otsu, IEEE Trans Syst Man Cybern 1979;9:62, doi:10.1109/TSMC.1979.4310076.
    """
    low, high = float(values.min()), float(values.max())
    if high - low <= 1e-6 * max(abs(high), 1e-30):
        return low - 1e-6 * max(abs(low), 1e-30)
    counts, edges = np.histogram(values, bins=bins, range=(low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sum_below = np.cumsum(counts * centres)
    mean_below = sum_below / np.maximum(below, 1)
    mean_above = (sum_below[-1] - sum_below) / np.maximum(above, 1)
    between = below * above * (mean_below - mean_above) ** 2
    best = np.flatnonzero(between == between.max())
    return float((edges[best[0] + 1] + edges[best[-1] + 1]) / 2)


def _solid(mask: LesionMask) -> LesionMask:
    """Return the biggest component, closed, with holes filled in every axial slice."""
    opened = np.asarray(ndimage.binary_opening(mask), dtype=bool)
    mask = opened if opened.any() else mask
    labels = np.asarray(cc3d.largest_k(mask, k=1, connectivity=6))
    padded = np.pad(labels > 0, 2)
    padded = ndimage.binary_closing(padded, iterations=2)
    padded = np.asarray(ndimage.binary_fill_holes(padded, structure=_IN_PLANE), dtype=bool)
    return padded[2:-2, 2:-2, 2:-2]
