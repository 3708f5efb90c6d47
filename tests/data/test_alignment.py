"""T1 beside diffusion: found, moved where it pays, left alone where it does not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from marrowmap.data.alignment import aligned_to_diffusion, shift_between
from marrowmap.data.exam import Sequence, Volume

SPACING = 5.0


def body(contrast: tuple[float, float, float], *, moved_mm: tuple[float, float, float] = (0, 0, 0)) -> Volume:
    """An ellipsoid of fat with two organs in it, in three signals; made by its formula, then moved."""
    x, y, z = np.meshgrid(*(np.arange(n) * SPACING for n in (60, 40, 70)), indexing="ij")
    x, y, z = x - 150 - moved_mm[0], y - 100 - moved_mm[1], z - 175 - moved_mm[2]
    array = np.zeros(x.shape, dtype=np.float32)
    array[(x / 110) ** 2 + (y / 75) ** 2 + (z / 150) ** 2 < 1] = contrast[0]
    array[((x - 40) / 40) ** 2 + (y / 40) ** 2 + ((z - 30) / 60) ** 2 < 1] = contrast[1]
    array[((x + 50) / 25) ** 2 + ((y + 20) / 30) ** 2 + ((z + 50) / 40) ** 2 < 1] = contrast[2]
    noise = np.random.default_rng(3).normal(0, 8, array.shape)
    smooth = np.asarray(ndimage.gaussian_filter(array, 0.7)) + noise
    affine = np.diag([SPACING, SPACING, SPACING, 1.0])
    return Volume(array=np.abs(smooth).astype(np.float32), affine_ras_mm=affine, b_value_s_per_mm2=None)


DIFFUSION = body((60.0, 400.0, 250.0))
T1_CONTRASTS = (500.0, 200.0, 150.0)


@pytest.mark.parametrize("moved_mm", [(0.0, 12.0, -15.0), (20.0, 0.0, 0.0), (-10.0, -10.0, 30.0)])
def test_a_shift_is_found_to_2_mm_whatever_the_contrast(moved_mm: tuple[float, float, float]) -> None:
    shift = shift_between(DIFFUSION, body(T1_CONTRASTS, moved_mm=moved_mm))
    assert np.add(shift.ras_mm, moved_mm) == pytest.approx([0, 0, 0], abs=2.0)
    assert shift.pays


def test_a_volume_in_its_place_is_left_alone() -> None:
    volumes = {Sequence.DWI_HIGH: DIFFUSION, Sequence.T1: body(T1_CONTRASTS)}
    aligned, warnings = aligned_to_diffusion(volumes)
    assert warnings == []
    assert aligned[Sequence.T1] is volumes[Sequence.T1]


def test_a_shift_that_distortion_explains_is_left_alone() -> None:
    assert not shift_between(DIFFUSION, body(T1_CONTRASTS, moved_mm=(0.0, 4.0, 0.0))).pays


def test_a_volume_beside_diffusion_is_moved_and_told() -> None:
    moved = body(T1_CONTRASTS, moved_mm=(0.0, 12.0, -15.0))
    aligned, (warning,) = aligned_to_diffusion({Sequence.DWI_HIGH: DIFFUSION, Sequence.T1: moved})
    change = (aligned[Sequence.T1].affine_ras_mm - moved.affine_ras_mm)[:3, 3]
    assert change == pytest.approx([0, -12, 15], abs=2.5)
    assert aligned[Sequence.T1].array is moved.array
    assert warning.code == "misregistered"
    assert warning.text.startswith("t1 lay beside diffusion and was moved ")


def test_dixon_images_are_moved_together() -> None:
    moved = body(T1_CONTRASTS, moved_mm=(0.0, 0.0, 25.0))
    fat = body((600.0, 10.0, 20.0), moved_mm=(0.0, 0.0, 25.0))
    volumes = {Sequence.DWI_LOW: DIFFUSION, Sequence.DIXON_IN: moved, Sequence.DIXON_FAT: fat}
    aligned, warnings = aligned_to_diffusion(volumes)
    assert len(warnings) == 1
    first, second = (aligned[s].affine_ras_mm for s in (Sequence.DIXON_IN, Sequence.DIXON_FAT))
    assert np.array_equal(first, second)
    assert first[2, 3] == pytest.approx(-25, abs=2.5)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_nothing_to_see_is_no_shift(value: float) -> None:
    empty = Volume(
        array=np.full((20, 20, 20), value, dtype=np.float32), affine_ras_mm=DIFFUSION.affine_ras_mm
    )
    assert not shift_between(DIFFUSION, empty).pays
    assert not shift_between(empty, DIFFUSION).pays
