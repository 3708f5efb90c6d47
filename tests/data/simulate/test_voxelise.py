import numpy as np
import pytest

from marrowmap.data.simulate.shapes import ellipsoid, loft, tube
from marrowmap.data.simulate.voxelise import inside_surface

GRID = (40, 40, 40)


def test_a_box_from_2_to_6_holds_its_64_voxel_centres() -> None:
    corners = np.array([[x, y, z] for x in (1.5, 5.5) for y in (1.5, 5.5) for z in (1.5, 5.5)])
    faces = np.array(
        [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
         [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]]
    )  # fmt: skip
    _, inside = inside_surface(corners, faces, GRID)
    assert inside.sum() == 64


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_sphere_of_10_voxels_has_its_volume(is_closed: bool) -> None:
    ball = ellipsoid((20.3, 20.1, 19.7, 10, 10, 10, 0, 0, 0, 2))
    _, inside = inside_surface(ball.vertices, ball.faces, GRID, is_closed=is_closed)
    assert inside.sum() == pytest.approx(4 / 3 * np.pi * 1000, rel=0.06)


def test_a_missing_face_is_bridged_by_the_vote_of_three_axes() -> None:
    ball = ellipsoid((20.3, 20.1, 19.7, 10, 10, 10, 0, 0, 0, 2))
    whole = inside_surface(ball.vertices, ball.faces, GRID)[1]
    holed = inside_surface(ball.vertices, ball.faces[3:], GRID, is_closed=False)[1]
    assert (whole != holed).sum() < 0.02 * whole.sum()


def test_a_surface_beside_the_grid_holds_nothing() -> None:
    ball = ellipsoid((90, 20, 20, 10, 10, 10, 0, 0, 0, 2))
    assert inside_surface(ball.vertices, ball.faces, GRID)[1].sum() == 0


def test_a_surface_half_outside_the_grid_keeps_its_inner_half() -> None:
    ball = ellipsoid((20.3, 20.1, -0.5, 10, 10, 10, 0, 0, 0, 2))
    _, inside = inside_surface(ball.vertices, ball.faces, GRID)
    assert inside.sum() == pytest.approx(2 / 3 * np.pi * 1000, rel=0.08)


def test_a_tube_of_radius_3_and_length_20_has_its_volume() -> None:
    line = tube([[20, 20, z, 3.0] for z in range(10, 31, 5)], sectors=24)
    _, inside = inside_surface(line.vertices, line.faces, GRID)
    assert inside.sum() == pytest.approx(np.pi * 9 * 20, rel=0.08)


def test_a_loft_of_two_equal_ellipses_is_a_cylinder() -> None:
    skin = loft([(z, 20, 20, 8, 5, 5, 2, 2, 0) for z in (5.5, 25.5)])
    _, inside = inside_surface(skin.vertices, skin.faces, GRID)
    assert inside.sum() == pytest.approx(np.pi * 8 * 5 * 20, rel=0.05)
