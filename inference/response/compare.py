"""Two exams of one person: what became of every lesion, and the response by region and for the patient.

Response categories 1 (highly likely responding) to 5 (highly likely progressing). Per lesion the clauses are
tried in the order 5, 1, 4, 2, 3; a region takes the first of these that one of its lesions or its marrow has;
the patient the most frequent category of the regions that changed, 3 where too few did, with the worst told
apart.

Source: Padhani, Eur Urol 2017;71:81, doi:10.1016/j.eururo.2016.05.033; Messiou, Radiology 2019;291:5,
doi:10.1148/radiol.2019181949. That unchanged regions do not outvote changed ones is our choice.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from marrowmap.inference.findings_json import lesion_from_json, to_json
from marrowmap.inference.instances import voxels_by_id
from marrowmap.inference.response.burden import (
    adc_change,
    burden_from_json,
    burden_of,
    days_between,
    new_alerts,
    soft_tissue_change,
    volume_change,
)
from marrowmap.inference.response.exam import ComparedExam, Report
from marrowmap.inference.response.lesions import judge_match
from marrowmap.inference.response.marrow import MarrowResponse, judge_marrow
from marrowmap.inference.response.matching import match_lesions
from marrowmap.inference.response.registration import RegistrationSettings, register
from marrowmap.inference.response.signals import pair_of
from marrowmap.inference.response.summary import (
    comparison_warnings,
    fate_counts,
    region_entries,
    summary_text,
    trend_point,
)
from marrowmap.inference.response.values import (
    JudgeSettings,
    LesionResponse,
    Side,
    judged_again,
    response_from_json,
)
from marrowmap.inference.staging.rac import RAC_NAMES, rac_overall

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
    """

    registration: RegistrationSettings = field(default_factory=RegistrationSettings)
    judge: JudgeSettings = field(default_factory=JudgeSettings)
    responding_share: float = 0.25
    likely_share: float = 1 / 3


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
        "registration": to_json(
            {n: getattr(registration, n) for n in ("blocks", "similarity", "residual_mm")}
        ),
        "history": [*(_response_of(before.report).get("history", ())), trend_point(before.report)],
        "warnings": comparison_warnings(before.report, after.report, registration),
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
    regions = region_entries(lesions, marrow)
    of_regions = [entry["category"] for entry in regions if entry["category"] is not None]
    overall = rac_overall([category for category in of_regions if category != 3] or of_regions)
    judged, direction = _judged(lesions, marrow, settings)
    # A stray likely change among many unchanged lesions is told as the worst, not as the patient's.
    patient = 3 if direction == "stable" else overall.dominant
    response = {
        "patient": patient,
        "patient_name": RAC_NAMES.get(patient or 0),
        "secondary": overall.secondary,
        "worst": max(judged, default=None),
        "is_mixed": direction == "mixed",
        "direction": direction,
        "counts": fate_counts(lesions),
        "lesions": to_json(lesions),
        "regions": regions,
        "marrow": to_json(marrow),
        "days": days_between(before, after),
        "tumour_volume_change": to_json(volume_change(before, after)),
        "adc_change": to_json(adc_change(before, after, settings.judge.rac)),
        "soft_tissue_change": to_json(soft_tissue_change(before, after)),
        "new_alerts": new_alerts(before, report),
        **kept,
        "notes": [TRANSPLANT_NOTE] if (patient or 0) >= 2 else [],
        "limits": LIMITS,
        "source": SOURCE,
    }
    return {"text": summary_text(response), **response}


def _judged(
    lesions: Sequence[LesionResponse], marrow: Sequence[MarrowResponse], settings: CompareSettings
) -> tuple[list[int], Direction | None]:
    """Return every category that has a say, and the direction by those that could be assessed."""
    of_marrow: list[int] = [part.category for part in marrow if part.category]
    counted = [(x.category, x.is_assessable) for x in lesions if x.is_counted and x.category]
    judged = [category for category, _ in counted] + of_marrow
    assessed = [category for category, is_assessable in counted if is_assessable] + of_marrow
    # Where nothing could be assessed, unchanged lesions still say so; a change that decides nothing does not.
    return judged, direction_of(assessed or [category for category in judged if category == 3], settings)


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


def _response_of(report: Report) -> Mapping[str, Any]:
    return report.get("response") or {}


def _vanished_places(report: Report) -> list[Sequence[float]]:
    """Return where lesions had vanished by the earlier exam, if that was compared with one before."""
    lesions = _response_of(report).get("lesions", ())
    return [lesion["centroid_ras_mm"] for lesion in lesions if lesion["fate"] == "vanished"]
