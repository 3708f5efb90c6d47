from __future__ import annotations

import math

import pytest

from marrowmap.data.errors import SettingsError
from marrowmap.inference.certainty import CertaintySettings, certainty_of, reasons_for_doubt, status_of
from marrowmap.inference.findings import Status


def doubts(
    *,
    probability: float = 0.9,
    diameter_mm: float = 15.0,
    away_mm: float | None = None,
    benign_reason: str = "",
    dwi_to_marrow: float | None = 2.0,
    status: Status = "active",
) -> tuple[str, ...]:
    return reasons_for_doubt(
        probability=probability,
        diameter_mm=diameter_mm,
        diameter_uncertainty_mm=2.5,
        away_mm=away_mm,
        benign_reason=benign_reason,
        dwi_to_marrow=dwi_to_marrow,
        status=status,
        settings=CertaintySettings(),
    )


@pytest.mark.parametrize(
    ("adc", "status"),
    [
        (None, "indeterminate"),
        (599.0, "indeterminate"),
        (600.0, "active"),
        (1000.0, "active"),
        (1001.0, "indeterminate"),
        (1400.0, "indeterminate"),
        (1401.0, "treated"),
    ],
)
def test_status_at_both_sides_of_every_limit(adc: float | None, status: str) -> None:
    assert status_of(adc, CertaintySettings()) == status


def test_a_bright_probable_lesion_of_15_mm_is_certain() -> None:
    assert doubts() == ()
    assert certainty_of(doubts()) == "certain"


@pytest.mark.parametrize(("diameter_mm", "doubtful"), [(2.4, 0), (2.5, 1), (5.0, 1), (7.5, 1), (7.6, 0)])
def test_a_diameter_within_one_voxel_of_5_mm_is_equivocal(diameter_mm: float, doubtful: int) -> None:
    assert len(doubts(diameter_mm=diameter_mm)) == doubtful


@pytest.mark.parametrize(("probability", "doubtful"), [(0.69, 1), (0.7, 0)])
def test_certain_starts_at_a_probability_of_0_7(probability: float, doubtful: int) -> None:
    assert len(doubts(probability=probability)) == doubtful


def test_a_lesion_away_from_bone_says_how_far() -> None:
    assert doubts(away_mm=34.2) == ("34 mm from the skeleton: normal organs shine on diffusion too",)
    assert doubts(away_mm=math.inf)[0].startswith("no skeleton was found")


def test_a_lesion_no_brighter_than_the_marrow_is_equivocal_unless_treated() -> None:
    assert len(doubts(dwi_to_marrow=1.1)) == 1
    assert doubts(dwi_to_marrow=1.1, status="treated") == ()
    assert doubts(dwi_to_marrow=None) == ()


def test_a_benign_look_is_a_doubt_with_its_reason() -> None:
    assert doubts(benign_reason="fat-rich") == ("may be benign: fat-rich",)


def test_adc_bands_out_of_order_are_refused() -> None:
    with pytest.raises(SettingsError, match="viable ADC below treated ADC"):
        CertaintySettings(viable_adc_um2_per_s=(600.0, 1500.0))
