"""What counts as a focal lesion, and what a count rests on."""

from __future__ import annotations

from typing import Any

import pytest

from marrowmap.data.errors import ReportFileError, SettingsError
from marrowmap.data.skeleton import Region
from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.staging.all_rules import StagingSettings, stage_all
from marrowmap.inference.staging.counting import (
    CountingSettings,
    FocalCount,
    count_focal,
    counting_warnings,
    is_micronodular,
)
from marrowmap.inference.staging.durie_salmon_plus import stage_durie_salmon_plus
from marrowmap.inference.staging.imaging import FocalLesion, ImagingFindings, imaging_from_report
from marrowmap.inference.staging.imwg_mri import stage_imwg_mri
from marrowmap.inference.staging.walker import stage_walker

WHOLE = {region: "complete" for region in Region}


def found(*lesions: FocalLesion, **keys: Any) -> ImagingFindings:
    """Return findings with these lesions."""
    return ImagingFindings(lesions=lesions, diffuse_grade="none", **keys)


def lesion(diameter_mm: float, **keys: Any) -> FocalLesion:
    """Return a lesion with 0.5 mm uncertainty."""
    return FocalLesion(diameter_mm=diameter_mm, uncertainty_mm=0.5, **keys)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (lesion(5.0), (1, 1)),
        (lesion(4.99), (0, 1)),
        (lesion(4.5), (0, 1)),
        (lesion(4.4), (0, 0)),
        (lesion(9.0, certainty="equivocal"), (0, 1)),
        (lesion(9.0, certainty="rejected"), (0, 0)),
        (lesion(9.0, kind="paramedullary"), (1, 1)),
        (lesion(9.0, kind="extramedullary"), (0, 0)),
    ],
)
def test_one_lesion_counts_as_sure_or_possible(one: FocalLesion, expected: tuple[int, int]) -> None:
    count = count_focal(found(one))
    assert (count.sure, count.maybe) == expected


def test_the_other_convention_of_5_mm_can_be_set_and_is_printed() -> None:
    strict = CountingSettings(is_equal_counted=False)
    assert count_focal(found(lesion(5.0)), strict).sure == 0
    assert count_focal(found(lesion(5.1)), strict).sure == 1
    results = stage_all(found(lesion(5.0)), ClinicalInput(), StagingSettings(counting=strict))
    assert results["imwg_mri_mde"].inputs["size"] == "> 5 mm"
    assert stage_imwg_mri(found()).inputs["size"] == ">= 5 mm"


def test_counting_settings_refuse_a_diameter_of_zero() -> None:
    with pytest.raises(SettingsError, match="need diameter_mm above 0"):
        CountingSettings(diameter_mm=0.0)


@pytest.mark.parametrize(("number", "expected"), [(9, False), (10, True)])
def test_many_small_nodules_are_micronodular(number: int, expected: bool) -> None:
    assert is_micronodular(found(*[lesion(3.0)] * number)) is expected


def test_two_certain_lesions_of_which_one_is_treated_are_both_visible_and_one_is_active() -> None:
    imaging = found(lesion(9.0, is_active=True), lesion(9.0, is_active=False))
    result = stage_imwg_mri(imaging)
    assert (result.value, result.extras["active_focal_lesions"]) == ("positive", 1)


@pytest.mark.parametrize(
    ("lesions", "value"),
    [
        ([], "negative"),
        ([lesion(9.0, certainty="equivocal")], "negative"),
        ([lesion(9.0)], "single_lesion"),
        ([lesion(9.0), lesion(9.0, certainty="equivocal")], "equivocal"),
        ([lesion(9.0, certainty="equivocal")] * 2, "equivocal"),
        ([lesion(9.0), lesion(9.0)], "positive"),
        ([lesion(9.0), lesion(9.0, certainty="rejected")], "single_lesion"),
    ],
)
def test_the_mri_biomarker_needs_two_certain_lesions(lesions: list[FocalLesion], value: str) -> None:
    assert stage_imwg_mri(found(*lesions)).value == value


def test_a_single_doubtful_lesion_is_negative_but_is_named() -> None:
    result = stage_imwg_mri(found(lesion(9.0, certainty="equivocal")))
    assert any("1 more may be focal lesions" in warning for warning in result.warnings)


def test_a_gap_in_the_spine_leaves_a_negative_mri_open() -> None:
    gap = {**WHOLE, Region.THORACIC_SPINE: "partial"}
    result = stage_imwg_mri(found(coverage=gap))
    assert (result.value, result.status) == (None, "unknown")
    assert "positive" in result.candidates
    assert stage_imwg_mri(found(lesion(9.0), lesion(9.0), coverage=gap)).value == "positive"


def test_an_exam_that_ends_at_mid_thigh_is_whole() -> None:
    usual = {**WHOLE, Region.FEMORA: "partial", Region.HUMERI: "partial"}
    assert stage_durie_salmon_plus(found(coverage=usual), ClinicalInput()).value == "0"


def test_an_axial_exam_gives_no_whole_body_count_and_never_stage_zero() -> None:
    axial = {
        region: "complete" for region in (Region.THORACIC_SPINE, Region.LUMBAR_SPINE, Region.SACRUM_PELVIS)
    }
    result = stage_durie_salmon_plus(found(coverage=axial), ClinicalInput())
    assert (result.value, result.candidates) == (None, ("0", "I", "II", "III"))
    assert "coverage" in result.missing
    assert stage_walker(found(*[lesion(9.0)] * 8, coverage=axial)).value is True
    assert stage_walker(found(coverage=axial)).value is None


def test_open_count_spans_to_the_ceiling() -> None:
    assert list(FocalCount(sure=3, maybe=3, is_open=True).possible(5)) == [3, 4, 5]
    assert list(FocalCount(sure=3, maybe=4, is_open=False).possible(5)) == [3]
    assert list(FocalCount(sure=9, maybe=9, is_open=True).possible(5)) == [9]


def test_warnings_name_what_the_count_rests_on() -> None:
    imaging = found(lesion(5.2), lesion(4.8), coverage={**WHOLE, Region.SKULL: "absent"})
    texts = counting_warnings(imaging)
    assert texts == (
        "1 more may be focal lesions: equivocal, or near 5 mm",
        "1 of the 1 counted may be smaller than 5 mm",
        "not imaged as a whole: skull; more lesions may lie there",
    )
    assert counting_warnings(found()) == ("coverage was not stated and is taken as whole",)


def test_a_certain_lesion_away_from_bone_is_extramedullary_disease() -> None:
    outside = lesion(30.0, kind="extramedullary")
    imaging = found(*[lesion(9.0)] * 5, outside)
    result = stage_durie_salmon_plus(imaging, ClinicalInput(creatinine_mg_per_dl=0.9))
    assert (result.value, result.extras["suffix"]) == ("II", "B")
    doubtful = found(*[lesion(9.0)] * 5, lesion(30.0, kind="extramedullary", certainty="equivocal"))
    assert stage_durie_salmon_plus(doubtful, ClinicalInput(creatinine_mg_per_dl=0.9)).extras["suffix"] is None


# ---- findings files ----------------------------------------------------------------------------------


def test_the_smallest_findings_file_is_enough() -> None:
    imaging = imaging_from_report(
        {
            "lesions": [{"longest_diameter_mm": 12, "certainty": "certain"}],
            "pattern": {"diffuse_grade": "none"},
        }
    )
    assert imaging.lesions == (FocalLesion(diameter_mm=12.0),)
    assert (imaging.diffuse_grade, imaging.coverage) == ("none", None)


def test_a_whole_report_entry_is_understood() -> None:
    entry = {
        "id": 1,
        "region": "femora",
        "kind": "paramedullary",
        "status": "treated",
        "certainty": "equivocal",
        "suspected_benign": "haemangioma",
        "probability": 0.6,
        "longest_diameter_mm": 12.0,
        "diameter_uncertainty_mm": 2.5,
        "perpendicular_diameter_mm": 8.0,
    }
    study = {"coverage": {"femora": "partial"}}
    report = {"study": study, "lesions": [entry], "pattern": {"label": "micronodular", "diffuse_grade": None}}
    imaging = imaging_from_report(report)
    assert imaging.lesions[0] == FocalLesion(
        diameter_mm=12.0,
        uncertainty_mm=2.5,
        certainty="equivocal",
        probability=0.6,
        perpendicular_diameter_mm=8.0,
        region=Region.FEMORA,
        kind="paramedullary",
        is_active=False,
    )
    assert imaging.coverage == {Region.FEMORA: "partial"}
    assert imaging.is_micronodular is True


@pytest.mark.parametrize(
    ("report", "message"),
    [
        ({}, "need a list `lesions`"),
        ([], "need a list `lesions`"),
        ({"lesions": [3]}, r"lesions\[0\]: need a lesion"),
        ({"lesions": [{"certainty": "certain"}]}, r"lesions\[0\]\.longest_diameter_mm: missing"),
        ({"lesions": [{"longest_diameter_mm": 9}]}, r"lesions\[0\]\.certainty: missing"),
        ({"lesions": [{"longest_diameter_mm": -1, "certainty": "certain"}]}, "0 to 1000, found -1"),
        ({"lesions": [{"longest_diameter_mm": "9", "certainty": "certain"}]}, "found '9'"),
        ({"lesions": [{"longest_diameter_mm": 9, "certainty": "sure"}]}, "need one of certain"),
        ({"lesions": [{"longest_diameter_mm": 9, "certainty": "certain", "region": "knee"}]}, "found 'knee'"),
        ({"lesions": [], "pattern": {"diffuse_grade": "grim"}}, "pattern.diffuse_grade: need one of none"),
        ({"lesions": [], "study": {"coverage": {"skull": "some"}}}, "study.coverage.skull: need one of"),
    ],
)
def test_a_wrong_findings_file_is_refused_by_key(report: Any, message: str) -> None:
    with pytest.raises(ReportFileError, match=message):
        imaging_from_report(report)
