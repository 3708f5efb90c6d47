"""Predictions against references, folder by folder, and the table that a person reads.

A prediction folder is what `marrowmap infer` writes, a reference folder what `marrowmap simulate` writes
or an annotator's `truth_lesions.nii.gz` and `truth_regions.nii.gz`. Folders are matched by name. The
reference is brought to the prediction's grid by nearest neighbour; its lesions' diameters are taken
from `truth.json` where it is there, because resampling would change those of small ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from marrowmap.data.components import components_of, longest_diameter_mm
from marrowmap.data.errors import StudyError
from marrowmap.data.exam import Affine, LabelArray, SpacingMm
from marrowmap.data.grid import Grid, resample_nearest
from marrowmap.data.nifti import read_nifti
from marrowmap.data.skeleton import Region
from marrowmap.training.metrics import (
    SIZE_EDGES_MM,
    LesionMatches,
    count_band,
    dice,
    match_lesions,
    region_dice,
    size_bin,
)

#: Radiologist against radiologist, whole-body diffusion MRI of real people with myeloma.
HUMAN_LESION_DICE = 0.32
FOCAL_MM = 5.0
LARGE_MM = 10.0


@dataclass(frozen=True, kw_only=True)
class ExamScore:
    """How one exam's prediction compares with its reference.

    Attributes:
        name: Folder name.
        is_simulated: Whether the reference comes from the simulator.
        matches: Who found whom.
        lesion_dice: Of the whole lesion masks; 1.0 when both are empty.
        region_dice: By region key, those in the reference.
        reference_ml: Lesion volume of the reference.
        predicted_ml: Lesion volume of the prediction.
        reference_focal: Reference lesions of 5 mm or more.
        predicted_focal: Predicted lesions of 5 mm or more that are not equivocal, as reported.
        pattern: The reference's pattern, or empty.
    """

    name: str
    is_simulated: bool
    matches: LesionMatches
    lesion_dice: float
    region_dice: dict[str, float]
    reference_ml: float
    predicted_ml: float
    reference_focal: int
    predicted_focal: int
    pattern: str = ""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All exams' scores and what they amount to."""

    exams: tuple[ExamScore, ...]
    summary: dict[str, Any] = field(default_factory=dict)


def evaluate(predictions: Path, references: Path) -> Evaluation:
    """Compare every prediction with the reference of the same name.

    Args:
        predictions: Folder of `infer` outputs, or one such output.
        references: Folder of references, or one such reference.

    Raises:
        StudyError: If a reference has no prediction, or a file is missing.
    """
    exams = tuple(score_exam(*pair) for pair in _pairs(predictions, references))
    return Evaluation(exams=exams, summary=summarise(exams))


def score_exam(prediction: Path, reference: Path) -> ExamScore:
    """Compare one exam's prediction with its reference.

    Raises:
        StudyError: If a file is missing or damaged.
    """
    predicted, affine = _labels(prediction / "lesions.nii.gz")
    grid = Grid(shape=_shape(predicted), affine_ras_mm=affine)
    truth = _truth(reference)
    labels = _on_grid(reference / "truth_lesions.nii.gz", grid)
    if not truth and labels.max(initial=0) == 1:
        labels = components_of(labels > 0)  # an annotator's mask without instances
    diameters = {int(item["id"]): float(item["longest_diameter_mm"]) for item in truth.get("lesions", [])}
    matches = match_lesions(labels, predicted, grid.spacing_mm, diameters)
    regions = _on_grid(reference / "truth_regions.nii.gz", grid)
    return ExamScore(
        name=reference.name,
        is_simulated="seed" in truth,
        matches=matches,
        lesion_dice=dice(labels > 0, predicted > 0),
        region_dice=region_dice(regions, _labels(prediction / "regions.nii.gz")[0]),
        reference_ml=float((labels > 0).sum()) * grid.voxel_ml,
        predicted_ml=float((predicted > 0).sum()) * grid.voxel_ml,
        reference_focal=sum(size >= FOCAL_MM for size in matches.diameters_mm.values()),
        predicted_focal=_reported_focal(prediction, predicted, grid.spacing_mm),
        pattern=str(truth.get("pattern", "")),
    )


def summarise(exams: Sequence[ExamScore]) -> dict[str, Any]:
    """Return what all exams amount to: pooled over lesions, averaged over exams.

    Keys ending in `_by_size` hold `[found, all]` by bin; a mean over nothing is None. The lesion Dice is that
    of exams with lesions; what was said of the others stands in `without_lesions_left_empty` (the share of
    them without any predicted lesion) and in the false positives.
    """
    sizes = [
        (size, exam.matches.found[label])
        for exam in exams
        for label, size in exam.matches.diameters_mm.items()
    ]
    names = [size_bin(low) for low in SIZE_EDGES_MM[:-1]]
    by_size = {name: [0, 0] for name in names if name}
    for size, is_found in sizes:
        name = size_bin(size)
        if name is not None:
            by_size[name][0] += is_found
            by_size[name][1] += 1
    diseased = [exam for exam in exams if exam.matches.found]
    healthy = [exam for exam in exams if not exam.matches.found]
    errors = [exam.predicted_ml - exam.reference_ml for exam in exams]
    bands = [count_band(e.reference_focal) == count_band(e.predicted_focal) for e in exams]
    return {
        "exams": len(exams),
        "is_simulated": all(exam.is_simulated for exam in exams),
        "simulated_exams": sum(exam.is_simulated for exam in exams),
        "lesions_by_size": by_size,
        "sensitivity_focal": _share([is_found for size, is_found in sizes if size >= FOCAL_MM]),
        "sensitivity_10_mm": _share([is_found for size, is_found in sizes if size >= LARGE_MM]),
        "false_positives_per_exam": _share([exam.matches.false_positives for exam in exams]),
        "lesion_dice": _share([exam.lesion_dice for exam in diseased]),
        "exams_without_lesions": len(healthy),
        "without_lesions_left_empty": _share([exam.matches.predicted == 0 for exam in healthy]),
        "human_lesion_dice": HUMAN_LESION_DICE,
        "volume_error_ml": _share(errors),
        "absolute_volume_error_ml": _share([abs(error) for error in errors]),
        "count_band_right": _share(bands),
        "region_dice": {
            region.key: _share([e.region_dice[region.key] for e in exams if region.key in e.region_dice])
            for region in Region
        },
    }


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return the evaluation as plain values."""
    exams = []
    for exam in evaluation.exams:
        plain = {name: value for name, value in vars(exam).items() if name != "matches"}
        found = exam.matches.found
        plain |= {"lesions": len(found), "lesions_found": sum(found.values())}
        plain |= {"false_positives": exam.matches.false_positives, "predicted": exam.matches.predicted}
        exams.append(plain)
    return {"summary": evaluation.summary, "exams": exams}


def table(evaluation: Evaluation) -> str:
    """Return the summary as lines for a person; says `simulated` where the references are."""
    summary = evaluation.summary
    kind = _kind(summary)
    rows = [
        (f"lesions found, {name}", f"{found}/{total}{_percent(found, total)}")
        for name, (found, total) in summary["lesions_by_size"].items()
    ]
    rows += [
        ("lesions found, 5 mm or more", _number(summary["sensitivity_focal"])),
        ("lesions found, 10 mm or more", _number(summary["sensitivity_10_mm"])),
        ("false positives an exam", _number(summary["false_positives_per_exam"])),
        ("lesion Dice", f"{_number(summary['lesion_dice'])} ({kind}; exams with lesions)"),
        ("exams without lesions left empty", _number(summary["without_lesions_left_empty"])),
        ("  radiologist against radiologist", f"{HUMAN_LESION_DICE} (real myeloma diffusion MRI)"),
        ("volume error, ml", _number(summary["volume_error_ml"])),
        ("absolute volume error, ml", _number(summary["absolute_volume_error_ml"])),
        ("count band right", _number(summary["count_band_right"])),
    ]
    rows += [(f"region Dice, {key}", _number(value)) for key, value in summary["region_dice"].items()]
    lines = [f"{summary['exams']} {kind} exams", *(f"{name:<36}{value}" for name, value in rows)]
    if summary["is_simulated"]:
        lines.append("All exams are simulated: these numbers say nothing yet of real people.")
    elif summary["simulated_exams"]:
        lines.append(f"{summary['simulated_exams']} of them are simulated: evaluate the others alone too.")
    return "\n".join(lines)


def _kind(summary: Mapping[str, Any]) -> str:
    if summary["is_simulated"]:
        return "simulated"
    return "simulated and annotated" if summary["simulated_exams"] else "annotated"


def _pairs(predictions: Path, references: Path) -> Iterator[tuple[Path, Path]]:
    if (predictions / "lesions.nii.gz").is_file() and (references / "truth_lesions.nii.gz").is_file():
        yield predictions, references
        return
    named = {path.parent.name: path.parent for path in sorted(predictions.glob("*/lesions.nii.gz"))}
    wanted = [path.parent for path in sorted(references.glob("*/truth_lesions.nii.gz"))]
    missing = [path.name for path in wanted if path.name not in named]
    if len(missing) == len(wanted):
        raise StudyError(
            f"no folders of the same name with lesions.nii.gz in {predictions} and truth_lesions.nii.gz in "
            f"{references}: found {len(named)} and {len(wanted)}; name each output as its reference"
        )
    if missing:  # what was never predicted must not raise the share of lesions found
        raise StudyError(
            f"{len(missing)} of {len(wanted)} references have no prediction, the first is {missing[0]}; "
            "run infer on them, or move their references away"
        )
    for path in wanted:
        yield named[path.name], path


def _labels(path: Path) -> tuple[LabelArray, Affine]:
    if not path.is_file():
        raise StudyError(f"need {path.name} in {path.parent}, found none; run infer or simulate again")
    array, affine = read_nifti(path)
    return np.rint(array).astype(np.int32), affine


def _on_grid(path: Path, grid: Grid) -> LabelArray:
    labels, affine = _labels(path)
    return resample_nearest(labels, affine, grid)


def _truth(reference: Path) -> dict[str, Any]:
    path = reference / "truth.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _reported_focal(prediction: Path, predicted: LabelArray, spacing_mm: SpacingMm) -> int:
    """Return the report's own count, or the components of 5 mm or more where there is no report."""
    path = prediction / "report.json"
    if path.is_file():
        return int(json.loads(path.read_text(encoding="utf-8"))["counts"]["focal_5mm"])
    boxes = ndimage.find_objects(predicted)
    voxels = [np.argwhere(predicted[box] == n) for n, box in enumerate(boxes, start=1) if box is not None]
    return sum(longest_diameter_mm(where, spacing_mm) >= FOCAL_MM for where in voxels)


def _shape(array: LabelArray) -> tuple[int, int, int]:
    i, j, k = array.shape
    return i, j, k


def _share(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _percent(found: int, total: int) -> str:
    return f" ({found / total:.0%})" if total else ""


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"
