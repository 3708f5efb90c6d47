"""SR: Comprehensive 3D with TID 1500, a measurement group a lesion and one for the whole body."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import highdicom as hd
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as standard
from pydicom.sr.coding import Code

from marrowmap.inference.dicom_out import codes
from marrowmap.inference.dicom_out.provenance import Maker
from marrowmap.inference.dicom_out.segments import segment_number, tracking_id, tracking_uid
from marrowmap.inference.signature import Signature

Report = Mapping[str, Any]
SERIES_NUMBER = 9104
DESCRIPTION = "marrowmap findings (research)"


def structured_report(
    report: Report,
    seg: hd.seg.Segmentation,
    evidence: Iterable[Dataset],
    maker: Maker,
    *,
    reader: Signature | None = None,
    previous: Dataset | None = None,
    seed: str,
) -> sr.Comprehensive3DSR:
    """Return the findings of an exam as a structured report.

    Args:
        report: The whole `report.json`.
        seg: The segmentation that holds every lesion; lesions not in it are left out.
        evidence: Headers of the images that the findings rest on.
        maker: Who makes it.
        reader: Who signed; None leaves it PRELIMINARY and UNVERIFIED.
        previous: The report that this one replaces.
        seed: Digest of the findings, for the UIDs.
    """
    in_seg = {str(item.TrackingUID) for item in seg.SegmentSequence}
    lesions = [lesion for lesion in report["lesions"] if tracking_uid(lesion["id"], maker) in in_seg]
    groups = [_whole_body(report, maker), *(_lesion(lesion, seg, maker) for lesion in lesions)]
    content = sr.MeasurementReport(
        observation_context=_context(maker, reader),
        procedure_reported=codes.PROCEDURE,
        imaging_measurements=groups,
        title=codes.TITLE,
    )
    made = sr.Comprehensive3DSR(
        evidence=[seg, *evidence],
        content=content[0],
        series_instance_uid=maker.uid("sr", seed, "series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=maker.uid("sr", seed),
        instance_number=1,
        is_complete=True,
        **_signing(reader),
        previous_versions=None if previous is None else [previous],
        series_description=DESCRIPTION,
        specific_character_set="ISO_IR 192",
        contributing_equipment=[maker.contribution()],
        **maker.device(),
    )
    made.add_new("CodingSchemeIdentificationSequence", "SQ", codes.declared_schemes())
    return made


def _signing(reader: Signature | None) -> dict[str, Any]:
    """Return highdicom's arguments on the signature."""
    if reader is None:
        return {"is_final": False, "is_verified": False}
    return {
        "is_final": True,
        "is_verified": True,
        "verifying_observer_name": reader.name,
        "verifying_organization": reader.organization,
    }


def _context(maker: Maker, reader: Signature | None) -> sr.ObservationContext:
    """Return who observed: the program, and the reader who signed."""
    device = sr.ObserverContext(
        observer_type=standard.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=maker.uid("device", maker.model["sha256"], maker.program_version),
            name="marrowmap",
            manufacturer_name="marrowmap",
            model_name=maker.parameters["weights"][:64],
            serial_number=maker.serial_number,
        ),
    )
    person = reader and sr.ObserverContext(
        observer_type=standard.DCM.Person,
        observer_identifying_attributes=sr.PersonObserverIdentifyingAttributes(
            name=reader.name, organization_name=reader.organization
        ),
    )
    return sr.ObservationContext(observer_device_context=device, observer_person_context=person or None)


def _algorithm(maker: Maker) -> sr.AlgorithmIdentification:
    parameters = [f"{name}={value}" for name, value in maker.parameters.items()]
    return sr.AlgorithmIdentification(name="marrowmap", version=maker.program_version, parameters=parameters)


def _lesion(
    lesion: Mapping[str, Any], seg: hd.seg.Segmentation, maker: Maker
) -> sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    """Return the measurement group of one lesion (TID 1411)."""
    uid = tracking_uid(lesion["id"], maker)
    series = sr.SourceSeriesForSegmentation(_source_series_uid(seg))
    segment = sr.ReferencedSegment(
        seg.SOPClassUID, seg.SOPInstanceUID, segment_number(seg, uid), source_series=series
    )
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=uid, identifier=tracking_id(lesion["id"])),
        referenced_segment=segment,
        finding_type=codes.LESION,
        finding_category=codes.ABNORMAL,
        algorithm_id=_algorithm(maker),
        finding_sites=[sr.FindingSite(codes.site_of(lesion["region"], lesion.get("level")))],
        measurements=_lesion_measurements(lesion),
        qualitative_evaluations=_lesion_evaluations(lesion),
    )


def _source_series_uid(seg: hd.seg.Segmentation) -> str:
    return str(seg.ReferencedSeriesSequence[0].SeriesInstanceUID)


def _lesion_measurements(lesion: Mapping[str, Any]) -> list[sr.Measurement]:
    """Return what was measured; what could not be is absent, never zero."""
    adc, fat = lesion["adc_um2_per_s"], lesion["fat_fraction"]
    mm, mm3 = standard.UCUM.Millimeter, standard.UCUM.CubicMillimeter
    measured = [
        _measured(codes.VOLUME, 1000 * lesion["volume_ml"], mm3, method=codes.VOLUME_METHOD),
        _measured(codes.LONGEST_DIAMETER, lesion["longest_diameter_mm"], mm),
        _measured(codes.PERPENDICULAR_DIAMETER, lesion["perpendicular_diameter_mm"], mm),
        _measured(codes.ADC, adc["mean"], codes.UM2_PER_S, derivation=codes.MEAN),
        _measured(codes.ADC, adc["median"], codes.UM2_PER_S, derivation=codes.MEDIAN),
        _measured(codes.FAT_FRACTION, None if fat is None else 100 * fat, codes.PERCENT),
        _measured(codes.PROBABILITY, 100 * lesion["probability"], codes.PERCENT),
    ]
    return [one for one in measured if one is not None]


def _lesion_evaluations(lesion: Mapping[str, Any]) -> list[sr.QualitativeEvaluation]:
    benign = lesion["suspected_benign"]
    pairs = [
        (codes.KIND, codes.KINDS[lesion["kind"]]),
        (codes.CERTAINTY, codes.CERTAINTIES[lesion["certainty"]]),
        (codes.STATUS, codes.STATUSES[lesion["status"]]),
        *([(codes.BENIGN, codes.MIMICS[benign])] if benign else []),
    ]
    return [sr.QualitativeEvaluation(name, value) for name, value in pairs]


def _whole_body(report: Report, maker: Maker) -> sr.MeasurementsAndQualitativeEvaluations:
    """Return the group of counts, burden, pattern and stages (TID 1501)."""
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=maker.uid("whole body"), identifier="WHOLE-BODY"),
        finding_type=codes.LESION,
        algorithm_id=_algorithm(maker),
        finding_sites=[sr.FindingSite(codes.ENTIRE_BODY)],
        measurements=_body_measurements(report),
        qualitative_evaluations=_body_evaluations(report),
    )


def _body_measurements(report: Report) -> list[sr.Measurement]:
    counts, burden = report["counts"], report["burden"]
    fraction, adc = burden["marrow_fraction"], burden["adc_um2_per_s"]
    mm3, lesions = standard.UCUM.CubicMillimeter, codes.LESIONS_UNIT
    measured = [
        _measured(codes.LESION_COUNT, counts["visible"], lesions),
        _measured(codes.ACTIVE_COUNT, counts["active"], lesions),
        _measured(codes.FOCAL_COUNT, counts["focal_5mm"], lesions),
        _measured(codes.EQUIVOCAL_COUNT, counts["equivocal"], lesions),
        _measured(codes.VOLUME, 1000 * burden["tumour_volume_ml"], mm3, derivation=codes.TOTAL),
        _measured(codes.MARROW_VOLUME, 1000 * burden["marrow_volume_ml"], mm3),
        _measured(codes.MARROW_FRACTION, None if fraction is None else 100 * fraction, codes.PERCENT),
        _measured(codes.ADC, adc["mean"], codes.UM2_PER_S, derivation=codes.MEAN),
        _measured(codes.ADC, adc["median"], codes.UM2_PER_S, derivation=codes.MEDIAN),
    ]
    return [one for one in measured if one is not None]


def _body_evaluations(report: Report) -> list[sr.QualitativeEvaluation]:
    """Return the pattern, the grade where it is known, and every rule that has a value."""
    pattern, grade = report["pattern"]["label"], report["pattern"]["diffuse_grade"]
    pairs = [(codes.INTENDED_USE, codes.RESEARCH), (codes.PATTERN, codes.PATTERNS[pattern])]
    if grade is not None:
        pairs.append((codes.DIFFUSE_GRADE, codes.GRADES[grade]))
    for rule, stage in report["staging"].items():
        coded = stage_codes_of(rule, stage)
        if coded is not None:
            pairs.append(coded)
    return [sr.QualitativeEvaluation(name, value) for name, value in pairs]


def stage_codes_of(rule: str, stage: Mapping[str, Any]) -> tuple[Code, Code] | None:
    """Return a rule's coded result; where only its imaging part is known, its name says so."""
    coded = codes.stage_codes(rule, stage["value"])
    if coded is None or stage["status"] != "imaging_only":
        return coded
    name, value = coded
    return codes.private(f"IMG_{name.value}"[:16], f"{name.meaning}, imaging part only"), value


def _measured(
    name: Code, value: float | None, unit: Code, *, method: Code | None = None, derivation: Code | None = None
) -> sr.Measurement | None:
    """Return one measurement, None without a value."""
    if value is None:
        return None
    number = float(f"{value:.6g}")
    return sr.Measurement(name=name, value=number, unit=unit, method=method, derivation=derivation)
