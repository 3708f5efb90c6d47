from __future__ import annotations

import numpy as np
import pytest

from marrowmap.data.errors import SettingsError
from marrowmap.inference.response.matching import LesionMatch, MatchSettings, match_lesions


def block(x: float, y: float = 0.0, z: float = 0.0, *, size: int = 4, step: float = 2.5) -> np.ndarray:
    """The voxel middles of a cube of 10 mm (4 voxels of 2.5 mm) whose corner lies at x, y, z in mm."""
    return np.argwhere(np.ones((size, size, size))) * step + (x, y, z)


def pairs(matches: tuple[LesionMatch, ...]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return [(match.before, match.after) for match in matches]


def test_nothing_before_and_nothing_after_match_nothing() -> None:
    assert match_lesions({}, {}) == ()


def test_a_lesion_in_the_same_place_is_the_same_whatever_its_number() -> None:
    found = match_lesions({1: block(0), 2: block(50)}, {1: block(51), 2: block(1)})
    assert pairs(found) == [((1,), (2,)), ((2,), (1,))]


def test_a_lesion_without_a_partner_is_new_or_gone() -> None:
    assert pairs(match_lesions({1: block(0)}, {1: block(60)})) == [((1,), ()), ((), (1,))]


def test_two_lesions_that_grow_together_have_merged() -> None:
    one = np.concatenate([block(x) for x in (0, 10, 20)])
    assert pairs(match_lesions({1: block(0), 2: block(20)}, {1: one})) == [((1, 2), (1,))]


def test_one_lesion_that_falls_into_two_has_split() -> None:
    one = np.concatenate([block(x) for x in (0, 10, 20)])
    assert pairs(match_lesions({1: one}, {1: block(0), 2: block(20)})) == [((1,), (1, 2))]


def test_neighbours_that_touch_after_an_inexact_registration_stay_apart() -> None:
    # Two cubes 2.5 mm apart, laid on each other 3 mm off: each still has its own partner.
    before = {1: block(0), 2: block(12.5)}
    after = {1: block(3.0), 2: block(15.5)}
    assert pairs(match_lesions(before, after)) == [((1,), (1,)), ((2,), (2,))]


def test_a_neighbour_that_vanished_is_not_taken_for_merged() -> None:
    assert pairs(match_lesions({1: block(0), 2: block(10)}, {1: block(0)})) == [((1,), (1,)), ((2,), ())]


def test_a_small_lesion_that_registration_left_4_mm_off_is_found_by_nearness() -> None:
    small = block(0, size=2)  # 5 mm
    assert pairs(match_lesions({1: small}, {1: small + np.array([6.5, 0, 0])})) == [
        ((1,), (1,))
    ]  # a gap of 4 mm
    assert pairs(match_lesions({1: small}, {1: small + np.array([20.0, 0, 0])})) == [((1,), ()), ((), (1,))]


def test_every_lesion_is_in_exactly_one_match() -> None:
    rng = np.random.default_rng(0)
    before = {n: block(*rng.uniform(0, 80, 3)) for n in range(1, 21)}
    after = {n: block(*rng.uniform(0, 80, 3)) for n in range(1, 16)}
    found = match_lesions(before, after)
    assert sorted(n for match in found for n in match.before) == list(range(1, 21))
    assert sorted(n for match in found for n in match.after) == list(range(1, 16))


def test_a_distance_of_nothing_is_refused() -> None:
    with pytest.raises(SettingsError, match="need a touch_mm above 0 to match lesions, found 0"):
        MatchSettings(touch_mm=0)
