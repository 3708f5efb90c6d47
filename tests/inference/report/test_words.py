from __future__ import annotations

from typing import Any

import pytest

from marrowmap.inference.report.page_words import key_figures, notices
from marrowmap.inference.report.words import headline, key_words, number_words, short_words, value_words

Report = dict[str, Any]


def test_several_lesions_give_count_and_largest(report: Report) -> None:
    assert headline(report) == (
        "4 marrow lesions were found; the staging rules count 3 (certain, 5 mm or more). "
        "The largest: 40 mm, lumbar spine."
    )


def test_one_lesion_is_said_in_the_singular(report: Report) -> None:
    report["lesions"] = report["lesions"][:1]
    assert headline(report) == "One marrow lesion was found: 40 mm, lumbar spine."


def test_rejected_lesions_are_no_finding(report: Report) -> None:
    for lesion in report["lesions"]:
        lesion["certainty"] = "rejected"
    report["pattern"] = {"label": "normal", "diffuse_grade": None, "evidence": {}}
    assert headline(report) == "No marrow lesion was found on this exam; this does not exclude myeloma."


def test_a_diffuse_marrow_without_lesion_is_said(clean_report: Report) -> None:
    clean_report["pattern"] |= {"label": "diffuse", "diffuse_grade": "severe"}
    assert "diffuse marrow change, grade severe" in headline(clean_report)


@pytest.mark.parametrize("label", ["normal", "focal", "diffuse", "focal_on_diffuse", "micronodular"])
@pytest.mark.parametrize("grade", ["none", "mild", "moderate", "severe", None])
def test_no_pattern_is_ever_called_no_myeloma(clean_report: Report, label: str, grade: str | None) -> None:
    clean_report["pattern"] = {"label": label, "diffuse_grade": grade, "evidence": {}}
    assert "no myeloma" not in headline(clean_report).lower()


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("vertebral_adc_um2_per_s", "vertebral ADC (µm²/s)"),
        ("haemoglobin_g_per_dl", "haemoglobin (g/dL)"),
        ("flc_ratio", "FLC ratio"),
        ("longest_diameter_mm", "longest diameter (mm)"),
    ],
)
def test_a_key_becomes_words_with_its_unit(key: str, text: str) -> None:
    assert key_words(key) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "not assessed"),
        (True, "yes"),
        (0.6543, "0.654"),
        (812.4, "812"),
        ([1, 2], "1, 2"),
        ({"del17p": None}, "del(17p): not assessed"),
    ],
)
def test_a_value_becomes_words(value: object, text: str) -> None:
    assert number_words(value) == text


def test_stage_values_are_said_as_a_radiologist_would() -> None:
    assert value_words("iss", "II") == "stage II"
    assert value_words("walker_7_lesions", False) == "no"
    assert short_words("walker_7_lesions", "True") == "yes"
    assert value_words("r2_iss", None) == "unknown"
    assert "myeloma" not in value_words("imwg_2014", "none")


def test_sequences_that_the_report_misses_are_named_in_words(report: Report) -> None:
    report["study"]["missing_sequences"] = ["stir", "fat_fraction"]
    notice = notices(report)[1]
    assert (notice["level"], notice["title"]) == ("notice", "Missing sequences")
    assert notice["text"] == "STIR, fat fraction"


def test_what_is_only_unknown_is_not_shown_as_an_alarm(report: Report) -> None:
    report["alerts"] = [
        {"code": "diffuse_grade_unknown", "region": None, "text": "The diffuse grade is not known."},
        {"code": "coverage_gap", "region": "humeri", "text": "said in the coverage line"},
    ]
    levels = {notice["text"]: notice["level"] for notice in notices(report)}
    assert levels["The diffuse grade is not known."] == "notice"
    assert "said in the coverage line" not in levels


def test_the_key_figures_say_when_nothing_was_measured(clean_report: Report) -> None:
    clean_report["burden"]["marrow_fraction"] = None
    figures = {figure["label"]: figure for figure in key_figures(clean_report)}
    assert figures["Tumour volume"]["note"] == "marrow not measured"
    assert figures["Median lesion ADC"]["value"] == "none"
