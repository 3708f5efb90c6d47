"""From which probability a voxel is called lesion: chosen on validation exams by one stated rule.

**Rule.** Of the thresholds with no more than two false positives an exam (components that belong to no
lesion), the one that finds most lesions of 5 mm or more; of equal ones the one with fewer false positives. A
reader takes two findings away in seconds and does not see what was never shown. Where no threshold is so
quiet, the one with the highest lesion-level F1. Lesions are outlined as `infer` does it
(`lesion_components`): what reaches the threshold, drawn to a probability of 0.5.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowmap.data.components import find_components
from marrowmap.data.exam import Array3D
from marrowmap.data.lesion_outline import OUTLINE_PROBABILITY, component_peaks, is_speck
from marrowmap.models.engine import Engine
from marrowmap.models.unet import LESION_CHANNEL
from marrowmap.models.windows import gaussian_weight, plan_windows, window_slices
from marrowmap.training.cache import PreparedExam
from marrowmap.training.metrics import FOUND_OVERLAP, LesionMatches, match_lesions

_log = logging.getLogger(__name__)

#: Finer near 1: small lesions count more in training, which lifts every doubtful probability.
THRESHOLDS = (*(round(0.05 * n, 2) for n in range(2, 20)), 0.96, 0.97, 0.98, 0.985, 0.99, 0.995)
FOCAL_MM = 5.0
#: False positives an exam that a reader is asked to take away at most.
MOST_FALSE_POSITIVES = 2.0


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """What a threshold gives on the validation exams.

    Attributes:
        threshold: Probability.
        found: Lesions of 5 mm or more found.
        lesions: Lesions of 5 mm or more.
        false_positives: Components that belong to no lesion.
        exams: Validation exams.
        lesion_dice: Voxels of all exams together.
    """

    threshold: float
    found: int
    lesions: int
    false_positives: int
    exams: int
    lesion_dice: float

    @property
    def f1(self) -> float:
        """Harmonic mean of sensitivity and of the share of findings that are lesions."""
        return 2 * self.found / max(self.found + self.lesions + self.false_positives, 1)


def choose_threshold(points: Sequence[OperatingPoint]) -> OperatingPoint:
    """Return the point that the rule names."""
    quiet = [point for point in points if point.false_positives <= MOST_FALSE_POSITIVES * point.exams]
    if quiet:
        return max(quiet, key=lambda point: (point.found, -point.false_positives, -point.threshold))
    return max(points, key=lambda point: (round(point.f1, 6), -point.threshold))


def sweep(
    exams: Iterable[PreparedExam], engine: Engine, thresholds: Sequence[float] = THRESHOLDS
) -> list[OperatingPoint]:
    """Return what each threshold gives over all exams.

    Args:
        exams: Validation exams.
        engine: The network.
        thresholds: Probabilities to try.
    """
    tried: dict[float, list[_Tried]] = {threshold: [] for threshold in thresholds}
    for number, exam in enumerate(exams, start=1):
        probability = lesion_probability(exam, engine)
        outlined: dict[float, _Outlined] = {}
        for threshold in thresholds:
            outline = min(OUTLINE_PROBABILITY, threshold)
            if outline not in outlined:
                outlined[outline] = _outlined(exam, probability, outline)
            tried[threshold].append(outlined[outline].at(threshold))
        _log.info("validation exam %d segmented", number)
    return [_point(threshold, results) for threshold, results in tried.items()]


def lesion_probability(exam: PreparedExam, engine: Engine, overlap: float = 0.25) -> Array3D:
    """Return the blended lesion probability of a prepared exam, 0 where no window looked."""
    size, shape = engine.patch_size, exam.lesions.shape
    body = np.ones(shape, dtype=bool) if exam.body is None else np.asarray(exam.body)
    padded = [max(side, have) for side, have in zip(size, shape, strict=True)]
    image = np.zeros((exam.image.shape[0], *padded), dtype=np.float32)
    image[:, : shape[0], : shape[1], : shape[2]] = exam.image
    logits, weights = np.zeros(padded, dtype=np.float32), np.zeros(padded, dtype=np.float32)
    weight, starts = gaussian_weight(size), plan_windows(body, size, overlap)
    patches = (image[(slice(None), *window_slices(start, size))] for start in starts)
    for start, output in zip(starts, engine.run_many(patches), strict=True):
        logits[window_slices(start, size)] += weight * output[LESION_CHANNEL]
        weights[window_slices(start, size)] += weight
    looked = weights > 0
    probability = np.zeros(padded, dtype=np.float32)
    probability[looked] = 1 / (1 + np.exp(-logits[looked] / weights[looked]))
    return probability[: shape[0], : shape[1], : shape[2]]


@dataclass(frozen=True, kw_only=True)
class _Tried:
    """One exam at one threshold: lesions of 5 mm or more, and voxels."""

    found: int
    lesions: int
    false_positives: int
    overlap: int
    sizes: int


@dataclass(frozen=True, kw_only=True, eq=False)
class _Outlined:
    """One exam's components, matched once for all thresholds that outline them alike.

    Attributes:
        match: All components but specks against the reference.
        peaks: Highest probability of each, by component from 1 (entry 0 is none).
        voxels: Voxels of each.
        overlap: Those of them in a reference lesion.
        reference_voxels: Voxels of all reference lesions.
    """

    match: LesionMatches
    peaks: npt.NDArray[np.float32]
    voxels: npt.NDArray[np.int64]
    overlap: npt.NDArray[np.int64]
    reference_voxels: int

    def at(self, threshold: float) -> _Tried:
        """Return what is found where only components that reach a threshold are listed."""
        listed = {n for n in self.match.belongs if self.peaks[n] >= threshold}
        shares = {
            label: sum(share for n, share in finders.items() if n in listed)
            for label, finders in self.match.finders.items()
            if self.match.diameters_mm[label] >= FOCAL_MM
        }
        rows = sorted(listed)
        return _Tried(
            found=sum(share >= FOUND_OVERLAP for share in shares.values()),
            lesions=len(shares),
            false_positives=sum(not self.match.belongs[n] for n in listed),
            overlap=int(self.overlap[rows].sum()),
            sizes=int(self.voxels[rows].sum()) + self.reference_voxels,
        )


def _outlined(exam: PreparedExam, probability: Array3D, outline: float) -> _Outlined:
    components = find_components(probability >= outline)
    is_listed = np.concatenate([[False], ~is_speck(components, exam.spacing_mm)])
    reference, labels = np.asarray(exam.lesions), components.labels
    predicted = np.where(is_listed[labels], labels, 0)
    known = {int(item["id"]): float(item["longest_diameter_mm"]) for item in exam.facts.get("lesions", [])}
    return _Outlined(
        match=match_lesions(reference, predicted, exam.spacing_mm, known),
        peaks=np.concatenate([[np.float32(0)], component_peaks(components, probability)]),
        voxels=np.concatenate([[0], components.voxels]),
        overlap=np.bincount(labels[reference > 0], minlength=components.count + 1),
        reference_voxels=int((reference > 0).sum()),
    )


def _point(threshold: float, results: Sequence[_Tried]) -> OperatingPoint:
    return OperatingPoint(
        threshold=threshold,
        found=sum(result.found for result in results),
        lesions=sum(result.lesions for result in results),
        false_positives=sum(result.false_positives for result in results),
        exams=len(results),
        lesion_dice=2 * sum(r.overlap for r in results) / max(sum(r.sizes for r in results), 1),
    )
