"""Patient coordinates: DICOM's and ours."""

import numpy as np
import pytest

from marrowmap.data.errors import GeometryError
from marrowmap.data.frames import affine_ras_from_dicom, lps_from_ras, lps_to_ras, ras_from_lps, ras_to_lps


def test_left_and_posterior_change_sign_and_head_does_not() -> None:
    assert ras_from_lps([1.0, 2.0, 3.0]).tolist() == [-1.0, -2.0, 3.0]


def test_there_and_back_is_where_we_were() -> None:
    affine = np.array([[1.0, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [0, 0, 0, 1]])
    assert np.array_equal(ras_to_lps(lps_to_ras(affine)), affine)
    points = np.arange(12.0).reshape(4, 3)
    assert np.array_equal(lps_from_ras(ras_from_lps(points)), points)


def test_what_is_neither_points_nor_affine_is_refused() -> None:
    with pytest.raises(GeometryError, match=r"found shape \(2, 2\)"):
        ras_from_lps(np.zeros((2, 2)))


def test_an_axial_slice_has_rows_to_the_left_and_columns_to_the_back() -> None:
    affine = affine_ras_from_dicom([1, 0, 0, 0, 1, 0], [-10, -20, 30], [3.0, 2.0], [0, 0, 5.0])
    assert (affine @ [0, 0, 0, 1])[:3].tolist() == [10, 20, 30]
    assert (affine @ [1, 0, 0, 1])[:3].tolist() == [8, 20, 30]  # one column: 2 mm to the left
    assert (affine @ [0, 1, 0, 1])[:3].tolist() == [10, 17, 30]  # one row: 3 mm to the back
    assert (affine @ [0, 0, 1, 1])[:3].tolist() == [10, 20, 35]
