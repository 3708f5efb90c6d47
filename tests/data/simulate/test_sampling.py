"""Partial volume, axis by axis."""

from __future__ import annotations

import numpy as np
import pytest

from marrowmap.data.simulate.geometry import filling, stations_along
from marrowmap.data.simulate.sampling import Axis, AxisWeights, axis_weights, sample


def weights_of(axis: Axis, *, count: int = 10, **extra: float) -> AxisWeights:
    return axis_weights(axis, body_first_mm=0.0, body_step_mm=2.0, body_count=count, **extra)


def seen(axis: Axis, body: list[float], **extra: float) -> list[float]:
    weights = weights_of(axis, count=len(body), **extra)
    return list(weights.matrix @ np.array(body, dtype=np.float32)[weights.used])


def test_a_voxel_of_four_mm_averages_two_of_the_body() -> None:
    assert seen(Axis(first_mm=1.0, step_mm=4.0, count=2), [1.0, 3.0, 5.0, 9.0]) == [2.0, 7.0]


def test_a_voxel_of_five_mm_takes_half_of_its_outermost_voxels() -> None:
    voxel = Axis(first_mm=4.0, step_mm=5.0, count=1)  # 1.5 to 6.5 mm: voxels at 2, 4, 6 by 1.5, 2, 1.5 mm
    assert seen(voxel, [0.0, 10.0, 20.0, 30.0]) == pytest.approx([0.3 * 10 + 0.4 * 20 + 0.3 * 30])


def test_a_finer_voxel_interpolates_linearly() -> None:
    assert seen(Axis(first_mm=0.0, step_mm=1.0, count=4), [0.0, 10.0, 20.0]) == [0.0, 5.0, 10.0, 15.0]


def test_outside_the_body_grid_is_air() -> None:
    assert seen(Axis(first_mm=-20.0, step_mm=2.0, count=2), [7.0, 7.0]) == [0.0, 0.0]


def test_a_shift_moves_what_is_seen() -> None:
    axis = Axis(first_mm=0.0, step_mm=2.0, count=4)
    assert seen(axis, [0.0, 0.0, 8.0, 0.0], shift_mm=2.0) == [0.0, 0.0, 0.0, 8.0]


def test_only_the_slices_that_a_station_needs_are_used() -> None:
    assert weights_of(Axis(first_mm=8.0, step_mm=2.0, count=2)).used == slice(4, 6)


def test_three_axes_are_averaged_and_keep_their_order() -> None:
    body = np.arange(4 * 6 * 8, dtype=np.float32).reshape(4, 6, 8)
    two_by_two = [weights_of(Axis(first_mm=1.0, step_mm=4.0, count=n // 2), count=n) for n in body.shape]
    expected = body.reshape(2, 2, 3, 2, 4, 2).mean(axis=(1, 3, 5))
    assert np.allclose(sample(body, (two_by_two[0], two_by_two[1], two_by_two[2])), expected)


def test_stations_share_a_lattice_overlap_and_cover_the_span_head_first() -> None:
    stations = stations_along((0.0, 100.0), step_mm=5.0, number=3, overlap_mm=20.0)
    assert [(axis.first_mm, axis.count) for axis in stations] == [(52.5, 10), (22.5, 10), (2.5, 10)]


def test_one_station_covers_everything() -> None:
    assert stations_along((0.0, 100.0), step_mm=5.0, number=1, overlap_mm=20.0) == [
        filling((0.0, 100.0), 5.0)
    ]
