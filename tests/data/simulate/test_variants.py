"""Bodies and disease asked for by name."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from marrowmap.data.errors import SettingsError
from marrowmap.data.simulate.anatomy import Anatomy, build_anatomy
from marrowmap.data.simulate.bones import bone_surfaces
from marrowmap.data.simulate.canvas import Canvas
from marrowmap.data.simulate.disease import DiseasedBody, diseased_body
from marrowmap.data.simulate.disease_settings import DiseaseSettings
from marrowmap.data.simulate.labels import CORTEX_TISSUES, MARROW_TISSUES, Bone, Tissue
from marrowmap.data.simulate.marrow import healthy_marrow
from marrowmap.data.simulate.mimics import MIMICS
from marrowmap.data.simulate.muscles import part_muscles
from marrowmap.data.simulate.person import Person
from marrowmap.data.simulate.shapes import Points
from marrowmap.data.simulate.truth import Pattern
from marrowmap.data.simulate.variants import AnatomySettings, Collapse, draw_variants, proven
from marrowmap.data.simulate.vertebrae import collapsed

pytest.importorskip("myo_sim", reason="the simulator's bone surfaces need marrowmap[simulate]")

MAN = Person(sex="M", age_years=60, stature_mm=1760, adiposity=-0.5)
PLAIN = AnatomySettings(arms="beside", transitional="none", collapses=(), prosthesis="none")
SPECIAL = AnatomySettings(
    arms="above",
    transitional="lumbarised_s1",
    collapses=("malignant", "osteoporotic_acute"),
    prosthesis="right",
)


@lru_cache
def body(settings: AnatomySettings = PLAIN) -> Anatomy:
    return build_anatomy(MAN, np.random.default_rng(3), spacing_mm=3.0, settings=settings)


@lru_cache
def sick(pattern: Pattern = "focal", settings: DiseaseSettings | None = None) -> DiseasedBody:
    return diseased_body(body(SPECIAL), np.random.default_rng(5), pattern=pattern, settings=settings)


def height_mm(anatomy: Anatomy, bone: Bone) -> float:
    return float(np.argwhere(anatomy.bone == bone)[:, 2].mean() * 3.0 + anatomy.affine_ras_mm[2, 3])


def volume_ml(anatomy: Anatomy, tissue: Tissue) -> float:
    return float((anatomy.tissue == tissue).sum()) * 27e-3


def test_raised_arms_lie_beside_the_head_and_hanging_ones_below_the_shoulder() -> None:
    shoulder = 0.309 * MAN.stature_mm
    for bone in (Bone.HUMERUS_RIGHT, Bone.HUMERUS_LEFT):
        assert height_mm(body(SPECIAL), bone) > shoulder + 50
        assert height_mm(body(), bone) < shoulder - 50


def test_a_hip_prosthesis_is_metal_where_the_femoral_head_was() -> None:
    assert volume_ml(body(), Tissue.METAL) == 0
    assert 60 < volume_ml(body(SPECIAL), Tissue.METAL) < 160
    replaced, kept = ((body(SPECIAL).bone == bone).sum() for bone in (Bone.FEMUR_RIGHT, Bone.FEMUR_LEFT))
    assert replaced < 0.85 * kept


def test_a_lumbarised_sacrum_has_a_disc_of_its_own() -> None:
    sacrum = np.argwhere(body(SPECIAL).bone == Bone.SACRUM)
    low, high = sacrum.min(axis=0), sacrum.max(axis=0)
    disc = np.argwhere(body(SPECIAL).tissue == Tissue.DISC)
    below_l5 = disc[(disc[:, 2] > low[2]) & (disc[:, 2] < low[2] + 0.75 * (high[2] - low[2]))]
    assert 1.0 < len(below_l5) * 27e-3 < 12.0


def test_a_vertebra_crushed_by_half_keeps_half_its_height() -> None:
    vertices = next(surface for bone, surface in bone_surfaces() if bone == Bone.L1).vertices
    front = vertices[:, 1] > vertices[:, 1].max() - 0.45 * np.ptp(vertices[:, 1])
    loss = Collapse(bone=Bone.L1, cause="osteoporotic_old", shape="crush", height_loss=0.5)
    assert np.ptp(collapsed(vertices, loss)[front, 2]) == pytest.approx(0.5 * np.ptp(vertices[front, 2]))
    assert np.array_equal(collapsed(vertices, loss)[~front], vertices[~front])


def test_a_malignant_collapse_bulges_backwards_and_an_old_one_does_not() -> None:
    vertices = next(surface for bone, surface in bone_surfaces() if bone == Bone.L1).vertices

    def shift(cause: str) -> float:
        change = Collapse(bone=Bone.L1, cause=cause, shape="crush", height_loss=0.4)  # type: ignore[arg-type]
        return float((collapsed(vertices, change) - vertices)[:, 1].min())

    assert -5.0 <= shift("malignant") < -2.0
    assert shift("osteoporotic_old") == 0.0


def test_the_same_generator_draws_the_same_variants_whatever_is_fixed() -> None:
    free, fixed = (
        draw_variants(MAN, settings, np.random.default_rng(9))
        for settings in (AnatomySettings(), AnatomySettings(arms="above"))
    )
    assert (free.transitional, free.prosthesis) == (fixed.transitional, fixed.prosthesis)
    assert free.deformation_mm == fixed.deformation_mm
    assert fixed.arms == "above"


def test_the_shaft_of_a_femur_is_hollow_and_a_vertebra_is_not() -> None:
    tissue, bone = body().tissue, body().bone
    assert (tissue[bone == Bone.FEMUR_LEFT] == Tissue.MEDULLARY_CAVITY).any()
    assert not (tissue[bone == Bone.L3] == Tissue.MEDULLARY_CAVITY).any()
    assert (tissue[bone == Bone.L3] == Tissue.THIN_CORTEX).any()
    assert set(np.unique(tissue[bone == Bone.L3])) <= {*MARROW_TISSUES, *CORTEX_TISSUES}
    marrow = healthy_marrow(body(), np.random.default_rng(0))
    hollow = tissue.reshape(-1)[marrow.flat] == Tissue.MEDULLARY_CAVITY
    assert marrow.fat_fraction[hollow].mean() > 0.85 > marrow.fat_fraction[~hollow].mean() + 0.1


@pytest.mark.parametrize(
    ("tissue", "low_ml", "high_ml"),
    [
        (Tissue.RENAL_MEDULLA, 40, 250),
        (Tissue.BLOOD, 250, 1200),
        (Tissue.TESTIS, 20, 60),
        (Tissue.PROSTATE, 5, 40),
        (Tissue.GALLBLADDER, 15, 200),
        (Tissue.NERVE, 2, 30),
        (Tissue.LYMPH_NODE, 2, 60),
    ],
)
def test_what_shines_on_diffusion_has_a_volume_that_people_have(
    tissue: Tissue, low_ml: float, high_ml: float
) -> None:
    assert low_ml < volume_ml(body(), tissue) < high_ml


def test_muscles_are_parted_by_fat_the_more_so_the_older_and_heavier() -> None:
    def fat_share(person: Person) -> float:
        canvas = Canvas.blank((40, 40, 80), np.array([20.0, -60.0, -240.0]), 3.0)
        canvas.tissue[:] = Tissue.MUSCLE  # a block in the place of the right thigh
        part_muscles(canvas, person, _stay, _stay, np.random.default_rng(2))
        return float((canvas.tissue != Tissue.MUSCLE).mean())

    lean = fat_share(Person(sex="M", age_years=30, stature_mm=1760, adiposity=-1.5))
    heavy = fat_share(Person(sex="M", age_years=85, stature_mm=1760, adiposity=2.0))
    assert 0.05 < lean < 0.75 * heavy


def _stay(points: Points) -> Points:
    return points.copy()


def test_a_malignant_collapse_is_filled_by_a_lesion_when_there_is_disease() -> None:
    malignant = [
        collapse.bone for collapse in body(SPECIAL).variants.collapses if collapse.cause == "malignant"
    ]
    filled = [lesion for lesion in sick().lesions if lesion.collapses_vertebra]
    assert [lesion.bone for lesion in filled] == malignant
    assert 3 < filled[0].volume_ml < 60
    well = diseased_body(body(SPECIAL), np.random.default_rng(5), pattern="normal")
    assert well.lesions == ()
    assert "malignant" not in {c.cause for c in proven(body(SPECIAL).variants, set()).collapses}


def test_a_fresh_osteoporotic_collapse_shows_oedema_that_is_no_lesion() -> None:
    fresh = [c.bone for c in body(SPECIAL).variants.collapses if c.cause == "osteoporotic_acute"]
    oedema = [mimic.bone for mimic in sick().mimics if mimic.kind == "fracture_oedema"]
    assert fresh[0] in oedema


@pytest.mark.parametrize("kind", sorted(MIMICS))
def test_every_mimic_can_be_asked_for_by_name(kind: str) -> None:
    found: list[str] = []
    for seed in range(3):  # a place may be taken: three tries are enough
        settings = DiseaseSettings(mimics=(kind,))
        well = diseased_body(body(), np.random.default_rng(seed), pattern="normal", settings=settings)
        found += [mimic.kind for mimic in well.mimics]
    assert kind in found
    assert set(found) == {kind}


def test_disease_spreads_beyond_bone_where_it_is_asked_to() -> None:
    settings = DiseaseSettings(
        focal_count=(20, 20), median_diameter_mm=20.0, epidural_share=1.0, extramedullary_share=1.0
    )
    lesions = sick("focal", settings).lesions
    assert any(lesion.is_epidural for lesion in lesions)
    masses = [lesion for lesion in lesions if lesion.is_extramedullary]
    assert masses
    labels = sick("focal", settings).lesion_labels
    for mass in masses:
        assert not body(SPECIAL).bone[labels == mass.id].any()


def test_disease_stays_in_bone_where_it_must() -> None:
    settings = DiseaseSettings(
        breach_share=0.0, epidural_share=0.0, extramedullary_share=0.0, focal_count=(20, 20)
    )
    ordinary = [lesion for lesion in sick("focal", settings).lesions if not lesion.collapses_vertebra]
    assert len(ordinary) == 20
    assert not any(lesion.breaches_cortex or lesion.is_extramedullary for lesion in ordinary)


@pytest.mark.parametrize("kind", ["active", "treated", "necrotic_core", "t1_bright"])
def test_every_kind_of_lesion_can_be_asked_for(kind: str) -> None:
    settings = DiseaseSettings(lesion_kind=kind, focal_count=(4, 4), extramedullary_share=0.0)  # type: ignore[arg-type]
    lesions = [lesion for lesion in sick("focal", settings).lesions if not lesion.collapses_vertebra]
    assert {lesion.kind for lesion in lesions} == {kind}


def test_hyperplasia_makes_marrow_redder_and_is_in_the_truth() -> None:
    fat = {}
    for increased in (False, True):
        settings = DiseaseSettings(hyperplasia=increased)
        well = diseased_body(body(), np.random.default_rng(1), pattern="normal", settings=settings)
        assert well.has_hyperplasia is increased
        fat[increased] = well.marrow_fat_fraction
    assert fat[True] < fat[False] - 0.06


@pytest.mark.parametrize("grade", ["mild", "moderate", "severe"])
def test_every_grade_of_diffuse_disease_can_be_asked_for(grade: str) -> None:
    settings = DiseaseSettings(diffuse_grade=grade)  # type: ignore[arg-type]
    assert sick("diffuse", settings).diffuse_grade == grade


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"deformation needs 0 to 12 mm, found 20"):
        AnatomySettings(deformation_mm=20.0)
    with pytest.raises(SettingsError, match=r"at most 12 vertebrae can collapse, found 13"):
        AnatomySettings(collapses=("malignant",) * 13)
    with pytest.raises(SettingsError, match=r"breach_share needs 0 to 1, found 1.5"):
        DiseaseSettings(breach_share=1.5)
    with pytest.raises(SettingsError, match=r"unknown mimic 'wart'; use one of haemangioma"):
        diseased_body(
            body(), np.random.default_rng(0), pattern="normal", settings=DiseaseSettings(mimics=("wart",))
        )
