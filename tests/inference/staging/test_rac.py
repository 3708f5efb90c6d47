"""Response categories of single lesions: the vectors of the rule tables, guards and precedence."""

from __future__ import annotations

import pytest

from marrowmap.data.errors import SettingsError
from marrowmap.inference.staging.rac import (
    RAC_NAMES,
    LesionChange,
    RacSettings,
    rac_by_adc,
    rac_lesion,
    rac_overall,
)


@pytest.mark.parametrize(
    ("before", "after", "signal", "fat", "category"),
    [
        (900, 1450, -0.35, 0.0, 1),
        (900, 1150, -0.10, 0.0, 2),
        (900, 1000, -0.10, 0.0, 3),
        (1390, 1410, -0.10, 0.0, 3),
        (900, 1300, -0.10, 0.0, 1),
        (900, 1300, 0.0, 0.0, 2),
        (900, 500, -0.70, 0.40, 1),
        (850, 850, 0.30, 0.0, 4),
        (1000, 1150, -0.10, 0.0, 3),  # 15 % is within repeatability
        (1000, 1151, -0.10, 0.0, 2),
        (1000, 1400, -0.10, 0.0, 1),  # 40 % exactly
        (1200, 1450, 0.0, 0.0, 1),  # crosses 1400 beyond repeatability
        (1200, 1450, 0.05, 0.0, 3),
        (1100, 1320, -0.10, 0.0, 3),  # +20 % from above 1000
        (1100, 1380, -0.10, 0.0, 2),  # +25.5 %
        (900, 500, -0.10, 0.0, 3),  # ADC alone never says progression
        (900, 600, 0.0, 0.40, 3),  # fat rose but the signal did not fall
        (900, 1300, 0.0, 0.40, 3),
        (900, 500, -0.70, 0.10, 3),  # a rise of 0.10 is not above it
        (1500, 1500, 0.30, 0.0, 3),  # a brighter treated lesion
    ],
)
def test_adc_signal_and_fat_decide(
    before: float, after: float, signal: float, fat: float, category: int
) -> None:
    assert rac_by_adc(before, after, signal, fat) == category


def test_an_adc_of_zero_at_first_is_refused() -> None:
    with pytest.raises(SettingsError, match="need an ADC above 0"):
        rac_by_adc(0.0, 900.0, 0.0)


@pytest.mark.parametrize(
    ("change", "category"),
    [
        (LesionChange(fate="new", diameter_after_mm=12.0, adc_after_um2_per_s=800.0), 5),
        (LesionChange(fate="new", diameter_after_mm=5.5, is_certain=False), 4),
        (LesionChange(fate="new", diameter_after_mm=5.0), 5),
        (LesionChange(fate="new", diameter_after_mm=4.9), 4),
        (LesionChange(fate="vanished"), 1),
        (LesionChange(fate="returned", diameter_after_mm=12.0), 4),
        (LesionChange(), 3),
        (LesionChange(diameter_before_mm=10.0, diameter_after_mm=14.0), 5),
        (LesionChange(diameter_before_mm=10.0, diameter_after_mm=13.9), 3),
        (LesionChange(diameter_before_mm=40.0, diameter_after_mm=49.0), 3),
        (LesionChange(diameter_before_mm=40.0, diameter_after_mm=50.0), 5),
        (LesionChange(diameter_before_mm=40.0, diameter_after_mm=50.0, is_certain=False), 4),
        (LesionChange(diameter_before_mm=20.0, diameter_after_mm=14.0), 1),
        (LesionChange(diameter_before_mm=20.0, diameter_after_mm=14.0, is_certain=False), 2),
    ],
)
def test_fate_and_size_decide(change: LesionChange, category: int) -> None:
    assert rac_lesion(change) == category


def measured(after: float, signal: float, **keys: object) -> LesionChange:
    """Return a lesion whose ADC was 900 um2/s."""
    return LesionChange(
        adc_before_um2_per_s=900.0,
        adc_after_um2_per_s=after,
        signal_change=signal,
        **keys,  # type: ignore[arg-type]
    )


def test_growth_outweighs_a_rising_adc() -> None:
    assert rac_lesion(measured(1500.0, -0.4, diameter_before_mm=10.0, diameter_after_mm=20.0)) == 5


def test_response_outweighs_stable_size() -> None:
    assert rac_lesion(measured(1500.0, -0.4, diameter_before_mm=10.0, diameter_after_mm=10.0)) == 1


def test_a_brighter_lesion_of_viable_adc_is_likely_progressing_even_when_its_adc_falls() -> None:
    assert rac_lesion(measured(600.0, 0.30)) == 4


def test_a_lesion_of_few_voxels_is_not_graded_by_adc() -> None:
    assert rac_lesion(measured(1500.0, -0.4, voxels=9)) == 3
    assert rac_lesion(measured(1500.0, -0.4, voxels=10)) == 1


def test_a_signal_that_was_not_measured_grades_nothing() -> None:
    assert rac_lesion(LesionChange(adc_before_um2_per_s=900.0, adc_after_um2_per_s=1500.0)) == 3


def test_dominant_secondary_and_worst_of_a_patient() -> None:
    response = rac_overall([1, 1, 1, 2, 5])
    assert (response.dominant, response.secondary, response.worst, response.is_mixed) == (1, 5, 5, True)


def test_of_two_equally_frequent_the_worse_is_dominant() -> None:
    assert rac_overall([1, 4]).dominant == 4
    assert not rac_overall([3, 4]).is_mixed


def test_without_lesions_there_is_no_category() -> None:
    response = rac_overall([])
    assert (response.dominant, response.secondary, response.worst, response.is_mixed) == (
        None,
        None,
        None,
        False,
    )


def test_settings_refuse_a_negative_guard() -> None:
    with pytest.raises(SettingsError, match="repeatability: need 0 or more"):
        RacSettings(repeatability=-0.1)


def test_every_category_has_a_name() -> None:
    assert sorted(RAC_NAMES) == [1, 2, 3, 4, 5]
