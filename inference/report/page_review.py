"""What the page needs to follow a reader's decisions as `marrowmap revise` would.

For each lesion: what it adds to every count, volume and statistic, as it stands and once accepted (a
rejected lesion adds nothing), measured by the functions that made the report. For the exam: the pattern and
the outcome of every rule by these counts (`page_states.py`). The page adds up and looks up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.grid import Grid
from marrowmap.data.skeleton import Region
from marrowmap.inference.biopsy import BiopsySettings, propose_biopsy
from marrowmap.inference.burden import measure_burden
from marrowmap.inference.clinical import clinical_from_mapping
from marrowmap.inference.counts import count_lesions
from marrowmap.inference.decisions import findings_key
from marrowmap.inference.findings import Lesion
from marrowmap.inference.findings_json import lesion_from_json, to_json
from marrowmap.inference.measure import ADC_PLAUSIBLE_UM2_PER_S
from marrowmap.inference.pattern import pattern_from_evidence
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
    counting_warnings,
    is_micronodular,
)
from marrowmap.inference.staging.doubt import focal_probability
from marrowmap.inference.staging.imaging import FocalLesion, ImagingFindings, imaging_from_report
from marrowmap.inference.staging.rasche import stage_rasche
from marrowmap.inference.staging.red_marrow import red_marrow_share
from marrowmap.models.calibration import NODES

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


@dataclass(frozen=True, kw_only=True)
class ReviewMaps:
    """The maps beside a report, for what each lesion adds to the burden.

    Attributes:
        lesion_labels: `(i, j, k)`, 0 or the lesion's id.
        regions: `(i, j, k)` of `Region` values.
        adc: `(i, j, k)` in um2/s, None when the exam had none.
        grid: Shape and affine of the maps.
    """

    lesion_labels: npt.NDArray[np.uint16]
    regions: npt.NDArray[np.uint8]
    adc: npt.NDArray[Any] | None
    grid: Grid


def review_maps(maps: Mapping[str, LabelledMap]) -> ReviewMaps:
    """Return the maps that are written beside a report, by their file stems."""
    labels, affine = maps["lesions"]
    i, j, k = labels.shape
    return ReviewMaps(
        lesion_labels=labels.astype(np.uint16),
        regions=maps["regions"][0].astype(np.uint8),
        adc=maps["adc"][0] if "adc" in maps else None,
        grid=Grid(shape=(i, j, k), affine_ras_mm=affine),
    )


def review_data(report: Report, maps: ReviewMaps) -> dict[str, Any]:
    """Return everything that the page counts with, as plain JSON values.

    Args:
        report: A report that follows the schema.
        maps: The maps beside it.

    Returns:
        An empty mapping where there is no lesion to decide on.
    """
    lesions = [lesion_from_json(entry) for entry in report["lesions"]]
    if not lesions:
        return {}
    imaging = imaging_from_report(report)
    evidence = dict(report["pattern"]["evidence"])
    states = {
        lesion.id: {
            "region": lesion.region,
            "is_away": lesion.kind == "extramedullary",
            "keep": _adds(lesion, evidence, report),
            "accept": _adds(decided(lesion, "accept"), evidence, report),
        }
        for lesion in lesions
    }
    most = _most(states.values())
    rows = tabulate_pattern(lesions[0], evidence, most["pattern_certain"], most["nodules"])
    small = micronodules(most["small"])
    marrows = _marrows(rows, can_be_micronodular=small is not None)
    clinical = clinical_from_mapping(report.get("clinical") or {})
    table = tabulate(imaging, most, marrows, clinical)
    return {
        "study_instance_uid": report["study"]["study_instance_uid"],
        "findings": findings_key(report),
        "features": FEATURES,
        "lesions": states,
        "burden": _burdens(lesions, maps),
        "voxel_ml": maps.grid.voxel_ml,
        "marrow_ml": _marrow_volumes(report),
        "adc_range": ADC_PLAUSIBLE_UM2_PER_S,
        "edges": (report["burden"]["adc_um2_per_s"].get("histogram") or {}).get("edges_um2_per_s"),
        "patterns": [_row_json(row) for row in rows],
        "micronodules": small,
        "marrows": [{"grade": m.grade, "micro": m.is_micronodular} for m in marrows],
        "bands": BANDS,
        "outcomes": table.outcomes,
        "counting": counting_texts(imaging),
        "counted": COUNTED,
        "count_inputs": COUNT_INPUTS,
        "spread": _spread(imaging),
        "biopsy": [_biopsy(entry) for entry in _ranked(lesions)],
        "biopsy_most": BiopsySettings().maximum_candidates,
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


def _burdens(lesions: Sequence[Lesion], maps: ReviewMaps) -> dict[int, dict[str, Any]]:
    """Return the voxels of each lesion by region, those within the skeleton, and its ADC values."""
    boxes = ndimage.find_objects(maps.lesion_labels)
    burdens = {}
    for lesion in lesions:
        box = boxes[lesion.id - 1] if lesion.id <= len(boxes) else None
        burdens[lesion.id] = {"voxels": [], "adc": []} if box is None else _burden(lesion, box, maps)
    return burdens


def _burden(lesion: Lesion, box: tuple[slice, ...], maps: ReviewMaps) -> dict[str, Any]:
    """Return `[region, voxels, voxels within the skeleton]` and the sorted ADC values as steps."""
    mask = maps.lesion_labels[box] == lesion.id
    i, j, k = mask.shape
    grid = Grid(shape=(i, j, k), affine_ras_mm=maps.grid.affine_ras_mm)
    alone = np.where(mask, lesion.id, 0).astype(np.uint16)
    found = measure_burden((decided(lesion, "accept"),), alone, maps.regions[box], None, grid)
    parts = {"": found, **found.by_region}
    voxels = [
        [
            key,
            *(
                round(v / grid.voxel_ml)
                for v in (p.tumour_volume_ml, (p.marrow_fraction or 0.0) * p.marrow_volume_ml)
            ),
        ]
        for key, p in parts.items()
    ]
    adc: list[int] = []
    if maps.adc is not None and lesion.kind != "extramedullary":
        # As adc.nii.gz keeps them, which a revision reads: whole um2/s.
        values = np.round(np.clip(np.nan_to_num(maps.adc[box][mask]), 0.0, 32767.0)).astype(np.int64)
        adc = np.diff(np.sort(values[values > 0]), prepend=0).tolist()
    return {"voxels": [part for part in voxels if part[1]], "adc": adc}


def _marrow_volumes(report: Report) -> dict[str, float | None]:
    """Return the volume of the skeleton and of each region, which no decision changes."""
    burden = report["burden"]
    volumes: dict[str, float | None] = {"": burden["marrow_volume_ml"]}
    return volumes | {
        region.key: burden["by_region"].get(region.key, {}).get("marrow_volume_ml") for region in Region
    }


def counting_texts(imaging: ImagingFindings) -> list[dict[str, Any]]:
    """Return the warnings that name a number, with places for the numbers, and when they are said.

    They are made by the rules for two exams of known numbers and must differ in these numbers alone; a
    warning that differs otherwise is left out.
    """
    sure = FocalLesion(diameter_mm=30.0, uncertainty_mm=1.0, perpendicular_diameter_mm=30.0)
    near, doubtful = replace(sure, diameter_mm=5.5), replace(sure, certainty="equivocal")

    def texts(lesions: Sequence[FocalLesion], *, rasche: bool = False) -> set[str]:
        exam = ImagingFindings(lesions=tuple(lesions), coverage=imaging.coverage)
        plain = ImagingFindings(lesions=(sure,) * len(lesions), coverage=imaging.coverage)
        if rasche:
            found, base = stage_rasche(exam).warnings, stage_rasche(plain).warnings
            return set(found) - set(base) - set(counting_warnings(exam))
        return set(counting_warnings(exam)) - set(counting_warnings(plain))

    made = [
        ("more", {"more": 7}, texts([doubtful] * 7), {"more": 8}, texts([doubtful] * 8)),
        (
            "near",
            {"near": 7, "sure": 19},
            texts([near] * 7 + [sure] * 12),
            {"near": 8, "sure": 23},
            texts([near] * 8 + [sure] * 15),
        ),
        (
            "large_doubtful",
            {"more": 7},
            texts([doubtful] * 7, rasche=True),
            {"more": 8},
            texts([doubtful] * 8, rasche=True),
        ),
    ]
    return [
        {"if": name, "text": text}
        for name, numbers, found, other_numbers, other in made
        for text in sorted(_with_places(found, numbers) & _with_places(other, other_numbers))
    ]


def _with_places(texts: set[str], numbers: Mapping[str, int]) -> set[str]:
    """Return texts with their numbers replaced by named places."""
    changed = set()
    for text in texts:
        words = text.split(" ")
        for name, number in numbers.items():
            words = [f"{{{name}}}" if word == str(number) else word for word in words]
        changed.add(" ".join(words))
    return changed


def _spread(imaging: ImagingFindings) -> dict[str, Any]:
    """Return how the count spreads around the lesions: what an exam shares and what was missed."""
    spread = imaging.spread
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    if spread.exam_log_odds_sd <= 0.0:
        nodes, weights = np.zeros(1), np.ones(1)
    return {
        "shifts": (nodes * spread.exam_log_odds_sd).tolist(),
        "weights": (weights / weights.sum()).tolist(),
        "missed": {"all": spread.missed, "spine": spread.missed * red_marrow_share(SPINE)},
        "missed_per_lesion": spread.missed_per_lesion,
        "missed_size": spread.missed_size,
    }


def _ranked(lesions: Sequence[Lesion]) -> Sequence[Any]:
    """Return every lesion that may be a biopsy candidate once certain, best first."""
    certain = [decided(lesion, "accept") for lesion in lesions]
    return propose_biopsy(certain, BiopsySettings(maximum_candidates=max(1, len(certain))))


def _biopsy(candidate: Any) -> dict[str, Any]:
    return {"lesion": candidate.lesion_id, "reasons": list(candidate.reasons)}
