"""The exam's own muscle: the reference that high-b and T1 signals are told against.

Muscle is not segmented by the network. It is what lies close around the pelvis, femora and lumbar
spine, moves water like muscle and is not fat. Signals of muscle are median signals, so that a
part of bowel, vessel or bladder among the voxels does not shift them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.exam import LesionMask, Sequence
from marrowmap.data.model_input import ModelInput
from marrowmap.data.skeleton import Region
from marrowmap.inference.measure import ADC_CHANNEL_UNIT, channel

NEAR_MUSCLE = (Region.LUMBAR_SPINE, Region.SACRUM_PELVIS, Region.FEMORA)


@dataclass(frozen=True, kw_only=True)
class MuscleSettings:
    """Where and what muscle is.

    Attributes:
        nearest_mm: Closer to bone is partial volume of cortex and marrow.
        farthest_mm: Farther from bone is less often muscle.
        adc_um2_per_s: Muscle at 1.5 and 3 T lies at 1200-1700; fat (below) and fluid (above) do not.
        fat_fraction: Above this it is fat or fatty muscle.
        minimum_ml: Less than this is no reference.
    """

    nearest_mm: float = 7.5
    farthest_mm: float = 30.0
    adc_um2_per_s: tuple[float, float] = (1000.0, 2000.0)
    fat_fraction: float = 0.2
    minimum_ml: float = 20.0


@dataclass(frozen=True, kw_only=True)
class MuscleReference:
    """Median signal of muscle in the units of the model input, None where it could not be measured."""

    dwi_high: float | None = None
    t1: float | None = None


def muscle_reference(
    model_input: ModelInput, regions: npt.NDArray[np.uint8], settings: MuscleSettings | None = None
) -> MuscleReference:
    """Measure muscle on every second voxel along each axis, which is enough for a median.

    Args:
        model_input: Channels on the common grid.
        regions: uint8 `(i, j, k)` of `Region` values.
        settings: Where and what muscle is.

    Returns:
        Medians; None without ADC (fat could not be told from muscle) or with too little muscle.
    """
    settings = settings or MuscleSettings()
    coarse = (slice(None, None, 2),) * 3
    is_muscle = (
        _around_bones(regions[coarse], model_input.grid.spacing_mm, settings) & model_input.body[coarse]
    )
    adc = channel(model_input, Sequence.ADC)
    if adc is None:
        return MuscleReference()
    low, high = (value / ADC_CHANNEL_UNIT for value in settings.adc_um2_per_s)
    is_muscle &= (adc[coarse] >= low) & (adc[coarse] <= high)
    fat_fraction = channel(model_input, Sequence.FAT_FRACTION)
    if fat_fraction is not None:
        is_muscle &= fat_fraction[coarse] <= settings.fat_fraction
    if int(is_muscle.sum()) * 8 * model_input.grid.voxel_ml < settings.minimum_ml:
        return MuscleReference()
    return MuscleReference(
        dwi_high=_median_signal(model_input, Sequence.DWI_HIGH, is_muscle),
        t1=_median_signal(model_input, Sequence.T1, is_muscle),
    )


def _around_bones(
    regions: npt.NDArray[np.uint8], fine_spacing_mm: tuple[float, float, float], settings: MuscleSettings
) -> LesionMask:
    """Return the shell between two distances around the bones that muscle surrounds."""
    bones = np.isin(regions, NEAR_MUSCLE)
    outer = _box_dilated(bones, settings.farthest_mm, fine_spacing_mm)
    return outer & ~_box_dilated(regions > 0, settings.nearest_mm, fine_spacing_mm)


def _box_dilated(mask: LesionMask, by_mm: float, fine_spacing_mm: tuple[float, float, float]) -> LesionMask:
    size = [2 * round(by_mm / (2 * spacing)) + 1 for spacing in fine_spacing_mm]
    return ndimage.maximum_filter(mask.view(np.uint8), size=size, mode="constant").astype(bool)


def _median_signal(model_input: ModelInput, sequence: Sequence, mask: LesionMask) -> float | None:
    signal = channel(model_input, sequence)
    if signal is None:
        return None
    found = float(np.median(signal[::2, ::2, ::2][mask]))
    return found if found > 0 else None
