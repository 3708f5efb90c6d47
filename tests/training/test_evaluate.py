"""Folders of predictions against folders of references."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from marrowmap.data.errors import StudyError
from marrowmap.data.nifti import write_nifti
from marrowmap.scripts.evaluate import main, stages
from marrowmap.training.evaluation.evaluate import evaluate
from marrowmap.training.evaluation.exam_score import ExamScore, score_pair
from marrowmap.training.evaluation.page import write_page
from marrowmap.training.evaluation.pairs import read_pair
from marrowmap.training.evaluation.settings import EvaluationSettings
from marrowmap.training.evaluation.text import table

FEW = EvaluationSettings(resamples=100)


def score_exam(prediction: Path, reference: Path) -> ExamScore:
    return score_pair(read_pair(prediction, reference), FEW)


Box = tuple[slice, slice, slice]


def cube(start: int, stop: int) -> Box:
    return slice(start, stop), slice(start, stop), slice(start, stop)


LESION = cube(4, 8)


def labels(*boxes: Box, shape: tuple[int, int, int] = (20, 20, 20)) -> np.ndarray:
    array = np.zeros(shape, dtype=np.uint16)
    for number, box in enumerate(boxes, start=1):
        array[box] = number
    return array


def write_reference(folder: Path, lesions: np.ndarray, spacing: float = 2.0, simulated: bool = True) -> None:
    affine = np.diag([spacing, spacing, spacing, 1.0])
    write_nifti(folder / "truth_lesions.nii.gz", lesions, affine)
    write_nifti(folder / "truth_regions.nii.gz", (lesions > 0).astype(np.uint8) * 4, affine)
    if simulated:
        items = [{"id": int(n), "longest_diameter_mm": 12.0} for n in np.unique(lesions) if n]
        (folder / "truth.json").write_text(json.dumps({"seed": 20_000, "pattern": "focal", "lesions": items}))


def write_prediction(folder: Path, lesions: np.ndarray, spacing: float = 2.0) -> None:
    affine = np.diag([spacing, spacing, spacing, 1.0])
    write_nifti(folder / "lesions.nii.gz", lesions, affine)
    write_nifti(folder / "regions.nii.gz", (lesions > 0).astype(np.uint8) * 4, affine)


def test_a_perfect_prediction_is_perfect(tmp_path: Path) -> None:
    write_reference(tmp_path / "r", labels(LESION))
    write_prediction(tmp_path / "p", labels(LESION))
    summary = evaluate(tmp_path / "p", tmp_path / "r").summary
    assert summary["sensitivity_10_mm"] == 1.0
    assert summary["lesion_dice"] == 1.0
    assert summary["region_dice"]["lumbar_spine"] == 1.0
    assert summary["volume_error_ml"] == 0.0
    assert summary["lesions_by_size"]["10-15 mm"] == [1, 1]


def test_an_empty_prediction_misses_and_a_wrong_one_is_false(tmp_path: Path) -> None:
    write_reference(tmp_path / "r" / "a", labels(LESION))
    write_reference(tmp_path / "r" / "b", labels())
    write_prediction(tmp_path / "p" / "a", labels())
    write_prediction(tmp_path / "p" / "b", labels(cube(12, 15)))
    summary = evaluate(tmp_path / "p", tmp_path / "r").summary
    assert summary["exams"] == 2
    assert summary["sensitivity_focal"] == 0.0
    assert summary["false_positives_per_exam"] == 0.5
    assert summary["absolute_volume_error_ml"] == pytest.approx((64 + 27) * 0.008 / 2)


def test_exams_without_any_lesion_have_no_sensitivity_rather_than_a_perfect_one(tmp_path: Path) -> None:
    write_reference(tmp_path / "r", labels())
    write_prediction(tmp_path / "p", labels())
    summary = evaluate(tmp_path / "p", tmp_path / "r").summary
    assert summary["sensitivity_focal"] is None
    assert summary["lesion_dice"] is None
    assert summary["count_band_right"] == 1.0


def test_a_reference_on_a_finer_grid_is_brought_to_the_predictions(tmp_path: Path) -> None:
    write_reference(tmp_path / "r", np.repeat(np.repeat(np.repeat(labels(LESION), 2, 0), 2, 1), 2, 2), 1.0)
    write_prediction(tmp_path / "p", labels(LESION))
    score = score_exam(tmp_path / "p", tmp_path / "r")
    assert score.overlap.dice is not None
    assert score.overlap.dice > 0.6
    assert score.matches.found == {1: True}


def test_an_annotators_mask_without_instances_is_split_into_lesions(tmp_path: Path) -> None:
    mask = labels(LESION) + labels(cube(14, 17))
    write_reference(tmp_path / "r", mask, simulated=False)
    write_prediction(tmp_path / "p", labels(LESION))
    score = score_exam(tmp_path / "p", tmp_path / "r")
    assert sorted(score.matches.found.values()) == [False, True]
    assert not score.is_simulated


def test_the_table_says_simulated_and_names_the_human_figure(tmp_path: Path) -> None:
    write_reference(tmp_path / "r", labels(LESION))
    write_prediction(tmp_path / "p", labels(LESION))
    text = table(evaluate(tmp_path / "p", tmp_path / "r"))
    assert "1 simulated exam" in text
    assert "0.32 (real myeloma diffusion MRI)" in text


def test_folders_that_do_not_match_are_refused(tmp_path: Path) -> None:
    write_reference(tmp_path / "r" / "a", labels(LESION))
    write_prediction(tmp_path / "p" / "b", labels(LESION))
    with pytest.raises(StudyError, match="no folders of the same name"):
        evaluate(tmp_path / "p", tmp_path / "r")


def test_a_reference_without_prediction_is_refused_by_name_and_not_left_out(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_reference(tmp_path / "r" / name, labels(LESION))
    write_prediction(tmp_path / "p" / "a", labels(LESION))
    with pytest.raises(StudyError, match="1 of 2 references have no prediction, the first is b"):
        evaluate(tmp_path / "p", tmp_path / "r")


def test_a_mixed_set_is_called_mixed(tmp_path: Path) -> None:
    for name, simulated in (("a", True), ("b", False)):
        write_reference(tmp_path / "r" / name, labels(LESION), simulated=simulated)
        write_prediction(tmp_path / "p" / name, labels(LESION))
    text = table(evaluate(tmp_path / "p", tmp_path / "r"))
    assert "2 simulated and annotated exams" in text
    assert "1 of them are simulated" in text


def test_exams_without_lesions_say_how_many_were_left_empty(tmp_path: Path) -> None:
    for name, predicted in (("a", labels()), ("b", labels(LESION))):
        write_reference(tmp_path / "r" / name, labels())
        write_prediction(tmp_path / "p" / name, predicted)
    summary = evaluate(tmp_path / "p", tmp_path / "r").summary
    assert summary["exams_without_lesions"] == 2
    assert summary["without_lesions_left_empty"] == 0.5


def test_without_a_report_components_below_5_mm_are_no_focal_lesions(tmp_path: Path) -> None:
    write_reference(tmp_path / "r", labels(LESION))
    write_prediction(tmp_path / "p", labels(LESION, cube(14, 15)))
    assert score_exam(tmp_path / "p", tmp_path / "r").predicted_focal == 1


def test_the_command_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_reference(tmp_path / "r", labels(LESION))
    write_prediction(tmp_path / "p", labels(LESION))
    assert main([str(tmp_path / "p"), str(tmp_path / "r"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["summary"]["is_simulated"] is True
    assert printed["exams"][0]["lesions_found"] == 1


def write_report(folder: Path, lesions: list[dict[str, object]]) -> None:
    """Write the part of a report that an evaluation reads."""
    focal = {"focal_5mm": len(lesions)}
    report = {"lesions": lesions, "counts": focal, "pattern": {"diffuse_grade": "none"}, "study": {}}
    (folder / "report.json").write_text(json.dumps(report))


def reported(number: int, probability: float) -> dict[str, object]:
    return {"id": number, "probability": probability, "longest_diameter_mm": 12.0, "certainty": "certain"}


def write_simulated_pair(tmp_path: Path) -> None:
    """Write an exam with one lesion found and one false positive on a cyst."""
    write_reference(tmp_path / "r" / "a", labels(LESION))
    truth = json.loads((tmp_path / "r" / "a" / "truth.json").read_text())
    centroid = [2.0 * 13] * 3
    truth["mimics"] = [{"kind": "cyst", "centroid_ras_mm": centroid, "volume_ml": 0.2}]
    truth["diffuse_grade"] = "none"
    (tmp_path / "r" / "a" / "truth.json").write_text(json.dumps(truth))
    write_prediction(tmp_path / "p" / "a", labels(LESION, cube(12, 15)))
    write_report(tmp_path / "p" / "a", [reported(1, 0.9), reported(2, 0.4)])


def test_a_false_positive_is_laid_to_the_mimic_under_it_and_stages_are_compared(tmp_path: Path) -> None:
    write_simulated_pair(tmp_path)
    assert main([str(tmp_path / "p"), str(tmp_path / "r"), "--html", str(tmp_path / "page.html")]) == 0
    summary = evaluate(tmp_path / "p", tmp_path / "r", FEW, stage=stages).summary
    assert summary["false_positives_by_mimic"] == {"cyst": 1}
    assert summary["mimics_called_lesion"] == {"cyst": [1, 1]}
    assert summary["froc"]["sensitivity_at"][0]["sensitivity"] == 1.0
    assert summary["stages"]["durie_salmon_plus"]["grades"] == ["I"]
    assert summary["stages"]["imwg_mri_mde"]["table"] == [[0, 1], [0, 0]]


def test_the_markdown_for_a_card_has_subgroups_and_look_alikes(tmp_path: Path) -> None:
    write_simulated_pair(tmp_path)
    assert main([str(tmp_path / "p"), str(tmp_path / "r"), "--markdown", str(tmp_path / "card.md")]) == 0
    card = (tmp_path / "card.md").read_text()
    assert "All exams are simulated" in card
    assert "| pattern | exams | lesions of 5 mm or more |" in card
    assert "called lesion, of all that were there: cyst 1/1. False positives: cyst 1; by region:" in card


def test_the_page_is_whole_says_simulated_and_fetches_nothing(tmp_path: Path) -> None:
    write_simulated_pair(tmp_path)
    evaluation = evaluate(tmp_path / "p", tmp_path / "r", FEW, stage=stages, against=tmp_path / "p")
    write_page(evaluation, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Evaluation on 1 simulated exam<" in text
    assert "agree with a Dice of 0.32" in text
    assert text.count("<svg") == 5
    without_names = text.replace("http://www.w3.org/", "").replace("http://purl.org/", "")
    without_names = without_names.replace("http://creativecommons.org/", "")
    assert "http" not in without_names.replace("http-equiv", "")
    assert "<script" not in text
    identifiers = re.findall(r'\bid="([^"]+)"', text)
    assert len(identifiers) == len(set(identifiers))
    assert not list(tmp_path.glob(".page*"))


def test_the_table_of_two_sets_names_both(tmp_path: Path) -> None:
    write_simulated_pair(tmp_path)
    write_prediction(tmp_path / "q" / "a", labels(LESION))
    write_report(tmp_path / "q" / "a", [reported(1, 0.9)])
    text = table(evaluate(tmp_path / "p", tmp_path / "r", FEW, against=tmp_path / "q"))
    assert "p minus q, 1 exams" in text
    assert "mean sensitivity (FROC)" in text


def test_a_reference_without_regions_is_scored_without_them(tmp_path: Path) -> None:
    write_reference(tmp_path / "r", labels(LESION), simulated=False)
    (tmp_path / "r" / "truth_regions.nii.gz").unlink()
    write_prediction(tmp_path / "p", labels(LESION))
    summary = evaluate(tmp_path / "p", tmp_path / "r", FEW).summary
    assert set(summary["region_dice"].values()) == {None}
    assert summary["lesion_dice"] == 1.0


def test_a_damaged_report_is_named(tmp_path: Path) -> None:
    write_reference(tmp_path / "r", labels(LESION))
    write_prediction(tmp_path / "p", labels(LESION))
    (tmp_path / "p" / "report.json").write_text("{")
    with pytest.raises(StudyError, match=r"report\.json in p is not JSON"):
        evaluate(tmp_path / "p", tmp_path / "r", FEW)
