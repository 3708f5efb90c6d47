"""Faint copies of the body in air."""

from __future__ import annotations

import numpy as np
import pytest

from marrowmap.data.exam import Sequence, Volume
from marrowmap.data.ghosts import ghost_in, ghost_warning

AFFINE = np.diag([6.0, 6.0, 6.0, 1.0])


def trunk() -> np.ndarray:
    x, y = np.meshgrid(np.arange(72) * 6.0 - 213, np.arange(60) * 6.0 - 177, indexing="ij")
    plane = np.where((x / 110) ** 2 + (y / 80) ** 2 < 1, 200.0, 0.0)
    return np.repeat(plane[..., None], 60, axis=2)


def image(clean: np.ndarray) -> Volume:
    real, imaginary = np.random.default_rng(3).normal(0.0, 4.0, (2, *clean.shape))
    return Volume(array=np.hypot(clean + real, imaginary).astype(np.float32), affine_ras_mm=AFFINE)


def test_air_without_a_copy_brings_no_warning() -> None:
    assert ghost_warning(Sequence.DWI_LOW, image(trunk())) == []


@pytest.mark.parametrize("axis", [0, 1])
def test_a_copy_half_a_field_of_view_away_is_told_with_its_axis_and_distance(axis: int) -> None:
    clean = trunk()
    found = image(clean + 0.05 * np.roll(clean, clean.shape[axis] // 2, axis=axis))
    ghost = ghost_in(found)
    assert ghost is not None
    assert ghost.axis == axis
    assert ghost.shift_mm == pytest.approx(clean.shape[axis] // 2 * 6.0)
    (warning,) = ghost_warning(Sequence.DWI_LOW, found)
    assert warning.code == "ghosting"
    assert f"moved {ghost.shift_mm:.0f} mm along {'xy'[axis]}: a focus there may be a copy" in warning.text


def test_without_air_beside_the_body_nothing_is_measured() -> None:
    full = Volume(array=np.full((40, 40, 40), 100.0, np.float32), affine_ras_mm=AFFINE)
    assert ghost_in(full) is None
    empty = Volume(array=np.zeros((40, 40, 40), np.float32), affine_ras_mm=AFFINE)
    assert ghost_in(empty) is None
