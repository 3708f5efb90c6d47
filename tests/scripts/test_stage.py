"""`marrowmap stage` on files, as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from marrowmap.data.errors import ReportFileError
from marrowmap.scripts.stage import main

KEYS = [
    "durie_salmon",
    "durie_salmon_plus",
    "iss",
    "r_iss",
    "r2_iss",
    "imwg_2014",
    "imwg_mri_mde",
    "smm_20_2_20",
    "smm_imwg_points",
    "walker_7_lesions",
    "rasche_large_lesions",
    "lecouvet_pattern",
    "met_rads_p",
    "my_rads",
]


def write_files(folder: Path, diameters_mm: list[float]) -> list[str]:
    """Write findings and a clinical file; return the options that name them."""
    lesions = [{"longest_diameter_mm": diameter, "certainty": "certain"} for diameter in diameters_mm]
    findings = {"lesions": lesions, "pattern": {"diffuse_grade": "none"}}
    (folder / "findings.json").write_text(json.dumps(findings))
    (folder / "clinical.yaml").write_text(
        "plasma_cells_percent: 15\nbeta2_microglobulin_mg_per_l: 3.4\nalbumin_g_per_l: 35\n"
    )
    return ["--findings", str(folder / "findings.json"), "--clinical", str(folder / "clinical.yaml")]


def test_json_is_the_staging_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*write_files(tmp_path, [12.0, 7.0, 9.0, 9.0, 6.0]), "--json"]) == 0
    staging = json.loads(capsys.readouterr().out)
    assert list(staging) == KEYS
    assert staging["iss"]["value"] == "I"
    assert staging["durie_salmon_plus"]["value"] == "II"
    assert staging["imwg_2014"]["value"] == "multiple_myeloma"
    assert staging["imwg_2014"]["events"] == ["mri_lesions"]
    assert staging["walker_7_lesions"]["value"] is False
    assert staging["r_iss"]["candidates"] == ["I", "II"]
    wanted = {"value", "status", "probabilities", "inputs", "missing", "rule", "source", "warnings"}
    assert all(wanted <= stage.keys() for stage in staging.values())


def test_without_json_one_line_says_what_is_known_and_what_is_possible(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(write_files(tmp_path, [12.0])) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "iss I;" in out
    assert "r_iss unknown (I|II);" in out
    assert "durie_salmon_plus I (imaging only);" in out
    assert "walker_7_lesions false;" in out


def test_the_staging_object_follows_the_report_schema(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from importlib.resources import files

    from jsonschema import Draft202012Validator

    schema = json.loads(
        (files("marrowmap.inference.report") / "report.schema.json").read_text(encoding="utf-8")
    )
    validator = Draft202012Validator(
        {"$defs": schema["$defs"], "$ref": "#/$defs/staging"},
    )
    for diameters in ([], [12.0], [30.0] * 25):
        main([*write_files(tmp_path, diameters), "--json"])
        validator.validate(json.loads(capsys.readouterr().out))


def test_the_clinical_file_may_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*write_files(tmp_path, [12.0])[:2], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["iss"]["status"] == "unknown"


def test_findings_that_are_none_are_refused(tmp_path: Path) -> None:
    options = write_files(tmp_path, [])
    (tmp_path / "findings.json").write_text('{"lesion": []}')
    with pytest.raises(ReportFileError, match="need a list `lesions`"):
        main(options)


def test_a_missing_option_is_a_wrong_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
    assert "findings" in capsys.readouterr().err
