"""Figure cases of the teaching texts as simulated exams, read by a network that sees what is there.

The network of these tests is the truth itself: what is tried is everything after the network. With the
shipped weights the same exams come from `marrowmap simulate OUT --scenario NAME`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from marrowmap.data.grid import resample_nearest
from marrowmap.data.model_input import ModelInputSettings, to_model_input
from marrowmap.data.simulate.exam import SimulationSettings, to_exam
from marrowmap.data.simulate.protocol import ScannerSettings
from marrowmap.data.simulate.scenarios import SCENARIOS, ScenarioName, simulate_scenario
from marrowmap.inference.assemble import build_report
from marrowmap.inference.clinical import clinical_from_mapping
from marrowmap.inference.describe import describe
from marrowmap.inference.segment import Segmentation

pytest.importorskip("myo_sim", reason="scenarios need the extra [simulate]")

MODEL = {"name": "truth", "version": "1", "sha256": "", "engine": "none", "device": "none"}


def report_of(name: ScenarioName) -> dict[str, Any]:
    simulated = simulate_scenario(name, settings=SimulationSettings(scanner=ScannerSettings()))
    truth, exam = simulated.truth, to_exam(simulated)
    model_input = to_model_input(exam, ModelInputSettings())
    grid = model_input.grid
    labels = resample_nearest(truth.lesion_labels, truth.affine_ras_mm, grid)
    regions = resample_nearest(truth.regions, truth.affine_ras_mm, grid).astype(np.uint8)
    probability = (labels > 0).astype(np.float32) * np.float32(0.95)
    segmentation = Segmentation(lesion_probability=probability, regions=regions, grid=grid)
    findings = describe(segmentation, model_input, exam, lesion_threshold=0.5)
    clinical = clinical_from_mapping(dict(SCENARIOS[name].clinical))
    return build_report(findings, exam, model_input, MODEL, clinical, {})


def codes(report: dict[str, Any], part: str) -> set[str]:
    return {entry["code"] for entry in report[part]}


def test_a11_is_upstaged_by_mri_and_the_modalities_disagree() -> None:
    report = report_of("a11")
    staging = report["staging"]
    assert (staging["durie_salmon"]["value"], staging["durie_salmon"]["suffix"]) == ("I", "A")
    assert staging["iss"]["value"] == "II"
    # Twelve foci of spine and pelvis, some of them equivocal on diffusion: 5 to 20 are stage II.
    assert 5 <= report["counts"]["focal_5mm"] <= 12
    assert staging["durie_salmon_plus"]["value"] == "II"
    assert any("point to stage I" in text for text in staging["durie_salmon_plus"]["warnings"])
    texts = [note["text"] for note in report["notes"] if note["code"] == "discordant_modalities"]
    assert any("radiographs no lysis" in text for text in texts)
    assert any("PET 1" in text for text in texts)
    assert {lesion["region"] for lesion in report["lesions"]} == {
        "thoracic_spine", "lumbar_spine", "sacrum_pelvis"
    }  # fmt: skip
    assert report["biopsy_candidates"][0]["lesion_id"] in {
        lesion["id"] for lesion in report["lesions"] if lesion["region"] == "sacrum_pelvis"
    }


def test_a12_has_lesions_of_spine_pelvis_ribs_and_an_alert_for_the_right_femoral_head() -> None:
    report = report_of("a12")
    by_region = report["counts"]["by_region"]
    assert {key for key, count in by_region.items() if count} == {
        "thoracic_spine", "lumbar_spine", "sacrum_pelvis", "thorax", "femora"
    }  # fmt: skip
    assert "large_proximal_femur_lesion" in codes(report, "alerts")
    (femur,) = [lesion for lesion in report["lesions"] if lesion["region"] == "femora"]
    assert femur["centroid_ras_mm"][0] > 0.0  # RAS: the right side of the person


def test_k08_names_l1_its_arch_and_the_cord() -> None:
    report = report_of("k08")
    assert {lesion["level"] for lesion in report["lesions"]} == {"L1"}
    assert "L1" in report["spine"]["pedicle_lesions"]
    assert "L1" in report["spine"]["canal_contacts"]
    assert "possible_cord_compression" in codes(report, "alerts")


def test_k21_has_two_collapses_that_look_malignant_and_a_pedicle_of_l2() -> None:
    report = report_of("k21")
    collapses = {collapse["level"]: collapse for collapse in report["spine"]["collapses"]}
    assert set(collapses) == {"L1", "L2"}
    assert {collapse["appearance"] for collapse in collapses.values()} == {"malignant_looking"}
    assert all(collapse["height_loss"] > 0.35 for collapse in collapses.values())
    assert "L2" in report["spine"]["pedicle_lesions"]
    assert {"malignant_looking_collapse", "possible_cord_compression"} <= codes(report, "alerts")
    assert "collapse_pitfall" in codes(report, "notes")
