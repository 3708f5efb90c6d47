from functools import lru_cache

import numpy as np
import pytest

from marrowmap.data.simulate.anatomy import Anatomy, build_anatomy
from marrowmap.data.simulate.labels import Bone, Tissue, regions_of_bones
from marrowmap.data.simulate.person import Person, draw_person
from marrowmap.data.skeleton import Region

pytest.importorskip("myo_sim", reason="the simulator's bone surfaces need marrowmap[simulate]")

MAN = Person(sex="M", age_years=55, stature_mm=1760, adiposity=0.0)


@lru_cache
def body(person: Person = MAN, seed: int = 3) -> Anatomy:
    return build_anatomy(person, np.random.default_rng(seed), spacing_mm=3.0)


def volume_ml(anatomy: Anatomy, tissue: Tissue) -> float:
    return float((anatomy.tissue == tissue).sum()) * 27e-3


def test_the_same_seed_builds_the_same_body() -> None:
    again = build_anatomy(MAN, np.random.default_rng(3), spacing_mm=3.0)
    assert np.array_equal(again.tissue, body().tissue)
    assert np.array_equal(again.bone, body().bone)


def test_every_bone_of_the_list_is_in_the_body() -> None:
    assert set(np.unique(body().bone)) - {0} == {int(bone) for bone in Bone}


def test_every_region_is_in_the_body() -> None:
    assert set(np.unique(regions_of_bones(body().bone))) - {0} == {int(region) for region in Region}


def test_the_forearm_belongs_to_no_region() -> None:
    assert regions_of_bones(np.array([Bone.FOREARM], dtype=np.uint8)).tolist() == [0]


def test_vertebrae_rise_from_l5_to_c1() -> None:
    heights = [np.argwhere(body().bone == bone)[:, 2].mean() for bone in Bone if Bone.C1 <= bone <= Bone.L5]
    assert heights == sorted(heights, reverse=True)


def test_the_liver_is_on_the_right_and_the_spleen_on_the_left() -> None:
    def x_mm(tissue: Tissue) -> float:
        return float(np.argwhere(body().tissue == tissue)[:, 0].mean()) * 3.0 + body().affine_ras_mm[0, 3]

    assert x_mm(Tissue.LIVER) > 20 > -20 > x_mm(Tissue.SPLEEN)


@pytest.mark.parametrize(
    ("tissue", "low_ml", "high_ml"),
    [
        (Tissue.LIVER, 1100, 2600),
        (Tissue.SPLEEN, 70, 400),
        (Tissue.KIDNEY, 180, 480),
        (Tissue.LUNG, 1800, 4500),
        (Tissue.CORD, 15, 45),
        (Tissue.BLADDER, 60, 500),
    ],
)
def test_an_organ_has_a_volume_that_people_have(tissue: Tissue, low_ml: float, high_ml: float) -> None:
    assert low_ml < volume_ml(body(), tissue) < high_ml


def test_brain_and_marrow_have_volumes_that_people_have() -> None:
    brain = volume_ml(body(), Tissue.GREY_MATTER) + volume_ml(body(), Tissue.WHITE_MATTER)
    assert 900 < brain < 1800
    assert 1000 < volume_ml(body(), Tissue.MARROW) < 3500


def test_no_bone_touches_the_air() -> None:
    bone, air = body().bone > 0, body().tissue == Tissue.AIR
    for axis in range(2):  # along the third axis the field of view cuts the thighs
        for step in (1, -1):
            assert (bone & np.roll(air, step, axis)).sum() < 0.001 * bone.sum()


def test_a_heavier_person_has_more_fat() -> None:
    heavy = body(Person(sex="M", age_years=55, stature_mm=1760, adiposity=2.0))
    assert volume_ml(heavy, Tissue.SUBCUTANEOUS_FAT) > 1.5 * volume_ml(body(), Tissue.SUBCUTANEOUS_FAT)


def test_a_woman_has_no_prostate_and_a_man_no_uterus() -> None:
    woman = body(Person(sex="F", age_years=40, stature_mm=1630, adiposity=0.0))
    assert volume_ml(woman, Tissue.PROSTATE) == 0 < volume_ml(woman, Tissue.UTERUS)
    assert volume_ml(body(), Tissue.UTERUS) == 0 < volume_ml(body(), Tissue.PROSTATE)


def test_drawn_people_stay_within_the_stated_ranges() -> None:
    people = [draw_person(np.random.default_rng(seed)) for seed in range(200)]
    assert all(1450 <= p.stature_mm <= 2000 and 30 <= p.age_years <= 90 for p in people)
    assert {p.sex for p in people} == {"F", "M"}
