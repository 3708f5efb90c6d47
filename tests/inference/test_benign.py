from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from marrowmap.inference.benign import (
    BenignSettings,
    Features,
    describe_look,
    is_band_at_disc,
    suspect_benign,
)
from marrowmap.inference.findings import AdcStatistics
from marrowmap.inference.spine import SpineColumn

SETTINGS = BenignSettings()
SPACING = (2.5, 2.5, 2.5)


def adc(median: float) -> AdcStatistics:
    return AdcStatistics(mean=median, median=median, p10=median, p90=median)


def test_a_myeloma_lesion_dark_on_t1_looks_like_nothing_benign() -> None:
    features = Features(
        adc=adc(800.0), fat_fraction=0.05, dwi_to_marrow=2.3, t1_to_muscle=1.06, t1_to_marrow=0.6
    )
    assert suspect_benign(features, SETTINGS) == (None, "")


def test_nothing_measured_looks_like_nothing_benign() -> None:
    assert suspect_benign(Features(), SETTINGS) == (None, "")


def test_bright_t1_and_much_fat_look_like_a_haemangioma() -> None:
    found, reason = suspect_benign(Features(t1_to_marrow=1.3, fat_fraction=0.8), SETTINGS)
    assert found == "haemangioma"
    assert "1.3 times" in reason


def test_bright_t1_without_fat_is_a_t1_bright_lesion_and_stays() -> None:
    assert suspect_benign(Features(t1_to_marrow=1.3, fat_fraction=0.1), SETTINGS)[0] is None


def test_without_dixon_bright_t1_alone_suggests_a_haemangioma() -> None:
    assert suspect_benign(Features(t1_to_marrow=1.3), SETTINGS)[0] == "haemangioma"


@pytest.mark.parametrize(
    ("change", "benign"),
    [
        ({}, None),
        ({"dwi_to_marrow": 1.4}, "haemangioma"),
        ({"adc": adc(1200.0)}, "haemangioma"),
        ({"adc": adc(599.0)}, "haemangioma"),
    ],
)
def test_a_t1_bright_lesion_that_shines_on_diffusion_is_atypical_and_stays(
    change: dict[str, Any], benign: str | None
) -> None:
    features = Features(**({"t1_to_marrow": 1.2, "dwi_to_marrow": 1.5, "adc": adc(800.0)} | change))
    assert suspect_benign(features, SETTINGS)[0] == benign
    assert bool(describe_look(features, SETTINGS)) == (benign is None)


@pytest.mark.parametrize(("median", "benign"), [(1199.0, None), (1200.0, "fracture_oedema")])
def test_a_thick_band_with_the_adc_of_oedema_is_fracture_oedema(median: float, benign: str | None) -> None:
    found, reason = suspect_benign(Features(is_thick_band_at_disc=True, adc=adc(median)), SETTINGS)
    assert found == benign
    assert ("1200 um2/s" in reason) == (benign is not None)


@pytest.mark.parametrize(
    ("fat", "median", "benign"), [(0.75, 450.0, "other"), (0.74, 450.0, None), (0.75, 451.0, None)]
)
def test_much_fat_with_the_low_adc_of_fat_is_a_scar(fat: float, median: float, benign: str | None) -> None:
    assert suspect_benign(Features(fat_fraction=fat, adc=adc(median)), SETTINGS)[0] == benign


def test_a_lesion_dark_on_everything_may_be_sclerotic() -> None:
    dark: dict[str, Any] = {"t1_to_marrow": 0.7, "stir_to_marrow": 0.7, "dwi_to_marrow": 0.7}
    assert describe_look(Features(**dark), SETTINGS) == (
        "possibly sclerotic or treated: dark on T1, STIR and diffusion",
    )
    for name in dark:
        assert describe_look(Features(**{**dark, name: 0.71}), SETTINGS) == ()
        assert describe_look(Features(**{**dark, name: None}), SETTINGS) == ()


def test_red_marrow_needs_t1_adc_and_diffusion_to_agree() -> None:
    red = {"adc": adc(500.0), "dwi_to_marrow": 1.2, "t1_to_muscle": 1.25, "t1_to_marrow": 0.9}
    assert suspect_benign(Features(**red), SETTINGS)[0] == "red_marrow"
    assert suspect_benign(Features(**{**red, "adc": adc(800.0)}), SETTINGS)[0] is None
    assert suspect_benign(Features(**{**red, "dwi_to_marrow": 2.0}), SETTINGS)[0] is None
    assert suspect_benign(Features(**{**red, "t1_to_muscle": 1.1}), SETTINGS)[0] is None


@pytest.fixture
def column() -> SpineColumn:
    core = np.zeros((30, 30, 40), dtype=bool)
    core[12:18, 12:18, :] = True
    return SpineColumn(core=core, bodies=(slice(2, 12), slice(16, 26)), discs=(slice(12, 16),))


def box(width: int, low: int, high: int) -> np.ndarray:
    mask = np.zeros((30, 30, 40), dtype=bool)
    mask[15 - width // 2 : 15 + width // 2, 12:18, low:high] = True
    return np.argwhere(mask)


def test_a_flat_band_on_the_end_plate_is_at_the_disc(column: SpineColumn) -> None:
    assert is_band_at_disc(box(10, 10, 12), column, SPACING, SETTINGS)  # 25 mm wide, 5 mm high


def test_the_same_band_in_the_middle_of_a_body_is_not(column: SpineColumn) -> None:
    assert not is_band_at_disc(box(10, 5, 7), column, SPACING, SETTINGS)


def test_a_round_lesion_at_the_disc_is_not_a_band(column: SpineColumn) -> None:
    assert not is_band_at_disc(box(6, 6, 12), column, SPACING, SETTINGS)
