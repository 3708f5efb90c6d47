"""Where a registration starts: the shift of the whole body, sought in two ways, and what tells a good one.

Images laid on each other by their products can settle beside the truth: in a simulated pair with a shift of
31 mm they did at 41, the blocks then went on to 54, and lesions at rest were called vanished and new. The
skeleton's regions, which both exams name, do not settle like that; they decide.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import fft

from marrowmap.data.skeleton import Region
from marrowmap.inference.response.blocks import Pyramid, pyramid_of
from marrowmap.inference.response.exam import ComparedExam
from marrowmap.inference.response.motion import Motion

Points = npt.NDArray[np.float64]

#: A region counts from this size in both exams.
_LEAST_VOXELS = 300
#: Starts this close end in the same place.
_ALIKE_MM = 5.0
#: Enough voxels to tell one motion from another.
_MOST_VOXELS = 5000


def whole_shifts_mm(before: ComparedExam, after: ComparedExam) -> list[Points]:
    """Return the shifts to try, `(3,)` RAS+ mm each: by images and skeleton, and by the regions' middles."""
    by_regions = _shift_of_regions(before, after)
    by_images = _shift_of_images(before, after)
    if by_regions is None or np.linalg.norm(by_regions - by_images) < _ALIKE_MM:
        return [by_images]
    return [by_images, by_regions]


def region_agreement(before: ComparedExam, after: ComparedExam, motion: Motion) -> float:
    """Return the share of the earlier exam's skeleton that a motion lays on the same region of the later."""
    voxels = np.argwhere(before.regions > 0)
    voxels = voxels[:: max(1, len(voxels) // _MOST_VOXELS)]
    inverse = np.linalg.inv(after.grid.affine_ras_mm)
    moved = motion.moved(before.grid.points_mm(voxels)) @ inverse[:3, :3].T + inverse[:3, 3]
    target = np.rint(moved).astype(np.int64)
    is_inside = ((target >= 0) & (target < after.regions.shape)).all(axis=1)
    labels = before.regions[tuple(voxels[is_inside].T)]
    return float((after.regions[tuple(target[is_inside].T)] == labels).sum()) / max(len(voxels), 1)


def _shift_of_regions(before: ComparedExam, after: ComparedExam) -> Points | None:
    """Return the median shift of the middles of the regions that both exams show."""
    shifts = []
    for region in Region:
        voxels = [np.argwhere(exam.regions == region) for exam in (before, after)]
        if min(map(len, voxels)) >= _LEAST_VOXELS:
            first, second = (
                e.grid.points_mm(v).mean(axis=0) for e, v in zip((before, after), voxels, strict=True)
            )
            shifts.append(second - first)
    return np.median(shifts, axis=0) if shifts else None


def _shift_of_images(before: ComparedExam, after: ComparedExam) -> Points:
    """Return the shift of the whole body that lays the skeletons on each other best."""
    coarse = [pyramid_of(exam, ("t1", "dwi_high"), 10.0) for exam in (before, after)]
    sides = zip(coarse[0].grid.shape, coarse[1].grid.shape, strict=True)
    shape = [int(fft.next_fast_len(a + b, real=True) or a + b) for a, b in sides]
    spectra = [np.asarray(fft.rfftn(_outline(c), shape)) for c in coarse]
    product = np.asarray(fft.irfftn(np.conj(spectra[0]) * spectra[1], shape))
    best = np.array(np.unravel_index(int(np.argmax(product)), product.shape), dtype=np.float64)
    best -= np.where(best > np.array(shape) / 2, shape, 0)
    origin = [c.grid.affine_ras_mm for c in coarse]
    return origin[1][:3, 3] - origin[0][:3, 3] + origin[0][:3, :3] @ best


def _outline(level: Pyramid) -> npt.NDArray[np.float64]:
    """Return skeleton and images as one volume around zero, the skeleton leading."""
    total = 2.0 * level.skeleton.astype(np.float64)
    for image in level.images:
        total += image / max(float(image.mean()) * 6.0, 1e-6)
    return total - total.mean()
