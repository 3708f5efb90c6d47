"""What is seen per region, in our own words where no published table could be verified."""

from __future__ import annotations

from typing import Any

from marrowmap.data.skeleton import Region
from marrowmap.inference.staging.counting import (
    COUNTING,
    CountingSettings,
    bone_lesions,
    coverage_gaps,
    is_sure,
)
from marrowmap.inference.staging.imaging import ImagingFindings

#: Lowest count of each band and its name. Ours: the bands of the published burden score were not read.
BANDS = ((21, "> 20"), (5, "5-20"), (2, "2-4"), (1, "1"), (0, "0"))
INDEX_LESIONS = 5


def region_descriptor(imaging: ImagingFindings, settings: CountingSettings = COUNTING) -> dict[str, Any]:
    """Return, by region, the band of the focal count and the largest diameter in mm.

    Where a region was not imaged as a whole the band is None: unknown, not zero.
    """
    sure = [lesion for lesion in bone_lesions(imaging) if is_sure(lesion, settings)]
    gaps = coverage_gaps(imaging)
    regions = {}
    for region in Region:
        sizes = [lesion.diameter_mm for lesion in sure if lesion.region == region]
        band = next(name for least, name in BANDS if len(sizes) >= least)
        regions[region.key] = {
            "focal_lesions": None if region in gaps and len(sizes) <= BANDS[0][0] else band,
            "largest_mm": max(sizes, default=None),
        }
    return regions


def index_diameters(imaging: ImagingFindings, settings: CountingSettings = COUNTING) -> list[float]:
    """Return the largest diameters of up to five lesions in mm; five is from general knowledge."""
    sure = [lesion.diameter_mm for lesion in bone_lesions(imaging) if is_sure(lesion, settings)]
    return sorted(sure, reverse=True)[:INDEX_LESIONS]
