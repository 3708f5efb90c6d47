"""A report -> rows. Only codes, numbers and our own words: free text of a header never reaches a table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marrowmap.inference.cohort.columns import LESIONS

Report = Mapping[str, Any]
Row = dict[str, Any]

_VENDORS = {
    "siemens": "siemens", "philips": "philips", "ge": "ge", "general": "ge", "uih": "uih", "united": "uih",
    "canon": "canon", "toshiba": "canon", "hitachi": "fujifilm", "fujifilm": "fujifilm",
}  # fmt: skip
#: From here on an age alone may tell who somebody is.
_HIGHEST_AGE = 90
_UID = re.compile(r"\d+(?:\.\d+){4,}")
_DAY = re.compile(r"\b(?:19|20)\d\d-\d\d-\d\d\b")
_STAGES = {
    "read_seconds": "read_study",
    "prepare_seconds": "prepare",
    "network_seconds": "segment",
    "describe_seconds": "describe",
    "write_seconds": "write",
}


def exam_row(report: Report) -> Row:
    """Return what the table of exams says of a report; identity and cost are added elsewhere."""
    study, counts, burden = report["study"], report["counts"], report["burden"]
    return {
        **_who(study),
        **_seen(study),
        "alerts": sorted({alert["code"] for alert in report["alerts"]}),
        "lesions_visible": counts["visible"],
        "lesions_active": counts["active"],
        "lesions_focal_5mm": counts["focal_5mm"],
        "lesions_equivocal": counts["equivocal"],
        **_doubt(report.get("doubt") or {}),
        "tumour_volume_ml": burden["tumour_volume_ml"],
        "marrow_volume_ml": burden["marrow_volume_ml"],
        "marrow_fraction": burden["marrow_fraction"],
        "tumour_adc_median_um2_per_s": burden["adc_um2_per_s"]["median"],
        "pattern": report["pattern"]["label"],
        "diffuse_grade": report["pattern"]["diffuse_grade"],
        **_how(report),
    }


def lesion_rows(report: Report) -> list[Row]:
    """Return one row a lesion, without the exam."""
    names = {column.name for column in LESIONS}
    rows = []
    for lesion in report["lesions"]:
        adc, centroid = lesion["adc_um2_per_s"], lesion["centroid_ras_mm"]
        row = {name: lesion[name] for name in names if name in lesion}
        row["lesion"] = lesion["id"]
        row |= {f"adc_{name}_um2_per_s": adc[name] for name in ("mean", "median", "p10", "p90")}
        row |= {f"centroid_{axis}_mm": value for axis, value in zip("ras", centroid, strict=True)}
        rows.append(row)
    return rows


def rule_rows(report: Report) -> list[Row]:
    """Return one row a rule, without the exam. Clinical values that went in are left out."""
    rows = []
    for key, stage in report["staging"].items():
        value = _word(stage["value"])
        rows.append(
            {
                "rule": key,
                "version": stage["rule"],
                "status": stage["status"],
                "value": value,
                "candidates": [_word(item) for item in stage["candidates"]],
                "missing": list(stage["missing"]),
                "probability": None if value is None else stage["probabilities"].get(value),
                "suffix": stage.get("suffix"),
                "points": stage.get("points"),
                "source": stage["source"],
            }
        )
    return rows


def plain_reason(words: str, study: Path, name: str) -> str:
    """Return an error's words without what may tell who it is: folder and file names, UIDs, dates, a name.

    Args:
        words: Our own message.
        study: Where the study lies: exports are often named after the patient.
        name: The patient's name as the header has it.
    """
    hidden = {study.name, study.stem}
    if study.is_dir():
        hidden |= {path.name for path in study.rglob("*")}
    words = words.replace(str(study), "(name)")
    for word in sorted((word for word in hidden if len(word) > 3), key=len, reverse=True):
        words = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", "(name)", words)
    for word in re.split(r"[\W_]+", name):
        if len(word) > 2:
            words = re.sub(re.escape(word), "(name)", words, flags=re.IGNORECASE)
    return _DAY.sub("(date)", _UID.sub("(uid)", " ".join(words.split())))[:500]


def _who(study: Report) -> Row:
    age, words = study.get("patient_age_years"), (study.get("vendor") or "").lower().split()
    vendor = next((_VENDORS[word] for word in words if word in _VENDORS), "other" if words else None)
    return {
        "sex": study.get("patient_sex"),
        "age_years": None if age is None else min(int(age), _HIGHEST_AGE),
        "vendor": vendor,
        "field_strength_t": study.get("field_strength_t"),
    }


def _seen(study: Report) -> Row:
    coverage = study["coverage"]
    return {
        "sequences": list(study["sequences"]),
        "missing_sequences": list(study.get("missing_sequences") or ()),
        "regions_absent": sorted(key for key, how in coverage.items() if how == "absent"),
        "regions_partial": sorted(key for key, how in coverage.items() if how == "partial"),
        "red_marrow_seen": study.get("red_marrow_seen"),
        "warnings": sorted({warning["code"] for warning in study["warnings"]}),
    }


def _doubt(doubt: Report) -> Row:
    focal, volume = doubt.get("focal_count") or {}, doubt.get("tumour_volume_ml") or {}
    return {
        "focal_low": focal.get("low"),
        "focal_high": focal.get("high"),
        "tumour_volume_low_ml": volume.get("low"),
        "tumour_volume_high_ml": volume.get("high"),
    }


def _how(report: Report) -> Row:
    model, run = report["model"], report.get("run") or {}
    seconds = run.get("seconds") or {}
    row = {column: seconds.get(stage) for column, stage in _STAGES.items()}
    is_on_gpu = str(model["device"]).startswith("cuda")
    return {
        "engine": model["engine"],
        "device": model["device"],
        "program_version": run.get("program_version"),
        "gpu_seconds": (row["network_seconds"] or 0.0) if is_on_gpu else 0.0,
        **row,
    }


def _word(value: Any) -> str | None:
    """Return a rule's value as text; true and false as JSON writes them."""
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)
