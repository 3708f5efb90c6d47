"""A volume cut into the slices that a scanner would write, in DICOM's frame and display order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import Affine, Volume
from marrowmap.data.frames import lps_from_ras, patient_axis

# How people look at slices: columns run to the patient's left or to the back, rows to the back or the feet.
_DISPLAY_SIGN = (1.0, 1.0, -1.0)


@dataclass(frozen=True, kw_only=True)
class SliceStack:
    """Parallel slices of one volume.

    Attributes:
        array: float32 `(slice, row, column)`.
        first_position_lps_mm: Centre of the first slice's first pixel.
        step_lps_mm: From one slice to the next.
        row_cosine_lps: Unit vector along increasing column index.
        column_cosine_lps: Unit vector along increasing row index.
        pixel_spacing_mm: Between rows, between columns.
    """

    array: npt.NDArray[np.float32]
    first_position_lps_mm: npt.NDArray[np.float64]
    step_lps_mm: npt.NDArray[np.float64]
    row_cosine_lps: npt.NDArray[np.float64]
    column_cosine_lps: npt.NDArray[np.float64]
    pixel_spacing_mm: tuple[float, float]


def cut_into_slices(volume: Volume) -> SliceStack:
    """Return the slices of a volume, across its widest voxel side (its last axis when all are alike).

    Axial slices run from feet to head, coronal ones from front to back; the values are not touched.
    """
    affine = lps_from_ras(volume.affine_ras_mm)
    slice_axis = _slice_axis(volume.spacing_mm)
    columns, rows = sorted(set(range(3)) - {slice_axis}, key=lambda axis: patient_axis(affine, axis))
    order = [slice_axis, rows, columns]
    array, affine = volume.array.transpose(order), affine[:, [*order, 3]]
    for axis in (1, 2):
        direction = patient_axis(affine, axis)
        if affine[direction, axis] * _DISPLAY_SIGN[direction] < 0:
            array, affine = _flipped(array, affine, axis)
    if np.cross(affine[:3, 2], affine[:3, 1]) @ affine[:3, 0] < 0:
        array, affine = _flipped(array, affine, 0)
    row_spacing, column_spacing = np.linalg.norm(affine[:3, 1]), np.linalg.norm(affine[:3, 2])
    return SliceStack(
        array=array,
        first_position_lps_mm=affine[:3, 3],
        step_lps_mm=affine[:3, 0],
        row_cosine_lps=affine[:3, 2] / column_spacing,
        column_cosine_lps=affine[:3, 1] / row_spacing,
        pixel_spacing_mm=(float(row_spacing), float(column_spacing)),
    )


def _slice_axis(spacing_mm: tuple[float, float, float]) -> int:
    widest = max(spacing_mm)
    return max(axis for axis in range(3) if spacing_mm[axis] > 0.999 * widest)


def _flipped(
    array: npt.NDArray[np.float32], affine: Affine, axis: int
) -> tuple[npt.NDArray[np.float32], Affine]:
    turned = affine.copy()
    turned[:3, 3] += (array.shape[axis] - 1) * affine[:3, axis]
    turned[:3, axis] *= -1
    return np.flip(array, axis), turned
