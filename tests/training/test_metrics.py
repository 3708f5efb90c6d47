"""Lesion matching by hand: cubes and lines on small grids."""

import numpy as np
import pytest

from marrowmap.training.metrics import count_band, count_patch, dice, match_lesions, region_dice, size_bin

ISO = (2.0, 2.0, 2.0)


def empty() -> np.ndarray:
    return np.zeros((20, 20, 20), dtype=np.int32)


def box(*sides: slice, label: int = 1) -> np.ndarray:
    array = empty()
    array[sides] = label
    return array


def cube(start: int, side: int, label: int = 1) -> np.ndarray:
    return box(*(slice(start, start + side),) * 3, label=label)


def test_a_lesion_covered_by_a_tenth_is_found() -> None:
    reference = box(slice(0, 10), slice(0, 1), slice(0, 1))  # ten voxels in a row
    found = match_lesions(reference, box(slice(0, 1), slice(0, 1), slice(0, 1)), ISO)
    assert found.found == {1: True}
    assert found.false_positives == 0


def test_a_lesion_covered_by_less_than_a_tenth_is_missed_but_its_finder_is_no_false_positive() -> None:
    reference = box(slice(0, 11), slice(0, 1), slice(0, 1))
    predicted = box(slice(10, 20), slice(0, 1), slice(0, 1))  # one voxel of eleven, centroid far away
    matches = match_lesions(reference, predicted, ISO)
    assert matches.found == {1: False}
    assert matches.false_positives == 0


def test_a_component_centred_one_voxel_beside_a_lesion_finds_it() -> None:
    assert match_lesions(cube(5, 1), cube(6, 1), ISO).found == {1: True}
    assert match_lesions(cube(5, 1), cube(7, 1), ISO).found == {1: False}


def test_a_component_that_touches_nothing_is_a_false_positive() -> None:
    matches = match_lesions(cube(2, 3), cube(12, 3), ISO)
    assert matches.found == {1: False}
    assert matches.false_positives == 1


def test_two_lesions_under_one_component_are_both_found() -> None:
    reference = cube(2, 2) + cube(6, 2, label=2)
    matches = match_lesions(reference, cube(2, 6), ISO)
    assert matches.found == {1: True, 2: True}
    assert matches.false_positives == 0
    assert matches.predicted == 1


def test_nothing_in_either_is_no_finding_and_no_error() -> None:
    matches = match_lesions(empty(), empty(), ISO)
    assert matches.found == {}
    assert matches.false_positives == 0


def test_a_known_diameter_is_not_measured_again() -> None:
    assert match_lesions(cube(2, 3), empty(), ISO, {1: 6.5}).diameters_mm == {1: 6.5}


def test_dice_of_two_empty_masks_is_one() -> None:
    assert dice(empty() > 0, empty() > 0) == 1.0
    assert dice(cube(2, 2) > 0, empty() > 0) == 0.0


def test_dice_of_half_overlap() -> None:
    first = box(slice(0, 4), slice(0, 1), slice(0, 1)) > 0
    second = box(slice(2, 6), slice(0, 1), slice(0, 1)) > 0
    assert dice(first, second) == 0.5


def test_only_regions_of_the_reference_are_scored() -> None:
    scores = region_dice(cube(0, 2, label=3), cube(0, 2, label=3) + cube(10, 2, label=4))
    assert scores == {"thoracic_spine": 1.0}


@pytest.mark.parametrize(
    ("lesions", "band"), [(0, "0"), (1, "1"), (2, "2-4"), (4, "2-4"), (5, "5-20"), (20, "5-20"), (21, ">20")]
)
def test_bands_change_at_the_counts_of_the_rules(lesions: int, band: str) -> None:
    assert count_band(lesions) == band


@pytest.mark.parametrize(
    ("diameter", "name"),
    [(4.99, None), (5.0, "5-7 mm"), (7.0, "7-10 mm"), (19.9, "15-20 mm"), (20.0, ">20 mm")],
)
def test_bins_hold_their_lower_edge(diameter: float, name: str | None) -> None:
    assert size_bin(diameter) == name


def test_counts_of_patches_add_up() -> None:
    lesions, regions = cube(2, 2), cube(0, 10, label=3)
    hit = count_patch(lesions, lesions > 0, regions, regions)
    miss = count_patch(lesions, empty() > 0, regions, np.zeros_like(regions))
    summary = (hit + miss).summary()
    assert summary["sensitivity"] == 0.5
    assert summary["lesion_dice"] == pytest.approx(2 * 8 / 24)
    assert summary["region_accuracy"] == 0.5


def test_a_nodule_too_small_to_count_is_neither_missed_nor_falsely_found() -> None:
    nodule, regions = cube(2, 1), empty()
    found = count_patch(nodule, nodule > 0, regions, regions, nodule > 0)
    missed = count_patch(nodule, empty() > 0, regions, regions, nodule > 0)
    assert (found.lesions, found.false_positives, found.voxels) == (0, 0, 0)
    assert (missed.lesions, missed.voxels) == (0, 0)
