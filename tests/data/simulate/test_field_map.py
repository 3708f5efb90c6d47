"""The main field and what it does to echo-planar images."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from marrowmap.data.simulate.field_map import Distortion, FieldMap, shift_in_station
from marrowmap.data.simulate.labels import Tissue
from marrowmap.data.simulate.sampling import Axis, axis_weights, sample, sample_materials


def body_with_lung() -> Any:
    """A box of muscle 160 x 160 x 240 mm in air, with a lung of 80 mm at its middle."""
    tissue = np.zeros((120, 120, 160), dtype=np.uint8)
    tissue[20:100, 20:100, 20:140] = Tissue.MUSCLE
    tissue[40:80, 40:80, 60:100] = Tissue.LUNG
    return SimpleNamespace(tissue=tissue, affine_ras_mm=np.diag([2.0, 2.0, 2.0, 1.0]))


@pytest.fixture(scope="module")
def field() -> FieldMap:
    return FieldMap.of(body_with_lung())


def test_the_map_is_four_times_coarser_and_starts_half_a_voxel_in(field: FieldMap) -> None:
    assert field.ppm.shape == (30, 30, 40)
    assert field.step_mm == 8.0
    # The first two of every four body voxels are taken: their 0, 4 mm ... lie around 2 mm.
    assert field.first_mm == (2.0, 2.0, 2.0)


def test_lung_bends_the_field_by_parts_per_million_and_differently_above_and_beside(field: FieldMap) -> None:
    left = field.shimmed(0.0, 320.0)
    above, beside = left[15, 15, 27], left[23, 15, 20]
    assert abs(above - beside) > 0.5
    assert np.abs(left[field.is_body]).max() < 12


def test_a_shim_takes_out_what_is_linear(field: FieldMap) -> None:
    left = field.shimmed(0.0, 320.0)
    inside = np.argwhere(field.is_body)
    values = left[field.is_body]
    for axis in range(3):
        assert np.corrcoef(inside[:, axis], values)[0, 1] == pytest.approx(0, abs=1e-3)


def test_a_region_without_body_is_not_shifted(field: FieldMap) -> None:
    assert not field.shimmed(5000.0, 6000.0).any()


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 0, 2), (0, 1, 2)])
def test_shifts_stay_below_6_mm_and_double_at_3_t(field: FieldMap, order: tuple[int, int, int]) -> None:
    axes = (
        Axis(first_mm=0, step_mm=6, count=40),
        Axis(first_mm=0, step_mm=5, count=48),
        Axis(first_mm=0, step_mm=4, count=80),
    )
    low, high = (
        shift_in_station(field, axes, order=order, field_strength_t=t, strength=0.1) for t in (1.5, 3.0)
    )
    assert low.shape == tuple(axes[axis].count for axis in order)
    assert np.abs(high).max() <= 6.0
    small = np.abs(low) < 0.3
    assert np.median(high[small & (low != 0)] / low[small & (low != 0)]) == pytest.approx(2.0, rel=0.02)


def test_an_even_shift_moves_the_image_and_keeps_its_brightness() -> None:
    image = np.zeros((2, 3, 10), dtype=np.float32)
    image[:, :, 4] = 100
    moved = Distortion.of(np.full(image.shape, 6.0, dtype=np.float32), 2, step_mm=3.0).applied(image)
    assert list(moved[0, 0]) == pytest.approx([0, 0, 0, 0, 0, 0, 100, 0, 0, 0], abs=0.2)


def test_signal_that_is_pushed_together_piles_up() -> None:
    shift = np.broadcast_to(-0.5 * np.arange(12, dtype=np.float32), (1, 1, 12)).copy()
    piled = Distortion.of(shift, 2, step_mm=1.0).applied(np.ones((1, 1, 12), dtype=np.float32))
    assert piled[0, 0, 2:8] == pytest.approx(1.5)


def test_materials_are_sampled_as_their_looked_up_volume_would_be() -> None:
    rng = np.random.default_rng(0)
    material = rng.integers(0, 50, (37, 11, 13)).astype(np.uint16)
    lookups = [rng.random(50).astype(np.float32) for _ in range(2)]
    weights = tuple(
        axis_weights(
            Axis(first_mm=1.0, step_mm=step, count=count), body_first_mm=0, body_step_mm=2, body_count=n
        )
        for step, count, n in ((5.0, 13, 37), (3.0, 6, 11), (1.5, 15, 13))
    )
    a, b, c = weights
    used = material[a.used, b.used, c.used]
    for lookup, found in zip(lookups, sample_materials(used, lookups, (a, b, c)), strict=True):
        assert found == pytest.approx(sample(np.ascontiguousarray(lookup[used]), (a, b, c)), rel=1e-5)
