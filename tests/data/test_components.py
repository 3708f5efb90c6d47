import numpy as np
import pytest

from marrowmap.data.components import (
    components_of_labels,
    diameters_mm,
    find_components,
    longest_diameter_mm,
)
from marrowmap.data.errors import MaskError

OF_5_MM = (5.0, 5.0, 5.0)


def mask_of(*voxels: tuple[int, int, int], shape: tuple[int, int, int] = (8, 8, 8)) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    for voxel in voxels:
        mask[voxel] = True
    return mask


def test_an_empty_mask_has_no_components() -> None:
    found = find_components(mask_of())
    assert found.count == 0
    assert list(found) == []
    assert found.voxels.shape == (0,)
    assert found.centroids.shape == (0, 3)


def test_voxels_that_share_a_corner_are_one_component() -> None:
    assert find_components(mask_of((1, 1, 1), (2, 2, 2))).count == 1
    assert find_components(mask_of((1, 1, 1), (3, 3, 3))).count == 2


def test_a_component_knows_its_voxels_box_centroid_and_mm() -> None:
    found = find_components(mask_of((0, 0, 0), (4, 5, 6), (4, 5, 7)))
    assert found.voxels.tolist() == [1, 2]
    assert found.boxes[1] == (slice(4, 5), slice(5, 6), slice(6, 8))
    assert found.centroids[1].tolist() == [4.0, 5.0, 6.5]
    assert found.mask(2).shape == (1, 1, 2)
    assert found.points_mm(2, np.diag([*OF_5_MM, 1.0])).tolist() == [[20, 25, 30], [20, 25, 35]]


def test_existing_labels_are_described_even_where_they_touch() -> None:
    labels = np.zeros((4, 4, 4), np.uint16)
    labels[0], labels[1] = 1, 2
    assert components_of_labels(labels).voxels.tolist() == [16, 16]


def test_labels_with_a_gap_are_refused() -> None:
    labels = np.zeros((4, 4, 4), np.uint16)
    labels[0], labels[1] = 1, 3
    with pytest.raises(MaskError, match="need labels 1 to 3, found none of 2"):
        components_of_labels(labels)


def test_a_mask_of_numbers_is_refused() -> None:
    with pytest.raises(MaskError, match="need a boolean mask with 3 axes, found float64 with 3"):
        find_components(np.zeros((2, 2, 2)))  # pyright: ignore[reportArgumentType]


def test_one_voxel_is_as_long_as_its_longest_side_and_as_wide_as_the_next() -> None:
    assert diameters_mm(np.zeros((1, 3), int), (2.0, 3.0, 5.0)) == (5.0, 3.0)


def test_three_voxels_in_a_row_are_15_mm_long_and_5_mm_wide() -> None:
    longest_mm, perpendicular_mm = diameters_mm(np.array([(0, 0, 0), (1, 0, 0), (2, 0, 0)]), OF_5_MM)
    assert longest_mm == pytest.approx(15.0)
    assert perpendicular_mm == pytest.approx(5.0)


def test_a_diagonal_pair_is_measured_along_the_diagonal() -> None:
    # 5 * sqrt(2) between centres, plus one voxel of 5 mm.
    pair = np.array([(0, 0, 0), (1, 1, 0)])
    assert longest_diameter_mm(pair, OF_5_MM) == pytest.approx(12.071, abs=1e-3)


def test_a_row_across_thick_slices_counts_the_slice() -> None:
    sizes = diameters_mm(np.array([(0, 0, 0), (0, 0, 1)]), (1.5, 1.5, 6.0))
    assert sizes.longest_mm == pytest.approx(12.0)
    assert sizes.perpendicular_mm == pytest.approx(1.5)


@pytest.mark.parametrize("side", [3, 12])
def test_a_flat_plate_has_its_diagonal_and_its_other_diagonal(side: int) -> None:
    sizes = diameters_mm(np.argwhere(np.ones((side, side, 1))), OF_5_MM)
    assert sizes.longest_mm == pytest.approx((side - 1) * 5 * np.sqrt(2) + 5)
    assert sizes.perpendicular_mm == pytest.approx((side - 1) * 5 * np.sqrt(2) + 5)


def test_a_long_row_of_many_voxels_is_measured_from_end_to_end() -> None:
    sizes = diameters_mm(np.argwhere(np.ones((100, 1, 1))), OF_5_MM)
    assert sizes.longest_mm == pytest.approx(500.0)
    assert sizes.perpendicular_mm == pytest.approx(5.0)


def test_a_ball_of_40_mm_measures_40_mm_both_ways() -> None:
    i, j, k = np.ogrid[:25, :25, :25]
    ball = (i - 12) ** 2 + (j - 12) ** 2 + (k - 12) ** 2 <= 10.0**2
    sizes = diameters_mm(np.argwhere(ball), (2.0, 2.0, 2.0))
    assert sizes.longest_mm == pytest.approx(41.0, abs=1.1)
    assert sizes.perpendicular_mm == pytest.approx(41.0, abs=1.1)


def test_shortcuts_for_many_points_change_no_diameter() -> None:
    voxels = np.random.default_rng(5).integers(0, 9, (300, 3))
    points = voxels * np.array([2.0, 2.0, 5.0])
    every_pair = points[:, None] - points[None, :]
    distances = np.linalg.norm(every_pair, axis=-1)
    first, second = np.unravel_index(distances.argmax(), distances.shape)
    along = every_pair[first, second] / distances.max()
    expected = distances.max() + np.linalg.norm(along * [2.0, 2.0, 5.0])
    assert longest_diameter_mm(voxels, (2.0, 2.0, 5.0)) == pytest.approx(expected)


def test_no_voxels_have_no_diameter() -> None:
    with pytest.raises(MaskError, match="at least one voxel"):
        diameters_mm(np.zeros((0, 3)), OF_5_MM)
