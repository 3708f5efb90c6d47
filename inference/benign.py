"""Benign look-alikes: what a lesion's own features suggest. A mark for the reader, never a deletion.

The cut-offs are implementation choices near the published group means: haemangiomas are fat-rich and
bright on T1 (Ogiwara 2023), red marrow keeps T1 above muscle at a ratio of about 1.23 against 1.08 in
metastases (Park and Huh), degenerative end-plate change is a band along a disc.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.exam import LesionMask, Sequence
from marrowmap.data.model_input import ModelInput
from marrowmap.data.skeleton import Region
from marrowmap.inference.findings import NO_ADC, AdcStatistics, Benign
from marrowmap.inference.measure import channel
from marrowmap.inference.spine import SpineColumn

#: Fewer voxels than this are no background.
MINIMUM_BACKGROUND_VOXELS = 50


@dataclass(frozen=True, kw_only=True)
class BenignSettings:
    """From where on a feature speaks for a benign look-alike.

    Attributes:
        haemangioma_t1_to_marrow: Brighter on T1 than the marrow of the same region by this factor.
        haemangioma_fat_fraction: ... and at least this much fat, where fat was measured.
        red_marrow_t1_to_muscle: T1 well above muscle: fat is left between the cells.
        red_marrow_dwi_to_marrow: ... and hardly brighter than the marrow of the same region.
        red_marrow_adc_um2_per_s: ... and ADC below that of viable disease.
        band_height_mm: An end-plate band is at most this high ...
        band_width_to_height: ... and at least this much wider.
        atypical_dwi_to_marrow: A T1-bright lesion this much brighter on high-b diffusion than the marrow
            of its region, with the ADC of viable disease, is kept as an atypical lesion (rare myeloma
            lesions are T1-bright), not called a haemangioma.
        oedema_height_mm: A band at a disc up to this high ...
        oedema_adc_um2_per_s: ... with at least this ADC is oedema of a fracture that looks benign.
        scar_fat_fraction: A lesion with at least this much fat ...
        scar_adc_um2_per_s: ... and at most this ADC is a fatty scar, or fatty marrow.
        dark_to_marrow: Signals below this share of the marrow's on T1, STIR and high-b diffusion alike
            may be sclerosis or treated tissue.
    """

    haemangioma_t1_to_marrow: float = 1.1
    haemangioma_fat_fraction: float = 0.5
    red_marrow_t1_to_muscle: float = 1.2
    red_marrow_dwi_to_marrow: float = 1.3
    red_marrow_adc_um2_per_s: float = 600.0
    band_height_mm: float = 8.0
    band_width_to_height: float = 2.0
    atypical_dwi_to_marrow: float = 1.5
    atypical_adc_um2_per_s: tuple[float, float] = (600.0, 1100.0)
    oedema_height_mm: float = 16.0
    oedema_adc_um2_per_s: float = 1200.0
    scar_fat_fraction: float = 0.75
    scar_adc_um2_per_s: float = 450.0
    dark_to_marrow: float = 0.7


@dataclass(frozen=True, kw_only=True)
class MarrowBackground:
    """Median signals of a region's marrow outside lesions, in units of the model input."""

    dwi_high: float | None = None
    t1: float | None = None
    stir: float | None = None


@dataclass(frozen=True, kw_only=True)
class Features:
    """What one lesion looks like; None where the exam cannot tell.

    Attributes:
        adc: ADC over its voxels, in um2/s.
        fat_fraction: Median.
        dwi_to_muscle: Median high-b signal over muscle.
        dwi_to_marrow: The same over the marrow of its region.
        t1_to_muscle: Median T1 over muscle.
        t1_to_marrow: The same over the marrow of its region.
        stir_to_marrow: STIR signal over the marrow of its region.
        is_band_at_disc: A flat band along an intervertebral disc.
        is_thick_band_at_disc: A higher band there, as the oedema of a fracture makes it.
    """

    adc: AdcStatistics = NO_ADC
    fat_fraction: float | None = None
    dwi_to_muscle: float | None = None
    dwi_to_marrow: float | None = None
    t1_to_muscle: float | None = None
    t1_to_marrow: float | None = None
    stir_to_marrow: float | None = None
    is_band_at_disc: bool = False
    is_thick_band_at_disc: bool = False


def suspect_benign(features: Features, settings: BenignSettings) -> tuple[Benign | None, str]:
    """Return the benign look-alike that a lesion's features suggest, and the reason in one sentence."""
    t1, fat = features.t1_to_marrow, features.fat_fraction
    is_fat_rich = fat is None or fat >= settings.haemangioma_fat_fraction
    if _looks_like_scar(features, settings):
        return "other", "fatty with the low ADC of fat: a healed (fatty) scar or an island of fatty marrow"
    if (
        t1 is not None
        and t1 >= settings.haemangioma_t1_to_marrow
        and is_fat_rich
        and not is_atypical(features, settings)
    ):
        return "haemangioma", f"T1 is {t1:.1f} times that of the marrow around: fat-rich, as in a haemangioma"
    adc = features.adc.median
    if features.is_thick_band_at_disc and adc is not None and adc >= settings.oedema_adc_um2_per_s:
        return "fracture_oedema", (
            f"a band along an end plate with the high ADC of oedema ({adc:.0f} um2/s), as in a recent "
            "fracture that looks benign"
        )
    if features.is_band_at_disc:
        return "degenerative", "a flat band along a disc, as in degenerative end-plate change"
    if _looks_like_red_marrow(features, settings):
        return "red_marrow", "T1 well above muscle, low ADC and hardly brighter than the marrow around"
    return None, ""


def is_atypical(features: Features, settings: BenignSettings) -> bool:
    """Say whether a lesion is bright on T1 and yet shines like viable disease on diffusion."""
    t1, dwi, adc = features.t1_to_marrow, features.dwi_to_marrow, features.adc.median
    if t1 is None or dwi is None or adc is None:
        return False
    low, high = settings.atypical_adc_um2_per_s
    is_bright = t1 >= settings.haemangioma_t1_to_marrow and dwi >= settings.atypical_dwi_to_marrow
    return is_bright and low <= adc <= high


def describe_look(features: Features, settings: BenignSettings) -> tuple[str, ...]:
    """Return what a lesion looks like beyond benign or not, one group of words each."""
    dark = (features.t1_to_marrow, features.stir_to_marrow, features.dwi_to_marrow)
    looks = {
        "atypical: bright on T1, and viable on diffusion": is_atypical(features, settings),
        "possibly sclerotic or treated: dark on T1, STIR and diffusion": all(
            ratio is not None and ratio <= settings.dark_to_marrow for ratio in dark
        ),
    }
    return tuple(words for words, is_so in looks.items() if is_so)


def _looks_like_scar(features: Features, settings: BenignSettings) -> bool:
    fat, adc = features.fat_fraction, features.adc.median
    if fat is None or adc is None:
        return False
    return fat >= settings.scar_fat_fraction and adc <= settings.scar_adc_um2_per_s


def _looks_like_red_marrow(features: Features, settings: BenignSettings) -> bool:
    t1, dwi, adc = features.t1_to_muscle, features.dwi_to_marrow, features.adc.median
    if t1 is None or dwi is None or adc is None:
        return False
    return (
        t1 >= settings.red_marrow_t1_to_muscle
        and dwi <= settings.red_marrow_dwi_to_marrow
        and adc <= settings.red_marrow_adc_um2_per_s
    )


def marrow_background(
    model_input: ModelInput, regions: npt.NDArray[np.uint8], lesion_mask: LesionMask
) -> Mapping[Region, MarrowBackground]:
    """Measure the marrow of every region outside lesions, away from the cortex where bones are thick."""
    box = ndimage.find_objects((regions > 0).view(np.uint8))
    if not box:
        return {}
    here = box[0]
    is_marrow = (regions[here] > 0) & ~lesion_mask[here]
    is_inner = is_marrow & np.asarray(ndimage.binary_erosion(regions[here] > 0), dtype=bool)
    found = {}
    for region in Region:
        of_region = regions[here] == region
        for mask in (of_region & is_inner, of_region & is_marrow):
            if int(mask.sum()) >= MINIMUM_BACKGROUND_VOXELS:
                found[region] = MarrowBackground(
                    dwi_high=_median_in(model_input, Sequence.DWI_HIGH, here, mask),
                    t1=_median_in(model_input, Sequence.T1, here, mask),
                    stir=_median_in(model_input, Sequence.STIR, here, mask),
                )
                break
    return found


def is_band_at_disc(
    voxels: npt.NDArray[np.intp],
    column: SpineColumn,
    spacing_mm: tuple[float, float, float],
    settings: BenignSettings,
    *,
    highest_mm: float | None = None,
) -> bool:
    """Say whether a lesion is a flat band along a disc.

    Args:
        voxels: Indices `(n, 3)` of its voxels.
        column: Bodies and discs.
        spacing_mm: Voxel size along `(i, j, k)`.
        settings: How flat.
        highest_mm: Height of the band; None for that of a degenerative one.
    """
    highest_mm = settings.band_height_mm if highest_mm is None else highest_mm
    extent = (voxels.max(axis=0) - voxels.min(axis=0) + 1) * np.array(spacing_mm)
    height, width = float(extent[2]), float(extent[:2].max())
    if height > highest_mm or width < settings.band_width_to_height * height:
        return False
    planes = voxels[column.core[tuple(voxels.T)], 2]
    # One plane into the bone on either side: the band lies on the end plate.
    return any(bool(((planes >= disc.start - 1) & (planes <= disc.stop)).any()) for disc in column.discs)


def _median_in(
    model_input: ModelInput, sequence: Sequence, box: tuple[slice, ...], mask: LesionMask
) -> float | None:
    """Return the median signal under a mask of a box, None where absent or 0."""
    signal = channel(model_input, sequence)
    if signal is None:
        return None
    found = float(np.median(signal[box][mask]))
    return found if found > 0 else None
