from __future__ import annotations

import pytest

from marrowmap.inference.findings import NO_ADC, Benign, Certainty, Lesion
from marrowmap.inference.pattern import PatternSettings, describe_pattern, pattern_from_evidence
from marrowmap.inference.vertebrae import Vertebra


def lesion(
    diameter_mm: float = 12.0, *, certainty: Certainty = "certain", benign: Benign | None = None
) -> Lesion:
    return Lesion(
        id=1,
        region="lumbar_spine",
        kind="focal",
        status="active",
        certainty=certainty,
        suspected_benign=benign,
        probability=0.9,
        volume_ml=1.0,
        longest_diameter_mm=diameter_mm,
        diameter_uncertainty_mm=2.5,
        perpendicular_diameter_mm=diameter_mm,
        centroid_ras_mm=(0.0, 0.0, 0.0),
        adc_um2_per_s=NO_ADC,
        dwi_to_muscle=None,
        fat_fraction=None,
    )


def vertebrae(
    count: int = 12,
    *,
    t1_to_disc: float | None = 1.6,
    t1_to_muscle: float | None = 1.5,
    adc: float | None = 420.0,
    fat_fraction: float | None = 0.5,
    dwi_to_muscle: float | None = 5.6,
) -> list[Vertebra]:
    one = Vertebra(
        region="lumbar_spine",
        height_mm=0.0,
        lesion_share=0.0,
        t1_to_disc=t1_to_disc,
        t1_to_muscle=t1_to_muscle,
        adc_um2_per_s=adc,
        fat_fraction=fat_fraction,
        dwi_to_muscle=dwi_to_muscle,
        t1_variation=0.1,
    )
    return [one] * count


def test_nothing_found_in_fatty_marrow_is_normal_with_grade_none() -> None:
    found = describe_pattern([], vertebrae())
    assert (found.label, found.diffuse_grade) == ("normal", "none")
    assert found.evidence["r_disc"] == 1.6
    assert found.evidence["missing"] == []


def test_one_certain_lesion_of_5_mm_makes_the_pattern_focal() -> None:
    assert describe_pattern([lesion(5.0)], vertebrae()).label == "focal"
    assert describe_pattern([lesion(4.9)], vertebrae()).label == "normal"


def test_an_equivocal_lesion_alone_leaves_normal_and_says_what_it_would_be() -> None:
    found = describe_pattern([lesion(certainty="equivocal")], vertebrae())
    assert found.label == "normal"
    assert found.evidence["focal_equivocal"] == 1
    assert found.evidence["label_if_equivocal_count"] == "focal"


def test_rejected_and_benign_lesions_make_no_pattern() -> None:
    lesions = [lesion(certainty="rejected"), lesion(certainty="equivocal", benign="haemangioma")]
    found = describe_pattern(lesions, vertebrae())
    assert (found.label, found.evidence["label_if_equivocal_count"]) == ("normal", "normal")


def test_vertebrae_darker_than_disc_and_muscle_are_severe() -> None:
    found = describe_pattern([], vertebrae(t1_to_disc=0.9, t1_to_muscle=0.95, adc=800.0))
    assert (found.label, found.diffuse_grade) == ("diffuse", "severe")


def test_vertebrae_darker_than_disc_but_brighter_than_muscle_are_moderate() -> None:
    found = describe_pattern([], vertebrae(t1_to_disc=0.9, t1_to_muscle=1.05, adc=400.0))
    assert found.diffuse_grade == "moderate"


def test_one_vertebra_with_a_thick_disc_is_too_few_for_severe() -> None:
    bodies = [*vertebrae(1, t1_to_disc=0.9, t1_to_muscle=0.9), *vertebrae(5, t1_to_disc=None)]
    found = describe_pattern([], bodies)
    assert found.diffuse_grade == "none"
    assert any(text.startswith("T1 of vertebral bodies") for text in found.evidence["missing"])


def test_severe_needs_two_thirds_of_the_vertebrae() -> None:
    dark = vertebrae(8, t1_to_disc=0.9, t1_to_muscle=0.9)
    light = vertebrae(4, t1_to_disc=1.3, t1_to_muscle=0.9)
    assert describe_pattern([], dark + light).diffuse_grade == "severe"
    assert describe_pattern([], dark[:7] + light + light[:1]).diffuse_grade == "none"


@pytest.mark.parametrize(("adc", "grade"), [(550.0, "none"), (551.0, "moderate")])
def test_moderate_starts_above_an_adc_of_550(adc: float, grade: str) -> None:
    assert describe_pattern([], vertebrae(adc=adc)).diffuse_grade == grade


@pytest.mark.parametrize(("dwi", "grade"), [(4.3, "none"), (4.4, "moderate"), (None, "moderate")])
def test_near_the_limit_moderate_also_needs_bright_diffusion(dwi: float | None, grade: str) -> None:
    assert describe_pattern([], vertebrae(adc=600.0, dwi_to_muscle=dwi)).diffuse_grade == grade


@pytest.mark.parametrize(("adc", "grade"), [(655.0, "none"), (656.0, "moderate")])
def test_a_clearly_high_adc_is_moderate_however_dark_on_diffusion(adc: float, grade: str) -> None:
    assert describe_pattern([], vertebrae(adc=adc, dwi_to_muscle=3.2)).diffuse_grade == grade


def test_a_lesion_in_diffuse_marrow_is_focal_on_diffuse() -> None:
    assert describe_pattern([lesion()], vertebrae(adc=700.0)).label == "focal_on_diffuse"


def test_thirty_nodules_of_4_9_mm_are_micronodular_and_mild() -> None:
    found = describe_pattern([lesion(4.9)] * 30, vertebrae())
    assert (found.label, found.diffuse_grade) == ("micronodular", "mild")


def test_nodules_measured_as_two_voxels_are_micronodular_within_their_uncertainty() -> None:
    nodules = [lesion(6.0, certainty="equivocal")] * 12
    assert describe_pattern(nodules, vertebrae()).label == "micronodular"
    assert describe_pattern([*nodules, *[lesion(15.0)] * 3], vertebrae()).label == "micronodular"
    assert describe_pattern([*nodules, *[lesion(15.0)] * 4], vertebrae()).label == "focal"


def test_nine_nodules_are_not_yet_micronodular() -> None:
    assert describe_pattern([lesion(4.9)] * 9, vertebrae()).label == "normal"


def test_without_vertebrae_the_grade_is_unknown_never_none() -> None:
    found = describe_pattern([], [])
    assert found.diffuse_grade is None
    assert "found 0" in found.evidence["missing"][0]


def test_without_t1_a_low_adc_still_gives_none_and_says_what_is_missing() -> None:
    found = describe_pattern([], vertebrae(t1_to_disc=None, t1_to_muscle=None))
    assert found.diffuse_grade == "none"
    assert any(text.startswith("T1 of vertebral bodies") for text in found.evidence["missing"])


def test_without_t1_and_adc_the_grade_is_unknown() -> None:
    found = describe_pattern([], vertebrae(t1_to_disc=None, t1_to_muscle=None, adc=None))
    assert found.diffuse_grade is None


def test_a_site_may_set_its_own_fat_fraction_limit() -> None:
    low = vertebrae(fat_fraction=0.2)
    assert describe_pattern([], low).diffuse_grade == "none"
    assert describe_pattern([], low, PatternSettings(moderate_fat_fraction=0.33)).diffuse_grade == "moderate"


def test_evidence_read_back_gives_the_same_pattern() -> None:
    first = describe_pattern([lesion()], vertebrae(adc=700.0))
    again = pattern_from_evidence([lesion()], dict(first.evidence))
    assert again == first
