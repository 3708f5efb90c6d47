from __future__ import annotations

from typing import Any

import pytest

from marrowmap.inference.report.page_response import response_parts
from marrowmap.inference.report.page_words import DASH
from marrowmap.inference.report.words_catalog import words_of

Report = dict[str, Any]


@pytest.fixture
def followed(report: Report) -> Report:
    """A report of a third exam; the earlier two are known."""
    response = {
        "text": "responding",
        "patient": 1,
        "patient_name": "highly likely responding",
        "worst": 3,
        "direction": "responding",
        "days": 91,
        "tumour_volume_change": {
            "before_ml": 97.4,
            "after_ml": 48.7,
            "change_percent": -50.0,
            "interval_percent": [-58.0, -40.0],
        },
        "adc_change": {"before_um2_per_s": None, "after_um2_per_s": None, "change_percent": None},
        "history": [
            {
                "study_date": "2025-09-14",
                "tumour_volume_ml": 120.0,
                "adc_median_um2_per_s": 700.0,
                "visible": 6,
            },
            {
                "study_date": "2025-12-13",
                "tumour_volume_ml": 97.4,
                "adc_median_um2_per_s": None,
                "visible": 5,
            },
        ],
        "regions": [
            {
                "region": "lumbar_spine",
                "category": 1,
                "worst": 1,
                "marrow": None,
                "lesions": 1,
                "volume_before_ml": 60.0,
                "volume_after_ml": 33.5,
            }
        ],
        "lesions": [
            {
                "id": None,
                "baseline_id": 4,
                "region": "thorax",
                "fate": "vanished",
                "category": 1,
                "is_rejected": False,
                "volume_before_ml": 2.0,
                "volume_after_ml": 0.0,
                "reasons": ["no longer to be seen where it was"],
            }
        ],
        "warnings": [{"code": "sequences_differ", "text": "Only one of the two exams has: t1."}],
        "notes": [],
        "limits": "as it is",
    }
    return report | {"response": response}


def test_an_exam_without_an_earlier_one_has_no_response(report: Report) -> None:
    assert response_parts(report) is None


def test_category_and_changes_stand_first(followed: Report) -> None:
    parts = response_parts(followed)
    assert parts
    figures = {figure["label"]: figure for figure in parts["figures"]}
    assert figures["Category (1 to 5)"]["value"] == "1"
    assert figures["Tumour volume"]["value"] == "-50 %"
    assert figures["Tumour volume"]["note"] == "97.4 → 48.7 ml; 90 % interval -58 to -40 %"
    assert "Median ADC" not in figures
    assert parts["dates"] == "after 91 days"


def test_a_curve_runs_over_all_exams_at_their_dates(followed: Report) -> None:
    parts = response_parts(followed)
    assert parts
    trends = {trend["label"]: trend for trend in parts["trends"]}
    volume = trends["Tumour volume, ml"]
    assert [point["value"] for point in volume["points"]] == ["120.0", "97.4", "48.7"]
    first, middle, last = (point["x"] for point in volume["points"])
    assert (first, last) == (30.0, 210.0)
    assert middle == pytest.approx(30 + 180 * 90 / 181, abs=0.1)
    assert [point["value"] for point in trends["Median lesion ADC, µm²/s"]["points"]] == ["700", "805"]
    assert "Active lesions" not in trends  # one exam alone says how many
    assert volume["words"].startswith("Tumour volume, ml. 2025-09-14: 120.0")


def test_regions_and_lesions_stand_in_tables(followed: Report) -> None:
    parts = response_parts(followed, words_of("de"))
    assert parts
    regions, lesions = parts["tables"]
    assert regions["rows"] == [["Lendenwirbelsäule", "1", "1", DASH, "1", "60,0 → 33,5"]]
    assert lesions["rows"][0][3:5] == ["verschwunden", "1"]
    assert lesions["rows"][0][6] == "nicht mehr zu sehen, wo sie war"
    assert parts["warnings"][0] == "Nur eine der beiden Untersuchungen hat: t1."


def test_a_response_of_few_keys_is_still_shown(report: Report) -> None:
    parts = response_parts(report | {"response": {"patient": None}})
    assert parts
    assert parts["figures"][0]["value"] == "nothing to judge"
    assert parts["tables"] == []
