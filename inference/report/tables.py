"""The lesion table as a file: `lesions.csv`, one line a lesion, largest first."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

Report = Mapping[str, Any]
LesionRow = Mapping[str, Any]

PLAIN_COLUMNS = (
    "id",
    "region",
    "kind",
    "status",
    "certainty",
    "suspected_benign",
    "probability",
    "volume_ml",
    "longest_diameter_mm",
    "diameter_uncertainty_mm",
    "perpendicular_diameter_mm",
    "dwi_to_muscle",
    "fat_fraction",
)
#: Columns that reports of older versions do not fill.
NEWER_COLUMNS = ("level", "diameter_on", "focal_probability", "parts")
ADC_COLUMNS = ("mean", "median", "p10", "p90")
CENTROID_COLUMNS = ("centroid_r_mm", "centroid_a_mm", "centroid_s_mm")


def lesions_by_volume(report: Report) -> list[LesionRow]:
    """Return the lesions, largest volume first, then by id."""
    return sorted(report["lesions"], key=lambda lesion: (-lesion["volume_ml"], lesion["id"]))


def lesions_csv(report: Report) -> str:
    """Return the lesion table as comma-separated text; an unknown value is an empty field.

    Args:
        report: A report that follows the schema.

    Returns:
        One header line and one line a lesion; with no lesion the header alone.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    adc_names = [f"adc_{name}_um2_per_s" for name in ADC_COLUMNS]
    writer.writerow([*PLAIN_COLUMNS, *adc_names, *CENTROID_COLUMNS, *NEWER_COLUMNS])
    for lesion in lesions_by_volume(report):
        plain = [lesion[column] for column in PLAIN_COLUMNS]
        adc = [lesion["adc_um2_per_s"][name] for name in ADC_COLUMNS]
        newer = [lesion.get(column) for column in NEWER_COLUMNS]
        writer.writerow([_field(value) for value in (*plain, *adc, *lesion["centroid_ras_mm"], *newer)])
    return buffer.getvalue()


def _field(value: object) -> object:
    """Round floats to four significant digits; None becomes an empty field."""
    return float(f"{value:.4g}") if isinstance(value, float) else "" if value is None else value
