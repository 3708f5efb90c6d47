"""Each lesion measured, placed and judged."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from marrowmap.data.components import Diameters, diameters_mm
from marrowmap.data.errors import SettingsError
from marrowmap.data.exam import Affine, Sequence
from marrowmap.data.grid import Grid
from marrowmap.data.lesion_outline import OUTLINE_PROBABILITY
from marrowmap.data.model_input import ModelInput
from marrowmap.data.skeleton import Region
from marrowmap.inference.benign import (
    BenignSettings,
    Features,
    MarrowBackground,
    describe_look,
    is_band_at_disc,
    suspect_benign,
)
from marrowmap.inference.certainty import CertaintySettings, certainty_of, reasons_for_doubt, status_of
from marrowmap.inference.cross_section import cross_section_share
from marrowmap.inference.findings import NO_ADC, AdcStatistics, Lesion, Status
from marrowmap.inference.fine_diameter import FineRuler, FineSettings
from marrowmap.inference.instances import LesionInstances, parts_between_necks, voxels_by_id
from marrowmap.inference.levels import SpineLevels, level_of
from marrowmap.inference.measure import ADC_CHANNEL_UNIT, adc_statistics, channel, median_or_none
from marrowmap.inference.muscle import MuscleReference
from marrowmap.inference.placement import Placement, PlacementSettings, Skeleton
from marrowmap.inference.segment import Segmentation
from marrowmap.inference.spine import SpineColumn
from marrowmap.models.calibration import Calibration, lesion_score

logger = logging.getLogger(__name__)

Voxels = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class LesionSettings:
    """What becomes a lesion.

    Attributes:
        threshold: Probability that a lesion reaches somewhere; None takes the bundle's own, where it was
            calibrated.
        outline: Probability of the other voxels of such a lesion; above the threshold it has no effect.
        minimum_volume_ml: Less is a speck: counted in a warning, not listed. A 5 mm sphere has 0.065 ml.
        placement: When a lesion counts as being in bone.
        certainty: What makes it equivocal.
        benign: What makes it suspected benign.
        fine: When a diameter is measured on the finest sequence.
    """

    threshold: float | None = None
    outline: float = OUTLINE_PROBABILITY
    minimum_volume_ml: float = 0.03
    placement: PlacementSettings = field(default_factory=PlacementSettings)
    certainty: CertaintySettings = field(default_factory=CertaintySettings)
    benign: BenignSettings = field(default_factory=BenignSettings)
    fine: FineSettings = field(default_factory=FineSettings)

    def __post_init__(self) -> None:
        """Refuse what no probability and no volume can be.

        Raises:
            SettingsError: If the threshold is not between 0 and 1 or the volume is negative.
        """
        if self.threshold is not None and not 0.0 < self.threshold < 1.0:
            raise SettingsError(f"need a lesion threshold between 0 and 1, found {self.threshold}")
        if not 0.0 < self.outline < 1.0:
            raise SettingsError(f"need an outline probability between 0 and 1, found {self.outline}")
        if self.minimum_volume_ml < 0.0:
            raise SettingsError(f"need a minimum_volume_ml of 0 or more, found {self.minimum_volume_ml}")


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What lesions are told against: the exam's own muscle, marrow and spine."""

    muscle: MuscleReference
    marrow: Mapping[Region, MarrowBackground]
    column: SpineColumn
    levels: SpineLevels = field(default_factory=SpineLevels)
    ruler: FineRuler | None = None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Diameters of one lesion, how uncertain they are, and where they were measured."""

    diameters: Diameters
    uncertainty_mm: float
    sequence: str = "grid"


def find_lesions(
    instances: LesionInstances,
    segmentation: Segmentation,
    model_input: ModelInput,
    surroundings: Surroundings,
    settings: LesionSettings,
    calibration: Calibration | None = None,
) -> tuple[Lesion, ...]:
    """Describe every lesion; none is left out here, doubt is written into it.

    Args:
        instances: Lesions as voxels.
        segmentation: Probability and skeletal regions.
        model_input: Channels on the same grid.
        surroundings: Muscle, marrow and spine of this exam.
        settings: Where, how certain, how benign.
        calibration: What the network's scores are worth; None takes a score as the probability.

    Returns:
        Sorted by id: largest first.
    """
    skeleton = Skeleton(segmentation.regions, segmentation.grid, settings.placement)
    lesions = []
    for number, voxels in voxels_by_id(instances.labels):
        place = skeleton.place(voxels)
        features = _features(voxels, place, model_input, surroundings, settings.benign)
        measured = _measured(voxels, segmentation.grid, surroundings.ruler)
        lesion = _describe(number, voxels, measured, place, features, segmentation, settings, calibration)
        is_spinal = place.region is not None and place.region.key in surroundings.levels.regions
        level = level_of(voxels, surroundings.levels, segmentation.grid.spacing_mm) if is_spinal else None
        share = cross_section_share(voxels, segmentation.regions, place.region) if place.region else None
        parts = parts_between_necks(voxels)
        lesions.append(replace(lesion, level=level, parts=parts, cross_section_share=share))
    logger.info("%d lesions listed, %d specks left out", len(lesions), instances.specks)
    return tuple(lesions)


def _measured(voxels: Voxels, grid: Grid, ruler: FineRuler | None) -> Measured:
    """Measure a small lesion on the finest sequence, others and what cannot be seen there on the grid."""
    on_grid = diameters_mm(voxels, grid.spacing_mm)
    fine = ruler.measure(voxels, on_grid) if ruler else None
    if fine is None:
        return Measured(diameters=on_grid, uncertainty_mm=max(grid.spacing_mm))
    return Measured(diameters=fine.diameters, uncertainty_mm=fine.uncertainty_mm, sequence=str(fine.sequence))


def _describe(
    number: int,
    voxels: Voxels,
    measured: Measured,
    place: Placement,
    features: Features,
    segmentation: Segmentation,
    settings: LesionSettings,
    calibration: Calibration | None,
) -> Lesion:
    """Judge one lesion and put everything known of it together."""
    grid = segmentation.grid
    diameters, uncertainty = measured.diameters, measured.uncertainty_mm
    volume_ml = len(voxels) * grid.voxel_ml
    score = lesion_score(segmentation.lesion_probability[tuple(voxels.T)])
    probability = calibration.lesion.probability(score, volume_ml) if calibration else score
    benign, benign_reason = suspect_benign(features, settings.benign)
    status = status_of(features.adc.median, settings.certainty)
    reasons = _doubts(probability, measured, place, features, benign_reason, status, settings.certainty)
    return Lesion(
        id=number,
        region=place.region.key if place.region else None,
        kind=place.kind,
        status=status,
        certainty=certainty_of(reasons),
        suspected_benign=benign,
        probability=probability,
        volume_ml=volume_ml,
        longest_diameter_mm=diameters.longest_mm,
        diameter_uncertainty_mm=uncertainty,
        perpendicular_diameter_mm=diameters.perpendicular_mm,
        centroid_ras_mm=_centroid(voxels, grid.affine_ras_mm),
        adc_um2_per_s=features.adc,
        dwi_to_muscle=features.dwi_to_muscle,
        fat_fraction=features.fat_fraction,
        reasons=reasons,
        diameter_on=measured.sequence,
        score=score,
        focal_probability=calibration.focal.probability(score, volume_ml) if calibration else None,
        descriptors=describe_look(features, settings.benign),
    )


def _doubts(
    probability: float,
    measured: Measured,
    place: Placement,
    features: Features,
    benign_reason: str,
    status: Status,
    settings: CertaintySettings,
) -> tuple[str, ...]:
    """Return why the lesion is not certain."""
    return reasons_for_doubt(
        probability=probability,
        diameter_mm=measured.diameters.longest_mm,
        diameter_uncertainty_mm=measured.uncertainty_mm,
        away_mm=place.distance_mm if place.kind == "extramedullary" else None,
        benign_reason=benign_reason,
        dwi_to_marrow=features.dwi_to_marrow,
        status=status,
        settings=settings,
    )


def _features(
    voxels: Voxels,
    place: Placement,
    model_input: ModelInput,
    surroundings: Surroundings,
    settings: BenignSettings,
) -> Features:
    """Measure what one lesion looks like against muscle, marrow and discs."""
    t1 = _median(model_input, Sequence.T1, voxels)
    dwi = _median(model_input, Sequence.DWI_HIGH, voxels)
    marrow = surroundings.marrow.get(place.region) if place.region else None
    marrow, muscle = marrow or MarrowBackground(), surroundings.muscle
    spacing_mm = model_input.grid.spacing_mm
    thick = is_band_at_disc(
        voxels, surroundings.column, spacing_mm, settings, highest_mm=settings.oedema_height_mm
    )
    return Features(
        adc=_adc(model_input, voxels),
        fat_fraction=_median(model_input, Sequence.FAT_FRACTION, voxels),
        dwi_to_muscle=_ratio(dwi, muscle.dwi_high),
        dwi_to_marrow=_ratio(dwi, marrow.dwi_high),
        t1_to_muscle=_ratio(t1, muscle.t1),
        t1_to_marrow=_ratio(t1, marrow.t1),
        stir_to_marrow=_ratio(_median(model_input, Sequence.STIR, voxels), marrow.stir),
        is_band_at_disc=is_band_at_disc(voxels, surroundings.column, spacing_mm, settings),
        is_thick_band_at_disc=thick,
    )


def _adc(model_input: ModelInput, voxels: Voxels) -> AdcStatistics:
    found = channel(model_input, Sequence.ADC)
    return NO_ADC if found is None else adc_statistics(found[tuple(voxels.T)] * ADC_CHANNEL_UNIT)


def _median(model_input: ModelInput, sequence: Sequence, voxels: Voxels) -> float | None:
    signal = channel(model_input, sequence)
    return None if signal is None else median_or_none(signal[tuple(voxels.T)])


def _ratio(value: float | None, reference: float | None) -> float | None:
    return value / reference if value is not None and reference else None


def _centroid(voxels: Voxels, affine_ras_mm: Affine) -> tuple[float, float, float]:
    x, y, z = affine_ras_mm[:3, :3] @ voxels.mean(axis=0) + affine_ras_mm[:3, 3]
    return float(x), float(y), float(z)
