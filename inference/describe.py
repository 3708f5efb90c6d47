"""`Segmentation -> Findings`: everything that one exam's maps say, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from marrowmap.data.errors import MaskError
from marrowmap.data.exam import Exam, LesionMask, Sequence
from marrowmap.data.model_input import ModelInput
from marrowmap.inference.alerts import AlertSettings, femur_top_mm, find_alerts
from marrowmap.inference.benign import marrow_background
from marrowmap.inference.biopsy import BiopsySettings, propose_biopsy
from marrowmap.inference.burden import marrow_fat_fraction, measure_burden
from marrowmap.inference.collapse import describe_spine
from marrowmap.inference.counts import count_lesions
from marrowmap.inference.coverage import CoverageSettings, coverage_of, whole_regions
from marrowmap.inference.doubt import describe_doubt
from marrowmap.inference.findings import Coverage, Findings
from marrowmap.inference.fine_diameter import FineRuler
from marrowmap.inference.instances import LesionInstances, outline_lesions, speck_warnings
from marrowmap.inference.lesions import LesionSettings, Surroundings, find_lesions
from marrowmap.inference.levels import label_levels
from marrowmap.inference.measure import adc_of, channel
from marrowmap.inference.muscle import MuscleSettings, muscle_reference
from marrowmap.inference.pattern import PatternSettings, describe_pattern
from marrowmap.inference.segment import Segmentation
from marrowmap.inference.spine import SpineSettings, spine_column
from marrowmap.inference.vertebrae import measure_vertebrae
from marrowmap.inference.vertebral_bodies import CollapseSettings
from marrowmap.models.calibration import Calibration


@dataclass(frozen=True, kw_only=True)
class FindingSettings:
    """Every setting between the network's maps and the findings; recorded in the report.

    Attributes:
        lesions: What becomes a lesion.
        muscle: The exam's own reference.
        spine: How vertebral bodies and discs are told apart.
        pattern: Cut-offs of the infiltration pattern.
        coverage: Least volumes of whole regions.
        collapse: From where on the shape of a vertebra is a sign.
        alerts: What is named first.
        biopsy: What is proposed.
    """

    lesions: LesionSettings = field(default_factory=LesionSettings)
    muscle: MuscleSettings = field(default_factory=MuscleSettings)
    spine: SpineSettings = field(default_factory=SpineSettings)
    pattern: PatternSettings = field(default_factory=PatternSettings)
    coverage: CoverageSettings = field(default_factory=CoverageSettings)
    collapse: CollapseSettings = field(default_factory=CollapseSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    biopsy: BiopsySettings = field(default_factory=BiopsySettings)


def describe(
    segmentation: Segmentation,
    model_input: ModelInput,
    exam: Exam,
    *,
    lesion_threshold: float,
    calibration: Calibration | None = None,
    settings: FindingSettings | None = None,
) -> Findings:
    """Turn the network's maps into findings.

    Args:
        segmentation: Lesion probability and skeletal regions.
        model_input: Channels on the same grid.
        exam: Whose warnings go along.
        lesion_threshold: The bundle's; `settings.lesions.threshold` takes precedence.
        calibration: What the bundle's scores are worth; None for a bundle without one.
        settings: Every cut-off.

    Raises:
        MaskError: If the maps do not lie on the grid of the model input.
    """
    settings = settings or FindingSettings()
    grid, regions = segmentation.grid, segmentation.regions
    if regions.shape != model_input.body.shape:
        raise MaskError(f"need maps of shape {model_input.body.shape}, found {regions.shape}; segment again")
    instances = _outlined(segmentation, lesion_threshold, settings.lesions)
    mask, coverage = instances.mask, coverage_of(regions, grid, settings.coverage)
    around = _surroundings(exam, model_input, segmentation, mask, coverage, settings)
    lesions = find_lesions(instances, segmentation, model_input, around, settings.lesions, calibration)
    vertebrae = measure_vertebrae(around.column, model_input, regions, mask, around.muscle)
    pattern = describe_pattern(lesions, vertebrae, settings.pattern)
    spine = describe_spine(regions, mask, around.column, around.levels, grid.spacing_mm, settings.collapse)
    adc, femur_top = adc_of(model_input), femur_top_mm(regions, grid)
    marrow_fat = marrow_fat_fraction(channel(model_input, Sequence.FAT_FRACTION), regions, mask)
    return Findings(
        lesions=lesions,
        counts=count_lesions(lesions),
        burden=measure_burden(lesions, instances.labels, regions, adc, grid, marrow_fat=marrow_fat),
        pattern=pattern,
        alerts=find_alerts(lesions, pattern, coverage, femur_top, settings.alerts, spine=spine),
        biopsy_candidates=propose_biopsy(lesions, settings.biopsy),
        coverage=coverage,
        lesion_labels=instances.labels,
        regions=regions,
        lesion_probability=segmentation.lesion_probability,
        adc=adc,
        grid=grid,
        spine=spine,
        doubt=describe_doubt(lesions, calibration),
        warnings=(*exam.warnings, *speck_warnings(instances, settings.lesions.minimum_volume_ml)),
    )


def _outlined(segmentation: Segmentation, threshold: float, settings: LesionSettings) -> LesionInstances:
    """Return the lesions as voxels, by the threshold of the settings or of the bundle."""
    return outline_lesions(
        segmentation.lesion_probability,
        threshold=settings.threshold or threshold,
        outline=settings.outline,
        minimum_volume_ml=settings.minimum_volume_ml,
        voxel_ml=segmentation.grid.voxel_ml,
    )


def _surroundings(
    exam: Exam,
    model_input: ModelInput,
    segmentation: Segmentation,
    mask: LesionMask,
    coverage: Mapping[str, Coverage],
    settings: FindingSettings,
) -> Surroundings:
    """Measure what lesions are told against, and name the vertebrae."""
    grid, regions = segmentation.grid, segmentation.regions
    column = spine_column(regions, grid.spacing_mm, settings.spine)
    return Surroundings(
        muscle=muscle_reference(model_input, regions, settings.muscle),
        marrow=marrow_background(model_input, regions, mask),
        column=column,
        levels=label_levels(regions, column, whole_regions(coverage), grid.spacing_mm[2]),
        ruler=FineRuler(exam, grid, regions > 0, settings.lesions.fine),
    )
