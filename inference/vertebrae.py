"""Vertebral bodies, measured one by one: what the diffuse grade rests on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import Array3D, LesionMask, Sequence
from marrowmap.data.model_input import ModelInput
from marrowmap.data.skeleton import Region
from marrowmap.inference.measure import ADC_CHANNEL_UNIT, adc_statistics, channel, median_or_none
from marrowmap.inference.muscle import MuscleReference
from marrowmap.inference.spine import MEASURED, SpineColumn, length

#: Fewer voxels than this in a body or disc are not measured.
MINIMUM_VOXELS = 8
#: In a disc of fewer planes every plane holds end plate, which is dark, and the disc would look too dark.
DISC_PLANES = 3
#: A disc starts this many planes or less from the body that it adjoins.
ADJACENT_PLANES = 2


@dataclass(frozen=True, kw_only=True)
class Vertebra:
    """One vertebral body, measured without its lesions unless they fill it.

    Attributes:
        region: `thoracic_spine` or `lumbar_spine`.
        height_mm: z of its middle.
        lesion_share: Part of the body that is lesion.
        t1_to_disc: Median T1 over that of the adjacent discs.
        t1_to_muscle: The same over muscle.
        adc_um2_per_s: Median ADC.
        fat_fraction: Median fat fraction.
        dwi_to_muscle: Median high-b signal over muscle.
        t1_variation: Interquartile range of T1 over its median: a coarse measure of texture.
    """

    region: str
    height_mm: float
    lesion_share: float
    t1_to_disc: float | None
    t1_to_muscle: float | None
    adc_um2_per_s: float | None
    fat_fraction: float | None
    dwi_to_muscle: float | None
    t1_variation: float | None


def measure_vertebrae(
    column: SpineColumn,
    model_input: ModelInput,
    regions: npt.NDArray[np.uint8],
    lesion_mask: LesionMask,
    muscle: MuscleReference,
) -> tuple[Vertebra, ...]:
    """Measure every vertebral body of the column that is large enough.

    Args:
        column: Bodies and discs.
        model_input: Channels on the common grid.
        regions: uint8 `(i, j, k)` of `Region` values.
        lesion_mask: bool `(i, j, k)`; lesions are left out unless they leave too little marrow.
        muscle: Signals of muscle.

    Returns:
        From below upward.
    """
    measured = []
    for body in column.bodies:
        # The first and last plane of a body hold end plate and disc.
        inner = slice(body.start + 1, body.stop - 1)
        marrow = column.core[:, :, inner] & np.isin(regions[:, :, inner], MEASURED)
        if marrow.sum() >= MINIMUM_VOXELS:
            is_lesion = lesion_mask[:, :, inner]
            region = Region(int(np.bincount(regions[:, :, inner][marrow]).argmax()))
            disc_t1 = _adjacent_disc_t1(channel(model_input, Sequence.T1), column, body, regions)
            measured.append(_vertebra(model_input, inner, marrow, is_lesion, region, disc_t1, muscle))
    return tuple(measured)


def _vertebra(
    model_input: ModelInput,
    inner: slice,
    marrow: LesionMask,
    is_lesion: LesionMask,
    region: Region,
    disc_t1: float | None,
    muscle: MuscleReference,
) -> Vertebra:
    """Measure the marrow of the planes `inner`, both masks cut to them."""
    free = marrow & ~is_lesion
    mask = free if free.sum() >= MINIMUM_VOXELS else marrow

    def values(volume: Array3D | None) -> npt.NDArray[np.float32] | None:
        return None if volume is None else volume[:, :, inner][mask]

    t1 = values(channel(model_input, Sequence.T1))
    adc = values(channel(model_input, Sequence.ADC))
    middle = np.array([0.0, 0.0, (inner.start + inner.stop - 1) / 2])
    return Vertebra(
        region=region.key,
        height_mm=float(model_input.grid.points_mm(middle)[2]),
        lesion_share=1.0 - float(free.sum()) / float(marrow.sum()),
        t1_to_disc=_ratio(median_or_none(t1), disc_t1),
        t1_to_muscle=_ratio(median_or_none(t1), muscle.t1),
        adc_um2_per_s=None if adc is None else adc_statistics(adc * ADC_CHANNEL_UNIT).median,
        fat_fraction=median_or_none(values(channel(model_input, Sequence.FAT_FRACTION))),
        dwi_to_muscle=_ratio(
            median_or_none(values(channel(model_input, Sequence.DWI_HIGH))), muscle.dwi_high
        ),
        t1_variation=_variation(t1),
    )


def _adjacent_disc_t1(
    t1: Array3D | None, column: SpineColumn, body: slice, regions: npt.NDArray[np.uint8]
) -> float | None:
    """Return T1 of the thick discs above and below, each in the plane that end plates darken least."""
    if t1 is None:
        return None
    found = []
    for disc in column.discs:
        is_adjacent = min(abs(disc.start - body.stop), abs(body.start - disc.stop)) <= ADJACENT_PLANES
        if is_adjacent and length(disc) >= DISC_PLANES:
            found.append(max(_plane_t1(t1, column, regions, k) for k in range(disc.start, disc.stop)))
    return float(np.mean(found)) if found else None


def _plane_t1(t1: Array3D, column: SpineColumn, regions: npt.NDArray[np.uint8], k: int) -> float:
    """Return the median T1 of the disc in one plane, 0 where there is too little of it."""
    is_disc = column.core[:, :, k] & (regions[:, :, k] == 0)
    return float(np.median(t1[:, :, k][is_disc])) if is_disc.sum() >= MINIMUM_VOXELS else 0.0


def _ratio(value: float | None, reference: float | None) -> float | None:
    return value / reference if value is not None and reference else None


def _variation(values: npt.NDArray[np.float32] | None) -> float | None:
    """Return the interquartile range over the median."""
    if values is None or not values.size:
        return None
    low, median, high = (float(value) for value in np.percentile(values, (25, 50, 75)))
    return (high - low) / median if median > 0 else None
