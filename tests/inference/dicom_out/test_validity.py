"""Both validators find no error, whatever was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest

from marrowmap.data.grid import Grid
from marrowmap.data.nifti import read_nifti
from marrowmap.inference.dicom_out.composed import read_series
from marrowmap.inference.dicom_out.object_maps import ObjectMaps, maker_of
from marrowmap.inference.dicom_out.report_sr import structured_report
from marrowmap.inference.signature import Signature

from .conftest import Result
from .validators import iod_errors, needs_dciodvfy, needs_template_rules, template_errors

#: A value of every rule that has one, as blood and genetics would give.
VALUES = {
    "iss": "III",
    "r_iss": "II",
    "r2_iss": "intermediate_high",
    "durie_salmon": "III",
    "durie_salmon_plus": "II",
    "imwg_2014": "solitary_plasmacytoma_minimal_marrow",
    "smm_20_2_20": "high",
    "smm_imwg_points": "low_intermediate",
    "walker_7_lesions": True,
    "lecouvet_pattern": "D",
    "my_rads": "RAC 2",
}


@needs_dciodvfy
@pytest.mark.parametrize(
    "name",
    [
        "seg.dcm",
        "seg_regions.dcm",
        "seg_source_1.dcm",
        "sr.dcm",
        "report.dcm",
        "mip.dcm",
        "adc.dcm",
        "probability.dcm",
        "rtstruct.dcm",
        "composed/0001.dcm",
    ],
)
def test_an_object_is_valid(result: Result, name: str) -> None:
    assert iod_errors(result.dicom / name) == []


@needs_dciodvfy
def test_the_validator_sees_an_error_where_there_is_one(result: Result, tmp_path: Path) -> None:
    broken = result.read("seg.dcm")
    del broken.SegmentSequence[0].SegmentLabel
    broken.save_as(tmp_path / "broken.dcm")
    assert any("SegmentLabel" in line for line in iod_errors(tmp_path / "broken.dcm"))


@needs_template_rules
def test_the_structured_report_follows_its_templates(result: Result) -> None:
    assert template_errors(result.dicom / "sr.dcm") == []


@needs_template_rules
@needs_dciodvfy
def test_a_signed_report_with_every_stage_and_mimic_follows_them_too(result: Result, tmp_path: Path) -> None:
    staging = {
        rule: {**stage, "value": VALUES.get(rule), "status": "complete"}
        for rule, stage in result.report["staging"].items()
    }
    lesions: list[dict[str, Any]] = [dict(lesion) for lesion in result.report["lesions"]]
    lesions[0] |= {"suspected_benign": "haemangioma", "fat_fraction": 0.42, "level": "L2"}
    lesions[1] |= {"kind": "extramedullary", "region": None, "certainty": "equivocal"}
    lesions[2]["adc_um2_per_s"] = dict.fromkeys(("mean", "median", "p10", "p90"))
    report = {**result.report, "staging": staging, "lesions": lesions}
    document = _document(result, report, Signature(name="Reader^Rita", organization="Clinic"))
    document.save_as(tmp_path / "sr.dcm")
    assert template_errors(tmp_path / "sr.dcm") == []
    assert iod_errors(tmp_path / "sr.dcm") == []


@needs_template_rules
def test_the_template_rules_see_an_error_where_there_is_one(result: Result, tmp_path: Path) -> None:
    broken = result.read("sr.dcm")
    lesion = broken.ContentSequence[-1].ContentSequence[-1].ContentSequence
    lesion[:] = [item for item in lesion if item.ValueType != "IMAGE"]
    broken.save_as(tmp_path / "broken.dcm")
    assert any("Referenced Segment" in line for line in template_errors(tmp_path / "broken.dcm"))


def _document(result: Result, report: dict[str, Any], reader: Signature) -> hd.sr.Comprehensive3DSR:
    labels, affine = read_nifti(result.out / "lesions.nii.gz")
    i, j, k = labels.shape
    whole = labels.astype(np.uint16)
    grid = Grid(shape=(i, j, k), affine_ras_mm=affine)
    maker = maker_of(report, ObjectMaps(lesion_labels=whole, regions=whole, grid=grid))
    seg = hd.seg.segread(result.dicom / "seg.dcm")
    evidence = read_series(result.dicom / "composed").datasets
    return structured_report(report, seg, evidence, maker, reader=reader, seed="signed")
