"""Curves, agreement, calibration and comparison, with numbers to check by hand."""

from dataclasses import replace

import numpy as np
import pytest

from marrowmap.data.errors import SettingsError, StudyError
from marrowmap.training.evaluation.agreement import (
    bland_altman,
    confusion,
    intraclass_correlation,
    volume_agreement,
)
from marrowmap.training.evaluation.exam_score import Component, ExamScore, ReferenceLesion, found_from
from marrowmap.training.evaluation.froc import curve, events_of
from marrowmap.training.evaluation.mimics import NO_MIMIC, mimic_under, region_of
from marrowmap.training.evaluation.overlap import Overlap, Panoptic
from marrowmap.training.evaluation.paired import compare
from marrowmap.training.evaluation.reliability import reliability
from marrowmap.training.evaluation.settings import EvaluationSettings
from marrowmap.training.evaluation.subgroups import subgroups_of
from marrowmap.training.evaluation.summary import froc, subgroup_tables, summarise
from marrowmap.training.metrics import LesionMatches

FEW = EvaluationSettings(resamples=200)


def exam(
    name: str, lesions: list[float | None], false: list[float], *, dice: float | None = 0.5, ml: float = 10.0
) -> ExamScore:
    """Return an exam whose 12 mm lesions are found from these probabilities on, None for missed."""
    reference = tuple(
        ReferenceLesion(
            id=n,
            diameter_mm=12.0,
            is_found=p is not None,
            probability=p,
            overlap=Overlap(dice=0.6, surface_dice=0.7),
        )
        for n, p in enumerate(lesions, start=1)
    )
    said = [
        Component(id=n, probability=p, is_lesion=True, region="femora") for n, p in enumerate(lesions) if p
    ]
    wrong = [
        Component(id=50 + n, probability=p, is_lesion=False, region="skull", mimic=NO_MIMIC)
        for n, p in enumerate(false)
    ]
    found = {lesion.id: lesion.is_found for lesion in reference}
    return ExamScore(
        name=name,
        is_simulated=True,
        matches=LesionMatches(found=found, false_positives=len(false), predicted=len(said) + len(wrong)),
        lesions=reference,
        components=(*said, *wrong),
        overlap=Overlap(dice=dice, surface_dice=dice),
        panoptic=Panoptic(pairs=1, iou_sum=0.6, unmatched_predictions=0, unmatched_references=1),
        region_dice={},
        reference_ml=ml,
        predicted_ml=ml,
        reference_focal=len(lesions),
        predicted_focal=len(said) + len(wrong),
        subgroups={"sex": "F" if dice else "M"},
    )


def test_the_curve_counts_lesions_and_false_positives_from_each_probability_on() -> None:
    drawn = curve(events_of([exam("a", [0.9, 0.4], [0.6]), exam("b", [None, 0.4], [])]))
    assert drawn.threshold.tolist() == [0.9, 0.6, 0.4]
    assert drawn.sensitivity.tolist() == [0.25, 0.25, 0.75]
    assert drawn.rate.tolist() == [0.0, 0.5, 0.5]
    assert drawn.sensitivity_at((0.125, 0.5)).tolist() == [0.25, 0.75]
    assert drawn.average_precision() == pytest.approx(0.25 * 1 + 0.5 * 3 / 4)


def test_without_probabilities_or_lesions_there_is_no_curve() -> None:
    nameless = exam("a", [0.9], [0.6])
    nameless = replace(nameless, components=(Component(id=1, probability=None, is_lesion=True, region="x"),))
    assert froc([nameless], FEW) is None
    assert froc([exam("a", [], [0.6])], FEW) is None


def test_an_interval_holds_its_figure_and_one_exam_has_no_width() -> None:
    summary = summarise([exam("a", [0.9, None], [0.3]), exam("b", [0.8], []), exam("c", [None], [0.7])], FEW)
    low, high = summary["intervals"]["sensitivity_focal"]
    assert low <= summary["sensitivity_focal"] == 0.5 <= high
    alone = summarise([exam("a", [0.9, None], [0.3])], FEW)
    assert alone["intervals"]["sensitivity_focal"] == (0.5, 0.5)
    assert alone["precision"] == 0.5
    assert alone["panoptic_quality"] == pytest.approx(0.6 / 1.5)


def test_a_lesion_is_found_from_the_probability_at_which_enough_of_it_is_covered() -> None:
    assert found_from({1: 0.06, 2: 0.06}, {1: 0.9, 2: 0.3}) == 0.3
    assert found_from({1: 0.06, 2: 1.0}, {1: 0.9, 2: 0.3}) == 0.3
    assert found_from({1: 0.5}, {1: 0.9}) == 0.9
    assert found_from({1: 0.05}, {1: 0.9}) is None
    assert found_from({1: 0.5}, {}) is None


def test_bias_and_limits_of_differences_of_1_and_3() -> None:
    found = bland_altman(np.array([1.0, 1.0]), np.array([2.0, 4.0]))
    reach = 1.96 * 2**0.5
    assert found == pytest.approx({"bias": 2.0, "lower_limit": 2 - reach, "upper_limit": 2 + reach})


def test_icc_of_the_textbook_table() -> None:
    judges = ((9, 6, 8, 7, 10, 6), (2, 1, 4, 1, 5, 2), (5, 3, 6, 2, 6, 4), (8, 2, 8, 6, 9, 7))
    assert intraclass_correlation(*map(np.array, judges)) == pytest.approx(0.29, abs=0.005)


def test_icc_of_one_more_everywhere() -> None:
    # Between exams 2, between raters 1.5, error 0: 2 / (2 + 2 * 1.5 / 3).
    assert intraclass_correlation(np.array([1, 2, 3]), np.array([2, 3, 4])) == pytest.approx(2 / 3)
    assert intraclass_correlation(np.array([1, 2, 3]), np.array([1, 2, 3])) == 1.0
    assert intraclass_correlation(np.array([3.0, 3.0]), np.array([3.0, 3.0])) is None


def test_twice_the_volume_everywhere_is_a_ratio_of_two() -> None:
    volumes = np.array([1000.0, 2000.0, 4000.0])
    assert volume_agreement(volumes, 2 * volumes)["ratio"]["bias"] == pytest.approx(2.0, abs=1e-3)


def test_kappa_of_twenty_of_fifty() -> None:
    # Agreement 0.7, chance 0.5.
    reference = ["yes"] * 25 + ["no"] * 25
    predicted = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    found = confusion(reference, predicted, ("no", "yes"))
    assert found["table"] == [[15, 10], [5, 20]]
    assert found["kappa"] == pytest.approx(0.4)


def test_one_grade_throughout_has_no_kappa() -> None:
    assert confusion(["I", "I"], ["I", "I"])["kappa"] is None


def test_quadratic_weights_forgive_a_neighbour() -> None:
    order = ("0", "I", "II", "III")
    near = confusion(["0", "I", "II", "III"], ["I", "I", "II", "III"], order)
    far = confusion(["0", "I", "II", "III"], ["III", "I", "II", "III"], order)
    assert near["kappa"] == pytest.approx(far["kappa"], abs=0.05)
    assert near["kappa_quadratic"] > far["kappa_quadratic"] + 0.3


def test_a_probability_of_0_8_that_is_right_four_times_in_five_is_calibrated() -> None:
    right = exam("a", [0.8, 0.8, 0.8, 0.8], [0.8])
    found = reliability([right])
    assert found is not None
    assert found["expected_calibration_error"] == pytest.approx(0.0)
    assert found["bins"] == [
        {"low": 0.8, "high": 0.9, "findings": 5, "mean_probability": pytest.approx(0.8), "share_lesions": 0.8}
    ]
    assert reliability([exam("a", [], [])]) is None


def test_the_same_predictions_do_not_differ() -> None:
    exams = [exam(str(n), [0.9, None], [0.3]) for n in range(12)]
    row = compare(exams, exams, FEW)["figures"]["lesion_dice"]
    assert (row["difference"], row["p_bootstrap"], row["p_wilcoxon"]) == (0.0, 1.0, 1.0)


def test_better_outlines_on_every_exam_are_significant() -> None:
    better = [exam(str(n), [0.9], [], dice=0.6 + n / 100) for n in range(12)]
    worse = [exam(str(n), [0.9], [], dice=0.4 + n / 50) for n in range(12)]
    row = compare(better, worse, FEW)["figures"]["lesion_dice"]
    assert row["difference"] == pytest.approx(0.145)
    assert row["interval"][0] > 0
    assert row["p_wilcoxon"] < 0.001
    assert row["p_bootstrap"] <= row["p_holm"] <= 0.15


def test_three_exams_that_lean_one_way_are_no_significance() -> None:
    better, worse = ([exam(str(n), [0.9], [], dice=value) for n in range(3)] for value in (0.6, 0.4))
    row = compare(better, worse, FEW)["figures"]["lesion_dice"]
    assert (row["exams"], row["p_bootstrap"], row["p_holm"]) == (3, None, None)


def test_a_comparison_needs_the_same_exams() -> None:
    with pytest.raises(StudyError, match="same exams"):
        compare([exam("a", [], [])], [exam("b", [], [])], FEW)


def test_a_component_lies_on_the_nearest_mimic_that_it_reaches() -> None:
    mimics = [
        {"kind": "cyst", "centroid_ras_mm": [0, 0, 0], "volume_ml": 0.5},  # a sphere of 4.9 mm radius
        {"kind": "bone_island", "centroid_ras_mm": [40, 0, 0], "volume_ml": 0.5},
    ]
    assert mimic_under(np.array([[6.8, 0, 0]]), mimics, 2.0) == 0
    assert mimic_under(np.array([[7.2, 0, 0]]), mimics, 2.0) is None
    assert mimic_under(np.array([[39.0, 0, 0]]), mimics, 2.0) == 1


def test_a_component_is_where_most_of_its_skeleton_voxels_are() -> None:
    assert region_of(np.array([0, 0, 0, 4, 4, 5])) == "lumbar_spine"
    assert region_of(np.array([0, 0])) == "outside_skeleton"
    assert region_of(None) == "unknown"


def test_subgroups_come_from_the_truth_and_then_from_the_report() -> None:
    truth = {
        "person": {"sex": "F", "age_years": 63.0},
        "pattern": "focal",
        "acquisition": {"field_strength_t": 3.0, "stations": {"t1": [0], "dwi_low": [0], "dixon_fat": [0]}},
    }
    assert subgroups_of(truth, {"study": {"vendor": "Vendor"}}) == {
        "sex": "F",
        "age": "60-69",
        "vendor": "Vendor",
        "field_strength": "3 T",
        "pattern": "focal",
        "missing_sequence": "stir",
    }
    assert set(subgroups_of({}, {}).values()) == {"unknown"}
    study = {"missing_sequences": [], "patient_age_years": 81, "field_strength_t": 1.5}
    assert subgroups_of({}, {"study": study})["age"] == "80 or more"


def test_a_table_has_a_row_for_each_subgroup() -> None:
    rows = subgroup_tables([exam("a", [0.9], []), exam("b", [None], [0.2], dice=None)])["sex"]
    assert [(row["subgroup"], row["exams"], row["sensitivity_focal"]) for row in rows] == [
        ("F", 1, 1.0),
        ("M", 1, 0.0),
    ]


def test_settings_that_give_no_interval_are_refused() -> None:
    with pytest.raises(SettingsError, match="100 resamples or more"):
        EvaluationSettings(resamples=10)
    with pytest.raises(SettingsError, match=r"level of 0\.5 to below 1"):
        EvaluationSettings(level=1.0)
