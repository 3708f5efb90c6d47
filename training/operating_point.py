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

from marrowmap.data.components import Components
from marrowmap.data.exam import Array3D
from marrowmap.data.lesion_outline import lesion_components
from marrowmap.models.engine import Engine
from marrowmap.models.unet import LESION_CHANNEL
from marrowmap.models.windows import gaussian_weight, plan_windows, window_slices
from marrowmap.training.cache import PreparedExam
from marrowmap.training.metrics import LesionMatches, match_lesions

_log = logging.getLogger(__name__)

#: Finer near 1: small lesions count more in training, which lifts every doubtful probability.
THRESHOLDS = (*(round(0.05 * n, 2) for n in range(2, 20)), 0.96, 0.97, 0.98, 0.985, 0.99, 0.995)
#: Components below this are specks that no output lists (half a 5 mm sphere).
SPECK_ML = 0.03
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
    tried: dict[float, list[tuple[LesionMatches, int, int]]] = {threshold: [] for threshold in thresholds}
    for number, exam in enumerate(exams, start=1):
        probability = lesion_probability(exam, engine)
        known = {
            int(item["id"]): float(item["longest_diameter_mm"]) for item in exam.facts.get("lesions", [])
        }
        for threshold in thresholds:
            tried[threshold].append(_tried(exam, probability, threshold, known))
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


def _tried(
    exam: PreparedExam, probability: Array3D, threshold: float, known: dict[int, float]
) -> tuple[LesionMatches, int, int]:
    """Return the matches, the overlap and the summed sizes of reference and prediction, in voxels."""
    components, is_found = lesion_components(probability, threshold)
    is_listed = is_found & ~is_speck(components, exam.spacing_mm)
    predicted = np.where(np.concatenate([[False], is_listed])[components.labels], components.labels, 0)
    reference = np.asarray(exam.lesions)
    overlap = int(((reference > 0) & (predicted > 0)).sum())
    sizes = int((reference > 0).sum()) + int((predicted > 0).sum())
    return match_lesions(reference, predicted, exam.spacing_mm, known), overlap, sizes


def is_speck(components: Components, spacing_mm: tuple[float, float, float]) -> npt.NDArray[np.bool_]:
    """Say of each component, bool `(n,)`, whether it is too small to be listed."""
    return components.voxels * (np.prod(spacing_mm) / 1000) < SPECK_ML


def _point(threshold: float, results: Sequence[tuple[LesionMatches, int, int]]) -> OperatingPoint:
    matches = [match for match, _, _ in results]
    focal = [m.found[label] for m in matches for label, size in m.diameters_mm.items() if size >= FOCAL_MM]
    return OperatingPoint(
        threshold=threshold,
        found=sum(focal),
        lesions=len(focal),
        false_positives=sum(match.false_positives for match in matches),
        exams=len(matches),
        lesion_dice=2 * sum(o for _, o, _ in results) / max(sum(s for _, _, s in results), 1),
    )
