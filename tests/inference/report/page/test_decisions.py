"""The page after a reader's decisions says what `marrowmap revise` says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marrowmap.inference.report.report_json import read_report
from marrowmap.inference.report.words import number_words, plain
from marrowmap.inference.revise import ReportMaps, recompute
from marrowmap.scripts import revise as revise_command

Exam = tuple[Path, ReportMaps]
Report = dict[str, Any]

STAGE_KEYS = ("value", "status", "candidates")
SEEN = {"skull": "complete", "cervical_spine": "complete", "thoracic_spine": "complete"} | {
    key: "complete" for key in ("lumbar_spine", "sacrum_pelvis", "thorax", "humeri", "femora")
}
CLINICAL = {
    "plasma_cells_percent": 30.0,
    "haemoglobin_g_per_dl": 13.0,
    "calcium_mg_per_dl": 9.0,
    "creatinine_mg_per_dl": 0.9,
    "lytic_lesions_ct": 0,
}
EXAMS = {
    "few lesions, all imaged": {"lesions": 7, "seed": 1, "study": SEEN},
    "many lesions, blood known": {"lesions": 34, "seed": 2, "study": SEEN, "clinical": CLINICAL},
    "many small nodules": {"lesions": 30, "seed": 3, "small": True, "study": SEEN},
    "part of the skeleton not imaged, grade unknown": {"lesions": 12, "seed": 4, "grade": None},
    "severe grade, a calibrated network": {
        "lesions": 15,
        "seed": 5,
        "grade": "severe",
        "study": SEEN,
        "doubt": {
            "fitted_on": "100 simulated exams",
            "volume_log_errors": None,
            "spread": {
                "missed": 0.7,
                "missed_per_lesion": 0.1,
                "missed_size": 2.0,
                "exam_log_odds_sd": 0.5,
            },
        },
    },
}


def random_decisions(report: Report, random: np.random.Generator) -> dict[int, Any]:
    """Return decisions on some of the lesions, now and then on all of them."""
    share = random.choice([0.2, 0.6, 1.0])
    kind = random.choice(["both", "reject", "accept"], p=[0.6, 0.3, 0.1])
    return {
        lesion["id"]: random.choice(["reject", "accept"]) if kind == "both" else str(kind)
        for lesion in report["lesions"]
        if random.random() < share
    }


def assert_says_the_same(page: Mapping[str, Any], revised: Report) -> None:
    assert page["counts"] == revised["counts"]
    for key in ("label", "diffuse_grade"):
        assert page["pattern"][key] == revised["pattern"][key]
    for key in ("focal_certain", "focal_equivocal", "nodules_of_5_mm_or_less", "label_if_equivocal_count"):
        assert page["pattern"][key] == revised["pattern"]["evidence"][key]
    assert [entry["lesion"] for entry in page["biopsy"]] == [
        entry["lesion_id"] for entry in revised["biopsy_candidates"]
    ]
    assert_same_burden(page["burden"], revised["burden"])
    for rule, stage in revised["staging"].items():
        if rule in page["staging"]:
            assert_same_stage(rule, page["staging"][rule], stage)
        else:
            assert "focal_lesions" not in stage["inputs"], f"{rule} counts lesions and is not on the page"


def assert_same_burden(page: Mapping[str, Any], revised: Mapping[str, Any]) -> None:
    assert page["tumour_volume_ml"] == pytest.approx(revised["tumour_volume_ml"], rel=1e-5, abs=1e-9)
    assert page["marrow_fraction"] == pytest.approx(revised["marrow_fraction"], rel=2e-5, abs=1e-9)
    for region, part in revised["by_region"].items():
        for key in ("tumour_volume_ml", "marrow_fraction"):
            assert page["by_region"][region][key] == pytest.approx(part[key], rel=2e-5, abs=1e-9)
    adc, found = revised["adc_um2_per_s"], page["adc_um2_per_s"]
    for key in ("mean", "median", "p10", "p90"):
        assert found[key] == (None if adc[key] is None else pytest.approx(adc[key], rel=1e-5))
    assert found["histogram"] == adc["histogram"]


def assert_same_stage(rule: str, page: Mapping[str, Any], stage: Mapping[str, Any]) -> None:
    for key in STAGE_KEYS:
        assert page[key] == stage[key], (rule, key)
    assert page.get("suffix") == stage.get("suffix"), rule
    assert page["probabilities"] == pytest.approx(stage["probabilities"], abs=2e-4), rule
    assert sorted(page["card"]["warnings"]) == sorted(plain(text) for text in stage["warnings"]), rule
    shown = {key: value for key, value in stage["inputs"].items() if value not in (None, [], {})}
    for (_, said), key in zip(page["card"]["inputs"], page["card"]["input_keys"], strict=True):
        if key in shown:
            assert str(said) == number_words(shown[key]), (rule, key)


@pytest.mark.parametrize("name", EXAMS)
def test_the_page_follows_fifty_random_decisions_as_revise_does(
    name: str, make_exam: Callable[..., Exam], report: Report, browser: Any
) -> None:
    wanted = dict(EXAMS[name])
    if "study" in wanted:
        wanted["study"] = report["study"] | {"coverage": wanted["study"]}
    out, maps = make_exam(**wanted)
    before = read_report(out)
    browser.open(out / "report.html")
    random = np.random.default_rng(100)
    for _ in range(10):
        decisions = random_decisions(before, random)
        said = browser.run(f"JSON.stringify(marrowmap.recount({json.dumps(decisions)}))")
        assert_says_the_same(json.loads(said), recompute(before, decisions, maps))
    assert browser.console == []


def test_decisions_made_by_hand_are_saved_and_taken_by_revise(
    make_exam: Callable[..., Exam], browser: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = make_exam(lesions=7, seed=1)
    browser.open(out / "report.html")
    browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    for lesion, decision in ((2, "reject"), (3, "reject"), (3, "reject"), (5, "accept")):
        browser.run(f"document.querySelector('#lesion-{lesion} [data-decision={decision}]').click()")
    said = json.loads(browser.run("JSON.stringify(marrowmap.state())"))
    assert "1 rejected, 1 accepted" in browser.run("document.querySelector('#decisions-words').textContent")
    browser.run("document.querySelector('#save').click()")
    browser.run("new Promise((done) => setTimeout(done, 500))")
    saved = tmp_path / "decisions.json"
    found = json.loads(saved.read_text(encoding="utf-8"))["decisions"]
    assert found == [{"lesion": 2, "decision": "reject"}, {"lesion": 5, "decision": "accept"}]
    assert revise_command.main([str(out), "--decisions", str(saved)]) == 0
    assert capsys.readouterr().out.startswith("1 rejected, 1 accepted: 6 lesions")
    revised = read_report(out)
    assert revised["revision"] == {"rejected": [2], "accepted": [5]}
    assert_says_the_same(said, revised)
    browser.open(out / "report.html")
    assert browser.run("document.querySelector('#lesion-2 .chip').textContent") == "rejected"
    assert browser.run("document.querySelector('#decisions').hidden")
