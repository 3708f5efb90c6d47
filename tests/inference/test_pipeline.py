from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from marrowmap.data.errors import BundleError, ClinicalInputError, NoStudyError, ReportFileError
from marrowmap.data.nifti import read_nifti, write_nifti
from marrowmap.inference.pipeline import InferSettings, infer, plan
from marrowmap.inference.report.report_json import read_report
from marrowmap.inference.revise import revise_folder
from marrowmap.scripts import infer as infer_command
from marrowmap.scripts import revise as revise_command

FILES = (
    "report.json",
    "report.html",
    "report.pdf",
    "lesions.csv",
    "mip.png",
    "lesions.nii.gz",
    "regions.nii.gz",
    "lesion_probability.nii.gz",
    "adc.nii.gz",
    "images.npz",
)


@pytest.fixture(autouse=True)
def stand_in(
    use_bright_diffusion: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_bright_diffusion(monkeypatch, tmp_path)


def write_study(folder: Path, *, lesions: int = 2, adc: bool = True) -> Path:
    """A body of muscle, 160 x 120 x 240 mm, with a pelvis inside and cubes of 16 mm in it."""
    shape = (44, 34, 60)
    body = np.zeros(shape, dtype=bool)
    body[2:42, 2:32, :] = True
    bone = np.zeros(shape, dtype=bool)
    bone[10:34, 8:26, 15:45] = True
    lesion = np.zeros(shape, dtype=bool)
    for number in range(lesions):
        lesion[14 + 8 * number : 18 + 8 * number, 14:18, 20:24] = True
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    noise = np.random.default_rng(0).normal(0.0, 1.0, shape)
    maps = {
        "dwi_b50": np.select([lesion, bone, body], [700.0, 200.0, 330.0], 2.0),
        "dwi_b900": np.select([lesion, bone, body], [600.0, 140.0, 90.0], 2.0),
        "t1": np.select([lesion, bone, body], [110.0, 170.0, 100.0], 2.0),
        "stir": np.select([lesion, bone, body], [250.0, 80.0, 120.0], 2.0),
    }
    if adc:
        maps["adc"] = np.select([lesion, bone, body], [800.0, 420.0, 1500.0], 0.0)
    folder.mkdir()
    for name, values in maps.items():
        write_nifti(folder / f"{name}.nii.gz", (values + noise).astype(np.float32), affine)
    return folder


def test_two_cubes_are_found_measured_and_written(tmp_path: Path) -> None:
    report = infer(write_study(tmp_path / "study"), tmp_path / "out")
    assert report == {**read_report(tmp_path / "out"), "run": report["run"]}
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES)
    assert [lesion["region"] for lesion in report["lesions"]] == ["sacrum_pelvis", "sacrum_pelvis"]
    assert report["counts"]["visible"] == 2
    # 4 x 4 x 4 voxels of 0.064 ml are 4.1 ml each.
    assert report["burden"]["tumour_volume_ml"] == pytest.approx(8.2, rel=0.3)
    assert report["lesions"][0]["adc_um2_per_s"]["median"] == pytest.approx(800.0, abs=60.0)
    labels, _ = read_nifti(tmp_path / "out" / "lesions.nii.gz")
    assert set(np.unique(labels)) == {0.0, 1.0, 2.0}
    assert set(report["run"]["seconds"]) >= {"read_study", "prepare", "segment", "describe", "write"}


def test_nothing_found_is_a_normal_result_with_all_files(tmp_path: Path) -> None:
    report = infer(write_study(tmp_path / "study", lesions=0), tmp_path / "out")
    assert report["lesions"] == []
    assert report["pattern"]["label"] == "normal"
    assert report["burden"]["adc_um2_per_s"]["median"] is None
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES)


def test_what_was_not_imaged_leaves_the_stage_unknown_not_zero(tmp_path: Path) -> None:
    report = infer(write_study(tmp_path / "study", lesions=0), tmp_path / "out")
    assert report["study"]["coverage"]["skull"] == "absent"
    assert report["pattern"]["diffuse_grade"] is None
    assert report["staging"]["durie_salmon_plus"]["value"] is None


def test_adc_is_computed_when_the_study_has_none(tmp_path: Path) -> None:
    report = infer(write_study(tmp_path / "study", adc=False), tmp_path / "out")
    assert report["counts"]["visible"] == 2
    # ln(700 / 600) / 850 s/mm2 is 181 um2/s.
    assert report["lesions"][0]["adc_um2_per_s"]["median"] == pytest.approx(181.0, abs=20.0)


def test_a_clinical_file_reaches_the_rules(tmp_path: Path) -> None:
    clinical = tmp_path / "clinical.yaml"
    clinical.write_text("beta2_microglobulin_mg_per_l: 3.4\nalbumin_g_per_dl: 3.5\n")
    study = write_study(tmp_path / "study", lesions=1)
    report = infer(study, tmp_path / "out", InferSettings(clinical=clinical))
    assert report["staging"]["iss"]["value"] == "I"
    assert report["clinical"]["albumin_g_per_dl"] == 3.5


def test_a_wrong_clinical_file_is_refused_before_the_study_is_read(tmp_path: Path) -> None:
    clinical = tmp_path / "clinical.yaml"
    clinical.write_text("albumin: 3.5\n")
    with pytest.raises(ClinicalInputError, match="albumin: no such clinical field"):
        infer(tmp_path / "no-study", tmp_path / "out", InferSettings(clinical=clinical))


def test_a_missing_study_leaves_no_folder_behind(tmp_path: Path) -> None:
    with pytest.raises(NoStudyError):
        infer(tmp_path / "no-study", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(ReportFileError, match="need a folder to write to, found the file out"):
        infer(tmp_path / "study", tmp_path / "out")


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(tmp_path: Path) -> None:
    planned = plan(write_study(tmp_path / "study"))
    assert planned["sequences"] == ["adc", "dwi_high", "dwi_low", "stir", "t1"]
    assert planned["windows"] >= 4
    assert planned["peak_memory_mb"] > 350
    assert planned["seconds"] > 2.0
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


def test_the_command_prints_one_line_and_takes_every_setting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = str(write_study(tmp_path / "study"))
    words = [study, str(tmp_path / "out"), "--findings.lesions.threshold", "0.9", "--quiet"]
    assert infer_command.main(words) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("2 lesions (")
    assert printed.count("\n") == 1
    report = read_report(tmp_path / "out")
    assert report["run"]["settings"]["findings"]["lesions"]["threshold"] == 0.9


def test_the_dry_run_command_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = str(write_study(tmp_path / "study"))
    assert infer_command.main([study, str(tmp_path / "out"), "--dry-run", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["engine"] == "bright diffusion"


def test_a_rejected_lesion_stays_listed_and_counts_nowhere(tmp_path: Path) -> None:
    before = infer(write_study(tmp_path / "study"), tmp_path / "out")
    after = revise_folder(tmp_path / "out", {1: "reject"})
    assert after["lesions"][0]["certainty"] == "rejected"
    assert after["counts"]["visible"] == 1
    left = before["lesions"][1]["volume_ml"]
    assert after["burden"]["tumour_volume_ml"] == pytest.approx(left)
    assert after["burden"]["marrow_volume_ml"] == pytest.approx(before["burden"]["marrow_volume_ml"])
    assert read_report(tmp_path / "out")["counts"] == after["counts"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES)


def test_accepting_takes_a_rejection_back(tmp_path: Path) -> None:
    before = infer(write_study(tmp_path / "study"), tmp_path / "out")
    revise_folder(tmp_path / "out", {1: "reject"})
    after = revise_folder(tmp_path / "out", {1: "accept", 2: "accept"})
    assert after["revision"] == {"rejected": [], "accepted": [1, 2]}
    assert after["counts"]["focal_5mm"] == 2
    assert after["burden"]["tumour_volume_ml"] == pytest.approx(before["burden"]["tumour_volume_ml"])


def test_the_revise_command_names_a_lesion_that_does_not_exist(tmp_path: Path) -> None:
    infer(write_study(tmp_path / "study"), tmp_path / "out")
    with pytest.raises(ReportFileError, match="no lesion 7: the report lists 1 to 2"):
        revise_command.main([str(tmp_path / "out"), "--reject", "7"])


def test_an_infer_on_a_cpu_imports_no_torch() -> None:
    code = (
        "import sys; import marrowmap.scripts.infer, marrowmap.scripts.revise, marrowmap.scripts.demo; "
        "heavy = {'torch', 'monai', 'lightning', 'mujoco'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_missing_weights_are_refused_with_the_option_that_names_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    with pytest.raises(BundleError, match="name a bundle with --weights"):
        infer(tmp_path / "study", tmp_path / "out", InferSettings(weights=tmp_path))
