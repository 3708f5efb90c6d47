"""What is not known can only make an answer less certain: tried on random patients, each input in turn."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from marrowmap.data.errors import ClinicalInputError
from marrowmap.data.skeleton import Region
from marrowmap.inference.clinical import ClinicalInput, Fish
from marrowmap.inference.staging.all_rules import stage_all
from marrowmap.inference.staging.imaging import FocalLesion, ImagingFindings

WHOLE = {region: "complete" for region in Region}
FISH_FIELDS = [item.name for item in fields(Fish)]
#: Values about every limit of every rule.
VALUES: dict[str, list[Any]] = {
    "haemoglobin_g_per_dl": [8.4, 8.5, 9.9, 10.0, 10.1, 10.6, 12.9, 13.0],
    "haemoglobin_lower_limit_g_per_dl": [11.0, 12.5, 15.0],
    "calcium_mg_per_dl": [9.0, 10.5, 10.6, 11.0, 11.1, 12.0, 12.1],
    "calcium_upper_limit_mg_per_dl": [9.5, 10.5, 12.0],
    "creatinine_mg_per_dl": [0.9, 2.0, 2.1],
    "creatinine_clearance_ml_per_min": [39.9, 40.0, 90.0],
    "albumin_g_per_dl": [3.4, 3.5],
    "beta2_microglobulin_mg_per_l": [3.4, 3.5, 5.4, 5.5],
    "ldh_u_per_l": [200.0, 250.0, 251.0],
    "ldh_upper_limit_u_per_l": [250.0],
    "plasma_cells_percent": [0.0, 9.9, 10.0, 20.0, 20.1, 59.9, 60.0],
    "m_protein_type": ["IgG", "IgA", "IgD", "IgM", "light_chain", "none"],
    "m_protein_serum_g_per_dl": [0.0, 2.0, 2.9, 3.0, 5.0, 7.1],
    "m_protein_urine_g_per_24h": [0.0, 0.4, 0.5, 4.0, 12.1],
    "flc_involved_mg_per_l": [15.0, 22.0, 30.0, 99.0, 100.0],
    "flc_ratio": [1.0, 1.7, 3.0, 4.0, 20.0, 20.1, 100.0],
    "flc_involved_chain": ["kappa", "lambda"],
    "lytic_lesions_ct": [0, 1, 2],
    "bone_scale": [0, 1, 2, 3],
    "extramedullary_disease": [True, False],
    "biopsy_proven_plasmacytoma": [True, False],
    "amyloidosis": [True, False],
}


@st.composite
def patients(draw: st.DrawFn) -> ClinicalInput:
    """Draw a patient of whom nearly all is known."""
    drawn = {
        name: draw(st.sampled_from([*values, *values, *values, None])) for name, values in VALUES.items()
    }
    if drawn["m_protein_type"] == "none":
        drawn |= {"m_protein_serum_g_per_dl": 0.0, "m_protein_urine_g_per_24h": 0.0}
    if drawn["lytic_lesions_ct"] == 0:
        drawn["bone_scale"] = min(drawn["bone_scale"] or 0, 1)
    claims = st.sampled_from([True, False, False, False, None])
    return ClinicalInput(**drawn, fish=Fish(**{name: draw(claims) for name in FISH_FIELDS}))


@st.composite
def exams(draw: st.DrawFn) -> ImagingFindings:
    """Draw findings about every limit of every rule."""
    number = draw(st.sampled_from([0, 1, 2, 4, 5, 7, 8, 10, 20, 21]))
    size = draw(st.sampled_from([4.6, 5.0, 23.0, 40.0]))
    region = draw(st.sampled_from([Region.LUMBAR_SPINE, Region.FEMORA, None]))
    lesion = FocalLesion(
        diameter_mm=size,
        uncertainty_mm=draw(st.sampled_from([0.0, 0.5])),
        perpendicular_diameter_mm=draw(st.sampled_from([size, size / 2, None])),
        region=region,
        certainty=draw(st.sampled_from(["certain", "certain", "equivocal", "rejected"])),
    )
    grade = draw(st.sampled_from(["none", "none", "mild", "moderate", "severe", None]))
    return ImagingFindings(lesions=(lesion,) * number, diffuse_grade=grade, coverage=WHOLE)  # type: ignore[arg-type]


def assert_less_certain(more: dict[str, Any], less: dict[str, Any], hidden: str) -> None:
    """Check that every value that was possible still is."""
    for key, known in more.items():
        if known.status == "not_applicable":
            continue
        assert less[key].status != "not_applicable", (hidden, key)
        assert set(known.candidates) <= set(less[key].candidates), (hidden, key)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(clinical=patients(), imaging=exams())
def test_a_clinical_field_that_becomes_unknown_keeps_every_possible_answer(
    clinical: ClinicalInput, imaging: ImagingFindings
) -> None:
    known = stage_all(imaging, clinical)
    for name in VALUES:
        assert_less_certain(known, stage_all(imaging, replace(clinical, **{name: None})), name)
    for name in FISH_FIELDS:
        fish = replace(clinical.fish, **{name: None})
        assert_less_certain(known, stage_all(imaging, replace(clinical, fish=fish)), name)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(clinical=patients(), imaging=exams(), region=st.sampled_from(list(Region)))
def test_an_image_that_shows_less_keeps_every_possible_answer(
    clinical: ClinicalInput, imaging: ImagingFindings, region: Region
) -> None:
    known = stage_all(imaging, clinical)
    unplaced = tuple(replace(lesion, region=None) for lesion in imaging.lesions)
    unmeasured = tuple(replace(lesion, perpendicular_diameter_mm=None) for lesion in imaging.lesions)
    poorer = {
        "diffuse_grade": replace(imaging, diffuse_grade=None),
        "region": replace(imaging, lesions=unplaced),
        "perpendicular": replace(imaging, lesions=unmeasured),
        "coverage": replace(imaging, coverage={**WHOLE, region: "absent"}),  # type: ignore[arg-type]
    }
    for hidden, findings in poorer.items():
        assert_less_certain(known, stage_all(findings, clinical), hidden)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(clinical=patients(), imaging=exams())
def test_a_value_is_given_exactly_when_one_is_left(clinical: ClinicalInput, imaging: ImagingFindings) -> None:
    for key, result in stage_all(imaging, clinical).items():
        if result.status == "not_applicable":
            assert (result.value, result.candidates) == (None, ()), key
        elif len(result.candidates) == 1:
            assert (result.value,) == result.candidates, key
            assert result.status in ("complete", "imaging_only"), key
        else:
            assert (result.value, result.status) == (None, "unknown"), key
            assert result.missing or key == "imwg_2014", key
        assert all(0.0 <= probability <= 1.0 for probability in result.probabilities.values())
        assert not result.probabilities or abs(sum(result.probabilities.values()) - 1.0) < 1e-3


def test_with_nothing_known_no_rule_that_needs_a_laboratory_answers() -> None:
    results = stage_all(ImagingFindings(coverage=WHOLE, diffuse_grade="none"), ClinicalInput())  # type: ignore[arg-type]
    laboratory = ("durie_salmon", "iss", "r_iss", "r2_iss", "imwg_2014", "smm_20_2_20", "smm_imwg_points")
    for key in laboratory:
        assert (results[key].value, results[key].status) == (None, "unknown")
        assert results[key].missing
        assert len(results[key].candidates) > 1


def test_what_a_missing_field_can_still_say_is_listed_by_name() -> None:
    for name in VALUES:
        try:
            clinical = ClinicalInput(**{name: VALUES[name][0]})
        except ClinicalInputError as error:  # no single value contradicts itself
            raise AssertionError(name) from error
        assert clinical.value(name) == VALUES[name][0]
