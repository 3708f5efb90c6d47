"""Findings as the plain values of `report.json`, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from marrowmap.data.errors import ReportFileError
from marrowmap.inference.findings import AdcStatistics, Findings, Lesion

ADC_FIELDS = ("mean", "median", "p10", "p90")


def findings_to_json(findings: Findings) -> dict[str, Any]:
    """Return the keys of `report.json` that the findings fill: lesions, counts, burden and so on."""
    parts = ("lesions", "counts", "burden", "pattern", "spine", "doubt", "alerts", "biopsy_candidates")
    return {part: to_json(getattr(findings, part)) for part in parts}


def to_json(value: Any) -> Any:
    """Return dataclasses as dicts, tuples as lists and floats with six digits, at any depth."""
    if is_dataclass(value) and not isinstance(value, type):
        return to_json({item.name: getattr(value, item.name) for item in fields(value)})
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    if isinstance(value, np.generic):
        return to_json(value.item())
    return float(f"{value:.6g}") if isinstance(value, float) else value


def lesion_from_json(entry: Mapping[str, Any]) -> Lesion:
    """Read one entry of `report.json` `lesions[]` back.

    Raises:
        ReportFileError: If a field is missing; fields that we do not know are left out.
    """
    known = {name: entry[name] for name in Lesion.__dataclass_fields__ if name in entry}
    known |= {name: tuple(entry.get(name, ())) for name in ("reasons", "descriptors")}
    try:
        known["centroid_ras_mm"] = tuple(entry["centroid_ras_mm"])
        adc = entry["adc_um2_per_s"]
        known["adc_um2_per_s"] = AdcStatistics(**{name: adc[name] for name in ADC_FIELDS})
        return Lesion(**known)
    except (KeyError, TypeError) as error:
        number = entry.get("id", "?")
        raise ReportFileError(
            f"lesion {number} is not whole: {error}; give a report.json of `infer`"
        ) from error
