"""Comparing exams on disk: `compare`, `infer --prior` and `revise`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marrowmap.data.errors import ReportFileError
from marrowmap.data.nifti import write_nifti
from marrowmap.inference.pipeline import InferSettings, infer
from marrowmap.inference.report.report_json import read_report
from marrowmap.inference.revise import revise_folder
from marrowmap.scripts import compare as command


@pytest.fixture(autouse=True)
def stand_in(
    use_bright_diffusion: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_bright_diffusion(monkeypatch, tmp_path)


def write_study(folder: Path, texture: np.ndarray, lesions: Iterable[int], *, bone: bool = True) -> Path:
    """A body of 160 x 120 x 240 mm with a pelvis, and cubes of 16 mm at some of four places."""
    shape = (44, 34, 60)
    noise = texture[:44, :34, :60]
    body, pelvis, lesion = (np.zeros(shape, dtype=bool) for _ in range(3))
    body[2:42, 2:32, :] = True
    pelvis[10:34, 8:26, 15:45] = bone
    for place in lesions:
        lesion[14 + 8 * (place % 2) :, 14:, 20 + 12 * (place // 2) :][:4, :4, :4] = True
    where = [lesion, pelvis, body]
    maps = {
        "dwi_b50": np.select(where, [700.0, 200.0, 330.0], 2.0),
        "dwi_b900": np.select(where, [600.0, 140.0, 90.0], 2.0),
        "t1": np.select(where, [110.0, 170.0, 100.0], 2.0) * (1 + 0.1 * noise),
        "stir": np.select(where, [250.0, 80.0, 120.0], 2.0) * (1 + 0.1 * noise),
        "adc": np.select(where, [800.0, 420.0, 1500.0], 0.0),
    }
    folder.mkdir()
    for name, values in maps.items():
        write_nifti(folder / f"{name}.nii.gz", values.astype(np.float32), np.diag([4.0, 4.0, 4.0, 1.0]))
    return folder


@pytest.fixture
def outs(tmp_path: Path, texture: np.ndarray) -> tuple[Path, Path]:
    """Two lesions at first; later one of them, unchanged, and a new one."""
    for name, places in (("first", (0, 1)), ("second", (0, 3))):
        infer(write_study(tmp_path / f"study_{name}", texture, places), tmp_path / name)
    return tmp_path / "first", tmp_path / "second"


def fates(response: dict[str, Any]) -> list[str]:
    return sorted(entry["fate"] for entry in response["lesions"])


def test_the_command_prints_one_line_and_writes_json_and_trend_beside_the_report(
    outs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    report = (outs[1] / "report.json").read_bytes()
    assert command.main([*map(str, outs), "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert printed.startswith("mixed: category 5 (highly likely progressing)")
    response = json.loads((outs[1] / "response.json").read_text())
    assert fates(response) == ["new", "same", "vanished"]
    assert response["text"] in printed
    assert (outs[1] / "trend.svg").read_text().startswith("<?xml")
    assert (outs[1] / "report.json").read_bytes() == report


def test_an_exam_compared_with_itself_is_unchanged(
    outs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([str(outs[0]), str(outs[0]), "--json", "--quiet"]) == 0
    response = json.loads(capsys.readouterr().out)
    assert (response["patient"], response["worst"], response["direction"]) == (3, 3, "stable")
    assert fates(response) == ["same", "same"]
    assert response["tumour_volume_change"]["change_percent"] == 0.0


def test_earlier_exams_lengthen_the_trend(
    outs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*map(str, outs), "--earlier", str(outs[0]), str(outs[0]), "--json", "--quiet"]
    assert command.main(words) == 0
    assert len(json.loads(capsys.readouterr().out)["history"]) == 3


def test_a_folder_that_is_no_output_is_refused_by_name(outs: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ReportFileError, match=r"no report\.json in study_first"):
        command.main([str(tmp_path / "study_first"), str(outs[1]), "--quiet"])
    (outs[0] / "images.npz").unlink()
    with pytest.raises(ReportFileError, match=r"need images\.npz with the volumes to compare in first"):
        command.main([*map(str, outs), "--quiet"])


def test_infer_with_a_prior_says_the_same_as_compare(
    outs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = infer(tmp_path / "study_second", tmp_path / "third", InferSettings(prior=outs[0]))
    assert report["run"]["settings"]["prior"] is True
    command.main([*map(str, outs), "--json", "--quiet"])
    from_files = json.loads(capsys.readouterr().out)
    # The files keep ADC in whole um2/s and probability in 255 steps: single numbers may differ, results not.
    for key in ("patient", "worst", "direction", "counts"):
        assert from_files[key] == report["response"][key]
    assert fates(from_files) == fates(report["response"]) == ["new", "same", "vanished"]
    assert read_report(tmp_path / "third")["response"]["patient"] == 5
    assert (tmp_path / "third" / "trend.svg").is_file()


def test_a_prior_that_is_no_output_is_refused_before_the_study_is_read(tmp_path: Path) -> None:
    with pytest.raises(ReportFileError, match=r"no report\.json in nothing"):
        infer(tmp_path / "no-study", tmp_path / "out", InferSettings(prior=tmp_path / "nothing"))


def test_an_exam_without_bone_is_reported_though_it_cannot_be_compared(
    outs: tuple[Path, Path], tmp_path: Path, texture: np.ndarray
) -> None:
    study = write_study(tmp_path / "boneless", texture, (), bone=False)
    report = infer(study, tmp_path / "out", InferSettings(prior=outs[0]))
    assert report["response"] is None
    assert "not_compared" in [warning["code"] for warning in report["study"]["warnings"]]


def test_rejecting_the_new_lesion_takes_it_out_of_the_response(
    outs: tuple[Path, Path], tmp_path: Path
) -> None:
    report = infer(tmp_path / "study_second", tmp_path / "third", InferSettings(prior=outs[0]))
    (new,) = (entry["id"] for entry in report["response"]["lesions"] if entry["fate"] == "new")
    revised = revise_folder(tmp_path / "third", {new: "reject"})["response"]
    assert (revised["patient"], revised["direction"], revised["worst"]) == (1, "responding", 3)
    assert revised["tumour_volume_change"]["after_ml"] < revised["tumour_volume_change"]["before_ml"]
    assert (tmp_path / "third" / "trend.svg").is_file()
