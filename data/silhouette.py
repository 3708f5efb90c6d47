"""What the body's outline alone tells: whether it was imaged from the crown to mid-thigh.

No network is asked, so that `marrowmap read` can say it of any study; which bones were seen whole is told
later, by region, from the skeleton that was found (`marrowmap.inference.coverage`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cc3d
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.exam import Array3D, ExamWarning, Volume
from marrowmap.data.grid import Grid

Seen = Literal["complete", "partial", "absent"]

#: The outline is looked for on voxels of about this size (mm).
COARSE_MM = 6.0
#: Mid-thigh and perineum lie this part of the stature below the crown. Where thighs touch, as they mostly do
#: lying, no outline shows where legs part.
MID_THIGH, PERINEUM = 0.60, 0.53
#: Stature where none is written (m).
USUAL_STATURE_M = 1.70
#: A neck is narrower than so much of the head's widest section and than half the shoulders, and lies within
#: so much of the top of the body (mm).
_NECK, _HEAD_REACH_MM = 0.95, 330.0
#: The uppermost section of a whole head is below this part of its widest; from crown to neck is so far (mm).
_CROWN, _LEAST_HEAD_MM = 0.5, 100.0

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Silhouette:
    """The body's outline, read from the top.

    Attributes:
        head: Seen whole (crown to neck), cut, or not at all.
        thighs: Seen to their middle, not so far, or not at all; unknown without a whole head.
        length_mm: From the top of the body to its lowest section.
        top_z_mm: Where the top of the body lies, RAS+.
    """

    head: Seen
    thighs: Seen | None
    length_mm: float
    top_z_mm: float = 0.0


def silhouette_of(volume: Volume, stature_m: float | None = None) -> Silhouette:
    """Read the outline of the body in one volume.

    Args:
        volume: Anatomical, or low-b diffusion; any orientation near the body's axes.
        stature_m: Height of the person where it is known; decides where mid-thigh is.
    """
    grid = coarse_volume(volume)
    areas, step_mm = _sections_cm2(filled_body(grid.array, grid), grid)
    with_body = np.flatnonzero(areas)
    if with_body.size == 0:
        return Silhouette(head="absent", thighs=None, length_mm=0.0)
    low, high = int(with_body[0]), int(with_body[-1])
    head, length_mm = _head(areas[low : high + 1][::-1], step_mm), (high - low + 1) * step_mm
    thighs = _thighs(length_mm, stature_m or USUAL_STATURE_M) if head == "complete" else None
    lowest, _ = Grid(shape=grid.shape, affine_ras_mm=grid.affine_ras_mm).extent_z_mm
    return Silhouette(head=head, thighs=thighs, length_mm=length_mm, top_z_mm=lowest + (high + 1) * step_mm)


def _thighs(length_mm: float, stature_m: float) -> Seen:
    share = length_mm / (1000 * stature_m)
    return "complete" if share >= MID_THIGH else "partial" if share >= PERINEUM else "absent"


def coverage_warnings(silhouette: Silhouette) -> list[ExamWarning]:
    """Return a warning for an end of the body that was not imaged whole: unknown there, never normal."""
    found = []
    if silhouette.head != "complete":
        words = "is cut" if silhouette.head == "partial" else "is not imaged"
        text = f"the head {words}: what is not imaged is not known"
        found.append(ExamWarning(code="coverage_head", text=text))
    if silhouette.thighs in ("partial", "absent"):
        words = "may end above their middle" if silhouette.thighs == "partial" else "are hardly imaged"
        text = f"the thighs {words}: the exam ends {silhouette.length_mm:.0f} mm below the crown"
        found.append(ExamWarning(code="coverage_thighs", text=text))
    return found


def coarse_volume(volume: Volume, spacing_mm: float = COARSE_MM) -> Volume:
    """Return every n-th voxel, so that the spacing is about so large."""
    steps = [max(round(spacing_mm / s), 1) for s in volume.spacing_mm]
    affine = volume.affine_ras_mm.copy()
    affine[:3, :3] *= steps
    array = np.ascontiguousarray(volume.array[:: steps[0], :: steps[1], :: steps[2]])
    return Volume(array=array, affine_ras_mm=affine)


def body_median(array: Array3D) -> float:
    """Return the median signal above a quarter of the 95th percentile, 0 without signal."""
    positive = array[array > 0]
    if positive.size == 0:
        return 0.0
    return float(np.median(positive[positive > 0.25 * np.percentile(positive, 95)]))


def filled_body(array: Array3D, grid: Volume) -> Mask:
    """Return the body without holes, filled slice by slice along the body."""
    axis = axis_nearest(grid, 2)
    rough = array > 0.15 * body_median(array)
    largest = np.asarray(cc3d.largest_k(np.ascontiguousarray(rough), k=1, connectivity=6)) > 0
    closed = np.asarray(ndimage.binary_closing(np.pad(largest, 2), iterations=2))[2:-2, 2:-2, 2:-2]
    # A cross that does not reach into the neighbouring slices fills every slice by itself.
    cross = np.moveaxis(
        np.pad(ndimage.generate_binary_structure(2, 1)[None], ((1, 1), (0, 0), (0, 0))), 0, axis
    )
    return np.asarray(ndimage.binary_fill_holes(closed, cross), dtype=bool)


def axis_nearest(grid: Volume, patient_axis: int) -> int:
    """Return the array's axis that runs most nearly along a patient axis."""
    return int(np.argmax(np.abs(grid.affine_ras_mm[patient_axis, :3])))


def _sections_cm2(body: Mask, grid: Volume) -> tuple[npt.NDArray[np.float64], float]:
    """Return the area of the largest part of every section across the body, lowest first, and their distance.

    The largest part: raised arms beside the head are not the head.
    """
    axis = axis_nearest(grid, 2)
    planes = np.moveaxis(body, axis, 0)
    if grid.affine_ras_mm[2, axis] < 0:
        planes = planes[::-1]
    spacing = grid.spacing_mm
    pixel_cm2 = float(np.prod([s for a, s in enumerate(spacing) if a != axis])) / 100
    largest = [_largest_part(plane) for plane in planes]
    return np.array(largest, dtype=np.float64) * pixel_cm2, spacing[axis]


def _largest_part(plane: Mask) -> int:
    """Return the pixels of the largest connected part."""
    labels, _ = cc3d.connected_components(np.ascontiguousarray(plane), connectivity=4, return_N=True)
    return int(np.bincount(labels.ravel())[1:].max(initial=0))


def _head(areas_cm2: npt.NDArray[np.float64], step_mm: float) -> Seen:
    """Say whether the top of the body is a head, and whether it is whole.

    Args:
        areas_cm2: Sections from the top downward.
        step_mm: Their distance.
    """
    areas = areas_cm2[: max(int(_HEAD_REACH_MM / step_mm), 3)]
    widest_below = np.maximum.accumulate(areas[::-1])[::-1]
    widest_above = np.maximum.accumulate(areas)
    is_neck = (areas * 2 < widest_below) & (areas < _NECK * widest_above)
    if not is_neck.any():
        return "absent"
    neck = int(np.flatnonzero(is_neck)[np.argmin(areas[is_neck])])
    has_crown = areas[0] < _CROWN * widest_above[neck]
    return "complete" if has_crown and neck * step_mm >= _LEAST_HEAD_MM else "partial"
