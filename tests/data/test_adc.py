"""ADC from b-values."""

import numpy as np
import pytest

from marrowmap.data.adc import adc_from_b_values
from marrowmap.data.errors import GeometryError, StudyError
from marrowmap.data.exam import Volume


def decayed(b: float | None, adc_um2_per_s: float, signal: float = 1000.0, side: int = 2) -> Volume:
    value = signal * np.exp(-(b or 0) * adc_um2_per_s * 1e-6)
    array = np.full((side, side, side), value, dtype=np.float32)
    return Volume(array=array, affine_ras_mm=np.eye(4), b_value_s_per_mm2=b)


def test_two_b_values_give_back_the_adc_of_muscle() -> None:
    adc = adc_from_b_values([decayed(50, 1500.0), decayed(900, 1500.0)])
    assert np.allclose(adc.array, 1500.0, rtol=1e-4)
    assert adc.is_computed


def test_three_b_values_and_a_repeat_give_the_same() -> None:
    volumes = [decayed(b, 800.0) for b in (0, 100, 800, 800)]
    assert np.allclose(adc_from_b_values(volumes).array, 800.0, rtol=1e-4)


def test_no_signal_gives_zero_and_growing_signal_gives_zero() -> None:
    low, high = decayed(0, 1000.0), decayed(1000, 1000.0)
    high.array[0, 0, 0] = 0.0
    high.array[1, 1, 1] = 2000.0
    adc = adc_from_b_values([low, high]).array
    assert adc[0, 0, 0] == 0.0
    assert adc[1, 1, 1] == 0.0


def test_a_steep_decay_is_clipped_at_4000() -> None:
    assert adc_from_b_values([decayed(0, 9000.0), decayed(800, 9000.0)]).array.max() == 4000.0


def test_one_b_value_cannot_give_an_adc() -> None:
    with pytest.raises(StudyError, match=r"found b = \[800, 850\]"):
        adc_from_b_values([decayed(800, 1000.0), decayed(850, 1000.0)])


def test_an_unknown_b_value_is_refused() -> None:
    with pytest.raises(StudyError, match="over 2 volumes"):
        adc_from_b_values([decayed(None, 1000.0), decayed(850, 1000.0)])


def test_different_grids_are_refused() -> None:
    with pytest.raises(GeometryError, match="different grids"):
        adc_from_b_values([decayed(0, 1000.0), decayed(800, 1000.0, side=3)])
