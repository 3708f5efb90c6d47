"""How one exam's prediction compares with its reference: lesions, components, outlines, volumes, stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from marrowmap.data.components import longest_diameter_mm
from marrowmap.data.exam import LabelArray, SpacingMm
from marrowmap.training.evaluation.mimics import (
    NO_MIMIC,
    MimicSeen,
    mimic_under,
    mimics_seen,
    region_of,
)
from marrowmap.training.evaluation.overlap import (
    Overlap,
    Panoptic,
    exam_overlap,
    lesion_overlaps,
    panoptic,
)
from marrowmap.training.evaluation.pairs import ExamPair
from marrowmap.training.evaluation.settings import FOCAL_MM, EvaluationSettings
from marrowmap.training.evaluation.subgroups import subgroups_of
from marrowmap.training.metrics import FOUND_OVERLAP, LesionMatches, match_lesions, region_dice

#: What each rule says of findings in the form of `report.json` (`lesions[]`, `pattern`), as words.
Stager = Callable[[Mapping[str, Any]], Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class ReferenceLesion:
    """One lesion of the reference.

    Attributes:
        id: Its label.
        diameter_mm: Longest diameter.
        is_found: Whether the prediction found it.
        probability: Highest probability from which on the components found it, None when they never do or
            no probability is known.
        overlap: How its outline agrees with that of the components that touch it.
    """

    id: int
    diameter_mm: float
    is_found: bool
    probability: float | None
    overlap: Overlap


@dataclass(frozen=True, kw_only=True)
class Component:
    """One predicted lesion.

    Attributes:
        id: Its label.
        probability: As reported, None without a report.
        is_lesion: Whether it belongs to any lesion of the reference.
        region: Key of the region that it lies in.
        mimic: Kind of the benign look-alike under a false positive, `no_mimic`, or empty.
    """

    id: int
    probability: float | None
    is_lesion: bool
    region: str
    mimic: str = ""


@dataclass(frozen=True, kw_only=True)
class ExamScore:
    """How one exam's prediction compares with its reference.

    Attributes:
        name: Folder name.
        is_simulated: Whether the reference comes from the simulator.
        matches: Who found whom.
        lesions: Of the reference.
        components: Of the prediction.
        mimics: Benign look-alikes that the reference names.
        overlap: Of the whole lesion masks.
        panoptic: Pairs of lesions.
        region_dice: By region key, those in the reference.
        reference_ml: Lesion volume of the reference.
        predicted_ml: Lesion volume of the prediction.
        reference_focal: Reference lesions of 5 mm or more.
        predicted_focal: Predicted lesions of 5 mm or more that are not equivocal, as reported.
        pattern: The reference's pattern, or empty.
        stages: By rule, the stage of the reference's and of the prediction's findings.
        subgroups: By kind of subgroup, the one that the exam belongs to.
    """

    name: str
    is_simulated: bool
    matches: LesionMatches
    lesions: tuple[ReferenceLesion, ...] = ()
    components: tuple[Component, ...] = ()
    mimics: tuple[MimicSeen, ...] = ()
    overlap: Overlap
    panoptic: Panoptic
    region_dice: Mapping[str, float]
    reference_ml: float
    predicted_ml: float
    reference_focal: int
    predicted_focal: int
    pattern: str = ""
    stages: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    subgroups: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_probabilities(self) -> bool:
        """Whether every predicted lesion has one."""
        return all(component.probability is not None for component in self.components)

    @property
    def false_positives(self) -> tuple[Component, ...]:
        """Predicted lesions that belong to no reference lesion."""
        return tuple(component for component in self.components if not component.is_lesion)


def score_pair(pair: ExamPair, settings: EvaluationSettings, stage: Stager | None = None) -> ExamScore:
    """Compare one exam's prediction with its reference.

    Args:
        pair: Both, on one grid.
        settings: What is left open.
        stage: The rules, None to leave stages out.
    """
    diameters = {
        int(item["id"]): float(item["longest_diameter_mm"]) for item in pair.truth.get("lesions", [])
    }
    spacing_mm = pair.grid.spacing_mm
    matches = match_lesions(pair.reference, pair.predicted, spacing_mm, diameters)
    components, called = _components(pair, matches)
    is_both = pair.reference_regions is not None and pair.predicted_regions is not None
    return ExamScore(
        name=pair.name,
        is_simulated=pair.is_simulated,
        matches=matches,
        lesions=_lesions(pair, matches, settings),
        components=components,
        mimics=mimics_seen(pair.truth.get("mimics", []), called),
        overlap=exam_overlap(pair.reference > 0, pair.predicted > 0, spacing_mm, settings),
        panoptic=panoptic(pair.reference, pair.predicted),
        region_dice=_region_dice(pair) if is_both else {},
        reference_ml=float((pair.reference > 0).sum()) * pair.grid.voxel_ml,
        predicted_ml=float((pair.predicted > 0).sum()) * pair.grid.voxel_ml,
        reference_focal=sum(size >= FOCAL_MM for size in matches.diameters_mm.values()),
        predicted_focal=_reported_focal(pair, spacing_mm),
        pattern=str(pair.truth.get("pattern", "")),
        stages=_stages(pair, matches, stage) if stage else {},
        subgroups=subgroups_of(pair.truth, pair.report),
    )


def _lesions(
    pair: ExamPair, matches: LesionMatches, settings: EvaluationSettings
) -> tuple[ReferenceLesion, ...]:
    known = _probabilities(pair)
    overlaps = lesion_overlaps(pair.reference, pair.predicted, matches, pair.grid.spacing_mm, settings)
    return tuple(
        ReferenceLesion(
            id=label,
            diameter_mm=matches.diameters_mm[label],
            is_found=is_found,
            probability=found_from(matches.finders[label], known),
            overlap=overlaps[label],
        )
        for label, is_found in matches.found.items()
    )


def found_from(finders: Mapping[int, float], probabilities: Mapping[int, float]) -> float | None:
    """Return the highest probability from which on components cover enough of a lesion to find it.

    Args:
        finders: Share of the lesion that each component covers, 1.0 for one that finds it alone.
        probabilities: Of the components; one without is left out.
    """
    covered = 0.0
    for component in sorted(finders, key=lambda n: -probabilities.get(n, -1.0)):
        if component not in probabilities:
            break
        covered += finders[component]
        if covered >= FOUND_OVERLAP - 1e-9:
            return probabilities[component]
    return None


def _components(pair: ExamPair, matches: LesionMatches) -> tuple[tuple[Component, ...], list[int]]:
    """Return the predicted lesions, and the numbers of the mimics that false ones lie on."""
    known, mimics = _probabilities(pair), pair.truth.get("mimics", [])
    regions = pair.predicted_regions if pair.reference_regions is None else pair.reference_regions
    boxes = ndimage.find_objects(pair.predicted)
    components, called = [], []
    for label, is_lesion in matches.belongs.items():
        box = boxes[label - 1]
        mask = pair.predicted[box] == label
        mimic = ""
        if not is_lesion:
            voxels = np.argwhere(mask) + np.array([side.start for side in box])
            under = mimic_under(pair.grid.points_mm(voxels), mimics, max(pair.grid.spacing_mm))
            mimic = NO_MIMIC if under is None else str(mimics[under]["kind"])
            called += [] if under is None else [under]
        region = region_of(None if regions is None else regions[box][mask])
        components.append(
            Component(id=label, probability=known.get(label), is_lesion=is_lesion, region=region, mimic=mimic)
        )
    return tuple(components), called


def _probabilities(pair: ExamPair) -> dict[int, float]:
    return {int(item["id"]): float(item["probability"]) for item in pair.report.get("lesions", [])}


def _region_dice(pair: ExamPair) -> dict[str, float]:
    assert pair.reference_regions is not None
    assert pair.predicted_regions is not None
    return region_dice(pair.reference_regions, pair.predicted_regions)


def _stages(pair: ExamPair, matches: LesionMatches, stage: Stager) -> dict[str, tuple[str, str]]:
    """Return what each rule makes of the reference and of the prediction, both from images alone."""
    grade = pair.truth.get("diffuse_grade")
    if grade is None or "lesions" not in pair.report:
        return {}  # an annotator's mask does not say how diffuse the marrow is
    lesions = [
        {"longest_diameter_mm": size, "diameter_uncertainty_mm": 0.0, "certainty": "certain"}
        for size in matches.diameters_mm.values()
    ]
    reference = stage({"lesions": lesions, "pattern": {"diffuse_grade": grade}})
    predicted = stage({"lesions": pair.report["lesions"], "pattern": pair.report.get("pattern", {})})
    return {rule: (value, predicted[rule]) for rule, value in reference.items()}


def _reported_focal(pair: ExamPair, spacing_mm: SpacingMm) -> int:
    """Return the report's own count, or the components of 5 mm or more where there is no report."""
    counts = pair.report.get("counts", {})
    if "focal_5mm" in counts:
        return int(counts["focal_5mm"])
    return sum(size >= FOCAL_MM for size in _diameters_mm(pair.predicted, spacing_mm))


def _diameters_mm(predicted: LabelArray, spacing_mm: SpacingMm) -> list[float]:
    boxes = ndimage.find_objects(predicted)
    voxels = [np.argwhere(predicted[box] == n) for n, box in enumerate(boxes, start=1) if box is not None]
    return [longest_diameter_mm(where, spacing_mm) for where in voxels]
