from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from marrowmap.data.errors import ReportFileError
from marrowmap.inference.report.report_json import read_report, report_text, validate_report

Report = dict[str, Any]
TakeAway = Callable[[Report, str], Report]


def test_the_schema_is_itself_valid() -> None:
    from jsonschema import Draft202012Validator

    schema = json.loads(
        (files("marrowmap.inference.report") / "report.schema.json").read_text(encoding="utf-8")
    )
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_a_full_report_is_accepted(report: Report) -> None:
    validate_report(report)


def test_a_report_without_lesions_is_accepted(clean_report: Report) -> None:
    validate_report(clean_report)


def test_keys_may_be_added(report: Report) -> None:
    report["lesions"][0]["reader_comment"] = "seen on the earlier exam"
    validate_report(report | {"extra": 1})


@pytest.mark.parametrize(
    "key",
    ["schema", "study", "model", "lesions", "counts", "burden", "pattern", "staging", "alerts", "response"],
)
def test_a_missing_top_key_is_named(report: Report, without: TakeAway, key: str) -> None:
    with pytest.raises(ReportFileError, match=f"'{key}' is a required property"):
        validate_report(without(report, key))


@pytest.mark.parametrize(
    "key", ["counts.focal_5mm", "burden.adc_um2_per_s.p90", "staging.iss", "staging.iss.source"]
)
def test_a_missing_inner_key_is_named_with_its_parent(report: Report, without: TakeAway, key: str) -> None:
    parent, _, name = key.rpartition(".")
    with pytest.raises(ReportFileError, match=rf"report\.json, {parent}: '{name}' is a required property"):
        validate_report(without(report, key))


def test_a_negative_volume_is_refused_with_its_path(report: Report) -> None:
    report["lesions"][2]["volume_ml"] = -1.0
    with pytest.raises(
        ReportFileError, match=r"lesions\[2\]\.volume_ml: -1\.0 is less than the minimum of 0"
    ):
        validate_report(report)


def test_a_stage_that_the_rule_does_not_know_is_refused(report: Report) -> None:
    report["staging"]["iss"] |= {"value": "IV", "status": "complete"}
    with pytest.raises(ReportFileError, match=r"staging\.iss\.value: 'IV' is not one of"):
        validate_report(report)


def test_an_unknown_stage_holds_no_value(report: Report) -> None:
    report["staging"]["iss"] |= {"value": "I", "status": "unknown"}
    with pytest.raises(ReportFileError, match=r"staging\.iss\.value: 'I' is not of type 'null'"):
        validate_report(report)


def test_an_unmeasured_diffuse_grade_is_null(report: Report) -> None:
    report["pattern"]["diffuse_grade"] = None
    validate_report(report)


def test_a_region_that_no_output_knows_is_refused(report: Report) -> None:
    report["counts"]["by_region"]["tail"] = 1
    with pytest.raises(ReportFileError, match=r"counts\.by_region: 'tail' is not one of"):
        validate_report(report)


def test_another_schema_version_is_refused(report: Report) -> None:
    with pytest.raises(ReportFileError, match="schema: 'marrowmap-report/1' was expected"):
        validate_report(report | {"schema": "marrowmap-report/2"})


def test_a_written_report_reads_back_equal(report: Report, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(report_text(report), encoding="utf-8")
    assert read_report(tmp_path) == report
    assert read_report(tmp_path / "report.json") == report


def test_a_folder_without_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportFileError, match=r"no report\.json in .*; name the output folder of `infer`"):
        read_report(tmp_path)


def test_a_damaged_report_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text('{"schema": ', encoding="utf-8")
    with pytest.raises(ReportFileError, match=r"report\.json cannot be read as JSON"):
        read_report(tmp_path)


def test_a_number_that_is_not_finite_never_reaches_the_file(report: Report) -> None:
    report["burden"]["tumour_volume_ml"] = float("nan")
    with pytest.raises(ReportFileError, match="plain finite JSON values"):
        report_text(report)
