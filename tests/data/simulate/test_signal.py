"""Signals relative to muscle, against the published figures of whole-body MRI."""

from __future__ import annotations

import numpy as np
import pytest

from marrowmap.data.errors import SettingsError
from marrowmap.data.simulate.labels import Tissue
from marrowmap.data.simulate.marrow import adc_of_healthy_marrow, marrow_index, marrow_table
from marrowmap.data.simulate.signal import SignalSettings, diffusion, dixon, stir, t1_spin_echo
from marrowmap.data.simulate.tissue import TISSUE_ROWS, TISSUES, Material, table_of

MUSCLE = TISSUES[Tissue.MUSCLE]
ACTIVE = Material(proton_density=1, t1_ms=970, t2_ms=51, fat_fraction=0.06, adc_um2_per_s=850)
TREATED = Material(proton_density=1, t1_ms=970, t2_ms=56, fat_fraction=0.15, adc_um2_per_s=1600)


def high_b_over_muscle(material: Material) -> float:
    signal = diffusion(table_of([MUSCLE, material]), SignalSettings(), b_value_s_per_mm2=900)
    return float(signal[1] / signal[0])


def t1_over_muscle(material: Material) -> float:
    signal = t1_spin_echo(table_of([MUSCLE, material]), SignalSettings())
    return float(signal[1] / signal[0])


def marrow(fat_fraction: float, adc_um2_per_s: float | None = None) -> Material:
    adc = adc_um2_per_s or float(adc_of_healthy_marrow(np.array([fat_fraction], dtype=np.float32))[0])
    table = marrow_table(np.random.default_rng(0))
    row = (
        int(marrow_index(np.array([fat_fraction], np.float32), np.array([adc], np.float32))[0]) - TISSUE_ROWS
    )
    return Material(
        proton_density=float(table.proton_density[row]),
        t1_ms=970,
        t2_ms=float(np.interp(adc, (550, 800), (44, 48))),
        fat_fraction=fat_fraction,
        adc_um2_per_s=adc,
    )


@pytest.mark.parametrize("fat_fraction", [0.65, 0.45])
def test_healthy_marrow_is_about_3_times_as_bright_as_muscle_at_b900(fat_fraction: float) -> None:
    assert 2.3 <= high_b_over_muscle(marrow(fat_fraction)) <= 4.1  # 3.2 +/- 0.9


def test_an_active_lesion_is_5_to_7_times_as_bright_as_muscle_and_twice_its_marrow_at_b900() -> None:
    assert 5.5 <= high_b_over_muscle(ACTIVE) <= 6.6
    assert 2.0 <= high_b_over_muscle(ACTIVE) / high_b_over_muscle(marrow(0.62)) <= 2.7


def test_a_treated_lesion_is_dimmer_than_an_active_one_at_b900() -> None:
    assert 2.8 <= high_b_over_muscle(TREATED) <= 4.2


def test_a_fatty_scar_is_hardly_brighter_than_muscle_at_b900() -> None:
    assert 0.7 <= high_b_over_muscle(marrow(0.9)) <= 1.6


def test_diffuse_marrow_is_nearly_as_bright_as_a_lesion_at_b900() -> None:
    assert 5.0 <= high_b_over_muscle(marrow(0.06, 770)) <= 6.2


@pytest.mark.parametrize(("tissue", "ratio"), [(Tissue.SPLEEN, 5.5), (Tissue.CSF, 2.5)])
def test_organs_that_look_like_lesions_keep_their_published_ratio_at_b900(
    tissue: Tissue, ratio: float
) -> None:
    assert high_b_over_muscle(TISSUES[tissue]) == pytest.approx(ratio, rel=0.12)


@pytest.mark.parametrize(("fat_fraction", "ratio"), [(0.2, 1.22), (0.65, 1.65)])
def test_marrow_is_brighter_than_muscle_on_t1_by_its_fat(fat_fraction: float, ratio: float) -> None:
    assert t1_over_muscle(marrow(fat_fraction)) == pytest.approx(ratio, abs=0.05)


def test_a_lesion_is_as_dark_as_muscle_on_t1_and_severe_diffuse_marrow_darker() -> None:
    assert t1_over_muscle(ACTIVE) == pytest.approx(1.075, abs=0.05)
    assert t1_over_muscle(marrow(0.02, 800)) < 1.0


def test_stir_shows_lesions_2_times_and_red_marrow_1_3_times_as_bright_as_muscle() -> None:
    red = marrow(0.4)
    signal = stir(table_of([MUSCLE, ACTIVE, red]), SignalSettings())
    assert signal[1] / signal[0] == pytest.approx(2.09, abs=0.4)
    assert signal[2] / signal[0] == pytest.approx(1.28, abs=0.2)


def test_stir_nulls_fat() -> None:
    fat = Material(proton_density=1, t1_ms=900, t2_ms=35, fat_fraction=1.0)
    assert stir(table_of([fat]), SignalSettings())[0] == pytest.approx(0.0, abs=1e-6)


def test_adc_from_two_b_values_is_the_waters_adc_when_there_is_no_fat() -> None:
    table = table_of([Material(proton_density=1, t1_ms=970, t2_ms=50, adc_um2_per_s=800)])
    low = diffusion(table, SignalSettings(), b_value_s_per_mm2=50)
    high = diffusion(table, SignalSettings(), b_value_s_per_mm2=900)
    assert np.log(low / high)[0] / 850e-6 == pytest.approx(800, rel=1e-4)


def test_healthy_marrow_measures_the_published_adc_although_residual_fat_lowers_it() -> None:
    table = table_of([marrow(0.65)])
    low = diffusion(table, SignalSettings(), b_value_s_per_mm2=50)
    high = diffusion(table, SignalSettings(), b_value_s_per_mm2=900)
    assert 355 <= np.log(low / high)[0] / 850e-6 <= 489  # 422 +/- 67


def test_dixon_at_a_small_flip_angle_measures_the_fat_fraction() -> None:
    table = table_of(
        [Material(proton_density=1, t1_ms=970, t2_ms=45, fat_fraction=f) for f in (0.0, 0.5, 1.0)]
    )
    fat, water = dixon(table, SignalSettings(dixon_flip_deg=1.0))
    assert fat / (fat + water) == pytest.approx([0.0, 0.5, 1.0], abs=0.05)


def test_a_field_strength_without_relaxation_times_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"field strength needs 1.5 or 3 T, found 7"):
        SignalSettings(field_strength_t=7.0)
