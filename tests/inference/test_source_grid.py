import numpy as np
import pytest
from numpy.testing import assert_array_equal

from marrowmap.data.grid import Grid, resample_linear
from marrowmap.inference.source_grid import lesion_mask_on

GRID = Grid(shape=(30, 24, 40), affine_ras_mm=np.diag([2.5, 2.5, 2.5, 1.0]))


def smooth_probability() -> np.ndarray:
    coarse = np.random.default_rng(0).random((8, 6, 10))
    coarse_grid = Grid(shape=(8, 6, 10), affine_ras_mm=np.diag([10.0, 10.0, 10.0, 1.0]))
    return resample_linear(coarse, coarse_grid.affine_ras_mm, GRID)


def target(spacing_mm: tuple[float, float, float], shape: tuple[int, int, int], turn: float = 0.0) -> Grid:
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = 1.3
    turned = np.eye(4)
    turned[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    return Grid(shape=shape, affine_ras_mm=turned @ affine)


@pytest.mark.parametrize(
    "wanted",
    [
        target((1.2, 1.2, 5.0), (60, 48, 19)),
        target((-1.7, 1.7, 6.0), (40, 33, 16)),
        target((4.0, 4.0, 4.0), (18, 14, 24)),
        target((2.5, 2.5, 2.5), (30, 24, 40)),
        target((1.5, 1.5, 4.0), (40, 38, 24), turn=0.2),
    ],
)
@pytest.mark.parametrize("threshold", [0.3, 0.7, 0.99])
def test_the_mask_from_blocks_is_that_of_the_whole_map_to_the_voxel(wanted: Grid, threshold: float) -> None:
    probability = smooth_probability()
    whole = resample_linear(probability, GRID.affine_ras_mm, wanted) >= threshold
    assert_array_equal(lesion_mask_on(probability, GRID, wanted, threshold), whole)


def test_nothing_found_gives_an_empty_mask() -> None:
    mask = lesion_mask_on(np.zeros(GRID.shape, np.float32), GRID, target((1.0, 1.0, 5.0), (9, 9, 9)), 0.5)
    assert mask.shape == (9, 9, 9)
    assert not mask.any()


def test_a_lesion_outside_the_images_is_left_out() -> None:
    probability = np.zeros(GRID.shape, np.float32)
    probability[28:, 20:, 38:] = 1.0
    assert not lesion_mask_on(probability, GRID, target((1.0, 1.0, 1.0), (9, 9, 9)), 0.5).any()
