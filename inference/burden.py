"""How much disease: tumour volume, its part of the skeleton, and its ADC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.errors import MaskError
from marrowmap.data.exam import Array3D, LesionMask, SpacingMm
from marrowmap.data.grid import Grid
from marrowmap.data.skeleton import Region
from marrowmap.inference.findings import (
    NO_ADC,
    AdcStatistics,
    Burden,
    BurdenAdc,
    FatFraction,
    Histogram,
    Lesion,
    RegionBurden,
)
from marrowmap.inference.measure import adc_statistics, median_or_none

#: 100 um2/s a bin up to free water.
HISTOGRAM_EDGES = tuple(float(edge) for edge in range(0, 3100, 100))


def tumour_volume_ml(lesion_mask: LesionMask, spacing_mm: SpacingMm) -> float:
    """Return the total volume of lesion tissue.

    Args:
        lesion_mask: Boolean `(i, j, k)` array, True where a voxel is lesion.
        spacing_mm: Voxel size along `(i, j, k)`, in mm.

    Returns:
        Volume in ml. An empty mask gives 0.0: no lesion is a finding, not an error.

    Raises:
        MaskError: If the mask is not boolean and three-dimensional.

    Example:
        >>> mask = np.zeros((4, 4, 4), dtype=bool)
        >>> mask[1:3, 1:3, 1:3] = True  # 8 voxels of 5 x 5 x 5 mm
        >>> tumour_volume_ml(mask, (5.0, 5.0, 5.0))
        1.0
    """
    if lesion_mask.dtype != np.bool_ or lesion_mask.ndim != 3:
        raise MaskError(
            f"need a boolean mask (i, j, k), found {lesion_mask.dtype} with {lesion_mask.ndim} axes; "
            "compare a probability with the threshold first"
        )
    return int(lesion_mask.sum()) * spacing_mm[0] * spacing_mm[1] * spacing_mm[2] / 1000.0


def measure_burden(
    lesions: Sequence[Lesion],
    lesion_labels: npt.NDArray[np.uint16],
    regions: npt.NDArray[np.uint8],
    adc: Array3D | None,
    grid: Grid,
    *,
    marrow_fat: float | None = None,
) -> Burden:
    """Measure the burden of the lesions that no reader has rejected.

    A voxel of a lesion of bone counts as skeleton even where the region map has a hole.

    Args:
        lesions: All lesions, rejected ones too.
        lesion_labels: uint16 `(i, j, k)`, 0 or a lesion's id.
        regions: uint8 `(i, j, k)` of `Region` values.
        adc: float32 `(i, j, k)` in um2/s, or None.
        grid: Shape and affine of the maps.
        marrow_fat: Median fat fraction of the marrow outside lesions, None where not measured.
    """
    voxels = np.flatnonzero(lesion_labels)
    label, region = lesion_labels.ravel()[voxels], regions.ravel()[voxels]
    home, is_bone, is_tumour, is_away = _tables(lesions, int(label.max(initial=0)))
    in_hole = (region == 0) & is_bone[label]
    tumour, skeleton = is_tumour[label], (region > 0) | in_hole
    placed = np.where(region > 0, region, home[label])
    bins = max(Region) + 1
    tumour_of = np.bincount(placed[tumour], minlength=bins)
    inside_of = np.bincount(placed[tumour & skeleton], minlength=bins)
    marrow_of = np.bincount(regions.ravel(), minlength=bins) + np.bincount(placed[in_hole], minlength=bins)
    tumour_adc = None if adc is None else adc.ravel()[voxels[tumour]]
    by_region = {
        r.key: _region(int(tumour_of[r]), int(inside_of[r]), int(marrow_of[r]), grid.voxel_ml) for r in Region
    }
    whole = _region(int(tumour.sum()), int(inside_of[1:].sum()), int(marrow_of[1:].sum()), grid.voxel_ml)
    return Burden(
        tumour_volume_ml=whole.tumour_volume_ml,
        marrow_volume_ml=whole.marrow_volume_ml,
        marrow_fraction=whole.marrow_fraction,
        adc_um2_per_s=BurdenAdc() if tumour_adc is None else burden_adc(tumour_adc),
        by_region=_with_adc(by_region, tumour_adc, placed[tumour]),
        extramedullary_volume_ml=int(is_away[label].sum()) * grid.voxel_ml,
        marrow_adc_um2_per_s=_marrow_adc(adc, regions, lesion_labels),
        fat_fraction=FatFraction(marrow=marrow_fat, tumour=_tumour_fat(lesions)),
    )


def burden_adc(values: npt.NDArray[np.float32]) -> BurdenAdc:
    """Return statistics and histogram of the ADC of lesion voxels, in um2/s; empty for no voxels."""
    found = adc_statistics(values)
    if found.median is None:
        return BurdenAdc()
    inside = np.clip(values[values > 0], HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1])
    counts = np.histogram(inside, bins=HISTOGRAM_EDGES)[0]
    histogram = Histogram(edges_um2_per_s=HISTOGRAM_EDGES, counts=tuple(int(count) for count in counts))
    return BurdenAdc(mean=found.mean, median=found.median, p10=found.p10, p90=found.p90, histogram=histogram)


def _tables(
    lesions: Sequence[Lesion], highest_label: int
) -> tuple[npt.NDArray[np.uint8], LesionMask, LesionMask, LesionMask]:
    """Return by lesion id: its region, whether it is of bone, whether tumour, whether away from bone."""
    size = max([highest_label, *(lesion.id for lesion in lesions)]) + 1
    value_of: Mapping[str, int] = {region.key: int(region) for region in Region}
    home = np.zeros(size, dtype=np.uint8)
    is_bone, is_tumour, is_away = (np.zeros(size, dtype=bool) for _ in range(3))
    for lesion in lesions:
        home[lesion.id] = value_of.get(lesion.region or "", 0)
        is_bone[lesion.id] = lesion.kind == "focal"
        is_kept = lesion.certainty != "rejected"
        is_away[lesion.id] = is_kept and lesion.kind == "extramedullary"
        is_tumour[lesion.id] = is_kept and lesion.kind != "extramedullary"
    return home, is_bone, is_tumour, is_away


def _region(tumour: int, inside: int, marrow: int, voxel_ml: float) -> RegionBurden:
    return RegionBurden(
        tumour_volume_ml=tumour * voxel_ml,
        marrow_volume_ml=marrow * voxel_ml,
        marrow_fraction=inside / marrow if marrow else None,
    )


def _with_adc(
    by_region: Mapping[str, RegionBurden],
    tumour_adc: npt.NDArray[np.float32] | None,
    placed: npt.NDArray[np.uint8],
) -> dict[str, RegionBurden]:
    """Return the regions with the median ADC of their lesion voxels, whose regions are `placed`."""
    if tumour_adc is None:
        return dict(by_region)
    medians = {region.key: adc_statistics(tumour_adc[placed == region]).median for region in Region}
    return {key: replace(part, adc_median_um2_per_s=medians[key]) for key, part in by_region.items()}


def marrow_fat_fraction(
    fat_fraction: Array3D | None, regions: npt.NDArray[np.uint8], lesion_mask: LesionMask
) -> float | None:
    """Return the median fat fraction of the skeleton outside lesions, without its outermost voxels."""
    box = ndimage.find_objects((regions > 0).view(np.uint8))
    if fat_fraction is None or not box:
        return None
    inner = np.asarray(ndimage.binary_erosion(regions[box[0]] > 0), dtype=bool)
    marrow = inner & ~lesion_mask[box[0]]
    return median_or_none(fat_fraction[box[0]][marrow])


def _tumour_fat(lesions: Sequence[Lesion]) -> float | None:
    """Return the mean fat fraction of the lesions of bone, each by its volume."""
    kept = [
        (lesion.fat_fraction, lesion.volume_ml)
        for lesion in lesions
        if lesion.fat_fraction is not None
        and lesion.certainty != "rejected"
        and lesion.kind != "extramedullary"
    ]
    total = sum(volume for _, volume in kept)
    return sum(fat * volume for fat, volume in kept) / total if total > 0 else None


def _marrow_adc(
    adc: Array3D | None, regions: npt.NDArray[np.uint8], lesion_labels: npt.NDArray[np.uint16]
) -> AdcStatistics:
    """Return the ADC of the skeleton outside lesions, without its outermost voxels (cortex)."""
    box = ndimage.find_objects((regions > 0).view(np.uint8))
    if adc is None or not box:
        return NO_ADC
    marrow = ndimage.binary_erosion(regions[box[0]] > 0) & (lesion_labels[box[0]] == 0)
    return adc_statistics(adc[box[0]][marrow])
