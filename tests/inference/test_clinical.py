"""Clinical input: both unit systems, plausible ranges, contradictions and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from marrowmap.data.errors import ClinicalInputError
from marrowmap.inference.clinical import ClinicalInput, Fish, clinical_from_mapping, read_clinical
from marrowmap.inference.clinical_units import OTHER_UNITS, QUANTITIES


@pytest.mark.parametrize(
    ("si", "value", "field", "expected"),
    [
        ("calcium_mmol_per_l", 2.75, "calcium_mg_per_dl", 11.0),
        ("calcium_upper_limit_mmol_per_l", 2.6, "calcium_upper_limit_mg_per_dl", 10.4),
        ("creatinine_umol_per_l", 177, "creatinine_mg_per_dl", 2.0),
        ("albumin_g_per_l", 35, "albumin_g_per_dl", 3.5),
        ("haemoglobin_g_per_l", 85, "haemoglobin_g_per_dl", 8.5),
        ("haemoglobin_lower_limit_g_per_l", 125, "haemoglobin_lower_limit_g_per_dl", 12.5),
        ("m_protein_serum_g_per_l", 30, "m_protein_serum_g_per_dl", 3.0),
    ],
)
def test_si_units_are_converted_once(si: str, value: float, field: str, expected: float) -> None:
    assert clinical_from_mapping({si: value}).value(field) == expected


def test_every_second_name_is_tested_above() -> None:
    assert len(OTHER_UNITS) == 7
    assert {other.field for other in OTHER_UNITS.values()} <= QUANTITIES.keys()


def test_everything_may_be_unknown() -> None:
    assert clinical_from_mapping({}) == ClinicalInput()
    assert clinical_from_mapping({"calcium_mg_per_dl": None, "fish": None}) == ClinicalInput()


def test_an_unknown_field_is_never_a_number() -> None:
    clinical = ClinicalInput()
    assert all(clinical.value(name) is None for name in QUANTITIES)
    assert clinical.fish == Fish(del17p=None, t4_14=None, t14_16=None, gain_1q=None, del13q=None)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"haemoglobin_g_per_dl": 130}, r"haemoglobin_g_per_dl: need 2 to 25 g/dL, found 130.*g_per_l"),
        ({"calcium_mg_per_dl": 2.5}, r"calcium_mg_per_dl: .*calcium_mmol_per_l"),
        ({"calcium_mmol_per_l": 10}, "calcium_mmol_per_l: need 1.25 to 4.99 mmol/L"),
        ({"creatinine_mg_per_dl": 90}, r"creatinine_mg_per_dl: .*creatinine_umol_per_l"),
        ({"creatinine_umol_per_l": 1.1}, "creatinine_umol_per_l: need 21 to"),
        ({"albumin_g_per_dl": 38}, r"albumin_g_per_dl: .*albumin_g_per_l"),
        ({"albumin_g_per_l": 3.8}, "albumin_g_per_l: need 7.1 to 70"),
        ({"m_protein_serum_g_per_dl": 30}, r"m_protein_serum_g_per_dl: .*m_protein_serum_g_per_l"),
        ({"m_protein_urine_g_per_24h": 500}, r"m_protein_urine_g_per_24h: .*mg are divided"),
        ({"plasma_cells_percent": 101}, "plasma_cells_percent: need 0 to 100 %, found 101"),
        ({"plasma_cells_percent": 0.6}, "plasma_cells_percent: found 0.6, which may be a fraction"),
        ({"height_m": 175}, r"height_m: .*cm are divided"),
        ({"bone_scale": 4}, "bone_scale: need 0 to 3, found 4"),
        ({"bone_scale": 1.5}, r"bone_scale: .*give a whole number"),
        ({"flc_ratio": 0.01}, r"flc_ratio: .*not kappa over lambda"),
        ({"haemoglobin_g_per_dl": "13,5"}, r"haemoglobin_g_per_dl: .*found '13,5'; give a number"),
        ({"haemoglobin_g_per_dl": True}, r"haemoglobin_g_per_dl: .*found True"),
        ({"haemoglobin_g_per_dl": float("nan")}, r"haemoglobin_g_per_dl: .*found nan"),
        ({"sex": "X"}, "sex: need one of M, F, found 'X'"),
        ({"m_protein_type": "IgX"}, "m_protein_type: need one of IgG"),
        ({"amyloidosis": "no idea"}, "amyloidosis: need true or false, found 'no idea'"),
        ({"amyloidosis": 1}, "amyloidosis: need true or false, found 1"),
        ({"primary_cancer": 3}, "primary_cancer: need words, found 3"),
        ({"fish": True}, "fish: need true or false by abnormality, found True"),
        ({"fish": {"del17p": "yes"}}, "fish.del17p: need true or false, found 'yes'"),
        ({"fish": {"del17": True}}, r"fish.del17: no such clinical field; did you mean fish.del17p\?"),
        ({"hemoglobin_g_per_dl": 13}, r"hemoglobin_g_per_dl: no such .* mean haemoglobin_g_per_dl\?"),
        ({"flc_involved_mg_per_dl": 3}, r"flc_involved_mg_per_dl: no such .* mean flc_involved_mg_per_l\?"),
        ({7: 3}, "7: no such clinical field"),
    ],
)
def test_what_cannot_be_is_refused_by_the_name_of_its_field(fields: dict[Any, Any], message: str) -> None:
    with pytest.raises(ClinicalInputError, match=message):
        clinical_from_mapping(fields)


@pytest.mark.parametrize("name", sorted(QUANTITIES))
def test_each_range_holds_at_its_ends_and_not_beyond(name: str) -> None:
    quantity = QUANTITIES[name]
    for value in (quantity.low, quantity.high):
        assert clinical_from_mapping({name: value}).value(name) == value
    for value in (quantity.low - 0.01, quantity.high + 0.01):
        with pytest.raises(ClinicalInputError, match=f"^{name}: need"):
            clinical_from_mapping({name: value})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"calcium_mg_per_dl": 9.0, "calcium_mmol_per_l": 2.75},
            "calcium_mmol_per_l: 2.75 mmol/L is 11 mg/dL, but calcium_mg_per_dl says 9.0",
        ),
        (
            {"creatinine_mg_per_dl": 1.0, "creatinine_umol_per_l": 177},
            "creatinine_umol_per_l: 177 umol/L is 2 mg/dL",
        ),
        (
            {"flc_involved_mg_per_l": 100, "flc_uninvolved_mg_per_l": 10, "flc_ratio": 100},
            "flc_ratio: found 100, but 100 over 10 mg/L is 10",
        ),
        (
            {"flc_involved_mg_per_l": 10, "flc_uninvolved_mg_per_l": 100},
            "flc_involved_mg_per_l: 10 is far below flc_uninvolved_mg_per_l, 100; swap",
        ),
        (
            {"m_protein_type": "none", "m_protein_serum_g_per_dl": 1.0},
            "m_protein_serum_g_per_dl: found 1 although",
        ),
        (
            {"m_protein_type": "none", "m_protein_urine_g_per_24h": 1.0},
            "m_protein_urine_g_per_24h: found 1 although",
        ),
        (
            {"lytic_lesions_ct": 0, "bone_scale": 2},
            "bone_scale: 2 says lytic lesions, but lytic_lesions_ct is 0",
        ),
    ],
)
def test_contradictions_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ClinicalInputError, match=message):
        clinical_from_mapping(fields)


def test_both_units_may_be_given_when_they_agree_but_for_rounding() -> None:
    clinical = clinical_from_mapping({"creatinine_mg_per_dl": 1.0, "creatinine_umol_per_l": 88})
    assert clinical.creatinine_mg_per_dl == 1.0
    assert (
        clinical_from_mapping({"calcium_mg_per_dl": None, "calcium_mmol_per_l": 2.5}).calcium_mg_per_dl
        == 10.0
    )


def test_the_light_chain_ratio_is_computed_when_not_given() -> None:
    clinical = ClinicalInput(flc_involved_mg_per_l=300.0, flc_uninvolved_mg_per_l=3.0)
    assert clinical.light_chain_ratio == 100.0
    assert ClinicalInput(flc_involved_mg_per_l=300.0).light_chain_ratio is None
    rounded = ClinicalInput(flc_involved_mg_per_l=20.0, flc_uninvolved_mg_per_l=15.0, flc_ratio=1.3)
    assert rounded.light_chain_ratio == 1.3


def test_words_are_taken_in_any_case() -> None:
    clinical = clinical_from_mapping({"sex": "female", "m_protein_type": "igg", "primary_cancer": "prostate"})
    assert (clinical.sex, clinical.m_protein_type, clinical.primary_cancer) == ("F", "IgG", "prostate")


def test_true_lytic_lesions_are_one_and_false_is_none() -> None:
    assert clinical_from_mapping({"lytic_lesions_ct": True}).lytic_lesions_ct == 1
    assert clinical_from_mapping({"lytic_lesions_ct": False}).lytic_lesions_ct == 0


# ---- files -------------------------------------------------------------------------------------------


def test_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    fields = {"age_years": 57, "sex": "M", "calcium_mmol_per_l": 2.4, "fish": {"del17p": False}}
    (tmp_path / "a.json").write_text(json.dumps(fields))
    (tmp_path / "a.yaml").write_text(
        "age_years: 57\nsex: M\ncalcium_mmol_per_l: 2.4\nfish:\n  del17p: false\n"
    )
    assert read_clinical(tmp_path / "a.json") == read_clinical(tmp_path / "a.yaml")


def test_an_empty_file_knows_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("# nothing yet\n")
    assert read_clinical(tmp_path / "a.yaml") == ClinicalInput()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "calcium_mg_per_dl: 9\ncalcium_mg_per_dl: 12\n", "calcium_mg_per_dl: given twice"),
        ("a.json", '{"age_years": 5, "age_years": 6}', "age_years: given twice"),
        ("a.json", "{", "clinical file a.json is neither YAML nor JSON"),
        ("a.yaml", "a: [", "clinical file a.yaml is neither YAML nor JSON"),
        ("a.yaml", "- 3\n", "a.yaml: need fields and values, found list"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ClinicalInputError, match=message):
        read_clinical(tmp_path / name)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClinicalInputError, match=r"clinical file b\.yaml cannot be read: No such file"):
        read_clinical(tmp_path / "b.yaml")


# ---- FHIR --------------------------------------------------------------------------------------------


def observation(
    code: str, value: float, unit: str, *, date: str = "2024-01-01", **keys: Any
) -> dict[str, Any]:
    """Return one laboratory Observation as a Bundle entry."""
    resource = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": date,
        "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
        **keys,
    }
    return {"resource": resource}


def from_bundle(tmp_path: Path, *entries: dict[str, Any]) -> ClinicalInput:
    """Return the clinical input of a Bundle read from a file."""
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": list(entries)}
    (tmp_path / "bundle.json").write_text(json.dumps(bundle))
    return read_clinical(tmp_path / "bundle.json")


def test_a_bundle_gives_fields_in_one_unit_with_their_limits(tmp_path: Path) -> None:
    clinical = from_bundle(
        tmp_path,
        {"resource": {"resourceType": "Patient", "gender": "female", "name": [{"family": "X"}]}},
        observation("718-7", 98, "g/L", referenceRange=[{"low": {"value": 120}, "high": {"value": 160}}]),
        observation("2000-8", 2.75, "mmol/L", referenceRange=[{"high": {"value": 2.6}}]),
        observation("14682-9", 177, "umol/L"),
        observation("1952-1", 3.4, "mg/L"),
        observation("1751-7", 35, "g/L"),
        observation("2532-0", 251, "U/L", referenceRange=[{"high": {"value": 250, "unit": "U/L"}}]),
        observation("1234-5", 9, "mg/dL"),
    )
    assert clinical == ClinicalInput(
        sex="F",
        haemoglobin_g_per_dl=9.8,
        haemoglobin_lower_limit_g_per_dl=12.0,
        calcium_mg_per_dl=11.0,
        calcium_upper_limit_mg_per_dl=10.4,
        creatinine_mg_per_dl=2.0,
        beta2_microglobulin_mg_per_l=3.4,
        albumin_g_per_dl=3.5,
        ldh_u_per_l=251.0,
        ldh_upper_limit_u_per_l=250.0,
    )


@pytest.mark.parametrize(
    ("kappa", "lambda_", "involved", "uninvolved", "chain"),
    [(200, 10, 200.0, 10.0, "kappa"), (2, 10, 10.0, 2.0, "lambda"), (12, 10, 12.0, 10.0, None)],
)
def test_the_chain_in_excess_is_the_involved_one(
    tmp_path: Path, kappa: float, lambda_: float, involved: float, uninvolved: float, chain: str | None
) -> None:
    clinical = from_bundle(
        tmp_path, observation("36916-5", kappa, "mg/L"), observation("33944-0", lambda_ / 10, "mg/dL")
    )
    assert clinical.flc_involved_mg_per_l == involved
    assert clinical.flc_uninvolved_mg_per_l == uninvolved
    assert clinical.flc_involved_chain == chain


def test_the_latest_result_counts_and_a_wrong_entry_does_not(tmp_path: Path) -> None:
    clinical = from_bundle(
        tmp_path,
        observation("718-7", 9.0, "g/dL", date="2024-03-01"),
        observation("718-7", 13.0, "g/dL", date="2024-01-01"),
        observation("718-7", 5.0, "g/dL", date="2024-05-01", status="entered-in-error"),
    )
    assert clinical.haemoglobin_g_per_dl == 9.0


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            [observation("718-7", 8, "mmol/L")],
            "haemoglobin_g_per_dl: need g/dL or g/L or mg/dL, found 'mmol/L'",
        ),
        (
            [observation("718-7", 8, "g/dL"), observation("718-7", 9, "g/dL")],
            "haemoglobin_g_per_dl: two results of one time, 8 and 9",
        ),
        (
            [observation("1952-1", 2, "mg/L", valueQuantity={"value": 2, "comparator": "<", "code": "mg/L"})],
            "beta2_microglobulin_mg_per_l: need a number, found <2",
        ),
        (
            [
                observation("718-7", 8, "g/dL"),
                observation("1952-1", 3, "mg/L", subject={"reference": "Patient/2"}),
            ],
            "need the results of one patient, found several",
        ),
    ],
)
def test_a_bundle_that_cannot_be_used_is_refused(
    tmp_path: Path, entries: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(ClinicalInputError, match=message):
        from_bundle(tmp_path, *entries)


def test_another_fhir_resource_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"resourceType": "Patient"}')
    with pytest.raises(ClinicalInputError, match="need a FHIR Bundle, found resourceType 'Patient'"):
        read_clinical(tmp_path / "a.json")
