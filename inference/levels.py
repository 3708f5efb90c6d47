"""Which vertebra is which: C1 to L5 along the axis of the vertebral bodies.

The network names cervical, thoracic and lumbar spine. Between their limits the vertebrae are laid out by
their usual share of the region's height, and each boundary moves to the disc that is seen near it. A
level is therefore a name for a height along the column, as sure as the boundaries beside it. Numbers of
vertebrae other than 7, 12 and 5 cannot be told from discs that were not seen: they are flagged.
On 30 simulated exams, with their true regions, 87 % of the lesions of the spine got their own level and
all others a neighbour's; thoracic discs are mostly too thin to be seen on a grid of 2.5 mm.

Heights: Panjabi, Spine 1991;16:888 (thoracic) and 1992;17:299 (lumbar), with usual disc heights added;
from general knowledge, and only their ratios are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from marrowmap.data.skeleton import Region
from marrowmap.inference.spine import SpineColumn

#: Height of each vertebra with the disc below it, from above downward, relative to its neighbours.
PITCHES: Mapping[Region, Mapping[str, float]] = {
    Region.CERVICAL_SPINE: {"C1": 13, "C2": 22, "C3": 17, "C4": 17, "C5": 17, "C6": 17, "C7": 18},
    Region.THORACIC_SPINE: {
        "T1": 18.6, "T2": 19.6, "T3": 19.7, "T4": 20.2, "T5": 20.2, "T6": 21.9, "T7": 22.7, "T8": 23.7,
        "T9": 24.3, "T10": 25.7, "T11": 27.3, "T12": 29.2,
    },
    Region.LUMBAR_SPINE: {"L1": 32, "L2": 33, "L3": 33, "L4": 33, "L5": 31},
}  # fmt: skip
#: A boundary moves to a disc no farther than this share of the height of a vertebra.
SNAP_SHARE = 0.4
LUMBAR_COUNT = 5
#: Of a large lesion so many voxels vote for its level.
MOST_VOTES = 2000
#: A disc nearer than this to a limit of the region is the limit.
LIMIT_MM = 6.0
#: Arches and spinous processes hang below their body: from this far behind the axis on ...
ARCH_FROM_MM = 10.0
#: ... by so many mm for each mm; most in the thoracic spine.
DROOP = {Region.CERVICAL_SPINE.key: 0.2, Region.THORACIC_SPINE.key: 0.5, Region.LUMBAR_SPINE.key: 0.2}
TRANSITIONAL = (
    "{count} lumbar vertebrae were told apart, not 5: a transitional vertebra, a collapse or a disc that was "
    "not seen; every level may be off by one"
)


@dataclass(frozen=True, kw_only=True)
class Level:
    """One vertebra, as a range of planes along the column.

    Attributes:
        name: `C1` to `L5`.
        region: Key of its region.
        low: Lowest plane, a fraction of a voxel index along k.
        high: First plane above it.
        is_certain: Whether both boundaries were seen as discs or as limits of the region.
    """

    name: str
    region: str
    low: float
    high: float
    is_certain: bool


@dataclass(frozen=True, kw_only=True)
class SpineLevels:
    """The labelled column.

    Attributes:
        levels: From above downward; regions that were not found as a whole have none.
        warnings: What is unusual about the numbering.
        axis_j: Index along j of the axis of the bodies, by plane; above and below it the last one.
    """

    levels: tuple[Level, ...] = ()
    warnings: tuple[str, ...] = ()
    axis_j: Mapping[int, float] = field(default_factory=dict)

    @property
    def regions(self) -> frozenset[str]:
        """Keys of the regions whose vertebrae were named."""
        return frozenset(level.region for level in self.levels)

    def at(self, plane: float) -> Level | None:
        """Return the vertebra at a plane, None outside the labelled column."""
        return next((level for level in self.levels if level.low <= plane < level.high), None)


def label_levels(
    regions: npt.NDArray[np.uint8], column: SpineColumn, whole: Sequence[Region], plane_mm: float
) -> SpineLevels:
    """Name the vertebrae.

    Args:
        regions: uint8 `(i, j, k)` of `Region` values, k upward.
        column: Axis, bodies and discs of the thoracic and lumbar spine.
        whole: Regions that were imaged as a whole; in others nothing can be counted.
        plane_mm: Distance of two planes along k.
    """
    limits = _limits(regions, column)
    seen = [(disc.start + disc.stop) / 2 for disc in column.discs]
    levels: list[Level] = []
    for region, pitches in PITCHES.items():
        if region in whole and region in limits:
            levels += _laid_out(region, pitches, limits[region], seen, plane_mm)
    found = SpineLevels(levels=tuple(levels), axis_j=_axis_j(column))
    lumbar = [level for level in levels if level.region == Region.LUMBAR_SPINE.key]
    count = _lumbar_bodies(lumbar, seen, plane_mm) if lumbar else LUMBAR_COUNT
    if count == LUMBAR_COUNT:
        return found
    doubtful = tuple(replace(level, is_certain=False) for level in levels)
    return replace(found, levels=doubtful, warnings=(TRANSITIONAL.format(count=count),))


def level_of(
    voxels: npt.NDArray[np.intp], levels: SpineLevels, spacing_mm: tuple[float, float, float]
) -> str | None:
    """Return the vertebra that holds most of a lesion's voxels `(n, 3)`, None off the labelled column."""
    if not levels.levels:
        return None
    voxels = voxels[:: max(1, len(voxels) // MOST_VOTES)]
    votes: dict[str, int] = {}
    planes, at = sorted(levels.axis_j), voxels[:, 2]
    axis = np.interp(at, planes, [levels.axis_j[plane] for plane in planes])
    behind_mm = np.maximum((axis - voxels[:, 1]) * spacing_mm[1] - ARCH_FROM_MM, 0.0)
    for plane, droop_mm in zip(at + 0.5, behind_mm / spacing_mm[2], strict=True):
        level = levels.at(plane) or levels.at(plane + droop_mm)
        level = level and levels.at(plane + DROOP[level.region] * droop_mm)
        if level is not None:
            votes[level.name] = votes.get(level.name, 0) + 1
    return max(votes, key=lambda name: votes[name]) if votes else None


def _axis_j(column: SpineColumn) -> dict[int, float]:
    """Return where the middle of the column lies along j, by plane."""
    planes = np.flatnonzero(column.core.any(axis=(0, 1)))
    return {int(k): float(np.flatnonzero(column.core[:, :, k].any(axis=0)).mean()) for k in planes}


def _limits(regions: npt.NDArray[np.uint8], column: SpineColumn) -> dict[Region, tuple[float, float]]:
    """Return the lowest plane of each region's bodies and the first one above them."""
    limits: dict[Region, tuple[float, float]] = {}
    planes = {region: _planes(regions, column, region) for region in column_regions(regions, column)}
    lumbar, thoracic = planes.get(Region.LUMBAR_SPINE), planes.get(Region.THORACIC_SPINE)
    if lumbar is None or thoracic is None or not len(lumbar) or not len(thoracic):
        return limits
    between = (float(lumbar.max()) + 1.0 + float(thoracic.min())) / 2.0
    limits[Region.LUMBAR_SPINE] = (float(lumbar.min()), between)
    neck = np.flatnonzero((regions == Region.CERVICAL_SPINE).any(axis=(0, 1)))
    top = float(thoracic.max()) + 1.0
    limits[Region.THORACIC_SPINE] = (between, top)
    if neck.size and neck[-1] > top:
        limits[Region.CERVICAL_SPINE] = (top, float(neck[-1]) + 1.0)
    return limits


def column_regions(regions: npt.NDArray[np.uint8], column: SpineColumn) -> list[Region]:
    """Return the regions whose bodies lie in the measured column."""
    found = np.unique(regions[column.core])
    return [region for region in (Region.THORACIC_SPINE, Region.LUMBAR_SPINE) if region in found]


def _planes(regions: npt.NDArray[np.uint8], column: SpineColumn, region: Region) -> npt.NDArray[np.intp]:
    """Return the planes whose part of the column belongs mostly to one region."""
    inside = column.core & (regions > 0)
    of_region = (inside & (regions == region)).sum(axis=(0, 1))
    return np.flatnonzero(of_region > 0.5 * np.maximum(inside.sum(axis=(0, 1)), 1))


def _laid_out(
    region: Region,
    pitches: Mapping[str, float],
    limits: tuple[float, float],
    seen: Sequence[float],
    plane_mm: float,
) -> list[Level]:
    """Return the vertebrae of a region: between its discs if all are seen, else moved to those that are."""
    low, high = limits
    inside = _inside(limits, seen, plane_mm)
    if len(inside) == len(pitches) - 1 and region is not Region.CERVICAL_SPINE:
        edges = [(edge, True) for edge in (high, *reversed(inside), low)]
    else:
        edges = _moved_edges(pitches, limits, seen)
    is_counted = region is not Region.CERVICAL_SPINE  # its discs are not looked for
    return [
        Level(name=name, region=region.key, low=lower, high=upper, is_certain=a and b and is_counted)
        for name, ((upper, a), (lower, b)) in zip(pitches, pairwise(edges), strict=True)
    ]


def _inside(limits: tuple[float, float], seen: Sequence[float], plane_mm: float) -> list[float]:
    """Return the discs within a region, from below, without those at its limits."""
    low, high = limits
    margin = LIMIT_MM / plane_mm
    return sorted(disc for disc in seen if low + margin < disc < high - margin)


def _moved_edges(
    pitches: Mapping[str, float], limits: tuple[float, float], seen: Sequence[float]
) -> list[tuple[float, bool]]:
    """Return boundaries by the usual heights, from above, each moved to a disc near it if one is seen."""
    low, high = limits
    share = np.cumsum([0.0, *pitches.values()]) / sum(pitches.values())
    laid = high - share * (high - low)
    edges = [(float(laid[0]), True)]
    for number in range(1, len(laid) - 1):
        reach = SNAP_SHARE * min(laid[number - 1] - laid[number], laid[number] - laid[number + 1])
        near = [disc for disc in seen if abs(disc - laid[number]) <= reach]
        nearest = min(near, key=lambda disc, at=laid[number]: abs(disc - at), default=None)
        edges.append((float(laid[number]), False) if nearest is None else (nearest, True))
    return [*edges, (float(laid[-1]), True)]


def _lumbar_bodies(lumbar: Sequence[Level], seen: Sequence[float], plane_mm: float) -> int:
    """Return how many lumbar vertebrae the discs tell apart; a height of two counts twice."""
    top, bottom = lumbar[0].high, lumbar[-1].low
    inside = _inside((bottom, top), seen, plane_mm)
    if len(inside) >= LUMBAR_COUNT - 1:
        return len(inside) + 1
    usual = (top - bottom) / LUMBAR_COUNT
    heights = np.diff([bottom, *inside, top])
    middle = float(np.median(heights)) if len(inside) >= 2 else usual
    return sum(max(1, round(float(height) / middle)) for height in heights)
