"""How well outlines agree: Dice and surface Dice by lesion and by exam, and panoptic quality.

Counted with scipy from one joint histogram and two distance maps: MONAI's panoptic quality compares whole
volumes for each pair of lesions (minutes an exam), and its surface Dice calls an argument of its own that it
has withdrawn. Both give the same values, and a test holds panoptic quality against MONAI's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from marrowmap.data.exam import LabelArray, LesionMask, SpacingMm
from marrowmap.training.evaluation.settings import EvaluationSettings
from marrowmap.training.metrics import LesionMatches, dice

#: Two instances with a greater overlap than this are the same one, each in one pair at most.
MATCH_IOU = 0.5


@dataclass(frozen=True, kw_only=True)
class Panoptic:
    """Pairs of lesions that overlap by more than half, and the rest.

    Attributes:
        pairs: Reference lesions with a partner.
        iou_sum: Summed intersection over union of the pairs.
        unmatched_predictions: Predicted lesions without a partner.
        unmatched_references: Reference lesions without a partner.
    """

    pairs: int
    iou_sum: float
    unmatched_predictions: int
    unmatched_references: int

    @property
    def halves(self) -> float:
        """The denominator of panoptic quality: pairs plus half of everything without a partner."""
        return self.pairs + (self.unmatched_predictions + self.unmatched_references) / 2


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Dice and surface Dice, each in [0, 1], or None where the empty case leaves them out."""

    dice: float | None
    surface_dice: float | None


def panoptic(reference: LabelArray, predicted: LabelArray) -> Panoptic:
    """Pair reference and predicted lesions whose intersection over union is above one half.

    Args:
        reference: `(i, j, k)` lesion ids.
        predicted: `(i, j, k)` lesion ids on the same grid.
    """
    reference_sizes, predicted_sizes = _sizes(reference), _sizes(predicted)
    both = (reference > 0) & (predicted > 0)
    pairs, counts = np.unique(np.stack([reference[both], predicted[both]]), axis=1, return_counts=True)
    union = [
        reference_sizes[int(r)] + predicted_sizes[int(p)] - int(n)
        for (r, p), n in zip(pairs.T, counts, strict=True)
    ]
    iou = [int(n) / total for n, total in zip(counts, union, strict=True)]
    matched = [value for value in iou if value > MATCH_IOU]
    return Panoptic(
        pairs=len(matched),
        iou_sum=float(sum(matched)),
        unmatched_predictions=len(predicted_sizes) - len(matched),
        unmatched_references=len(reference_sizes) - len(matched),
    )


def _sizes(labels: LabelArray) -> dict[int, int]:
    ids, counts = np.unique(labels[labels > 0], return_counts=True)
    return dict(zip(ids.tolist(), counts.tolist(), strict=True))


def exam_overlap(
    reference: LesionMask, predicted: LesionMask, spacing_mm: SpacingMm, settings: EvaluationSettings
) -> Overlap:
    """Return how two whole lesion masks agree, with the empty case as the settings say."""
    if not reference.any() and settings.empty_case == "leave_out":
        return Overlap(dice=None, surface_dice=None)
    surface = surface_dice(reference, predicted, spacing_mm, settings.surface_tolerance_mm)
    return Overlap(dice=dice(reference, predicted), surface_dice=surface)


def lesion_overlaps(
    reference: LabelArray,
    predicted: LabelArray,
    matches: LesionMatches,
    spacing_mm: SpacingMm,
    settings: EvaluationSettings,
) -> dict[int, Overlap]:
    """Return how each reference lesion agrees with the components that touch it; a missed one has 0.

    Voxels of other reference lesions do not count: one component over two lesions that touch is not
    punished in each for the other.
    """
    reference_boxes, predicted_boxes = ndimage.find_objects(reference), ndimage.find_objects(predicted)
    overlaps = {}
    for label in matches.found:
        finders = [component for component, share in matches.finders[label].items() if share > 0]
        if not finders or not matches.found[label]:
            overlaps[label] = Overlap(dice=0.0, surface_dice=0.0)
            continue
        box = _hull([reference_boxes[label - 1], *(predicted_boxes[c - 1] for c in finders)])
        truth = reference[box] == label
        said = np.isin(predicted[box], finders) & (truth | (reference[box] == 0))
        surface = surface_dice(truth, said, spacing_mm, settings.surface_tolerance_mm)
        overlaps[label] = Overlap(dice=dice(truth, said), surface_dice=surface)
    return overlaps


def surface_dice(
    reference: LesionMask, predicted: LesionMask, spacing_mm: SpacingMm, tolerance_mm: float
) -> float:
    """Return the share of both outlines that lies within a tolerance of the other.

    Returns:
        1.0 when both masks are empty, 0.0 when one is.
    """
    if not reference.any() or not predicted.any():
        return float(reference.any() == predicted.any())
    box = _hull([ndimage.find_objects((reference | predicted).astype(np.uint8))[0]])
    # A voxel of margin: a mask that ends at the box has an outline there too.
    truth, said = (_outline(np.pad(mask[box], 1)) for mask in (reference, predicted))
    near = _near(truth, said, spacing_mm, tolerance_mm) + _near(said, truth, spacing_mm, tolerance_mm)
    return near / (int(truth.sum()) + int(said.sum()))


def _outline(mask: LesionMask) -> LesionMask:
    """Return the voxels of a mask that share a face with the outside."""
    return mask & ~np.asarray(ndimage.binary_erosion(mask), dtype=bool)


def _near(outline: LesionMask, other: LesionMask, spacing_mm: SpacingMm, tolerance_mm: float) -> int:
    """Return how many voxels of an outline lie within a tolerance of another."""
    distance_mm = np.asarray(ndimage.distance_transform_edt(~other, sampling=spacing_mm))
    return int((distance_mm[outline] <= tolerance_mm + 1e-6).sum())


def _hull(boxes: list[tuple[slice, ...]]) -> tuple[slice, ...]:
    """Return the smallest box around all boxes."""
    return tuple(
        slice(min(box[axis].start for box in boxes), max(box[axis].stop for box in boxes))
        for axis in range(3)
    )
