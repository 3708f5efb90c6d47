"""Calibration on exams that were drawn with known probabilities: no image, no network, all simulated."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from marrowmap.data.errors import SettingsError, StudyError
from marrowmap.data.nifti import write_nifti
from marrowmap.models.calibration import Calibration
from marrowmap.training.calibrate import (
    Component,
    Tally,
    check_calibration,
    fit_calibration,
    fit_logistic,
    focal_ids,
    tally,
    tally_folders,
)


def drawn_exams(count: int, seed: int) -> list[Tally]:
    """Exams of 0 to 30 lesions; a shared luck, missed lesions, false positives, scores that say too much."""
    rng = np.random.default_rng(seed)
    exams = []
    for _ in range(count):
        lesions = 0 if rng.random() < 0.4 else int(np.exp(rng.uniform(0, np.log(30))))
        luck = rng.normal(0, 0.5)
        components = []
        for _ in range(lesions):
            volume = float(np.exp(rng.normal(-0.7, 1.2)))
            if rng.random() < 1 / (1 + np.exp(-(1.8 + np.log10(volume) + luck))):
                components.append(drawn_component(rng, volume, is_real=True))
        for _ in range(rng.poisson(1.0)):
            components.append(drawn_component(rng, float(np.exp(rng.normal(-1.8, 0.8))), is_real=False))
        volume = sum(component.volume_ml for component in components if component.is_lesion)
        exams.append(
            Tally(components=tuple(components), focal=lesions, tumour_ml=volume * rng.uniform(0.8, 1.3))
        )
    return exams


def drawn_component(rng: np.random.Generator, volume: float, *, is_real: bool) -> Component:
    score = 1 / (1 + np.exp(-rng.normal(3.0 if is_real else 1.0, 1.2)))
    return Component(score=float(score), volume_ml=volume, is_lesion=is_real, is_focal=is_real)


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return fit_calibration(drawn_exams(60, seed=1), "60 drawn exams")


def test_the_interval_of_the_count_holds_the_truth_in_85_to_95_per_cent_of_100_drawn_exams(
    calibration: Calibration,
) -> None:
    check = check_calibration(drawn_exams(100, seed=2), calibration)
    assert check.exams == 100
    assert 0.85 <= check.count <= 0.95
    assert 0.80 <= check.volume <= 1.0
    assert check.mean_width < 8.0


def test_scores_that_say_too_much_are_brought_down(calibration: Calibration) -> None:
    # A score of 0.9 on a small component is a lesion far less often than nine times in ten.
    assert calibration.lesion.probability(0.9, 0.1) < 0.8
    assert calibration.lesion.probability(0.99, 2.0) > 0.9


def test_a_logistic_finds_the_rate_of_components_that_are_alike() -> None:
    components = [Component(score=0.5, volume_ml=1.0, is_lesion=n < 300, is_focal=False) for n in range(400)]
    fitted = fit_logistic(components, [component.is_lesion for component in components])
    assert fitted.probability(0.5, 1.0) == pytest.approx(0.75, abs=0.01)


def test_without_components_a_score_is_its_own_probability() -> None:
    assert fit_logistic([], []).probability(0.8, 3.0) == pytest.approx(0.8)


def test_nine_exams_are_too_few() -> None:
    with pytest.raises(SettingsError, match="need 10 exams or more to calibrate, found 9"):
        fit_calibration(drawn_exams(9, seed=0), "9 drawn exams")


def blocks(*starts: int) -> np.ndarray:
    labels = np.zeros((40, 4, 4), dtype=np.int32)
    for number, start in enumerate(starts, start=1):
        labels[start : start + 4] = number
    return labels


def listed(*ids: int, kind: str = "focal", score: float | None = 0.9) -> list[dict[str, object]]:
    return [{"id": number, "kind": kind, "score": score, "volume_ml": 1.0} for number in ids]


def test_a_component_over_two_lesions_counts_one_and_leaves_one_missed() -> None:
    component = np.zeros((40, 4, 4), dtype=np.int32)
    component[0:10] = 1
    found = tally(component, listed(1), blocks(0, 5), {1, 2}, voxel_ml=0.01)
    assert [c.is_focal for c in found.components] == [True]
    assert found.focal == 2


def test_of_two_components_on_one_lesion_one_is_it() -> None:
    known = np.zeros((40, 4, 4), dtype=np.int32)
    known[0:10] = 1
    found = tally(blocks(0, 5), listed(1, 2), known, {1}, voxel_ml=0.01)
    assert sorted(c.is_focal for c in found.components) == [False, True]
    assert all(c.is_lesion for c in found.components)


def test_what_lies_away_from_bone_is_not_tallied() -> None:
    found = tally(blocks(0), listed(1, kind="extramedullary"), blocks(0), {1}, voxel_ml=0.01)
    assert found.components == ()
    assert found.focal == 1
    assert found.tumour_ml == pytest.approx(0.64)


def test_a_report_without_scores_is_refused() -> None:
    with pytest.raises(StudyError, match="need lesions with a score"):
        tally(blocks(0), listed(1, score=None), blocks(0), {1}, voxel_ml=0.01)


def test_a_micronodule_is_no_focal_lesion_however_the_grid_measures_it() -> None:
    lesions = [
        {"id": 1, "longest_diameter_mm": 5.5, "kind": "micronodule"},
        {"id": 2, "longest_diameter_mm": 5.0, "kind": "active"},
        {"id": 3, "longest_diameter_mm": 4.9, "kind": "active"},
    ]
    assert focal_ids(blocks(0, 5, 10), (2.0, 2.0, 2.0), lesions) == {2}


def test_folders_are_paired_by_name(tmp_path: Path) -> None:
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    for name in ("a", "b"):
        (tmp_path / "truth" / name).mkdir(parents=True)
        write_nifti(
            tmp_path / "truth" / name / "truth_lesions.nii.gz", blocks(0, 8).astype(np.uint16), affine
        )
    out = tmp_path / "out" / "a"
    out.mkdir(parents=True)
    write_nifti(out / "lesions.nii.gz", blocks(0).astype(np.uint16), affine)
    (out / "report.json").write_text(json.dumps({"lesions": listed(1)}))
    (found,) = tally_folders(tmp_path / "out", tmp_path / "truth")
    assert found.focal == 2
    assert [component.is_focal for component in found.components] == [True]
    with pytest.raises(StudyError, match="no folders of the same name"):
        tally_folders(tmp_path / "truth", tmp_path / "truth")


def test_without_stated_diameters_lesions_are_measured() -> None:
    # 4 x 4 x 4 voxels of 1 mm reach 7 mm from corner to corner, a single voxel 1 mm.
    known = blocks(0)
    known[30, 0, 0] = 2
    assert focal_ids(known, (1.0, 1.0, 1.0), None) == {1}
