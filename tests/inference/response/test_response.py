"""The response of a region and of the patient, and the change of the whole burden."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from marrowmap.data.errors import ReportFileError
from marrowmap.inference.response.burden import (
    ExamBurden,
    adc_change,
    days_between,
    new_alerts,
    soft_tissue_change,
    volume_change,
)
from marrowmap.inference.response.compare import compare, direction_of, revised
from marrowmap.inference.response.marrow import marrow_category
from marrowmap.inference.response.plot import trend_svg
from marrowmap.inference.staging.rac import RAC

Make = Callable[..., Any]
SPINE = [(38, 14, z) for z in (60, 75, 90, 105)]
PELVIS = [(22, 14, 20), (30, 14, 20), (46, 14, 20), (54, 14, 20)]


def burden(volume_ml: float = 10.0, **more: Any) -> ExamBurden:
    usual = {
        "study_date": "",
        "outline_variance": 0.0,
        "adc_median_um2_per_s": 800.0,
        "soft_tissue_mm2": 0.0,
        "alerts": (),
    }
    return ExamBurden(tumour_volume_ml=volume_ml, **{**usual, **more})


@pytest.mark.parametrize(
    ("categories", "direction"),
    [
        ([], None),
        ([3], "stable"),
        ([3, 3, 3, 4], "stable"),  # one likely of four: below a third
        ([3, 4], "progressing"),
        ([3] * 9 + [5], "progressing"),
        ([3, 3, 3, 1], "responding"),
        ([3] * 9 + [1], "stable"),  # one of ten responds: below a quarter
        ([1, 2, 5], "mixed"),
    ],
)
def test_the_direction_of_a_patient(categories: list[int], direction: str | None) -> None:
    assert direction_of(categories) == direction


def test_one_equivocal_new_lesion_is_told_and_gives_no_direction(make_exam: Make, make_cube: Make) -> None:
    doubtful = make_cube(SPINE[0], certainty="equivocal")
    response = compare(make_exam(), make_exam([doubtful]))
    assert (response["direction"], response["worst"]) == (None, 4)
    assert response["counts"]["new"] == 1
    beside = make_cube(SPINE[2])
    response = compare(make_exam([beside]), make_exam([doubtful, beside]))
    assert (response["direction"], response["worst"]) == ("stable", 4)


def test_a_volume_from_10_to_5_ml_halves_within_10_percent() -> None:
    change = volume_change(burden(10.0), burden(5.0))
    assert change.change_percent == pytest.approx(-50.0)
    # 1.645 x sqrt(2) x 4.57 % = 10.6 % on the logarithm: 50 % becomes 45.0 to 55.6 %.
    assert change.interval_percent == pytest.approx((-55.0, -44.4), abs=0.1)


def test_a_volume_that_was_nothing_has_no_percentage() -> None:
    change = volume_change(burden(0.0), burden(3.0))
    assert (change.change_ml, change.change_percent, change.interval_percent) == (3.0, None, None)


def test_growth_is_told_per_month_when_both_dates_are_known() -> None:
    dates = {"study_date": "2025-01-01"}, {"study_date": "2025-03-03"}  # 61 days: 2.004 months
    assert volume_change(burden(1.0, **dates[0]), burden(2.0, **dates[1])).mm3_per_month == pytest.approx(
        499.0, abs=0.5
    )
    assert volume_change(burden(1.0), burden(2.0, **dates[1])).mm3_per_month is None


def test_a_follow_up_before_the_baseline_is_refused() -> None:
    with pytest.raises(
        ReportFileError, match="dated 31 days before the baseline; name the earlier exam first"
    ):
        days_between(burden(study_date="2025-02-01"), burden(study_date="2025-01-01"))


@pytest.mark.parametrize(("after", "beyond"), [(919.0, False), (921.0, True), (681.0, False), (679.0, True)])
def test_an_adc_change_counts_beyond_15_percent(after: float, beyond: bool) -> None:
    change = adc_change(burden(), burden(adc_median_um2_per_s=after), RAC)
    assert change.is_beyond_repeatability is beyond


def test_the_interval_of_an_adc_change_comes_from_its_repeatability() -> None:
    change = adc_change(burden(), burden(adc_median_um2_per_s=1200.0), RAC)
    # 15 % x 1.645 / 1.96 = 12.6 %
    assert change.interval_percent == pytest.approx((37.4, 62.6), abs=0.05)


def test_without_adc_its_change_is_not_known() -> None:
    change = adc_change(burden(adc_median_um2_per_s=None), burden(), RAC)
    assert (change.change_percent, change.is_beyond_repeatability) == (None, None)


def test_soft_tissue_is_compared_by_products_of_diameters() -> None:
    found = soft_tissue_change(burden(soft_tissue_mm2=400.0), burden(soft_tissue_mm2=100.0))
    assert found["change_percent"] == pytest.approx(-75.0)
    assert soft_tissue_change(burden(), burden(soft_tissue_mm2=50.0))["change_percent"] is None


def test_only_an_alert_that_was_not_there_before_is_new() -> None:
    alert = {"code": "possible_cord_compression", "region": "thoracic_spine", "text": "look"}
    assert new_alerts(burden(), {"alerts": [alert]}) == [alert]
    known = burden(alerts=(("possible_cord_compression", "thoracic_spine"),))
    assert new_alerts(known, {"alerts": [alert]}) == []


@pytest.mark.parametrize(
    ("adc", "signal", "fat", "grades", "category"),
    [
        ((400.0, 400.0), 0.0, 0.0, ("severe", "severe"), 3),
        ((400.0, 780.0), 0.6, -0.4, ("none", "severe"), 5),  # cells where fat was
        ((600.0, 780.0), 0.3, -0.1, ("severe", "severe"), 4),
        ((780.0, 420.0), -0.5, 0.4, ("severe", "none"), 1),  # fat is back, ADC falls
        ((780.0, 1200.0), -0.3, 0.0, ("severe", "severe"), 1),  # cells die, no fat yet
        ((656.0, 950.0), -0.3, 0.0, ("severe", "severe"), 1),
        ((655.0, 950.0), -0.3, 0.0, ("severe", "severe"), 3),  # normal marrow has nothing to lose
        ((655.0, 420.0), -0.5, 0.4, ("severe", "none"), 1),  # but fat that is back is response
        ((400.0, 500.0), 0.3, None, ("none", "moderate"), 5),  # without Dixon, ADC tells
        ((None, 500.0), 0.3, None, ("none", "moderate"), None),
    ],
)
def test_the_category_of_diffuse_marrow(
    adc: tuple[float | None, float | None],
    signal: float,
    fat: float | None,
    grades: tuple[str, str],
    category: int | None,
) -> None:
    assert marrow_category(adc, signal, fat, grades, RAC) == category


def test_two_exams_without_a_lesion_have_nothing_to_judge(make_exam: Make) -> None:
    response = compare(make_exam(), make_exam())
    assert (response["patient"], response["worst"], response["direction"]) == (None, None, None)
    assert response["lesions"] == response["regions"] == []
    assert "nothing to judge" in response["text"]


def test_all_lesions_that_respond_make_a_responding_patient(make_exam: Make, make_cube: Make) -> None:
    places = SPINE + PELVIS
    before = make_exam([make_cube(place) for place in places], date="2025-01-01")
    after = make_exam([make_cube(place, adc=1300.0, dwi=60) for place in places], date="2025-04-01")
    response = compare(before, after)
    assert (response["patient"], response["worst"], response["direction"]) == (1, 1, "responding")
    assert [r["region"] for r in response["regions"]] == ["lumbar_spine", "sacrum_pelvis"]
    assert response["days"] == 90
    assert response["adc_change"]["change_percent"] == pytest.approx(62.5, abs=1.0)
    json.dumps(response, allow_nan=False)


def test_a_response_in_the_spine_and_growth_in_the_pelvis_is_mixed(make_exam: Make, make_cube: Make) -> None:
    before = make_exam([make_cube(place) for place in SPINE + PELVIS[:2]])
    after = make_exam(
        [make_cube(place, adc=1300.0, dwi=60) for place in SPINE]
        + [make_cube((x - 1, y - 2, z - 2), 7) for x, y, z in PELVIS[:1]]
        + [make_cube(PELVIS[1]), make_cube(PELVIS[3])]
    )
    response = compare(before, after)
    assert (response["direction"], response["is_mixed"], response["worst"]) == ("mixed", True, 5)
    by_region = {entry["region"]: entry for entry in response["regions"]}
    assert by_region["lumbar_spine"]["category"] == 1
    assert by_region["sacrum_pelvis"]["category"] == 5
    assert response["counts"]["grown"] == response["counts"]["new"] == 1


def test_unchanged_regions_do_not_outvote_a_new_lesion(make_exam: Make, make_cube: Make) -> None:
    before = make_exam([make_cube(place) for place in SPINE])
    after = make_exam([make_cube(place) for place in SPINE] + [make_cube(PELVIS[0])])
    response = compare(before, after)
    assert (response["patient"], response["worst"], response["direction"]) == (5, 5, "progressing")


def test_one_equivocal_new_spot_among_four_unchanged_lesions_is_the_worst_not_the_patient(
    make_exam: Make, make_cube: Make
) -> None:
    before = make_exam([make_cube(place) for place in SPINE])
    spot = make_cube(PELVIS[0], certainty="equivocal")
    response = compare(before, make_exam([*(make_cube(place) for place in SPINE), spot]))
    assert (response["patient"], response["worst"], response["direction"]) == (3, 4, "stable")


def test_diffuse_marrow_that_clears_responds_without_any_lesion(make_exam: Make) -> None:
    before = make_exam(grade="severe", marrow_dwi=100, marrow_adc=800.0, fat=0.05)
    after = make_exam(grade="none", marrow_dwi=40, marrow_adc=420.0, fat=0.55)
    response = compare(before, after)
    assert response["direction"] == "responding"
    assert {entry["category"] for entry in response["marrow"]} == {1}


def test_normal_marrow_has_no_say(make_exam: Make) -> None:
    response = compare(make_exam(), make_exam(marrow_dwi=60, marrow_adc=500.0))
    assert {entry["category"] for entry in response["marrow"]} == {None}


def test_a_reader_who_rejects_the_new_lesion_makes_the_patient_stable_and_back(
    make_exam: Make, make_cube: Make
) -> None:
    before = make_exam([make_cube(place) for place in SPINE])
    after = make_exam([make_cube(place) for place in SPINE] + [make_cube(PELVIS[0])])
    first = compare(before, after)
    report = json.loads(json.dumps(after.report))
    report["lesions"][4]["certainty"] = "rejected"
    second = revised(first, report)
    assert (second["patient"], second["direction"], second["counts"]["rejected"]) == (3, "stable", 1)
    report["lesions"][4]["certainty"] = "certain"
    third = revised(second, report)
    assert (third["patient"], third["direction"]) == (5, "progressing")
    assert third["lesions"] == first["lesions"]


def test_the_history_grows_by_the_earlier_exam(make_exam: Make, make_cube: Make) -> None:
    before = make_exam([make_cube(SPINE[0])], date="2025-03-01")
    point = {"study_date": "2025-01-01", "tumour_volume_ml": 9.0}
    before.report["response"] = {"history": [point], "lesions": [], "patient": 4}
    response = compare(before, make_exam([make_cube(SPINE[0])], date="2025-06-01"))
    assert [entry["study_date"] for entry in response["history"]] == ["2025-01-01", "2025-03-01"]
    assert response["history"][1]["patient"] == 4


def test_different_coverage_sequences_and_sex_are_named(make_exam: Make) -> None:
    before, after = make_exam(), make_exam()
    after.report["study"] |= {
        "coverage": {"lumbar_spine": "partial"}, "missing_sequences": ["stir"], "patient_sex": "M",
    }  # fmt: skip
    codes = [warning["code"] for warning in compare(before, after)["warnings"]]
    assert codes == ["other_person", "coverage_differs", "sequences_differ"]


def test_the_trend_is_one_picture_with_every_exam_and_its_category() -> None:
    exams = (("2025-01-01", 80.0, 800.0, None), ("2025-04-01", 30.0, 1300.0, 1), ("2025-10-01", 0.0, None, 2))
    points = [
        {
            "study_date": day,
            "tumour_volume_ml": volume,
            "adc_median_um2_per_s": adc,
            "visible": 3,
            "active": 2,
            "patient": category,
        }
        for day, volume, adc, category in exams
    ]
    svg = trend_svg(points)
    for word in ("2025-01-01", "2025-04-01", "2025-10-01", "RAC 1", "RAC 2", "research use only"):
        assert word in svg
    assert svg == trend_svg(points)  # the same exams give the same bytes
