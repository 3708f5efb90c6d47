"""Outlines and pairs of lesions on grids small enough to count."""

import numpy as np
import pytest
import torch
from monai.metrics.panoptic_quality import compute_panoptic_quality

from marrowmap.training.evaluation.overlap import exam_overlap, lesion_overlaps, panoptic, surface_dice
from marrowmap.training.evaluation.settings import EvaluationSettings
from marrowmap.training.metrics import match_lesions

ISO = (2.0, 2.0, 2.0)


def cube(start: int, stop: int, label: int = 1) -> np.ndarray:
    array = np.zeros((20, 20, 20), dtype=np.int32)
    array[start:stop, start:stop, start:stop] = label
    return array


def test_a_cube_moved_by_one_voxel_agrees_within_a_voxel_and_not_within_half() -> None:
    first, second = cube(4, 8) > 0, np.roll(cube(4, 8) > 0, 1, axis=0)
    assert surface_dice(first, second, ISO, 2.0) == 1.0
    # Of each outline of 56 voxels, the 4 x 4 face and the 2 x 2 core of the opposite one miss the other.
    assert surface_dice(first, second, ISO, 1.0) == pytest.approx(36 / 56)


def test_two_empty_masks_agree_and_one_empty_mask_does_not() -> None:
    assert surface_dice(cube(0, 0) > 0, cube(0, 0) > 0, ISO, 2.0) == 1.0
    assert surface_dice(cube(4, 8) > 0, cube(0, 0) > 0, ISO, 2.0) == 0.0


def test_an_exam_without_lesion_is_left_out_or_scored_as_the_settings_say() -> None:
    nothing, something = cube(0, 0) > 0, cube(4, 8) > 0
    assert exam_overlap(nothing, something, ISO, EvaluationSettings()).dice is None
    scored = EvaluationSettings(empty_case="one")
    assert exam_overlap(nothing, nothing, ISO, scored).dice == 1.0
    assert exam_overlap(nothing, something, ISO, scored).dice == 0.0


def test_panoptic_quality_is_that_of_monai() -> None:
    rng = np.random.default_rng(0)
    reference, predicted = (np.zeros((30, 30, 30), dtype=np.int32) for _ in range(2))
    for label, start in enumerate(((1, 1, 1), (10, 10, 10), (20, 3, 20)), start=1):
        i, j, k = start
        reference[i : i + 6, j : j + 6, k : k + 6] = label
        i, j, k = (np.array(start) + rng.integers(0, 2, 3)).tolist()
        predicted[i : i + 6, j : j + 6, k : k + 6] = 4 - label
    predicted[0:3, 25:28, 0:3] = 9
    found = panoptic(reference, predicted)
    monai = compute_panoptic_quality(torch.from_numpy(predicted), torch.from_numpy(reference))
    assert found.iou_sum / found.halves == pytest.approx(float(monai), abs=1e-4)
    assert found.unmatched_predictions >= 1


def test_one_component_over_two_lesions_is_not_punished_in_each_for_the_other() -> None:
    reference, predicted = cube(2, 5), np.zeros((20, 20, 20), dtype=np.int32)
    reference[5:8, 2:5, 2:5] = 2
    predicted[2:8, 2:5, 2:5] = 1
    matches = match_lesions(reference, predicted, ISO)
    overlaps = lesion_overlaps(reference, predicted, matches, ISO, EvaluationSettings())
    assert [overlaps[1].dice, overlaps[2].dice] == [1.0, 1.0]


def test_a_missed_lesion_has_no_overlap() -> None:
    reference, predicted = cube(2, 5), cube(10, 13)
    matches = match_lesions(reference, predicted, ISO)
    overlaps = lesion_overlaps(reference, predicted, matches, ISO, EvaluationSettings())
    assert overlaps[1].dice == 0.0
