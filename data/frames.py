"""DICOM's frame and ours: the only place that knows LPS.

DICOM counts mm to the patient's left, posterior and head (LPS+); everything else in
this project counts to the right, anterior and head (RAS+).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import GeometryError
from marrowmap.data.exam import Affine

_FLIP = np.array([-1.0, -1.0, 1.0])


def ras_from_lps(value: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Turn LPS+ points, directions or an affine into RAS+.

    Args:
        value: Points or directions `(..., 3)` in mm, or a 4 x 4 affine from voxel index to mm.

    Returns:
        The same in RAS+, float64.

    Raises:
        GeometryError: If the shape is neither.
    """
    array = np.array(value, dtype=np.float64)
    if array.shape == (4, 4):
        array[:3] *= _FLIP[:, None]
        return array
    if array.ndim >= 1 and array.shape[-1] == 3:
        return array * _FLIP
    raise GeometryError(f"need points (..., 3) or a 4 x 4 affine, found shape {array.shape}")


def lps_from_ras(value: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Turn RAS+ points, directions or an affine into LPS+; see `ras_from_lps`."""
    return ras_from_lps(value)


def lps_to_ras(affine_lps_mm: npt.ArrayLike) -> Affine:
    """Return the RAS+ affine of an LPS+ affine (4 x 4, voxel index to mm)."""
    return ras_from_lps(affine_lps_mm)


def ras_to_lps(affine_ras_mm: npt.ArrayLike) -> Affine:
    """Return the LPS+ affine of a RAS+ affine (4 x 4, voxel index to mm)."""
    return ras_from_lps(affine_ras_mm)


def affine_ras_from_dicom(
    orientation: npt.ArrayLike,
    first_position: npt.ArrayLike,
    pixel_spacing: npt.ArrayLike,
    slice_step: npt.ArrayLike,
) -> Affine:
    """Return the RAS+ affine of slices stacked as `(i, j, k)` = (column, row, slice).

    Args:
        orientation: Image Orientation (Patient), six direction cosines: along a row, then down a column.
        first_position: Image Position (Patient) of the slice at k = 0, LPS mm.
        pixel_spacing: Pixel Spacing: between rows, then between columns, mm.
        slice_step: LPS vector from one slice to the next, mm.

    Returns:
        4 x 4 affine, voxel index `(i, j, k)` to RAS+ mm.
    """
    cosines = np.asarray(orientation, dtype=np.float64)
    spacing = np.asarray(pixel_spacing, dtype=np.float64)
    affine = np.eye(4)
    affine[:3, 0] = cosines[:3] * spacing[1]
    affine[:3, 1] = cosines[3:] * spacing[0]
    affine[:3, 2] = slice_step
    affine[:3, 3] = first_position
    return ras_from_lps(affine)


def patient_axis(affine_ras_mm: Affine, axis: int) -> int:
    """Return the patient's axis that an array axis runs along: 0 right-left, 1 front-back, 2 head-foot."""
    return int(np.argmax(np.abs(affine_ras_mm[:3, axis])))


def patient_axis_letter(affine_ras_mm: Affine, axis: int) -> str:
    """Return the same as `x`, `y` or `z`, for messages."""
    return "xyz"[patient_axis(affine_ras_mm, axis)]
