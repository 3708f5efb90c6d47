"""The same simulated person later: what became of each lesion is true of the maps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marrowmap.data.simulate.anatomy import Anatomy
from marrowmap.data.simulate.cohort import write_pair
from marrowmap.data.simulate.disease import DiseasedBody, diseased_body
from marrowmap.data.simulate.evolution import Course, EvolvedBody, evolve
from marrowmap.data.simulate.follow_up import SimulatedPair, simulate_pair
from marrowmap.data.simulate.lesions import DiseaseSettings
from marrowmap.data.simulate.person import Person
from marrowmap.data.simulate.reposition import RepositionSettings, draw_pose, reposition

SETTINGS = DiseaseSettings(focal_count=(12, 12), mimics_mean=0.0, median_diameter_mm=14.0, log_sigma=0.1)


@pytest.fixture(scope="module")
def anatomy(toy_body: Any) -> Anatomy:
    person = Person(sex="F", age_years=60.0, stature_mm=1650.0, adiposity=0.0)
    return Anatomy(
        tissue=toy_body.tissue, bone=toy_body.bone, affine_ras_mm=toy_body.affine_ras_mm, person=person
    )


@pytest.fixture(scope="module")
def body(anatomy: Anatomy) -> DiseasedBody:
    return diseased_body(anatomy, np.random.default_rng(3), pattern="focal", settings=SETTINGS)


def later(anatomy: Anatomy, body: DiseasedBody, course: Course, seed: int = 1) -> EvolvedBody:
    return evolve(anatomy, body, np.random.default_rng(seed), course)


def test_a_stable_disease_keeps_every_voxel_and_its_adc_within_repeatability(
    anatomy: Anatomy, body: DiseasedBody
) -> None:
    after = later(anatomy, body, "stable")
    assert np.array_equal(after.body.lesion_labels, body.lesion_labels)
    assert {fate.fate for fate in after.fates} == {"unchanged"}
    where = body.lesion_labels > 0
    before_adc = body.table.adc_um2_per_s[body.material[where]].mean()
    after_adc = after.body.table.adc_um2_per_s[after.body.material[where]].mean()
    assert after_adc == pytest.approx(before_adc, rel=0.15)


def test_the_body_before_is_left_as_it_is(anatomy: Anatomy, body: DiseasedBody) -> None:
    material = body.material.copy()
    later(anatomy, body, "responding")
    assert np.array_equal(body.material, material)


def test_each_fate_of_a_response_is_true_of_the_maps(anatomy: Anatomy, body: DiseasedBody) -> None:
    by_fate: dict[str, int] = {}
    for seed in range(4):
        after = later(anatomy, body, "responding", seed)
        for fate in after.fates:
            by_fate[fate.fate] = by_fate.get(fate.fate, 0) + 1
            where = body.lesion_labels == fate.baseline_id
            now = after.body.lesion_labels == fate.baseline_id
            adc = after.body.table.adc_um2_per_s[after.body.material[now]]
            was = body.table.adc_um2_per_s[body.material[where]].mean()
            if fate.fate == "vanished":
                assert not now.any()
            elif fate.fate == "shrunk":
                assert now.sum() < 0.5 * where.sum()
            elif fate.fate == "treated":
                assert adc.mean() > 1.4 * was
            elif fate.fate == "fat_returned":
                assert after.body.table.fat_fraction[after.body.material[now]].mean() > 0.4
    assert {"vanished", "shrunk", "treated", "fat_returned"} <= set(by_fate)
    assert not {"new", "grown"} & set(by_fate)


def test_where_a_lesion_vanished_marrow_is_marrow_again(anatomy: Anatomy, body: DiseasedBody) -> None:
    after = later(anatomy, body, "responding", 1)
    gone = [f.baseline_id for f in after.fates if f.fate == "vanished" and f.baseline_id is not None]
    assert gone
    where = np.isin(body.lesion_labels, gone)
    fat = after.body.table.fat_fraction[after.body.material[where]]
    assert np.median(fat) > 0.3  # a lesion has 0.03 to 0.10


def test_a_progressing_disease_grows_and_brings_new_lesions(anatomy: Anatomy, body: DiseasedBody) -> None:
    after = later(anatomy, body, "progressing")
    grown = [fate.baseline_id for fate in after.fates if fate.fate == "grown"]
    assert grown
    for number in grown:
        assert (after.body.lesion_labels == number).sum() > 1.5 * (body.lesion_labels == number).sum()
    new = [fate for fate in after.fates if fate.fate == "new"]
    assert new
    assert all(fate.baseline_id is None for fate in new)
    is_new = np.isin(after.body.lesion_labels, [fate.id for fate in new if fate.id is not None])
    assert is_new.any()
    assert not body.lesion_labels[is_new].any()


def test_diffuse_marrow_that_responds_turns_fatty_or_its_water_moves_more(anatomy: Anatomy) -> None:
    before = diseased_body(anatomy, np.random.default_rng(5), pattern="diffuse", settings=SETTINGS)
    where = anatomy.bone > 0
    for seed in range(3):
        after = later(anatomy, before, "responding", seed).body
        fat = [b.table.fat_fraction[b.material[where]].mean() for b in (before, after)]
        adc = [b.table.adc_um2_per_s[b.material[where]].mean() for b in (before, after)]
        assert fat[1] > fat[0] + 0.1 or adc[1] > 1.1 * adc[0]


def test_a_person_who_lies_the_same_way_is_not_moved(anatomy: Anatomy, body: DiseasedBody) -> None:
    still = RepositionSettings(table_mm=0, trunk_deg=0, head_deg=0, bend_mm=0, arm_mm=0)
    moved, lesions = reposition(anatomy, body, draw_pose(np.random.default_rng(0), still))
    assert np.array_equal(moved.tissue, anatomy.tissue)
    assert np.array_equal(lesions.lesion_labels, body.lesion_labels)


def test_a_move_of_the_table_moves_the_frame_and_not_the_voxels(anatomy: Anatomy, body: DiseasedBody) -> None:
    table = RepositionSettings(table_mm=20, trunk_deg=0, head_deg=0, bend_mm=0, arm_mm=0)
    pose = draw_pose(np.random.default_rng(0), table)
    moved, _ = reposition(anatomy, body, pose)
    assert np.array_equal(moved.tissue, anatomy.tissue)
    assert moved.affine_ras_mm[:3, 3] - anatomy.affine_ras_mm[:3, 3] == pytest.approx(pose.table_mm)


def test_a_bent_body_keeps_its_bones_nearly_in_volume(anatomy: Anatomy, body: DiseasedBody) -> None:
    moved, _ = reposition(anatomy, body, draw_pose(np.random.default_rng(4)))
    assert (moved.tissue != anatomy.tissue).any()
    assert (moved.bone > 0).sum() == pytest.approx((anatomy.bone > 0).sum(), rel=0.08)


@pytest.fixture(scope="module")
def pair(anatomy: Anatomy) -> SimulatedPair:
    return simulate_pair(20_000, "mixed", pattern="focal", anatomy=anatomy)


def test_ids_of_the_second_exam_count_from_1_and_lead_back_to_the_first(pair: SimulatedPair) -> None:
    before, after = pair.baseline.truth, pair.follow_up.truth
    assert [lesion.id for lesion in after.lesions] == list(range(1, len(after.lesions) + 1))
    assert set(np.unique(after.lesion_labels)) == set(range(len(after.lesions) + 1))
    assert {f.baseline_id for f in pair.change.lesions} - {None} == {x.id for x in before.lesions}
    assert {f.id for f in pair.change.lesions} - {None} == {x.id for x in after.lesions}


def test_the_second_exam_has_the_same_person_and_protocol_but_its_own_noise(pair: SimulatedPair) -> None:
    assert pair.follow_up.truth.person == pair.baseline.truth.person
    assert pair.follow_up.scanner == pair.baseline.scanner
    first, second = (exam.acquisitions[0].volume.array for exam in (pair.baseline, pair.follow_up))
    assert first.shape != second.shape or not np.array_equal(first, second)
    assert pair.follow_up.days == pair.change.days == 84


def test_the_truth_file_tells_what_became_of_each_lesion(pair: SimulatedPair, tmp_path: Path) -> None:
    write_pair(pair, tmp_path, "nifti")
    told = json.loads((tmp_path / "follow_up" / "truth.json").read_text())["follow_up"]
    assert told["course"] == "mixed"
    assert len(told["lesions"]) == len(pair.change.lesions)
    assert "follow_up" not in json.loads((tmp_path / "baseline" / "truth.json").read_text())


def test_the_studies_of_a_pair_have_one_patient_two_dates_and_no_common_uid(
    pair: SimulatedPair, tmp_path: Path
) -> None:
    import pydicom

    write_pair(pair, tmp_path)
    heads = [
        pydicom.dcmread(next((tmp_path / name / "dicom").rglob("*.dcm")), stop_before_pixels=True)
        for name in ("baseline", "follow_up")
    ]
    assert heads[0].PatientID == heads[1].PatientID
    assert [head.StudyDate for head in heads] == ["20250101", "20250326"]  # 84 days later
    assert heads[0].StudyInstanceUID != heads[1].StudyInstanceUID
    assert heads[0].SOPInstanceUID != heads[1].SOPInstanceUID


def test_the_same_seed_gives_the_same_pair(anatomy: Anatomy, make_toy_body: Callable[[], Any]) -> None:
    small = RepositionSettings(table_mm=5.0)
    pairs = [
        simulate_pair(20_001, "progressing", pattern="focal", anatomy=anatomy, lying=small) for _ in range(2)
    ]
    volumes = [pair.follow_up.acquisitions[-1].volume.array for pair in pairs]
    assert np.array_equal(volumes[0], volumes[1])
    assert pairs[0].change == pairs[1].change
