"""ADC from b-values."""

import numpy as np
import pytest

from marrowmap.data.adc import adc_from_b_values
from marrowmap.data.errors import GeometryError, StudyError
from marrowmap.data.exam import Volume
from marrowmap.data.noise import noise_sigma


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


SIGMA = 10.0


def noisy(b: float, adc_um2_per_s: float, signal: float) -> Volume:
    """A box of one tissue in air, with Rician noise of sigma 10."""
    rng = np.random.default_rng(round(b) + 1)
    clean = np.zeros((40, 40, 12))
    clean[8:-8, 8:-8] = signal * np.exp(-b * adc_um2_per_s * 1e-6)
    real, imaginary = rng.normal(0.0, SIGMA, (2, *clean.shape))
    array = np.hypot(clean + real, imaginary).astype(np.float32)
    return Volume(array=array, affine_ras_mm=np.eye(4), b_value_s_per_mm2=b)


def in_box(adc: Volume) -> float:
    return float(np.mean(adc.array[8:-8, 8:-8]))


def test_noise_is_measured_in_the_air() -> None:
    assert noise_sigma(noisy(900, 1000.0, 200.0).array) == pytest.approx(SIGMA, rel=0.05)


@pytest.mark.parametrize("air", [0.0, 7.0])
def test_air_that_was_set_to_one_value_tells_no_noise(air: float) -> None:
    volume = noisy(900, 1000.0, 200.0).array
    volume[:8] = volume[-8:] = air
    assert noise_sigma(volume) == 0.0


def test_a_b_value_in_the_noise_does_not_pull_the_adc_down() -> None:
    # At b = 2000 only 200 * exp(-4) = 4 of signal is left under a noise of 10: its magnitude stays at 13.
    volumes = [noisy(b, 2000.0, 200.0) for b in (50, 500, 2000)]
    assert in_box(adc_from_b_values(volumes)) == pytest.approx(2000, rel=0.1)
    logs = [np.log(v.array[8:-8, 8:-8]) for v in volumes]
    naive = -np.polyfit([50, 500, 2000], [float(log.mean()) for log in logs], 1)[0] * 1e6
    assert naive < 1500


def test_air_is_not_measured_and_tissue_well_above_the_noise_is_as_without_noise() -> None:
    adc = adc_from_b_values([noisy(b, 1000.0, 1000.0) for b in (50, 900)])
    assert np.mean(adc.array[:8] > 0) < 0.02
    assert in_box(adc) == pytest.approx(1000, rel=0.01)


def test_two_b_values_of_which_one_is_in_the_noise_give_a_lower_bound() -> None:
    adc = in_box(adc_from_b_values([noisy(50, 2500.0, 200.0), noisy(1500, 2500.0, 200.0)]))
    assert 1500 < adc < 2500
