"""What both exams show at the same place, the difference of their coils evened out.

Signals without a unit differ between two exams by the coils' sensitivity too, by 10 to 20 %. The soft tissue
around tells how much: the smoothed ratio of its signal in both exams is taken out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.inference.measure import adc_statistics
from marrowmap.inference.response.blocks import pyramid_of
from marrowmap.inference.response.exam import FAT_FRACTION, FAT_STEPS, ComparedExam
from marrowmap.inference.response.registration import Registration

Points = npt.NDArray[np.float64]
Values = npt.NDArray[np.float64]

#: Voxel of the gain field and reach of its smoothing: coils vary slowly.
_GAIN_SPACING_MM = 10.0
_GAIN_SMOOTHING_MM = 40.0
#: Soft tissue below this part of the image's mean signal is fat or air, and says nothing of the coils.
_LEAST_SIGNAL = 0.5
#: One voxel can differ by flow, bowel or motion: its say is limited to this change of the logarithm.
_MOST_LOG_CHANGE = 0.7
#: Relative T1 rise of a voxel whose fat fraction rises by 1, from the signal model of the reference values:
#: T1 over muscle is 1.06 at a fat fraction of 0.03 and 1.65 at 0.656.
_T1_RISE_PER_FAT = 0.9
#: T1 is a coarse stand-in for fat: below this it counts for nothing.
_LEAST_T1_FAT_CHANGE = 0.25


@dataclass(frozen=True, kw_only=True)
class Measures:
    """Medians over a set of voxels of one exam; None where not measured.

    Attributes:
        adc_um2_per_s: ADC.
        dwi: High-b signal in the earlier exam's steps, whatever the later exam's scale.
        t1: The same for T1.
        fat_fraction: From Dixon.
        probability: 90th percentile of the lesion probability.
        covered: Share of the voxels that the exam has imaged.
    """

    adc_um2_per_s: float | None
    dwi: float | None
    t1: float | None
    fat_fraction: float | None
    probability: float
    covered: float


#: Where an exam has not looked.
NOTHING_SEEN = Measures(
    adc_um2_per_s=None, dwi=None, t1=None, fat_fraction=None, probability=0.0, covered=0.0
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Gain:
    """How many times brighter the later exam shows the same tissue, as a smooth field.

    Attributes:
        logarithm: Of the gain, `(i, j, k)` on a coarse lattice.
        affine_ras_mm: Of the lattice, in the earlier exam's frame.
    """

    logarithm: Values
    affine_ras_mm: Values

    def at(self, points_mm: Points) -> Values:
        """Return the gain at points `(n, 3)` of the earlier exam."""
        voxels = _to_voxels(points_mm, self.affine_ras_mm)
        return np.exp(ndimage.map_coordinates(self.logarithm, voxels, order=1, mode="nearest"))


@dataclass(frozen=True, kw_only=True, eq=False)
class ExamPair:
    """Two registered exams.

    Attributes:
        before: The earlier.
        after: The later.
        registration: From the earlier to the later.
        gains: By image, how many times brighter the later exam's coils show the same tissue.
    """

    before: ComparedExam
    after: ComparedExam
    registration: Registration
    gains: Mapping[str, Gain]

    def before_at(self, points_mm: Points) -> Measures:
        """Return what the earlier exam shows at points `(n, 3)` of its own frame."""
        return _measures(self.before, points_mm, {})

    def after_at(self, points_mm: Points) -> Measures:
        """Return what the later exam shows where points of the earlier exam lie in it."""
        return _measures(self.after, self.registration.moved(points_mm), self._gains_at(points_mm))

    def after_own(self, points_mm: Points) -> Measures:
        """Return what the later exam shows at points of its own frame."""
        return _measures(self.after, points_mm, self._gains_at(self.registration.moved_back(points_mm)))

    def _gains_at(self, points_mm: Points) -> dict[str, Values]:
        return {name: gain.at(points_mm) for name, gain in self.gains.items()}


def pair_of(before: ComparedExam, after: ComparedExam, registration: Registration) -> ExamPair:
    """Put two exams together and measure how much the coils' sensitivity differs."""
    names = [name for name in ("dwi_high", "t1") if name in before.images and name in after.images]
    gains = {name: _gain(before, after, registration, name) for name in names}
    return ExamPair(before=before, after=after, registration=registration, gains=gains)


def _gain(before: ComparedExam, after: ComparedExam, registration: Registration, name: str) -> Gain:
    """Compare one image of both exams where soft tissue is."""
    first, second = (pyramid_of(exam, (name,), _GAIN_SPACING_MM) for exam in (before, after))
    voxels = np.argwhere(np.ones(first.grid.shape, dtype=bool))
    moved = registration.moved(first.grid.points_mm(voxels))
    earlier = first.images[0]
    later = ndimage.map_coordinates(
        second.images[0], _to_voxels(moved, second.grid.affine_ras_mm), order=1, mode="constant"
    ).reshape(first.grid.shape)
    floors = [
        _LEAST_SIGNAL * float(image[image > 0].mean()) if (image > 0).any() else 0.0
        for image in (earlier, later)
    ]
    is_soft = (first.skeleton < 0.1) & (earlier > floors[0]) & (later > floors[1])
    ratio = np.log(np.maximum(later, 1e-6) / np.maximum(earlier, 1e-6))
    smooth = _smoothed(ratio, is_soft, _GAIN_SMOOTHING_MM / max(first.grid.spacing_mm))
    return Gain(logarithm=smooth, affine_ras_mm=first.grid.affine_ras_mm)


def _smoothed(ratio: Values, is_soft: npt.NDArray[np.bool_], sigma_voxels: float) -> Values:
    """Smooth the ratio over soft tissue; far from any it tends to the median of the whole body."""
    if not is_soft.any():
        return np.zeros(ratio.shape)
    middle = float(np.median(ratio[is_soft]))
    limited = np.where(is_soft, np.clip(ratio - middle, -_MOST_LOG_CHANGE, _MOST_LOG_CHANGE), 0.0)
    weight = ndimage.gaussian_filter(is_soft.astype(np.float64), sigma_voxels)
    return middle + ndimage.gaussian_filter(limited, sigma_voxels) / (weight + 0.02)


def _to_voxels(points_mm: Points, affine_ras_mm: npt.NDArray[np.float64]) -> Points:
    inverse = np.linalg.inv(affine_ras_mm)
    return (points_mm @ inverse[:3, :3].T + inverse[:3, 3]).T


def _measures(exam: ComparedExam, points_mm: Points, gains: Mapping[str, Values]) -> Measures:
    """Sample an exam at points of its own frame; its signals are divided by the gains."""
    voxels = _to_voxels(points_mm, exam.grid.affine_ras_mm)

    def at(volume: npt.NDArray) -> npt.NDArray[np.float32]:
        sampled = ndimage.map_coordinates(volume, voxels, order=1, mode="constant", output=np.float32)
        return np.asarray(sampled, dtype=np.float32)

    dwi, probability = at(exam.images["dwi_high"]), at(exam.lesion_probability)
    is_seen = dwi > 0
    if not is_seen.any():
        return NOTHING_SEEN
    t1, fat = exam.images.get("t1"), exam.images.get(FAT_FRACTION)
    return Measures(
        adc_um2_per_s=None if exam.adc is None else adc_statistics(at(exam.adc)[is_seen]).median,
        dwi=float(np.median((dwi / gains.get("dwi_high", 1.0))[is_seen])),
        t1=None if t1 is None else float(np.median((at(t1) / gains.get("t1", 1.0))[is_seen])),
        fat_fraction=None if fat is None else float(np.median(at(fat)[is_seen])) / FAT_STEPS,
        probability=float(np.percentile(probability, 90)),
        covered=float(is_seen.mean()),
    )


def fat_change(then: Measures, now: Measures) -> float | None:
    """Return how the fat fraction changed; without Dixon, what a clear change of T1 says of it."""
    if then.fat_fraction is not None and now.fat_fraction is not None:
        return now.fat_fraction - then.fat_fraction
    rise = relative(then.t1, now.t1)
    if rise is None:
        return None
    estimate = rise / _T1_RISE_PER_FAT
    return estimate if abs(estimate) >= _LEAST_T1_FAT_CHANGE else 0.0


def relative(before: float | None, after: float | None) -> float | None:
    """Return the relative change, None where it is not known."""
    return None if before is None or after is None or before <= 0 else after / before - 1.0
