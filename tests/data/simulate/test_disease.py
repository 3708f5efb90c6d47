"""Lesions and mimics painted into a body of boxes."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from marrowmap.data.errors import SettingsError
from marrowmap.data.simulate.disease import PATTERN_SHARE, diseased_body, draw_pattern
from marrowmap.data.simulate.labels import Bone, Tissue
from marrowmap.data.simulate.lesions import DiseaseSettings
from marrowmap.data.simulate.marrow import healthy_marrow, mean_fat_by_bone
from marrowmap.data.simulate.mimics import MIMICS
from marrowmap.data.simulate.painting import longest_diameter_mm


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def many(low: int, high: int, **extra: Any) -> DiseaseSettings:
    return DiseaseSettings(focal_count=(low, high), **extra)


def test_every_lesion_has_its_label_its_volume_and_its_centroid(toy_body: Any) -> None:
    sick = diseased_body(toy_body, rng(1), pattern="focal", settings=many(8, 8))
    assert [lesion.id for lesion in sick.lesions] == list(range(1, len(sick.lesions) + 1))
    for lesion in sick.lesions:
        where = np.argwhere(sick.lesion_labels == lesion.id)
        assert lesion.volume_ml == pytest.approx(len(where) * 0.008)
        centroid = toy_body.affine_ras_mm[:3, :3] @ where.mean(axis=0) + toy_body.affine_ras_mm[:3, 3]
        assert lesion.centroid_ras_mm == pytest.approx(tuple(centroid))


def test_lesions_stay_in_marrow_unless_they_breach_the_cortex(toy_body: Any) -> None:
    sick = diseased_body(toy_body, rng(2), pattern="focal", settings=many(20, 20))
    for lesion in sick.lesions:
        inside = sick.lesion_labels == lesion.id
        tissues = set(np.unique(toy_body.tissue[inside]))
        assert lesion.breaches_cortex or tissues == {int(Tissue.MARROW)}
        assert lesion.is_paramedullary or set(np.unique(toy_body.bone[inside])) == {int(lesion.bone)}


def test_lesions_are_darker_in_fat_and_higher_in_adc_than_the_marrow_around(toy_body: Any) -> None:
    sick = diseased_body(toy_body, rng(3), pattern="focal", settings=many(20, 20, treated_patients=0.0))
    active = [lesion.id for lesion in sick.lesions if lesion.kind == "active"]
    inside = np.isin(sick.lesion_labels, active)
    around = (toy_body.tissue == Tissue.MARROW) & (sick.lesion_labels == 0)
    fat, adc = sick.table.fat_fraction[sick.material], sick.table.adc_um2_per_s[sick.material]
    assert fat[inside].mean() < 0.12 < fat[around].mean()
    assert 600 < adc[inside].mean() < 1100
    assert adc[around].mean() < 620


def test_treated_people_have_lesions_with_an_adc_above_1400(toy_body: Any) -> None:
    sick = diseased_body(toy_body, rng(4), pattern="focal", settings=many(20, 20, treated_patients=1.0))
    treated = [lesion for lesion in sick.lesions if lesion.kind == "treated"]
    assert len(treated) > 5
    assert all(lesion.adc_um2_per_s > 1400 for lesion in treated)


def test_a_diffuse_pattern_has_little_fat_and_no_lesion(toy_body: Any) -> None:
    sick = diseased_body(toy_body, rng(5), pattern="diffuse")
    well = diseased_body(toy_body, rng(5), pattern="normal")
    assert sick.lesions == ()
    assert not sick.lesion_labels.any()
    assert sick.diffuse_grade != "none"
    assert sick.marrow_fat_fraction < 0.7 * well.marrow_fat_fraction


def test_a_normal_body_has_no_lesion(toy_body: Any) -> None:
    well = diseased_body(toy_body, rng(6), pattern="normal")
    assert (well.lesions, well.diffuse_grade) == ((), "none")


def test_micronodules_are_many_and_below_5_mm(toy_body: Any) -> None:
    sick = diseased_body(toy_body, rng(7), pattern="micronodular")
    diameters = [lesion.longest_diameter_mm for lesion in sick.lesions]
    assert len(diameters) >= 30
    assert np.mean(np.array(diameters) < 5.5) > 0.95
    assert {lesion.kind for lesion in sick.lesions} == {"micronodule"}


def test_touching_lesions_keep_their_own_labels(toy_body: Any) -> None:
    crowded = many(40, 40, median_diameter_mm=20.0)
    labels = diseased_body(toy_body, rng(8), pattern="focal", settings=crowded).lesion_labels
    left, right = labels[:-1], labels[1:]
    assert ((left > 0) & (right > 0) & (left != right)).any()


def test_mimics_are_recorded_and_carry_no_lesion_label(toy_body: Any) -> None:
    sick = diseased_body(toy_body, rng(9), pattern="normal", settings=DiseaseSettings(mimics_mean=30.0))
    assert len({mimic.kind for mimic in sick.mimics}) >= 6
    assert {mimic.kind for mimic in sick.mimics} <= set(MIMICS)
    assert not sick.lesion_labels.any()


def test_modic_change_lies_along_a_disc(toy_body: Any) -> None:
    sick = diseased_body(toy_body, rng(10), pattern="normal", settings=DiseaseSettings(mimics_mean=40.0))
    for mimic in sick.mimics:
        if mimic.kind.startswith("modic"):
            k = round((mimic.centroid_ras_mm[2] - toy_body.affine_ras_mm[2, 3]) / 2)
            near = toy_body.tissue[:, :, max(k - 8, 0) : k + 9]
            assert (near == Tissue.DISC).any()


def test_the_same_seed_gives_the_same_disease_and_another_seed_another(toy_body: Any) -> None:
    first, again, other = (diseased_body(toy_body, rng(seed), pattern="focal") for seed in (11, 11, 12))
    assert np.array_equal(first.material, again.material)
    assert first.lesions == again.lesions
    assert first.lesions != other.lesions


def test_patterns_are_drawn_in_their_shares() -> None:
    draws = [draw_pattern(generator) for generator in [rng(13)] for _ in range(2000)]
    for pattern, share in PATTERN_SHARE.items():
        assert draws.count(pattern) / 2000 == pytest.approx(share, abs=0.04)


def test_an_unknown_pattern_is_refused(toy_body: Any) -> None:
    with pytest.raises(SettingsError, match=r"unknown pattern 'spotty'; use one of normal, focal"):
        diseased_body(toy_body, rng(), pattern="spotty")  # type: ignore[arg-type]


def test_counts_out_of_order_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"fewest <= most, found 5 and 2"):
        DiseaseSettings(focal_count=(5, 2))


def test_a_body_without_marrow_has_no_lesion(make_toy_body: Callable[[], Any]) -> None:
    boneless = make_toy_body()
    boneless.tissue[boneless.tissue == Tissue.MARROW] = Tissue.MUSCLE
    assert diseased_body(boneless, rng(14), pattern="focal").lesions == ()


def test_marrow_fat_rises_with_age_and_from_spine_to_limbs() -> None:
    def fat(age: float) -> np.ndarray:
        person: Any = SimpleNamespace(sex="F", age_years=age)
        return np.mean([mean_fat_by_bone(person, rng(seed)) for seed in range(40)], axis=0)

    young, old = fat(30.0), fat(85.0)
    assert old[Bone.L3] > young[Bone.L3] + 0.15
    assert young[Bone.L3] < young[Bone.PELVIS_LEFT] < young[Bone.FEMUR_LEFT]


def test_marrow_composition_stays_physical(toy_body: Any) -> None:
    marrow = healthy_marrow(toy_body, rng(15))
    assert marrow.fat_fraction.min() >= 0.05
    assert marrow.fat_fraction.max() <= 0.97
    assert 300 < marrow.adc_um2_per_s.mean() < 650


def test_the_longest_diameter_of_ten_voxels_in_a_row_is_their_length() -> None:
    points = np.array([np.arange(10.0), np.zeros(10), np.zeros(10)])
    assert longest_diameter_mm(points, 2.0) == pytest.approx(19.0, abs=0.1)
