"""The interval of count and volume of a report, with and without a calibration, and after a reader."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from marrowmap.data.errors import ReportFileError
from marrowmap.inference.doubt import describe_doubt, doubt_again
from marrowmap.inference.findings import NO_ADC, Lesion
from marrowmap.inference.findings_json import to_json
from marrowmap.inference.staging.imaging import imaging_from_report
from marrowmap.inference.staging.imwg_mri import stage_imwg_mri
from marrowmap.models.calibration import Calibration, CountSpread, Logistic

CALIBRATION = Calibration(
    lesion=Logistic(intercept=0.0, score=1.0, volume=0.0),
    focal=Logistic(intercept=0.0, score=1.0, volume=0.0),
    spread=CountSpread(missed=1.0, missed_size=1.0),
    volume_log_low=-0.5,
    volume_log_high=0.5,
    exams=60,
    fitted_on="60 simulated exams",
)


def lesion(number: int = 1, **changes: Any) -> Lesion:
    values: dict[str, Any] = {
        "id": number,
        "region": "lumbar_spine",
        "kind": "focal",
        "status": "active",
        "certainty": "certain",
        "suspected_benign": None,
        "probability": 0.5,
        "volume_ml": 1.0,
        "longest_diameter_mm": 12.0,
        "diameter_uncertainty_mm": 2.0,
        "perpendicular_diameter_mm": 10.0,
        "centroid_ras_mm": (0.0, 0.0, 0.0),
        "adc_um2_per_s": NO_ADC,
        "dwi_to_muscle": None,
        "fat_fraction": None,
        "focal_probability": 0.5,
    }
    return Lesion(**(values | changes))


def test_two_lesions_of_one_half_are_none_one_or_two() -> None:
    found = describe_doubt((lesion(1), lesion(2)), None)
    assert found.focal_count.distribution == (0.25, 0.5, 0.25)
    assert (found.focal_count.low, found.focal_count.high) == (0, 2)
    assert found.focal_count.expected == pytest.approx(1.0)
    assert found.two_or_more == pytest.approx(0.25)
    assert not found.is_calibrated
    assert "not calibrated" in found.fitted_on


def test_a_calibration_adds_what_was_missed() -> None:
    found = describe_doubt((lesion(1, focal_probability=1.0, probability=1.0),), CALIBRATION)
    # Missed lesions of mean 1 and size 1: 1/2, 1/4, 1/8 ... on top of the one that is sure.
    assert found.focal_count.distribution[:4] == pytest.approx((0.0, 0.5, 0.25, 0.125), abs=1e-4)
    assert found.focal_count.low == 1
    assert found.two_or_more == pytest.approx(0.5, abs=1e-4)
    assert found.is_calibrated


def test_the_volume_of_a_calibrated_network_follows_the_errors_of_validation() -> None:
    found = describe_doubt((lesion(volume_ml=18.0),), CALIBRATION).tumour_volume_ml
    # Expected 9 ml: 10 ml with the one that is added, times e^-0.5 and e^0.5.
    assert found.expected == pytest.approx(9.0)
    assert (found.low, found.high) == (pytest.approx(5.065, abs=0.01), pytest.approx(15.487, abs=0.01))


def test_without_calibration_the_volume_spans_half_the_uncertainty_of_the_diameter() -> None:
    found = describe_doubt((lesion(longest_diameter_mm=10.0, probability=1.0),), None).tumour_volume_ml
    # 10 mm give or take 1 mm: 0.9^3 and 1.1^3 of 1 ml.
    assert (found.low, found.high) == (pytest.approx(0.729), pytest.approx(1.331))


def test_no_lesions_are_none_for_sure_only_without_calibration() -> None:
    assert describe_doubt((), None).focal_count.distribution == (1.0,)
    assert describe_doubt((), CALIBRATION).focal_count.high == 4  # 1/2 + 1/4 + ... reaches 95 % at four
    assert describe_doubt((), None).tumour_volume_ml.high == 0.0


def test_rejected_lesions_and_those_away_from_bone_count_nowhere() -> None:
    away = lesion(2, kind="extramedullary")
    found = describe_doubt((lesion(1, certainty="rejected"), away), None)
    assert found.focal_count.distribution == (1.0,)
    assert found.tumour_volume_ml.expected == 0.0


def test_an_accepted_lesion_counts_by_its_size_alone() -> None:
    accepted = lesion(probability=1.0, focal_probability=None)
    assert describe_doubt((accepted,), None).focal_count.distribution == (0.0, 1.0)
    small = replace(accepted, longest_diameter_mm=5.0)
    assert describe_doubt((small,), None).focal_count.distribution == (0.5, 0.5)


def test_a_revision_keeps_the_calibration_of_the_report() -> None:
    before = to_json(describe_doubt((lesion(1), lesion(2)), CALIBRATION))
    again = doubt_again((lesion(1),), before)
    assert to_json(again) == to_json(describe_doubt((lesion(1),), CALIBRATION))


def test_a_report_of_an_older_version_is_revised_without_calibration() -> None:
    assert not doubt_again((lesion(1),), None).is_calibrated


def test_a_damaged_doubt_is_refused() -> None:
    with pytest.raises(ReportFileError, match="doubt of the report is not whole"):
        doubt_again((), {"fitted_on": "x", "volume_log_errors": None})


def test_the_rules_see_what_was_missed() -> None:
    lesions = (lesion(1, focal_probability=1.0), lesion(2, focal_probability=0.5))
    report = {
        "lesions": to_json(lesions),
        "pattern": {"diffuse_grade": "none"},
        "doubt": to_json(describe_doubt(lesions, CALIBRATION)),
    }
    result = stage_imwg_mri(imaging_from_report(report))
    # One only if the second is none (1/2) and nothing was missed (1/2).
    assert result.probabilities["single_lesion"] == pytest.approx(0.25, abs=1e-3)
    assert result.probabilities["positive"] == pytest.approx(0.75, abs=1e-3)
