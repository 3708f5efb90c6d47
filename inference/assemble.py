"""The report of `contract.md`, put together from its parts as plain JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marrowmap.data.exam import Exam, ExamWarning, Sequence
from marrowmap.data.model_input import CHANNELS, ModelInput
from marrowmap.inference.alerts import with_symptoms
from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.collapse import SpineFindings
from marrowmap.inference.findings import Burden, Coverage, Findings, Lesion, Pattern
from marrowmap.inference.findings_json import findings_to_json, to_json
from marrowmap.inference.notes import find_notes
from marrowmap.inference.report.report_json import SCHEMA_NAME
from marrowmap.inference.staging.all_rules import stage_all
from marrowmap.inference.staging.imaging import imaging_from_report
from marrowmap.inference.staging.red_marrow import red_marrow_seen

#: Said in every report: no image-only result excludes disease that images cannot show.
LIMITS = (
    "Research use only, not a medical device. A marrow without visible lesions does not exclude myeloma: "
    "infiltration between fat cells can be invisible on MRI, and MRI can miss lysis that CT shows."
)


def build_report(
    findings: Findings,
    exam: Exam,
    model_input: ModelInput,
    model: Mapping[str, Any],
    clinical: ClinicalInput,
    run: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the whole report.

    Args:
        findings: What was found.
        exam: Where it was found.
        model_input: Which channels the network saw.
        model: The `model.*` keys: bundle, engine, device.
        clinical: What the clinic knows; kept in the report so that a revision stages with it again.
        run: Settings and measured seconds by stage.
    """
    report = {
        "schema": SCHEMA_NAME,
        "study": study_json(exam, model_input, findings.coverage, findings.warnings),
        "model": to_json(model),
        **findings_to_json(findings),
        "staging": {},
        "response": None,
        "clinical": to_json(clinical),
        "limits": LIMITS,
        "run": to_json(run),
    }
    report["alerts"] = to_json(with_symptoms(findings.alerts, findings.coverage, clinical))
    report["staging"] = stage_report(report, clinical)
    report["notes"] = notes_of(
        report, findings.lesions, findings.pattern, findings.burden, findings.spine, clinical
    )
    return report


def notes_of(
    report: Mapping[str, Any],
    lesions: tuple[Lesion, ...],
    pattern: Pattern,
    burden: Burden,
    spine: SpineFindings,
    clinical: ClinicalInput,
) -> list[dict[str, Any]]:
    """Return the `notes` of a report whose other findings stand in it."""
    imaging, coverage = imaging_from_report(report), report["study"]["coverage"]
    return to_json(find_notes(lesions, pattern, burden, coverage, spine, imaging, clinical))


def stage_report(report: Mapping[str, Any], clinical: ClinicalInput) -> dict[str, Any]:
    """Return the `staging` object: every published rule on the findings of a report."""
    results = stage_all(imaging_from_report(report), clinical)
    return {key: to_json(result.to_json()) for key, result in results.items()}


def study_json(
    exam: Exam,
    model_input: ModelInput,
    coverage: Mapping[str, Coverage],
    warnings: tuple[ExamWarning, ...],
) -> dict[str, Any]:
    """Return the `study` object: identifiers, sequences, stations, coverage and warnings; never a name."""
    study = exam.study
    seen = {channel for channel, is_there in zip(CHANNELS, model_input.present, strict=True) if is_there}
    return {
        "study_instance_uid": study.study_instance_uid,
        "study_date": study.study_date,
        "series_uids": {str(sequence): list(uids) for sequence, uids in study.series_uids.items()},
        "sequences": sorted(str(sequence) for sequence in exam.volumes),
        "missing_sequences": [str(channel) for channel in CHANNELS if channel not in seen],
        "stations": {str(sequence): count for sequence, count in study.stations.items()},
        "b_values_s_per_mm2": {
            str(sequence): exam[sequence].b_value_s_per_mm2
            for sequence in (Sequence.DWI_LOW, Sequence.DWI_HIGH)
            if sequence in exam
        },
        "vendor": study.vendor,
        "field_strength_t": study.field_strength_t,
        "patient_sex": study.patient_sex,
        "patient_age_years": study.patient_age_years,
        "grid": {"shape": list(model_input.grid.shape), "spacing_mm": list(model_input.grid.spacing_mm)},
        "coverage": dict(coverage),
        "red_marrow_seen": round(red_marrow_seen(coverage), 3),
        "warnings": [{"code": warning.code, "text": warning.text} for warning in warnings],
    }
