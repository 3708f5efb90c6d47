"""Which exams to annotate next: doubt counted in bits over lesions and candidates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marrowmap.data.errors import StudyError
from marrowmap.data.nifti import write_nifti
from marrowmap.scripts.train import main
from marrowmap.training.suggest import entropy_bits, suggest

AFFINE = np.diag([2.5, 2.5, 2.5, 1.0])


def write_output(folder: Path, listed: list[float], candidates: tuple[float, ...] = (), **more: Any) -> None:
    """An output of infer: cubes of 0.125 ml in a row, first the listed lesions, then the candidates."""
    probability, labels = np.zeros((4, 4, 60), dtype=np.float32), np.zeros((4, 4, 60), dtype=np.uint16)
    for number, peak in enumerate([0.99] * len(listed) + list(candidates)):
        cube = (slice(1, 3), slice(1, 3), slice(4 * number + 1, 4 * number + 3))
        probability[cube] = peak
        labels[cube] = number + 1 if number < len(listed) else 0
    folder.mkdir(parents=True)
    lesions = [{"probability": p, "certainty": "certain", **more} for p in listed]
    (folder / "report.json").write_text(json.dumps({"lesions": lesions}))
    write_nifti(folder / "lesions.nii.gz", labels, AFFINE)
    write_nifti(folder / "lesion_probability.nii.gz", probability, AFFINE)


def test_the_exam_with_most_open_questions_comes_first(tmp_path: Path) -> None:
    write_output(tmp_path / "sure", [0.999, 0.999])
    write_output(tmp_path / "doubtful", [0.5, 0.999])
    write_output(tmp_path / "nothing", [])
    assert [exam.exam for exam in suggest(tmp_path)] == ["doubtful", "sure", "nothing"]
    first = suggest(tmp_path)[0]
    assert first.doubt_bits == pytest.approx(1.0 + entropy_bits(0.999))
    assert (first.lesions, first.candidates) == (2, 0)


def test_candidates_below_the_threshold_count_and_unlikely_ones_do_not(tmp_path: Path) -> None:
    write_output(tmp_path / "exam", [], candidates=(0.75, 0.4))
    (exam,) = suggest(tmp_path)
    assert exam.candidates == 1
    assert exam.doubt_bits == pytest.approx(entropy_bits(0.75), abs=1e-3)


def test_a_speck_is_no_candidate(tmp_path: Path) -> None:
    write_output(tmp_path / "exam", [])
    probability = np.zeros((4, 4, 60), dtype=np.float32)
    probability[1, 1, 1] = 0.8  # 0.016 ml
    write_nifti(tmp_path / "exam" / "lesion_probability.nii.gz", probability, AFFINE)
    assert suggest(tmp_path)[0].candidates == 0


def test_what_a_reader_has_rejected_is_no_longer_open(tmp_path: Path) -> None:
    write_output(tmp_path / "exam", [0.5], certainty="rejected")
    assert suggest(tmp_path)[0].doubt_bits == 0.0


def test_the_draft_is_the_segmentation_where_there_is_one(tmp_path: Path) -> None:
    write_output(tmp_path / "a", [0.5])
    assert suggest(tmp_path)[0].draft == tmp_path / "a" / "lesions.nii.gz"
    (tmp_path / "a" / "dicom").mkdir()
    (tmp_path / "a" / "dicom" / "seg.dcm").touch()
    assert suggest(tmp_path)[0].draft == tmp_path / "a" / "dicom" / "seg.dcm"


def test_the_command_prints_a_table_and_trains_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_output(tmp_path / "out" / "12" / "exam", [0.5])
    run = tmp_path / "run"
    assert main(["--suggest", str(tmp_path / "out"), "--run", str(run), "--quiet"]) == 0
    header, row = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert dict(zip(header, row, strict=True)) == {
        "rank": "1",
        "doubt_bits": "1.00",
        "lesions": "1",
        "candidates": "0",
        "exam": str(Path("12") / "exam"),
        "draft": str(tmp_path / "out" / "12" / "exam" / "lesions.nii.gz"),
    }
    assert not run.exists()


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"no report.json in or below"):
        suggest(tmp_path)
    write_output(tmp_path / "exam", [0.5])
    (tmp_path / "exam" / "lesion_probability.nii.gz").unlink()
    with pytest.raises(StudyError, match=r"exam needs lesion_probability.nii.gz, found none"):
        suggest(tmp_path)
    (tmp_path / "exam" / "report.json").write_text("{}")
    with pytest.raises(StudyError, match=r"exam: report.json is damaged"):
        suggest(tmp_path)
