"""Stations become one volume."""

import numpy as np
import pytest

from marrowmap.data.errors import GeometryError
from marrowmap.data.exam import Volume
from marrowmap.data.stations import compose_stations


def affine_at(origin: tuple[float, float, float], spacing: float = 2.0) -> np.ndarray:
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = origin
    return affine


def flat_station(z_mm: float, value: float, planes: int = 10, side: int = 8) -> Volume:
    array = np.full((side, side, planes), value, dtype=np.float32)
    return Volume(array=array, affine_ras_mm=affine_at((0.0, 0.0, z_mm)))


def smooth_body(shape: tuple[int, int, int], affine: np.ndarray) -> np.ndarray:
    """A signal that is linear in mm, so that linear interpolation is exact."""
    index = np.indices(shape).reshape(3, -1)
    mm = affine[:3, :3] @ index + affine[:3, 3:]
    return (500 + mm[0] + 2 * mm[1] + 3 * mm[2]).reshape(shape).astype(np.float32)


def test_one_station_comes_back_as_it_is() -> None:
    station = flat_station(0.0, 3.0)
    assert compose_stations([station], equalise=True).volume is station


def test_no_station_is_refused() -> None:
    with pytest.raises(GeometryError, match="at least one station"):
        compose_stations([], equalise=True)


def test_two_stations_of_ten_planes_sharing_four_make_sixteen() -> None:
    composed = compose_stations([flat_station(12.0, 1.0), flat_station(0.0, 1.0)], equalise=False)
    assert composed.volume.shape == (8, 8, 16)
    assert composed.volume.affine_ras_mm[2, 3] == 0.0
    assert composed.seams[0].overlap_mm == pytest.approx(8.0)
    assert composed.seams[0].position_ras_mm[2] == pytest.approx(15.0)


def test_an_overlap_of_three_planes_is_blended_in_quarters() -> None:
    composed = compose_stations([flat_station(0.0, 4.0), flat_station(14.0, 8.0)], equalise=False)
    assert composed.volume.array[3, 3, 6:11].tolist() == [4.0, 5.0, 6.0, 7.0, 8.0]


def test_gains_of_one_and_four_meet_at_two() -> None:
    composed = compose_stations([flat_station(0.0, 100.0), flat_station(12.0, 400.0)], equalise=True)
    assert np.allclose(composed.volume.array, 200.0, rtol=1e-5)
    assert composed.seams[0].gain == pytest.approx(4.0)
    assert composed.seams[0].residual == pytest.approx(0.0, abs=1e-5)


def test_touching_stations_are_equalised_at_their_facing_planes() -> None:
    composed = compose_stations([flat_station(0.0, 100.0), flat_station(20.0, 400.0)], equalise=True)
    assert composed.volume.shape == (8, 8, 20)
    assert np.allclose(composed.volume.array, 200.0, rtol=1e-5)
    assert composed.warnings == ()


def test_adc_is_never_equalised_and_its_empty_voxels_do_not_count() -> None:
    upper = flat_station(12.0, 1000.0)
    lower = flat_station(0.0, 800.0)
    lower.array[:, :, 8] = 0.0
    composed = compose_stations([lower, upper], equalise=False)
    assert composed.volume.array[0, 0, 8] == pytest.approx(1000.0)
    assert composed.volume.array[0, 0, 0] == 800.0


def test_a_gap_of_twenty_mm_is_named() -> None:
    composed = compose_stations([flat_station(0.0, 1.0), flat_station(40.0, 1.0)], equalise=True)
    assert composed.warnings[0].code == "station_gap"
    assert "over 20 mm" in composed.warnings[0].text
    assert composed.volume.array[0, 0, 12] == 0.0


def test_stations_that_disagree_are_a_strong_seam() -> None:
    random = np.random.default_rng(0)
    first, second = flat_station(0.0, 1.0), flat_station(10.0, 1.0)
    first.array[:] = random.uniform(10, 100, first.shape)
    second.array[:] = random.uniform(10, 100, second.shape)
    assert compose_stations([first, second], equalise=True).warnings[0].code == "strong_seam"


def test_a_station_between_the_planes_is_interpolated_linearly() -> None:
    lower_affine, upper_affine = affine_at((0.0, 0.0, 0.0)), affine_at((0.0, 0.0, 13.0))
    lower = Volume(array=smooth_body((6, 6, 10), lower_affine), affine_ras_mm=lower_affine)
    upper = Volume(array=smooth_body((6, 6, 9), upper_affine), affine_ras_mm=upper_affine)
    composed = compose_stations([lower, upper], equalise=False).volume
    assert composed.shape == (6, 6, 15)
    assert np.allclose(composed.array, smooth_body(composed.shape, composed.affine_ras_mm), atol=1e-2)


def test_oblique_stations_keep_their_orientation() -> None:
    angle = np.deg2rad(20.0)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    lower_affine, upper_affine = np.eye(4), np.eye(4)
    lower_affine[:3, :3] = upper_affine[:3, :3] = turn @ np.diag([2.0, 2.0, 4.0])
    upper_affine[:3, 3] = turn @ [0.0, 0.0, 32.0]
    lower = Volume(array=smooth_body((6, 6, 10), lower_affine), affine_ras_mm=lower_affine)
    upper = Volume(array=smooth_body((6, 6, 10), upper_affine), affine_ras_mm=upper_affine)
    composed = compose_stations([upper, lower], equalise=False).volume
    assert composed.shape == (6, 6, 18)
    assert np.allclose(composed.array, smooth_body(composed.shape, composed.affine_ras_mm), atol=1e-2)


def test_coronal_stations_stack_along_the_row_axis() -> None:
    coronal = np.array([[2.0, 0, 0, 0], [0, 0, 5.0, 0], [0, -2.0, 0, 100.0], [0, 0, 0, 1]])
    lower = coronal.copy()
    lower[2, 3] -= 12.0
    a = Volume(array=smooth_body((6, 10, 4), coronal), affine_ras_mm=coronal)
    b = Volume(array=smooth_body((6, 10, 4), lower), affine_ras_mm=lower)
    composed = compose_stations([b, a], equalise=False).volume
    assert composed.shape == (6, 16, 4)
    assert np.allclose(composed.array, smooth_body(composed.shape, composed.affine_ras_mm), atol=1e-2)


def test_reversed_slices_are_turned_to_the_same_axes() -> None:
    flipped = affine_at((0.0, 0.0, 30.0))
    flipped[2, 2] = -2.0
    reversed_station = Volume(array=smooth_body((8, 8, 10), flipped), affine_ras_mm=flipped)
    lower_affine = affine_at((0.0, 0.0, 0.0))
    lower = Volume(array=smooth_body((8, 8, 10), lower_affine), affine_ras_mm=lower_affine)
    composed = compose_stations([lower, reversed_station], equalise=False).volume
    assert composed.shape == (8, 8, 16)
    assert np.allclose(composed.array, smooth_body(composed.shape, composed.affine_ras_mm), atol=1e-2)


def test_stations_at_an_angle_are_refused() -> None:
    turned = np.eye(4)
    turned[:3, :3] = [[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]
    other = Volume(array=np.ones((4, 4, 4), dtype=np.float32), affine_ras_mm=turned)
    with pytest.raises(GeometryError, match="turned by 37 degrees"):
        compose_stations([flat_station(0.0, 1.0), other], equalise=True)
