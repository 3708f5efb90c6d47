"""The structured report says what `report.json` says."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from pydicom.dataset import Dataset

from marrowmap.inference.dicom_out import codes
from marrowmap.inference.dicom_out.report_sr import stage_codes_of

from .conftest import Result

Items = dict[str, list[Any]]


def groups_of(document: Dataset) -> list[Items]:
    """Every measurement group: what stands in it by the meaning of its name (and derivation)."""
    measurements = next(
        item
        for item in document.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeMeaning == "Imaging Measurements"
    )
    return [items_of(group) for group in measurements.ContentSequence]


def items_of(group: Dataset) -> Items:
    found: Items = {}
    for item in group.ContentSequence:
        name = item.ConceptNameCodeSequence[0].CodeMeaning if "ConceptNameCodeSequence" in item else "image"
        if item.ValueType == "NUM":
            below = {
                child.ConceptNameCodeSequence[0].CodeMeaning: child.ConceptCodeSequence[0].CodeMeaning
                for child in item.get("ContentSequence", [])
                if child.ValueType == "CODE"
            }
            value = item.MeasuredValueSequence[0]
            unit = value.MeasurementUnitsCodeSequence[0].CodeValue
            name = f"{name}, {below['Derivation']}" if "Derivation" in below else name
            found.setdefault(name, []).append((float(value.NumericValue), unit))
        elif item.ValueType == "CODE":
            found.setdefault(name, []).append(item.ConceptCodeSequence[0].CodeMeaning)
        else:
            found.setdefault(name, []).append(item)
    return found


def test_a_lesion_has_its_volume_diameters_and_adc(result: Result) -> None:
    groups = groups_of(result.read("sr.dcm"))
    assert len(groups) == 1 + len(result.report["lesions"])
    for lesion, group in zip(result.report["lesions"], groups[1:], strict=True):
        adc = lesion["adc_um2_per_s"]
        assert group["Volume"] == [(pytest.approx(1000 * lesion["volume_ml"], rel=1e-5), "mm3")]
        assert group["Maximum 3D Diameter of a Mesh"] == [(lesion["longest_diameter_mm"], "mm")]
        assert group["Perpendicular Axis"] == [(lesion["perpendicular_diameter_mm"], "mm")]
        assert group["Apparent Diffusion Coefficient, Mean"] == [(adc["mean"], "um2/s")]
        assert group["Certainty of Finding"] == ["Certain"]
        assert group["Finding Site"] == ["Pelvis"]
        assert "Fat fraction" not in group  # no Dixon in this exam: absent, not zero


def test_the_whole_body_has_counts_burden_and_pattern(result: Result) -> None:
    report = result.report
    body = groups_of(result.read("sr.dcm"))[0]
    assert body["Number of visible lesions"] == [(3.0, "{lesions}")]
    assert body["Number of certain focal lesions of 5 mm or more"] == [(3.0, "{lesions}")]
    total = 1000 * report["burden"]["tumour_volume_ml"]
    assert body["Volume, Total"] == [(pytest.approx(total, rel=1e-5), "mm3")]
    assert body["Infiltration pattern of the marrow"] == ["Focal"]
    assert body["Intended use"] == ["Research use only, not a medical device; excludes no disease"]


def test_only_rules_with_a_value_are_told(result: Result) -> None:
    body = groups_of(result.read("sr.dcm"))[0]
    told = {
        codes.RULES[rule][0].meaning for rule, stage in result.report["staging"].items() if stage["value"]
    }
    said = {codes.RULES[rule][0].meaning for rule in codes.RULES}
    assert {name for name in said if any(name in key for key in body)} == told
    assert "International Staging System Stage" not in body


def test_a_measurement_points_at_its_segment(result: Result) -> None:
    seg = result.read("seg.dcm")
    for number, group in enumerate(groups_of(result.read("sr.dcm"))[1:], start=1):
        referenced = group["Referenced Segment"][0].ReferencedSOPSequence[0]
        assert referenced.ReferencedSOPInstanceUID == seg.SOPInstanceUID
        assert referenced.ReferencedSegmentNumber == number
        uid = group["Tracking Unique Identifier"][0].UID
        assert uid == seg.SegmentSequence[number - 1].TrackingUID


def test_it_is_complete_preliminary_and_unverified(result: Result) -> None:
    document = result.read("sr.dcm")
    flags = (document.CompletionFlag, document.PreliminaryFlag, document.VerificationFlag)
    assert flags == ("COMPLETE", "PRELIMINARY", "UNVERIFIED")
    assert "VerifyingObserverSequence" not in document


def test_the_private_codes_are_declared(result: Result) -> None:
    schemes = result.read("sr.dcm").CodingSchemeIdentificationSequence
    assert [item.CodingSchemeDesignator for item in schemes] == [codes.SCHEME]
    assert codes.SCHEME.startswith("99")


@pytest.mark.parametrize(
    ("rule", "value", "name", "code", "scheme"),
    [
        ("iss", "II", "International Staging System Stage", "C70659", "NCIt"),
        ("r_iss", "III", "Revised International Staging System Stage", "C141396", "NCIt"),
        ("durie_salmon", "I", "Durie/Salmon Stage", "258215001", "SCT"),
        ("durie_salmon_plus", "0", "Durie-Salmon PLUS stage", "261613009", "SCT"),
        ("walker_7_lesions", True, "More than 7 focal lesions (Walker)", "373066001", "SCT"),
        ("lecouvet_pattern", "C", "Vertebral pattern (Lecouvet)", "LECOUVET_C", codes.SCHEME),
        ("my_rads", "RAC 2", "MY-RADS response", "VALUE_RAC 2", codes.SCHEME),
    ],
)
def test_a_stage_has_the_standard_code_where_one_exists(
    rule: str, value: object, name: str, code: str, scheme: str
) -> None:
    coded = codes.stage_codes(rule, value)
    assert coded is not None
    assert coded[0].meaning.startswith(name)
    assert (coded[1].value, coded[1].scheme_designator) == (code, scheme)


def test_a_stage_that_is_not_known_has_no_code() -> None:
    assert codes.stage_codes("iss", None) is None


def test_the_name_of_an_imaging_part_says_so() -> None:
    coded = stage_codes_of("durie_salmon_plus", {"value": "II", "status": "imaging_only"})
    assert coded is not None
    assert coded[0].meaning == "Durie-Salmon PLUS stage, imaging part only"
    assert coded[1].meaning == "Stage 2"


def test_codes_fit_their_fields(result: Result) -> None:
    staging = deepcopy(result.report["staging"])
    rules = [codes.stage_codes(rule, value) for rule in staging for value in codes.RULES[rule][1]]
    tables = (codes.SITES, codes.CERTAINTIES, codes.STATUSES, codes.MIMICS, codes.KINDS, codes.PATTERNS)
    all_codes = [code for pair in rules if pair for code in pair]
    all_codes += [code for table in (*tables, codes.GRADES) for code in table.values()]
    all_codes += [code for code in vars(codes).values() if isinstance(code, type(codes.LESION))]
    assert len(all_codes) > 100
    assert all(len(code.value) <= 16 and len(code.meaning) <= 64 for code in all_codes)


def test_a_lesion_of_a_labelled_vertebra_has_its_code() -> None:
    assert codes.site_of("lumbar_spine", "L2").meaning == "L2 vertebra"
    assert codes.site_of("lumbar_spine", "S9").meaning == "Lumbar spine"
    assert codes.site_of(None).meaning == "Entire body"
