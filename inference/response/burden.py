"""How the whole burden changed between two exams: volume and ADC with intervals, soft tissue, growth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from marrowmap.data.errors import ReportFileError
from marrowmap.inference.staging.rac import RacSettings

Report = Mapping[str, Any]

#: Two-sided 90 %.
_Z90 = 1.645
_LEVEL = 0.9
#: Repeatability of the logarithm of the tumour volume between two exams: coefficient of variation 4.57 %.
#: Source: Candito 2025, repeat exams in advanced prostate cancer.
_VOLUME_CV = 0.0457
#: The outline of each lesion may lie this much off, in voxels, on its own; our choice.
_OUTLINE_VOXELS = 0.25
_DAYS_PER_MONTH = 30.44


@dataclass(frozen=True, kw_only=True)
class VolumeChange:
    """Tumour volume in two exams.

    Attributes:
        before_ml: Then.
        after_ml: Now.
        change_ml: Difference.
        change_percent: Of the earlier volume, None where that is 0.
        interval_percent: In which the true change lies with the probability `level`, None likewise.
        level: 0.9.
        mm3_per_month: Speed of growth, None without both dates.
    """

    before_ml: float
    after_ml: float
    change_ml: float
    change_percent: float | None
    interval_percent: tuple[float, float] | None
    level: float
    mm3_per_month: float | None


@dataclass(frozen=True, kw_only=True)
class AdcChange:
    """Median ADC of all tumour tissue in two exams; None where there was none or no ADC.

    Attributes:
        before_um2_per_s: Then.
        after_um2_per_s: Now.
        change_percent: Of the earlier.
        interval_percent: From the repeatability of ADC.
        level: 0.9.
        is_beyond_repeatability: Whether the change is larger than two exams of an unchanged person show.
    """

    before_um2_per_s: float | None
    after_um2_per_s: float | None
    change_percent: float | None
    interval_percent: tuple[float, float] | None
    level: float
    is_beyond_repeatability: bool | None


@dataclass(frozen=True, kw_only=True)
class ExamBurden:
    """What one exam brings into the comparison; kept, so that a reader's decision can be compared again.

    Attributes:
        study_date: `YYYY-MM-DD` or empty.
        tumour_volume_ml: Whole.
        outline_variance: Of the logarithm of that volume, from the outlines of the lesions.
        adc_median_um2_per_s: Over all tumour tissue, None without.
        soft_tissue_mm2: Sum of the products of diameters of soft-tissue masses.
        alerts: Code and region of every alert.
    """

    study_date: str
    tumour_volume_ml: float
    outline_variance: float
    adc_median_um2_per_s: float | None
    soft_tissue_mm2: float
    alerts: tuple[tuple[str, str | None], ...]


def burden_of(report: Report) -> ExamBurden:
    """Read from a report what the comparison of burdens needs."""
    return ExamBurden(
        study_date=report["study"]["study_date"],
        tumour_volume_ml=float(report["burden"]["tumour_volume_ml"]),
        outline_variance=_outline_variance(report),
        adc_median_um2_per_s=report["burden"]["adc_um2_per_s"]["median"],
        soft_tissue_mm2=sum(map(_product_mm2, _soft_tissue(report))),
        alerts=tuple((alert["code"], alert["region"]) for alert in report["alerts"]),
    )


def burden_from_json(entry: Mapping[str, Any]) -> ExamBurden:
    """Read `response.baseline` back."""
    known = {name: entry[name] for name in ExamBurden.__dataclass_fields__}
    known["alerts"] = tuple((code, region) for code, region in entry["alerts"])
    return ExamBurden(**known)


def volume_change(before: ExamBurden, after: ExamBurden) -> VolumeChange:
    """Return how the tumour volume changed.

    The interval joins what repeat exams of one person showed with an outline of each lesion that may lie a
    quarter of a voxel off.

    Source: Candito 2025 (repeat coefficient of variation 4.57 %); speed of growth: Wennmann, Oncotarget 2018.
    """
    then, now = before.tumour_volume_ml, after.tumour_volume_ml
    days = days_between(before, after)
    percent = interval = None
    if then > 0.0:
        ratio = now / then
        spread = _Z90 * math.sqrt(2 * _VOLUME_CV**2 + before.outline_variance + after.outline_variance)
        percent = 100.0 * (ratio - 1.0)
        interval = (100.0 * (ratio * math.exp(-spread) - 1.0), 100.0 * (ratio * math.exp(spread) - 1.0))
    return VolumeChange(
        before_ml=then,
        after_ml=now,
        change_ml=now - then,
        change_percent=percent,
        interval_percent=interval,
        level=_LEVEL,
        mm3_per_month=1000.0 * (now - then) / days * _DAYS_PER_MONTH if days else None,
    )


def adc_change(before: ExamBurden, after: ExamBurden, rac: RacSettings) -> AdcChange:
    """Return how the median ADC of the tumour tissue changed.

    The repeatability is the greatest difference of 95 % of repeats; the interval is scaled from it to 90 %.

    Source: Messiou, Eur Radiol 2011 (PubMed 21472473).
    """
    then, now = before.adc_median_um2_per_s, after.adc_median_um2_per_s
    percent = interval = beyond = None
    if then and now:
        percent = 100.0 * (now / then - 1.0)
        half = 100.0 * rac.repeatability * _Z90 / 1.96
        interval = (percent - half, percent + half)
        beyond = abs(percent) > 100.0 * rac.repeatability
    return AdcChange(
        before_um2_per_s=then,
        after_um2_per_s=now,
        change_percent=percent,
        interval_percent=interval,
        level=_LEVEL,
        is_beyond_repeatability=beyond,
    )


def soft_tissue_change(before: ExamBurden, after: ExamBurden) -> dict[str, Any]:
    """Return the sum of the products of diameters of paramedullary and certain extramedullary masses.

    Partial response from a fall of half, progression from a rise of half in more than one lesion or a new
    one: Kumar, Lancet Oncol 2016;17:e328 (general knowledge; the table itself was not read). Here only the
    sums and their change are given; the clinic's nadir is not known.
    """
    then, now = before.soft_tissue_mm2, after.soft_tissue_mm2
    percent = 100.0 * (now / then - 1.0) if then > 0 else None
    return {"product_before_mm2": then, "product_after_mm2": now, "change_percent": percent}


def new_alerts(before: ExamBurden, after: Report) -> list[dict[str, Any]]:
    """Return the alerts of the later exam that the earlier did not raise in the same region."""
    return [dict(a) for a in after["alerts"] if (a["code"], a["region"]) not in before.alerts]


def days_between(before: ExamBurden, after: ExamBurden) -> int | None:
    """Return the days from the earlier exam to the later, None where a date is unknown or both are equal.

    Raises:
        ReportFileError: If the later exam is dated before the earlier.
    """
    if not (before.study_date and after.study_date):
        return None
    days = (date.fromisoformat(after.study_date) - date.fromisoformat(before.study_date)).days
    if days < 0:
        raise ReportFileError(
            f"the follow-up is dated {-days} days before the baseline; name the earlier exam first"
        )
    return days or None


def _outline_variance(report: Report) -> float:
    """Return the variance of the logarithm of the tumour volume that the outlines of the lesions bring."""
    step = _OUTLINE_VOXELS * max(report["study"].get("grid", {}).get("spacing_mm", (2.5,)))
    volumes = [lesion["volume_ml"] for lesion in _tumour(report)]
    total = sum(volumes)
    if total <= 0:
        return 0.0
    # A sphere's surface times the step, in ml; lesions err independently of one another.
    errors = ((36 * math.pi) ** (1 / 3) * (1000 * volume) ** (2 / 3) * step / 1000 for volume in volumes)
    return sum(error**2 for error in errors) / total**2


def _tumour(report: Report) -> list[Mapping[str, Any]]:
    return [
        lesion
        for lesion in report["lesions"]
        if lesion["certainty"] != "rejected" and lesion["kind"] != "extramedullary"
    ]


def _soft_tissue(report: Report) -> Sequence[Mapping[str, Any]]:
    return [
        lesion
        for lesion in report["lesions"]
        if lesion["certainty"] == "certain" and lesion["kind"] in ("paramedullary", "extramedullary")
    ]


def _product_mm2(lesion: Mapping[str, Any]) -> float:
    return float(lesion["longest_diameter_mm"]) * float(lesion["perpendicular_diameter_mm"])
