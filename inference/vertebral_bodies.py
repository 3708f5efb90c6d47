"""The shape of one vertebral body: heights, rear wall, and lesion in it, in its pedicles and in the canal.

All is measured in columns and zones around the axis of the bodies, on the planes of one vertebra.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import LesionMask
from marrowmap.inference.levels import Level
from marrowmap.inference.spine import MEASURED, SpineColumn

SpacingMm = tuple[float, float, float]
Row = npt.NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class CollapseSettings:
    """From where on a shape is a sign; all ours, set on a grid of 2.5 mm.

    Attributes:
        height_loss: Lost share of the mean height of the neighbours from which a body is collapsed; less
            cannot be told from the slant of a normal body (99th percentile 0.23 on simulated exams).
        front_loss: The same of the front alone, a wedge.
        asymmetry: Difference of left and right height over the greater one.
        convexity_mm: So far the middle of the rear wall stands out behind its sides.
        zone_ml: Lesion of at least this volume in pedicle or canal involves it.
        replaced_share: A body of which so much is lesion is wholly replaced.
        kept_share: A body of which no more is lesion has marrow left.
        column_mm: Radius of the columns in which heights are measured.
        offset_mm: How far from the axis the front, rear, left and right columns stand.
        canal_mm: Half width and depth of the canal behind the rear wall.
        pedicle_mm: From here to twice as far beside the axis lie the pedicles.
    """

    height_loss: float = 0.3
    front_loss: float = 0.4
    asymmetry: float = 0.25
    convexity_mm: float = 2.5
    zone_ml: float = 0.15
    replaced_share: float = 0.8
    kept_share: float = 0.5
    column_mm: float = 4.0
    offset_mm: float = 8.0
    canal_mm: tuple[float, float] = (8.0, 13.0)
    pedicle_mm: float = 9.0


@dataclass(frozen=True, kw_only=True)
class Body:
    """One body as measured.

    Attributes:
        level: Which.
        heights_mm: Middle, front, rear, left and right.
        convexity_mm: How far the middle of the rear wall stands out behind its sides.
        lesion_share: Part of the body that is lesion.
        canal_ml: Lesion in the canal.
        pedicle_ml: Lesion in pedicles and arch.
    """

    level: Level
    heights_mm: tuple[float, float, float, float, float]
    convexity_mm: float
    lesion_share: float
    canal_ml: float
    pedicle_ml: float


def measure_body(
    level: Level,
    regions: npt.NDArray[np.uint8],
    lesion_mask: LesionMask,
    column: SpineColumn,
    spacing_mm: SpacingMm,
    settings: CollapseSettings,
) -> Body | None:
    """Measure one body; None where the axis does not reach it."""
    planes = slice(int(np.floor(level.low)), int(np.ceil(level.high)))
    core = column.core[:, :, planes]
    if not core.any():
        return None
    centre = np.argwhere(core).mean(axis=0)[:2]
    lesion = lesion_mask[:, :, planes]
    bone = np.isin(regions[:, :, planes], MEASURED) | (lesion & _grown(core))
    across = (np.arange(bone.shape[0]) - centre[0]) * spacing_mm[0]
    forward = (np.arange(bone.shape[1]) - centre[1]) * spacing_mm[1]
    offset = settings.offset_mm
    heights = tuple(
        _height_mm(bone, across - x, forward - y, settings.column_mm, spacing_mm[2])
        for x, y in ((0, 0), (0, offset), (0, -offset), (-offset, 0), (offset, 0))
    )
    wall = _rear_wall_mm(bone, across, forward, settings)
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    return Body(
        level=level,
        heights_mm=heights,  # type: ignore[arg-type]
        convexity_mm=_convexity_mm(wall),
        lesion_share=float((lesion & core & bone).sum()) / max(float((core & bone).sum()), 1.0),
        canal_ml=_in_canal(lesion, regions[:, :, planes], across, forward, wall, settings) * voxel_ml,
        pedicle_ml=_in_pedicles(lesion & bone, across, forward, wall, settings) * voxel_ml,
    )


def _grown(core: LesionMask) -> LesionMask:
    """Return the box of a core in the plane, where lesion counts as body though the region map is frayed."""
    i, j = (np.flatnonzero(core.any(axis=axes)) for axes in ((1, 2), (0, 2)))
    box = np.zeros_like(core)
    box[i[0] : i[-1] + 1, j[0] : j[-1] + 1] = True
    return box


def _height_mm(
    bone: LesionMask,
    across: Row,
    forward: Row,
    radius_mm: float,
    plane_mm: float,
) -> float:
    """Return the mean height of bone in a column of a radius around (0, 0)."""
    is_column = across[:, None] ** 2 + forward[None, :] ** 2 <= radius_mm**2
    return float(bone[is_column].sum(axis=-1).mean()) * plane_mm if is_column.any() else 0.0


def _rear_wall_mm(
    bone: LesionMask,
    across: Row,
    forward: Row,
    settings: CollapseSettings,
) -> tuple[float, float]:
    """Return how far behind the axis the rear wall lies in the middle, and at its sides."""
    middle = bone[:, :, bone.shape[2] // 4 : max(bone.shape[2] * 3 // 4, bone.shape[2] // 4 + 1)]
    reach = settings.offset_mm

    def wall(is_here: npt.NDArray[np.bool_]) -> float:
        depths = [_depth_behind(row, forward) for row in middle[is_here].reshape(-1, *middle.shape[1:])]
        return float(np.mean(depths)) if depths else 0.0

    centre = wall(np.abs(across) <= reach / 4)
    return centre, wall((np.abs(across) > reach * 0.6) & (np.abs(across) <= reach))


def _depth_behind(row: LesionMask, forward: Row) -> float:
    """Return how far unbroken bone reaches backward from the axis, in a sagittal slice `(j, k)`."""
    is_bone = row.mean(axis=1) >= 0.5
    start = int(np.argmin(np.abs(forward)))
    stop = start
    while stop > 0 and is_bone[stop - 1]:
        stop -= 1
    return float(forward[start] - forward[stop])


def _convexity_mm(wall: tuple[float, float]) -> float:
    return wall[0] - wall[1]


def _in_canal(
    lesion: LesionMask,
    regions: npt.NDArray[np.uint8],
    across: Row,
    forward: Row,
    wall: tuple[float, float],
    settings: CollapseSettings,
) -> int:
    """Return the number of lesion voxels outside bone, behind the rear wall as its sides have it."""
    half, depth = settings.canal_mm
    zone = (np.abs(across) <= half)[:, None] & _behind(forward, wall[1], depth)[None, :]
    return int((lesion & (regions == 0))[zone].sum())


def _in_pedicles(
    lesion: LesionMask,
    across: Row,
    forward: Row,
    wall: tuple[float, float],
    settings: CollapseSettings,
) -> int:
    """Return the number of lesion voxels in the bone beside and behind the canal."""
    near, depth = settings.pedicle_mm, settings.canal_mm[1]
    beside = (np.abs(across) > near) & (np.abs(across) <= 2 * near)
    pedicles = beside[:, None] & _behind(forward, wall[1], depth)[None, :]
    arch = (np.abs(across) <= 2 * near)[:, None] & _behind(forward, wall[1] + depth, 25.0)[None, :]
    return int(lesion[pedicles | arch].sum())


def _behind(forward: Row, wall_mm: float, depth_mm: float) -> npt.NDArray[np.bool_]:
    """Return the rows between the rear wall and so far behind it."""
    return (forward < -wall_mm) & (forward >= -wall_mm - depth_mm)
