"""The whole sentence on one simulated exam with the shipped weights, from DICOM files to the report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marrowmap.data.errors import BundleError
from marrowmap.data.grid import Grid, resample_nearest
from marrowmap.data.nifti import read_nifti
from marrowmap.inference.report.report_json import read_report
from marrowmap.models.bundle import load_bundle
from marrowmap.scripts import demo

pytest.importorskip("myo_sim", reason="the simulator needs the extra [simulate]")


@pytest.fixture(scope="module")
def demo_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One demo for all tests of this file."""
    try:
        load_bundle()
    except BundleError as error:
        pytest.skip(f"no shipped weights yet: {error}")
    out = tmp_path_factory.mktemp("demo")
    assert demo.main(["--out", str(out), "--device", "cpu", "--quiet"]) == 0
    return out


@pytest.fixture(scope="module")
def report(demo_out: Path) -> Mapping[str, Any]:
    return read_report(demo_out / "report")


def test_the_demo_writes_a_report_that_follows_its_schema(demo_out: Path, report: Mapping[str, Any]) -> None:
    assert report["schema"] == "marrowmap-report/1"
    page = (demo_out / "report" / "report.html").read_text(encoding="utf-8")
    assert "Research use only" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_lesions_of_10_mm_are_found_where_they_were_put(demo_out: Path, report: Mapping[str, Any]) -> None:
    truth = json.loads((demo_out / "study" / "truth.json").read_text(encoding="utf-8"))
    labels, affine = read_nifti(demo_out / "report" / "lesions.nii.gz")
    i, j, k = labels.shape
    true_labels, true_affine = read_nifti(demo_out / "study" / "truth_lesions.nii.gz")
    on_grid = resample_nearest(
        true_labels.astype(np.uint16), true_affine, Grid(shape=(i, j, k), affine_ras_mm=affine)
    )
    large = [lesion["id"] for lesion in truth["lesions"] if lesion["longest_diameter_mm"] >= 10.0]
    found = [number for number in large if (labels[on_grid == number] > 0).any()]
    assert large, "the demo exam needs lesions of 10 mm or more"
    assert len(found) >= 0.6 * len(large)


def test_the_skeleton_of_the_trunk_is_found_whole(report: Mapping[str, Any]) -> None:
    coverage = report["study"]["coverage"]
    trunk = ("cervical_spine", "thoracic_spine", "lumbar_spine", "sacrum_pelvis", "thorax")
    assert {coverage[region] for region in trunk} == {"complete"}


def test_the_burden_is_of_the_right_size(demo_out: Path, report: Mapping[str, Any]) -> None:
    truth = json.loads((demo_out / "study" / "truth.json").read_text(encoding="utf-8"))
    expected = sum(lesion["volume_ml"] for lesion in truth["lesions"])
    assert 0.4 * expected <= report["burden"]["tumour_volume_ml"] <= 2.5 * expected


def test_every_rule_answers_or_says_what_is_missing(report: Mapping[str, Any]) -> None:
    for key, stage in report["staging"].items():
        assert stage["value"] is not None or stage["missing"] or stage["status"] == "not_applicable", key


def test_a_second_demo_in_the_same_folder_uses_the_same_study(
    demo_out: Path, report: Mapping[str, Any]
) -> None:
    assert demo.simulated_study(demo_out / "study")["seed"] == demo.DEMO_SEED
