"""Breathing seen as steps between slices."""

from __future__ import annotations

import numpy as np
import pytest

from marrowmap.data.breathing import breathing_warning, steps_in
from marrowmap.data.exam import Sequence, Volume

SLICES, IN_PLANE_MM, SLICE_MM = 40, 2.5, 5.0


def trunk(step_mm: float = 0.0, *, dark: float = 1.0, sigma: float = 8.0, bend_mm: float = 0.0) -> np.ndarray:
    """A trunk `(right, forward, up)` whose front steps to and fro, with Rician noise."""
    rng = np.random.default_rng(3)
    x, y = np.meshgrid(np.arange(120) * IN_PLANE_MM - 149, np.arange(90) * IN_PLANE_MM - 110, indexing="ij")
    planes = []
    for k in range(SLICES):
        front = 80 + bend_mm * np.sin(k / 4) + (step_mm if k % 2 else 0.0)
        depth = np.where(y > 0, front, 80)
        signal = 200.0 * (dark if k % 2 else 1.0)
        planes.append(np.where((x / 140) ** 2 + (y / depth) ** 2 < 1, signal, 0.0))
    clean = np.stack(planes, axis=-1)
    real, imaginary = rng.normal(0.0, sigma, (2, *clean.shape))
    return np.hypot(clean + real, imaginary).astype(np.float32)


def volume(array: np.ndarray) -> Volume:
    return Volume(array=array, affine_ras_mm=np.diag([IN_PLANE_MM, IN_PLANE_MM, SLICE_MM, 1.0]))


def test_steps_of_a_breath_are_measured() -> None:
    # Off the middle of an elliptic trunk its front moves less than the 7 mm of its middle.
    steps = steps_in(volume(trunk(7.0)))
    assert steps is not None
    assert 5.5 < steps.step_mm < 7.0
    (warning,) = breathing_warning(Sequence.DWI_LOW, volume(trunk(7.0)))
    assert warning.code == "breathing"
    assert warning.text.startswith("the front of the body steps by 6.")
    assert "from slice to slice of dwi_low around z = " in warning.text


@pytest.mark.parametrize("bend_mm", [0.0, 15.0])
@pytest.mark.parametrize("dark", [1.0, 0.85])
def test_a_body_that_bends_or_slices_that_are_darker_do_not_step(bend_mm: float, dark: float) -> None:
    assert breathing_warning(Sequence.STIR, volume(trunk(bend_mm=bend_mm, dark=dark))) == []


def test_any_order_and_direction_of_axes_shows_the_same_steps() -> None:
    plain = volume(trunk(7.0))
    affine = np.zeros((4, 4))
    affine[1, 0], affine[2, 1], affine[0, 2], affine[3, 3] = -IN_PLANE_MM, -SLICE_MM, IN_PLANE_MM, 1.0
    turned = Volume(array=plain.array.transpose(1, 2, 0)[::-1, ::-1], affine_ras_mm=affine)
    one, other = steps_in(plain), steps_in(turned)
    assert one is not None
    assert other is not None
    assert other.step_mm == pytest.approx(one.step_mm, abs=0.01)


def test_other_planes_and_quantities_are_not_looked_at() -> None:
    coronal = np.diag([IN_PLANE_MM, SLICE_MM, IN_PLANE_MM, 1.0])
    assert steps_in(Volume(array=trunk(7.0), affine_ras_mm=coronal)) is None
    assert breathing_warning(Sequence.ADC, volume(trunk(7.0))) == []


def test_an_oblique_volume_is_read_by_its_nearest_axes() -> None:
    turn = np.deg2rad(20)
    affine = np.eye(4)
    affine[1:3, 1:3] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    affine = affine @ np.diag([IN_PLANE_MM, IN_PLANE_MM, SLICE_MM, 1.0])
    assert breathing_warning(Sequence.T2, Volume(array=trunk(), affine_ras_mm=affine)) == []
