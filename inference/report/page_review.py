"""What the page needs to follow a reader's decisions as `marrowmap revise` would.

For each lesion: what it adds to every count, volume and statistic, as it stands and once accepted (a
rejected lesion adds nothing), measured by the functions that made the report. For the exam: the pattern and
the outcome of every rule by these counts (`page_states.py`). The page adds up and looks up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from marrowmap.inference.biopsy import BiopsySettings, propose_biopsy
from marrowmap.inference.clinical import clinical_from_mapping
from marrowmap.inference.counts import count_lesions
from marrowmap.inference.decisions import findings_key
from marrowmap.inference.findings import Lesion
from marrowmap.inference.findings_json import lesion_from_json, to_json
from marrowmap.inference.measure import ADC_PLAUSIBLE_UM2_PER_S
from marrowmap.inference.pattern import pattern_from_evidence
from marrowmap.inference.report.page_burden import ReviewMaps, lesion_burdens, marrow_volumes
from marrowmap.inference.report.page_counting import count_spread, counting_texts
from marrowmap.inference.report.page_states import (
    BANDS,
    Marrow,
    PatternRow,
    micronodules,
    tabulate,
    tabulate_pattern,
)
from marrowmap.inference.report.page_words import COUNT_INPUTS
from marrowmap.inference.revise import decided
from marrowmap.inference.staging.counting import (
    COUNTING,
    SPINE,
    count_focal,
    is_micronodular,
)
from marrowmap.inference.staging.doubt import focal_probability
from marrowmap.inference.staging.imaging import FocalLesion, ImagingFindings, imaging_from_report
from marrowmap.inference.staging.rasche import stage_rasche

Report = Mapping[str, Any]
LabelledMap = tuple[npt.NDArray[Any], npt.NDArray[np.float64]]

#: What a lesion adds, in the order of its numbers.
FEATURES = (
    "visible",
    "active",
    "focal_5mm",
    "equivocal",
    "pattern_certain",
    "pattern_equivocal",
    "nodules",
    "sure",
    "maybe",
    "near",
    "spine_sure",
    "spine_maybe",
    "spine_near",
    "placeless",
    "small",
    "large",
    "large_doubtful",
    "away",
)
#: Rules that warn of doubtful lesions, and whether they count in all bones or in the spine.
COUNTED = {
    "durie_salmon_plus": "all",
    "imwg_mri_mde": "all",
    "walker_7_lesions": "all",
    "rasche_large_lesions": "all",
    "lecouvet_pattern": "spine",
}


def review_data(report: Report, maps: ReviewMaps) -> dict[str, Any]:
    """Return everything that the page counts with, as plain JSON values.

    Args:
        report: A report that follows the schema.
        maps: The maps beside it.

    Returns:
        An empty mapping where there is no lesion to decide on, or where the report does not say what the
        vertebrae showed: then no decision can be followed.
    """
    lesions = [lesion_from_json(entry) for entry in report["lesions"]]
    evidence = dict(report["pattern"]["evidence"])
    if not lesions or "vertebral_grade" not in evidence:
        return {}
    states = {
        lesion.id: {
            "region": lesion.region,
            "is_away": lesion.kind == "extramedullary",
            "keep": _adds(lesion, evidence, report),
            "accept": _adds(decided(lesion, "accept"), evidence, report),
        }
        for lesion in lesions
    }
    histogram = report["burden"]["adc_um2_per_s"].get("histogram") or {}
    return {
        "study_instance_uid": report["study"]["study_instance_uid"],
        "findings": findings_key(report),
        "features": FEATURES,
        "lesions": states,
        "burden": lesion_burdens(lesions, maps),
        "voxel_ml": maps.grid.voxel_ml,
        "marrow_ml": marrow_volumes(report),
        "adc_range": ADC_PLAUSIBLE_UM2_PER_S,
        "edges": histogram.get("edges_um2_per_s"),
        "biopsy": [_biopsy(entry) for entry in _ranked(lesions)],
        "biopsy_most": BiopsySettings().maximum_candidates,
        **_tables(report, lesions[0], evidence, _most(states.values())),
    }


def _tables(
    report: Report, lesion: Lesion, evidence: dict[str, Any], most: Mapping[str, int]
) -> dict[str, Any]:
    """Return the pattern and the outcome of every rule, and what is needed to find them."""
    imaging = imaging_from_report(report)
    rows = tabulate_pattern(lesion, evidence, most["pattern_certain"], most["nodules"])
    small = micronodules(most["small"])
    marrows = _marrows(rows, can_be_micronodular=small is not None)
    table = tabulate(imaging, most, marrows, clinical_from_mapping(report.get("clinical") or {}))
    return {
        "patterns": [_row_json(row) for row in rows],
        "micronodules": small,
        "marrows": [{"grade": m.grade, "micro": m.is_micronodular} for m in marrows],
        "bands": BANDS,
        "outcomes": table.outcomes,
        "counting": counting_texts(imaging),
        "counted": COUNTED,
        "count_inputs": COUNT_INPUTS,
        "spread": count_spread(imaging),
    }


def _adds(lesion: Lesion, evidence: dict[str, Any], report: Report) -> dict[str, Any]:
    """Return what a lesion adds as it stands: its numbers, its state and its probability of counting."""
    focal = imaging_from_report({**report, "lesions": [to_json(lesion)]}).lesions[0]
    one = ImagingFindings(lesions=(focal,))
    counts, pattern = count_lesions((lesion,)), pattern_from_evidence((lesion,), evidence).evidence
    count, spine = count_focal(one), count_focal(one, regions=SPINE)
    numbers = {
        "visible": counts.visible,
        "active": counts.active,
        "focal_5mm": counts.focal_5mm,
        "equivocal": counts.equivocal,
        "pattern_certain": pattern["focal_certain"],
        "pattern_equivocal": pattern["focal_equivocal"],
        "nodules": pattern["nodules_of_5_mm_or_less"],
        "sure": count.sure,
        "maybe": count.maybe,
        "near": _is_near(focal),
        "spine_sure": spine.sure,
        "spine_maybe": spine.maybe,
        "spine_near": spine.sure and _is_near(focal),
        "placeless": count.sure and focal.region is None,
        "small": is_micronodular(ImagingFindings(lesions=(focal,) * COUNTING.micronodules)),
        "large": stage_rasche(one).inputs["large_lesions"],
        "large_doubtful": _is_doubtful_and_large(focal),
        "away": lesion.kind == "extramedullary" and lesion.certainty == "certain",
    }
    is_counted = lesion.certainty != "rejected" and lesion.kind != "extramedullary"
    return {
        "adds": [int(numbers[name]) for name in FEATURES],
        "certainty": lesion.certainty,
        "benign": lesion.suspected_benign,
        "p": focal_probability(focal) if is_counted else None,
        "in_spine": is_counted and focal.region in SPINE,
    }


def _is_near(lesion: FocalLesion) -> bool:
    """Return whether a counted lesion may be smaller than the rules ask."""
    smaller = replace(lesion, diameter_mm=lesion.diameter_mm - lesion.uncertainty_mm)
    counted, surely = (count_focal(ImagingFindings(lesions=(one,))).sure for one in (lesion, smaller))
    return counted > surely


def _is_doubtful_and_large(lesion: FocalLesion) -> bool:
    if lesion.certainty != "equivocal":
        return False
    sure = ImagingFindings(lesions=(replace(lesion, certainty="certain"),))
    return stage_rasche(sure).inputs["large_lesions"] > 0


def _most(states: Any) -> dict[str, int]:
    """Return the largest value that each number can reach."""
    best = [[max(pair) for pair in zip(s["keep"]["adds"], s["accept"]["adds"], strict=True)] for s in states]
    return dict(zip(FEATURES, (sum(column) for column in zip(*best, strict=True)), strict=True))


def _marrows(rows: Sequence[PatternRow], *, can_be_micronodular: bool) -> tuple[Marrow, ...]:
    """Return the kinds of marrow that decisions can lead to."""
    found: dict[Marrow, None] = {}
    for row in rows:
        for pattern in (*row.few, *(row.many if row.nodules is not None else ())):
            label = pattern.label == "micronodular"
            for is_micro in {label, label or can_be_micronodular}:
                found[Marrow(grade=pattern.diffuse_grade, is_micronodular=is_micro)] = None
    return tuple(found)


def _row_json(row: PatternRow) -> dict[str, Any]:
    """Return one row of the pattern table: `[label, grade, label if equivocal lesions count]`."""

    def said(patterns: tuple[Any, Any]) -> list[list[str | None]]:
        return [[p.label, p.diffuse_grade, p.evidence["label_if_equivocal_count"]] for p in patterns]

    return {"few": said(row.few), "many": said(row.many), "nodules": row.nodules}


def _ranked(lesions: Sequence[Lesion]) -> Sequence[Any]:
    """Return every lesion that may be a biopsy candidate once certain, best first."""
    certain = [decided(lesion, "accept") for lesion in lesions]
    return propose_biopsy(certain, BiopsySettings(maximum_candidates=max(1, len(certain))))


def _biopsy(candidate: Any) -> dict[str, Any]:
    return {"lesion": candidate.lesion_id, "reasons": list(candidate.reasons)}
