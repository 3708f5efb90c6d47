"""What a comparison says in short: regions, counts, one line, one point of the trend, warnings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from marrowmap.data.skeleton import Region
from marrowmap.inference.findings_json import to_json
from marrowmap.inference.response.exam import Report
from marrowmap.inference.response.marrow import MarrowResponse
from marrowmap.inference.response.registration import Registration
from marrowmap.inference.response.values import Fate, LesionResponse
from marrowmap.inference.staging.rac import PRECEDENCE, RAC_NAMES, rac_overall

#: A registration below this similarity is named in a warning ...
LEAST_SIMILARITY = 0.5
#: ... and one whose blocks stray more than this.
MOST_RESIDUAL_MM = 4.0


def summary_text(response: Mapping[str, Any]) -> str:
    """Return the result in one line."""
    counts, volume = response["counts"], response["tumour_volume_change"]
    words = [f"{number} {fate.replace('_', ' ')}" for fate, number in counts.items() if number]
    patient = response["patient"]
    category = "nothing to judge" if patient is None else f"category {patient} ({RAC_NAMES[patient]})"
    worst = f", worst {response['worst']}" if response["worst"] not in (None, patient) else ""
    direction = f"{response['direction']}: " if response["direction"] else ""
    change = f"{volume['before_ml']:.1f} to {volume['after_ml']:.1f} ml"
    if volume["change_percent"] is not None:
        low, high = volume["interval_percent"]
        change += f" ({volume['change_percent']:+.0f} %, 90 % interval {low:+.0f} to {high:+.0f} %)"
    return f"{direction}{category}{worst}; lesions: {', '.join(words) or 'none'}; {change}"


def trend_point(report: Report) -> dict[str, Any]:
    """Return the few numbers of one exam that a trend over many exams shows."""
    response = report.get("response") or {}
    return {
        "study_date": report["study"]["study_date"],
        "tumour_volume_ml": report["burden"]["tumour_volume_ml"],
        "adc_median_um2_per_s": report["burden"]["adc_um2_per_s"]["median"],
        "visible": report["counts"]["visible"],
        "active": report["counts"]["active"],
        "patient": response.get("patient"),
    }


def region_entries(
    lesions: Sequence[LesionResponse], marrow: Sequence[MarrowResponse]
) -> list[dict[str, Any]]:
    """Return every region that has a lesion or diffuse disease; last what lies away from bone."""
    entries = []
    for key in (*(region.key for region in Region), None):
        here = [lesion for lesion in lesions if lesion.region == key]
        of_marrow = next((part.category for part in marrow if part.region == key), None)
        categories = [lesion.category for lesion in here if lesion.is_counted and lesion.category]
        overall = rac_overall([*categories, *([of_marrow] if of_marrow else [])])
        if not here and of_marrow is None:
            continue
        entries.append(
            {
                "region": key,
                "category": _first([*categories, of_marrow]),
                "dominant": overall.dominant,
                "secondary": overall.secondary,
                "worst": overall.worst,
                "is_mixed": overall.is_mixed,
                "marrow": of_marrow,
                "lesions": len(here),
                "volume_before_ml": sum(lesion.volume_before_ml for lesion in here),
                "volume_after_ml": sum(lesion.volume_after_ml for lesion in here),
            }
        )
    return to_json(entries)


def _first(categories: Iterable[int | None]) -> int | None:
    """Return the first category in the order of precedence, None for none."""
    found = set(categories)
    return next((category for category in PRECEDENCE if category in found), None)


def fate_counts(lesions: Sequence[LesionResponse]) -> dict[str, int]:
    """Return how many lesions have each fate, and how many a reader has rejected."""
    kept = [lesion for lesion in lesions if not lesion.is_rejected]
    counts = {fate: sum(lesion.fate == fate for lesion in kept) for fate in get_args(Fate)}
    return {**counts, "rejected": len(lesions) - len(kept)}


def comparison_warnings(before: Report, after: Report, registration: Registration) -> list[dict[str, str]]:
    """Return what a reader must know of this comparison."""
    found = []
    if registration.similarity < LEAST_SIMILARITY or registration.residual_mm > MOST_RESIDUAL_MM:
        text = (
            f"The exams could be laid on each other only in part (similarity {registration.similarity:.2f}, "
            f"{registration.residual_mm:.1f} mm): check the matches, and that both are of one person."
        )
        found.append({"code": "poor_registration", "text": text})
    if _sexes(before) != _sexes(after):
        found.append(
            {"code": "other_person", "text": "The two exams name different sexes: check the person."}
        )
    coverage = [report["study"]["coverage"] for report in (before, after)]
    differs = sorted(key for key in coverage[0] if coverage[0][key] != coverage[1].get(key))
    if differs:
        names = ", ".join(key.replace("_", " ") for key in differs)
        text = f"Covered differently in the two exams: {names}; volumes there cannot be compared."
        found.append({"code": "coverage_differs", "text": text})
    sequences = [set(report["study"].get("missing_sequences", ())) for report in (before, after)]
    if sequences[0] != sequences[1]:
        names = ", ".join(sorted(sequences[0] ^ sequences[1]))
        found.append({"code": "sequences_differ", "text": f"Only one of the two exams has: {names}."})
    return found


def _sexes(report: Report) -> Any:
    return report["study"].get("patient_sex")
