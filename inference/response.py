"""Two exams of one person: what became of every lesion, and the response by region and for the patient.

Response categories 1 (highly likely responding) to 5 (highly likely progressing). Per lesion the clauses are
tried in the order 5, 1, 4, 2, 3; a region takes the first of these that one of its lesions or its marrow has;
the patient the most frequent category of the regions that changed, with the worst told apart.

Source: Padhani, Eur Urol 2017;71:81, doi:10.1016/j.eururo.2016.05.033; Messiou, Radiology 2019;291:5,
doi:10.1148/radiol.2019181949. That unchanged regions do not outvote changed ones is our choice.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from marrowmap.data.skeleton import Region
from marrowmap.inference.findings_json import lesion_from_json, to_json
from marrowmap.inference.instances import voxels_by_id
from marrowmap.inference.response_burden import (
    adc_change,
    burden_from_json,
    burden_of,
    days_between,
    new_alerts,
    soft_tissue_change,
    volume_change,
)
from marrowmap.inference.response_exam import ComparedExam, Report
from marrowmap.inference.response_lesions import judge_match
from marrowmap.inference.response_marrow import MarrowResponse, judge_marrow
from marrowmap.inference.response_matching import match_lesions
from marrowmap.inference.response_registration import Registration, RegistrationSettings, register
from marrowmap.inference.response_signals import pair_of
from marrowmap.inference.response_values import (
    Fate,
    JudgeSettings,
    LesionResponse,
    Side,
    judged_again,
    response_from_json,
)
from marrowmap.inference.staging.rac import PRECEDENCE, RAC_NAMES, rac_overall

logger = logging.getLogger(__name__)

Direction = Literal["responding", "stable", "progressing", "mixed"]

SOURCE = (
    "Padhani, Eur Urol 2017;71:81, doi:10.1016/j.eururo.2016.05.033; Messiou, Radiology 2019;291:5, "
    "doi:10.1148/radiol.2019181949"
)
#: Said of every comparison.
LIMITS = (
    "A description of images for a reader, not a treatment decision: laboratory response, symptoms and "
    "treatment are not known here. A lesion that is still visible need not be active."
)
TRANSPLANT_NOTE = (
    "After transplant, category 2 or more went with shorter progression-free survival than category 1 "
    "(median 26.5 months against not reached, n = 64; Belotti 2021, PubMed 34263564); for patients after "
    "transplant only."
)


@dataclass(frozen=True, kw_only=True)
class CompareSettings:
    """How two exams are compared.

    Attributes:
        registration: How they are brought together.
        judge: How lesions are matched and judged.
        responding_share: The patient responds when this share of all that is judged responds ...
        likely_share: ... and progresses with one category 5, or with this share of category 4.
        least_similarity: A registration below this is named in a warning ...
        most_residual_mm: ... and one whose blocks stray more.
    """

    registration: RegistrationSettings = field(default_factory=RegistrationSettings)
    judge: JudgeSettings = field(default_factory=JudgeSettings)
    responding_share: float = 0.25
    likely_share: float = 1 / 3
    least_similarity: float = 0.5
    most_residual_mm: float = 4.0


def compare(
    before: ComparedExam, after: ComparedExam, settings: CompareSettings | None = None
) -> dict[str, Any]:
    """Compare two exams.

    Args:
        before: The earlier exam.
        after: The later.
        settings: Every cut-off.

    Returns:
        The `response` object of `report.json`.

    Raises:
        ReportFileError: If the follow-up is dated before the baseline.
        GeometryError: If an exam shows no skeleton to register by.
    """
    settings = settings or CompareSettings()
    baseline = burden_of(before.report)
    days_between(baseline, burden_of(after.report))  # refuses exams in the wrong order before the long part
    registration = register(before, after, settings.registration)
    pair = pair_of(before, after, registration)
    first, second = side_of(before), side_of(after)
    moved = {n: registration.moved(points) for n, points in first.points_mm.items()}
    matches = match_lesions(moved, second.points_mm, settings.judge.match)
    gone = _vanished_places(before.report)
    lesions = tuple(judge_match(m, pair, first, second, settings.judge, gone) for m in matches)
    logger.info("%d lesions compared", len(lesions))
    kept = {
        "registration": _registration_json(registration),
        "history": [*(_response_of(before.report).get("history", ())), trend_point(before.report)],
        "warnings": _warnings(before.report, after.report, registration, settings),
        "baseline": to_json(baseline),
    }
    return assemble(lesions, judge_marrow(pair, settings.judge), after.report, kept, settings)


def revised(
    response: Mapping[str, Any], report: Report, settings: CompareSettings | None = None
) -> dict[str, Any]:
    """Return the response after a reader's decision on lesions of the later exam.

    Args:
        response: As it stands in the report.
        report: The later exam's report with the decided lesions and their burden.
        settings: Every cut-off.
    """
    settings = settings or CompareSettings()
    decided = {entry["id"]: lesion_from_json(entry) for entry in report["lesions"]}
    lesions = [
        judged_again(entry, [decided[n] for n in entry.ids if n in decided], settings.judge)
        for entry in map(response_from_json, response["lesions"])
    ]
    marrow = [MarrowResponse(**entry) for entry in response["marrow"]]
    kept = {name: response[name] for name in ("registration", "history", "warnings", "baseline")}
    return assemble(lesions, marrow, report, kept, settings)


def assemble(
    lesions: Sequence[LesionResponse],
    marrow: Sequence[MarrowResponse],
    report: Report,
    kept: Mapping[str, Any],
    settings: CompareSettings | None = None,
) -> dict[str, Any]:
    """Put the response together from what was judged; also after a reader's decision.

    Args:
        lesions: What became of each lesion.
        marrow: And of the marrow between them.
        report: The later exam's.
        kept: What no decision changes: registration, history, warnings and the earlier exam's burden.
        settings: Shares that decide the direction.
    """
    settings = settings or CompareSettings()
    before, after = burden_from_json(kept["baseline"]), burden_of(report)
    regions = _regions(lesions, marrow)
    of_marrow = [part.category for part in marrow if part.category]
    judged = [lesion.category for lesion in lesions if lesion.is_counted and lesion.category] + of_marrow
    known = [x.category for x in lesions if x.is_counted and x.is_assessable and x.category] + of_marrow
    changed = [entry["category"] for entry in regions if entry["category"] not in (None, 3)]
    unchanged = [entry["category"] for entry in regions if entry["category"] == 3]
    overall = rac_overall(changed or unchanged)
    direction = direction_of(known or judged, settings)
    response = {
        "patient": overall.dominant,
        "patient_name": RAC_NAMES.get(overall.dominant or 0),
        "secondary": overall.secondary,
        "worst": max(judged, default=None),
        "is_mixed": direction == "mixed",
        "direction": direction,
        "counts": _fate_counts(lesions),
        "lesions": to_json(lesions),
        "regions": regions,
        "marrow": to_json(marrow),
        "days": days_between(before, after),
        "tumour_volume_change": to_json(volume_change(before, after)),
        "adc_change": to_json(adc_change(before, after, settings.judge.rac)),
        "soft_tissue_change": to_json(soft_tissue_change(before, after)),
        "new_alerts": new_alerts(before, report),
        **kept,
        "notes": [TRANSPLANT_NOTE] if (overall.dominant or 0) >= 2 else [],
        "limits": LIMITS,
        "source": SOURCE,
    }
    return {"text": summary_text(response), **response}


def direction_of(categories: Sequence[int], settings: CompareSettings | None = None) -> Direction | None:
    """Return in one word where the disease goes, None with nothing to judge.

    Args:
        categories: Of every lesion and every region's marrow that has a say and could be assessed.
        settings: Shares that decide.
    """
    settings = settings or CompareSettings()
    if not categories:
        return None
    count = len(categories)
    responding = sum(category in (1, 2) for category in categories) >= settings.responding_share * count
    likely = sum(category == 4 for category in categories)
    progressing = 5 in categories or likely >= max(1.0, settings.likely_share * count)
    if responding and progressing:
        return "mixed"
    return "responding" if responding else "progressing" if progressing else "stable"


def side_of(exam: ComparedExam) -> Side:
    """Return an exam's lesions with the places of their voxels."""
    lesions = {entry["id"]: lesion_from_json(entry) for entry in exam.report["lesions"]}
    points = {
        number: exam.grid.points_mm(voxels)
        for number, voxels in voxels_by_id(exam.lesion_labels)
        if number in lesions
    }
    return Side(lesions={n: lesions[n] for n in points}, points_mm=points)


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


def _regions(lesions: Sequence[LesionResponse], marrow: Sequence[MarrowResponse]) -> list[dict[str, Any]]:
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


def _fate_counts(lesions: Sequence[LesionResponse]) -> dict[str, int]:
    kept = [lesion for lesion in lesions if not lesion.is_rejected]
    counts = {fate: sum(lesion.fate == fate for lesion in kept) for fate in get_args(Fate)}
    return {**counts, "rejected": len(lesions) - len(kept)}


def _response_of(report: Report) -> Mapping[str, Any]:
    return report.get("response") or {}


def _vanished_places(report: Report) -> list[Sequence[float]]:
    """Return where lesions had vanished by the earlier exam, if that was compared with one before."""
    lesions = _response_of(report).get("lesions", ())
    return [lesion["centroid_ras_mm"] for lesion in lesions if lesion["fate"] == "vanished"]


def _registration_json(registration: Registration) -> dict[str, Any]:
    return to_json(
        {
            "blocks": registration.blocks,
            "similarity": registration.similarity,
            "residual_mm": registration.residual_mm,
        }
    )


def _warnings(
    before: Report, after: Report, registration: Registration, settings: CompareSettings
) -> list[dict[str, str]]:
    """Return what a reader must know of this comparison."""
    found = []
    if (
        registration.similarity < settings.least_similarity
        or registration.residual_mm > settings.most_residual_mm
    ):
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
