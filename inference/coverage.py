"""Which parts of the skeleton were imaged: what is not imaged is unknown, never normal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from marrowmap.data.grid import Grid
from marrowmap.data.skeleton import Region
from marrowmap.inference.findings import Coverage

#: Whole-body protocols stop at mid-thigh or at the knees, and arms lie at the edge: being cut there is usual.
CUT_BY_PROTOCOL = (Region.FEMORA, Region.HUMERI)


@dataclass(frozen=True, kw_only=True)
class CoverageSettings:
    """Least volumes of a whole region.

    Attributes:
        complete_ml: Less than half of what a small adult has is partial.
        absent_ml: Less than this is taken as not imaged.
        cut_mm2: A region that reaches the top or bottom plane with this area is cut there.
    """

    complete_ml: Mapping[Region, float] = field(
        default_factory=lambda: {
            Region.SKULL: 220.0,
            Region.CERVICAL_SPINE: 35.0,
            Region.THORACIC_SPINE: 140.0,
            Region.LUMBAR_SPINE: 70.0,
            Region.SACRUM_PELVIS: 260.0,
            Region.THORAX: 130.0,
            Region.HUMERI: 60.0,
            Region.FEMORA: 110.0,
        }
    )
    absent_ml: float = 5.0
    cut_mm2: float = 100.0


def coverage_of(
    regions: npt.NDArray[np.uint8], grid: Grid, settings: CoverageSettings | None = None
) -> dict[str, Coverage]:
    """Return for every region whether it was imaged.

    Args:
        regions: uint8 `(i, j, k)` of `Region` values, k upward.
        grid: Shape and affine of the map.
        settings: Least volumes.

    Returns:
        `partial` also where a region other than femora and humeri is cut by the top or bottom of the exam.
    """
    settings = settings or CoverageSettings()
    bins = max(Region) + 1
    volume_ml = np.bincount(regions.ravel(), minlength=bins) * grid.voxel_ml
    voxel_mm2 = grid.spacing_mm[0] * grid.spacing_mm[1]
    ends = [np.bincount(regions[:, :, end].ravel(), minlength=bins) * voxel_mm2 for end in (0, -1)]
    found: dict[str, Coverage] = {}
    for region in Region:
        area_mm2 = max(end[region] for end in ends)
        is_cut = area_mm2 >= settings.cut_mm2 and region not in CUT_BY_PROTOCOL
        if volume_ml[region] < settings.absent_ml:
            found[region.key] = "absent"
        elif is_cut or volume_ml[region] < settings.complete_ml[region]:
            found[region.key] = "partial"
        else:
            found[region.key] = "complete"
    return found


def whole_regions(coverage: Mapping[str, Coverage]) -> tuple[Region, ...]:
    """Return the regions that were imaged as a whole."""
    return tuple(region for region in Region if coverage.get(region.key) == "complete")
