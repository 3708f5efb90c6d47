"""Prompts for the reader: each appears where it must, and only there."""

from __future__ import annotations

from typing import Any

import pytest

from marrowmap.data.skeleton import Region
from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.collapse import SpineFindings
from marrowmap.inference.findings import NO_ADC, AdcStatistics, Burden, BurdenAdc, Lesion, Pattern
from marrowmap.inference.notes import find_notes
from marrowmap.inference.staging.imaging import FocalLesion, ImagingFindings

WHOLE = {region.key: "complete" for region in Region}


def lesion(number: int = 1, **changes: Any) -> Lesion:
    values: dict[str, Any] = {
        "id": number,
        "region": "lumbar_spine",
        "kind": "focal",
        "status": "active",
        "certainty": "certain",
        "suspected_benign": None,
        "probability": 0.9,
        "volume_ml": 1.0,
        "longest_diameter_mm": 12.0,
        "diameter_uncertainty_mm": 2.5,
        "perpendicular_diameter_mm": 10.0,
        "centroid_ras_mm": (0.0, 0.0, 0.0),
        "adc_um2_per_s": NO_ADC,
        "dwi_to_muscle": None,
        "fat_fraction": None,
    }
    return Lesion(**(values | changes))


def texts(
    *lesions: Lesion,
    label: Any = None,
    coverage: dict[str, str] | None = None,
    spine: SpineFindings | None = None,
    **clinical: Any,
) -> dict[str, str]:
    """Return the notes by code, several texts of one code joined."""
    pattern = Pattern(label=label or ("focal" if lesions else "normal"), diffuse_grade="none", evidence={})
    burden = Burden(
        tumour_volume_ml=0.0,
        marrow_volume_ml=1000.0,
        marrow_fraction=0.0,
        adc_um2_per_s=BurdenAdc(),
        by_region={},
        extramedullary_volume_ml=0.0,
        marrow_adc_um2_per_s=AdcStatistics(median=420.0),
    )
    imaging = ImagingFindings(
        lesions=tuple(
            FocalLesion(diameter_mm=one.longest_diameter_mm, certainty=one.certainty) for one in lesions
        ),
        diffuse_grade="none",
    )
    notes = find_notes(
        lesions,
        pattern,
        burden,
        WHOLE if coverage is None else coverage,
        spine or SpineFindings(),
        imaging,
        ClinicalInput(**clinical),
    )
    found: dict[str, str] = {}
    for note in notes:
        found[note.code] = f"{found.get(note.code, '')} {note.text}".strip()
    return found


def test_a_normal_exam_says_that_it_excludes_nothing() -> None:
    assert "does not mean no myeloma" in texts()["normal_mri"]
    assert "normal_mri" not in texts(lesion())


def test_a_single_certain_lesion_asks_for_a_second() -> None:
    assert "look for a second one" in texts(lesion())["single_lesion"]
    assert "single_lesion" not in texts(lesion(1), lesion(2))
    assert "single_lesion" not in texts(lesion(longest_diameter_mm=4.9))
    assert "single_lesion" not in texts(lesion(certainty="equivocal"))


def test_equivocal_lesions_are_named_with_the_repeat_of_the_paper() -> None:
    note = texts(lesion(3, certainty="equivocal"), lesion(4), lesion(5))["equivocal_lesions"]
    assert "(3)" in note
    assert "3 to 6 months" in note


def test_a_rejected_lesion_prompts_nothing() -> None:
    found = texts(lesion(certainty="rejected", parts=3, status="treated"), label="normal")
    assert {"single_lesion", "visible_not_active", "confluent_lesions"} & set(found) == set()
    assert "normal_mri" in found


def test_scars_are_visible_and_not_active() -> None:
    assert "lesions 2 have the ADC" in texts(lesion(1), lesion(2, status="treated"))["visible_not_active"]


def test_a_lesion_with_a_neck_may_be_several() -> None:
    assert "1 (about 2)" in texts(lesion(parts=2), lesion(2))["confluent_lesions"]


def test_a_micronodular_pattern_is_called_with_low_confidence() -> None:
    assert "low confidence" in texts(lesion(), label="micronodular")["micronodular_low_confidence"]
    assert "micronodular_low_confidence" not in texts(lesion())


@pytest.mark.parametrize(
    ("clinical", "words"),
    [
        ({"bone_scale": 0}, "radiographs no lysis"),
        ({"bone_scale": 1}, "radiographs no lysis"),
        ({"lytic_lesions_ct": 0}, "CT no lysis"),
        ({"pet_focal_lesions": 0}, "PET 0"),
        ({"pet_focal_lesions": 4}, "PET shows 4"),
    ],
)
def test_two_lesions_on_mri_disagree_with_another_modality(clinical: dict[str, Any], words: str) -> None:
    assert words in texts(lesion(1), lesion(2), **clinical)["discordant_modalities"]


@pytest.mark.parametrize(
    "clinical",
    [{}, {"bone_scale": 2}, {"lytic_lesions_ct": 1}, {"pet_focal_lesions": 2}, {"pet_focal_lesions": 1}],
)
def test_two_lesions_on_mri_agree_or_nothing_is_known(clinical: dict[str, Any]) -> None:
    assert "discordant_modalities" not in texts(lesion(1), lesion(2), **clinical)


def test_lysis_without_a_focal_lesion_is_told() -> None:
    assert "neither excludes the other" in texts(lytic_lesions_ct=2)["discordant_modalities"]
    assert "neither excludes the other" in texts(bone_scale=2)["discordant_modalities"]
    assert "discordant_modalities" not in texts(lytic_lesions_ct=0)


def test_an_exam_of_spine_and_pelvis_is_called_axial() -> None:
    axial = {key: "complete" for key in ("cervical_spine", "thoracic_spine", "lumbar_spine", "sacrum_pelvis")}
    found = texts(lesion(), coverage=axial)
    assert "axial exam" in found["axial_only"]
    assert "about 60 %" in found["red_marrow_seen"]
    assert {"axial_only", "red_marrow_seen"} & set(texts(lesion())) == set()


def test_an_unusual_numbering_of_vertebrae_is_told() -> None:
    spine = SpineFindings(warnings=("6 lumbar vertebrae were told apart",))
    assert "6 lumbar" in texts(spine=spine)["vertebral_numbering"]


def test_no_note_gives_advice_or_a_forecast() -> None:
    found = texts(
        lesion(1, status="treated", parts=2),
        lesion(2, certainty="equivocal"),
        pet_focal_lesions=9,
        bone_scale=0,
    )
    for word in ("treat with", "will fracture", "recommend", "should be treated", "no myeloma is"):
        assert not any(word in text for text in found.values())
