import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from marrowmap.data.errors import GeometryError
from marrowmap.data.exam import Exam, Sequence, Volume
from marrowmap.data.grid import Grid, box_grid, common_grid, resample_linear, resample_nearest


def scaled(*spacing_mm: float, origin: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = origin
    return affine


def rotated_about_x(degrees: float) -> np.ndarray:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1.0]])


def ramp_mm(grid: Grid, direction: tuple[float, float, float]) -> np.ndarray:
    """An array whose value is the position along a direction, in mm: linear resampling must keep it."""
    voxels = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    return (grid.points_mm(voxels.reshape(-1, 3)) @ np.array(direction)).reshape(grid.shape)


def exam_of(high_b: Volume) -> Exam:
    return Exam(volumes={Sequence.DWI_HIGH: high_b, Sequence.STIR: high_b})


def test_a_voxel_of_10_mm_is_1_ml() -> None:
    assert Grid(shape=(1, 1, 1), affine_ras_mm=scaled(10, 10, 10)).voxel_ml == pytest.approx(1.0)


def test_the_common_grid_covers_the_outer_faces_of_the_high_b_volume() -> None:
    # 4 x 3 x 2 voxels of 5 mm are 20 x 15 x 10 mm: 8 x 6 x 4 voxels of 2.5 mm from face to face.
    volume = Volume(array=np.ones((4, 3, 2), np.float32), affine_ras_mm=scaled(5, 5, 5))
    grid = common_grid(exam_of(volume), 2.5)
    assert grid.shape == (8, 6, 4)
    assert_allclose(grid.affine_ras_mm, scaled(2.5, 2.5, 2.5, origin=(-1.25, -1.25, -1.25)))


def test_the_common_grid_is_ras_even_if_the_exam_is_flipped() -> None:
    volume = Volume(array=np.ones((4, 3, 2), np.float32), affine_ras_mm=scaled(-5, -5, 5, origin=(15, 10, 0)))
    grid = common_grid(exam_of(volume), 2.5)
    assert_allclose(grid.affine_ras_mm, scaled(2.5, 2.5, 2.5, origin=(-1.25, -1.25, -1.25)))


def test_an_exam_of_ten_metres_is_refused() -> None:
    with pytest.raises(GeometryError, match="need the size of a body, found 1000 x 1000 x 1000 cm"):
        box_grid(Grid(shape=(100, 100, 100), affine_ras_mm=scaled(100, 100, 100)), 2.5)


def test_the_same_grid_gives_the_same_numbers() -> None:
    array = np.random.default_rng(0).random((5, 6, 7), dtype=np.float32)
    grid = Grid(shape=(5, 6, 7), affine_ras_mm=scaled(2, 3, 4))
    assert np.array_equal(resample_linear(array, grid.affine_ras_mm, grid), array)


def test_half_way_between_two_voxels_is_their_mean() -> None:
    array = np.array([10.0, 20.0, 40.0], np.float32).reshape(3, 1, 1)
    grid = Grid(shape=(2, 1, 1), affine_ras_mm=scaled(1, 1, 1, origin=(0.5, 0, 0)))
    assert resample_linear(array, np.eye(4), grid).ravel().tolist() == [15.0, 30.0]


def test_beyond_the_outer_voxel_face_is_the_fill_and_within_it_the_outer_voxel() -> None:
    array = np.array([10.0, 20.0], np.float32).reshape(2, 1, 1)
    grid = Grid(shape=(5, 1, 1), affine_ras_mm=scaled(0.8, 1, 1, origin=(-1.2, 0, 0)))
    # Positions -1.2, -0.4, 0.4, 1.2, 2.0; the source reaches from -0.5 to 1.5.
    expected = [-7.0, 10.0, 14.0, 20.0, -7.0]
    assert_allclose(resample_linear(array, np.eye(4), grid, fill=-7.0).ravel(), expected, rtol=1e-6)


def test_without_a_fill_what_is_not_covered_is_exactly_zero() -> None:
    grid = Grid(shape=(8, 8, 8), affine_ras_mm=scaled(1, 1, 1, origin=(-2, -2, -2)))
    result = resample_linear(np.ones((4, 4, 4), np.float32), np.eye(4), grid)
    assert result.sum() == 64.0
    assert np.array_equal(result[2:6, 2:6, 2:6], np.ones((4, 4, 4)))


def test_down_sampling_averages_what_linear_interpolation_would_skip() -> None:
    # A checker of 0 and 2 at 1 mm seen at 4 mm: grey everywhere, not the value of the nearest line.
    array = np.tile(np.array([0.0, 2.0], np.float32), 20).reshape(1, 1, 40)
    grid = Grid(shape=(1, 1, 8), affine_ras_mm=scaled(1, 1, 4, origin=(0, 0, 5)))
    assert_allclose(resample_linear(array, np.eye(4), grid).ravel(), 1.0, atol=1e-6)


def test_down_sampling_by_two_weighs_1_2_1() -> None:
    array = np.array([0, 0, 0, 4, 0, 0, 0], np.float32).reshape(7, 1, 1)
    grid = Grid(shape=(3, 1, 1), affine_ras_mm=scaled(2, 1, 1, origin=(1, 0, 0)))
    assert_allclose(resample_linear(array, np.eye(4), grid).ravel(), [0.0, 2.0, 0.0])


def test_a_coronal_flipped_source_keeps_every_position() -> None:
    # Array axes run to the left, up and backward; the memory order is Fortran's, as NIfTI readers give it.
    affine = np.array([[-2.0, 0, 0, 30], [0, 0, -3.0, 25], [0, 2.5, 0, -4], [0, 0, 0, 1]])
    source = Grid(shape=(24, 20, 12), affine_ras_mm=affine)
    array = np.asfortranarray(ramp_mm(source, (1.0, 2.0, 3.0)).astype(np.float32))
    grid = Grid(shape=(9, 7, 11), affine_ras_mm=scaled(2.2, 2.1, 1.9, origin=(0, 0, 5)))
    assert_allclose(resample_linear(array, affine, grid), ramp_mm(grid, (1.0, 2.0, 3.0)), atol=1e-3)


@pytest.mark.parametrize("spacing_mm", [1.5, 3.0, 6.0])
def test_an_oblique_source_keeps_every_position(spacing_mm: float) -> None:
    affine = rotated_about_x(20) @ scaled(2, 2, 2, origin=(-40, -40, -40))
    source = Grid(shape=(41, 41, 41), affine_ras_mm=affine)
    low = -3 * spacing_mm
    grid = Grid(shape=(7, 7, 7), affine_ras_mm=scaled(*[spacing_mm] * 3, origin=(low, low, low)))
    result = resample_linear(ramp_mm(source, (1.0, 2.0, 3.0)).astype(np.float32), affine, grid)
    assert_allclose(result, ramp_mm(grid, (1.0, 2.0, 3.0)), atol=2e-2)


def test_an_oblique_source_fills_what_it_does_not_reach() -> None:
    affine = rotated_about_x(45) @ scaled(1, 1, 1, origin=(-4, -4, -4))
    grid = Grid(shape=(1, 1, 3), affine_ras_mm=scaled(1, 1, 9, origin=(0, 0, -9)))
    result = resample_linear(np.ones((9, 9, 9), np.float32), affine, grid, fill=-1.0)
    assert result.ravel().tolist() == [-1.0, 1.0, -1.0]


def test_a_barely_tilted_source_agrees_with_a_parallel_one() -> None:
    array = np.random.default_rng(1).random((20, 20, 20), dtype=np.float32)
    grid = Grid(shape=(10, 10, 10), affine_ras_mm=scaled(1, 1, 1, origin=(4.3, 4.6, 4.1)))
    tilted = resample_linear(array, rotated_about_x(0.4), grid)
    assert np.abs(tilted - resample_linear(array, np.eye(4), grid)).max() < 0.2


def test_labels_go_to_the_nearest_voxel_and_to_zero_outside() -> None:
    labels = np.array([1, 2], np.uint8).reshape(2, 1, 1)
    grid = Grid(shape=(6, 1, 1), affine_ras_mm=scaled(0.5, 1, 1, origin=(-0.75, 0, 0)))
    result = resample_nearest(labels, np.eye(4), grid)
    assert result.dtype == np.uint8
    assert result.ravel().tolist() == [0, 1, 1, 2, 2, 0]


def test_labels_keep_their_places_when_axes_are_swapped() -> None:
    labels = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    affine = np.array([[0, 0, 1.0, 0], [0, -1.0, 0, 2], [1.0, 0, 0, 0], [0, 0, 0, 1]])
    grid = Grid(shape=(4, 3, 2), affine_ras_mm=np.eye(4))
    assert np.array_equal(resample_nearest(labels, affine, grid), labels[:, ::-1].transpose(2, 1, 0))


def test_labels_of_an_oblique_source_are_found_at_their_mm() -> None:
    affine = rotated_about_x(30)
    labels = np.zeros((9, 9, 9), bool)
    labels[4, 6, 3] = True
    point = (affine @ np.array([4, 6, 3, 1.0]))[:3]
    grid = Grid(shape=(3, 3, 3), affine_ras_mm=scaled(2, 2, 2, origin=tuple(point - 2)))
    result = resample_nearest(labels, affine, grid)
    assert result.dtype == bool
    assert np.argwhere(result).tolist() == [[1, 1, 1]]
