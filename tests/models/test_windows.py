import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marrowmap.data.errors import SettingsError
from marrowmap.models.windows import gaussian_weight, plan_windows, window_slices

PATCH = (8, 8, 8)


def box(shape: tuple[int, int, int], *slices: slice) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[slices] = True
    return mask


def covered(mask: np.ndarray, starts: list[tuple[int, int, int]], size: tuple[int, int, int]) -> np.ndarray:
    seen = np.zeros(mask.shape, dtype=bool)
    for start in starts:
        seen[window_slices(start, size)] = True
    return seen


def test_an_empty_target_needs_no_window() -> None:
    assert plan_windows(np.zeros((20, 20, 20), bool), PATCH) == []


def test_a_target_of_one_voxel_gets_one_window_around_it() -> None:
    target = box((20, 20, 20), slice(10, 11), slice(10, 11), slice(10, 11))
    assert plan_windows(target, PATCH) == [(6, 6, 6)]


def test_a_target_in_the_corner_keeps_its_window_inside_the_array() -> None:
    target = box((20, 20, 20), slice(19, 20), slice(0, 1), slice(19, 20))
    assert plan_windows(target, PATCH) == [(12, 0, 12)]


def test_a_target_of_14_voxels_needs_two_windows_of_8_that_share_a_quarter() -> None:
    target = box((20, 8, 8), slice(3, 17), slice(None), slice(None))
    assert plan_windows(target, PATCH, overlap=0.25) == [(3, 0, 0), (9, 0, 0)]


def test_half_overlap_needs_more_windows() -> None:
    target = np.ones((16, 8, 8), bool)
    assert len(plan_windows(target, PATCH, overlap=0.0)) == 2
    assert len(plan_windows(target, PATCH, overlap=0.5)) == 3


def test_an_array_shorter_than_the_window_starts_at_zero() -> None:
    assert plan_windows(np.ones((3, 20, 8), bool), PATCH, overlap=0.0) == [(0, 0, 0), (0, 6, 0), (0, 12, 0)]


def test_a_narrow_head_takes_fewer_windows_than_broad_shoulders() -> None:
    target = np.zeros((32, 8, 16), bool)
    target[:, :, :8] = True
    target[12:20, :, 8:] = True
    starts = plan_windows(target, PATCH, overlap=0.0)
    assert [start[0] for start in starts if start[2] == 8] == [12]
    assert len([start for start in starts if start[2] == 0]) == 4


def test_a_gap_between_two_arms_gets_no_window() -> None:
    target = np.zeros((40, 8, 8), bool)
    target[:4] = target[-4:] = True
    assert plan_windows(target, PATCH, overlap=0.0) == [(0, 0, 0), (32, 0, 0)]


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 24)] * 3),
    size=st.tuples(*[st.integers(1, 10)] * 3),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.8]),
    seed=st.integers(0, 1000),
)
def test_every_voxel_of_any_target_is_covered(
    shape: tuple[int, int, int], size: tuple[int, int, int], overlap: float, seed: int
) -> None:
    target = np.random.default_rng(seed).random(shape) > 0.97
    starts = plan_windows(target, size, overlap)
    assert (covered(target, starts, size) | ~target).all()
    assert all(
        0 <= s <= max(0, n - p) for start in starts for s, n, p in zip(start, shape, size, strict=True)
    )
    assert len(set(starts)) == len(starts)


@pytest.mark.parametrize("overlap", [-0.1, 1.0])
def test_an_impossible_overlap_is_refused(overlap: float) -> None:
    with pytest.raises(SettingsError, match=r"overlap in \[0, 1\)"):
        plan_windows(np.ones((4, 4, 4), bool), PATCH, overlap)


def test_the_middle_of_a_window_counts_most_and_a_corner_still_counts() -> None:
    weight = gaussian_weight((8, 8, 9))
    assert weight.dtype == np.float32
    assert weight.max() == weight[4, 3, 4] == 1.0
    assert weight.min() == weight[0, 0, 0] == np.float32(1e-3)
    assert np.array_equal(weight, weight[::-1, ::-1, ::-1])
