"""The column of vertebral bodies and discs, found in the skeletal regions.

The network names the spine but not its parts. The axis of the vertebral bodies is where the spine
is thickest in an axial plane; along that axis bone and gaps alternate, and a gap between two bodies
is a disc.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.exam import LesionMask
from marrowmap.data.skeleton import Region

#: The cervical bodies are smaller than the column that is measured; they are left out.
MEASURED = (Region.THORACIC_SPINE, Region.LUMBAR_SPINE)


@dataclass(frozen=True, kw_only=True)
class SpineSettings:
    """How bodies and discs are told apart along the axis.

    Attributes:
        core_radius_mm: Half width of the measured column; stays inside a thoracic body.
        body_radius_mm: A plane whose thickest part of the spine is thinner shows arches only, no body.
        body_share: A plane is bone when this share of the column is spine.
        disc_share: A plane is disc when less than this share is spine.
        disc_height_mm: Gaps of other heights are missing bone, not discs.
        body_height_mm: Runs of bone of less height are no vertebra.
    """

    core_radius_mm: float = 7.5
    body_radius_mm: float = 8.0
    body_share: float = 0.7
    disc_share: float = 0.4
    disc_height_mm: tuple[float, float] = (2.0, 18.0)
    body_height_mm: float = 10.0


@dataclass(frozen=True, kw_only=True)
class SpineColumn:
    """The column along the axis of the vertebral bodies, `(i, j, k)` voxels of the common grid.

    Attributes:
        core: The measured column, bone and discs.
        bodies: Index ranges along k of vertebral bodies.
        discs: Index ranges along k of discs.
    """

    core: LesionMask
    bodies: tuple[slice, ...]
    discs: tuple[slice, ...]


def spine_column(
    regions: npt.NDArray[np.uint8], spacing_mm: tuple[float, float, float], settings: SpineSettings
) -> SpineColumn:
    """Find the axis of the vertebral bodies and cut it into bodies and discs.

    Args:
        regions: uint8 `(i, j, k)` of `Region` values; k upward.
        spacing_mm: Voxel size along `(i, j, k)`.
        settings: How bodies and discs are told apart.

    Returns:
        An empty column when no body was found.
    """
    spine = np.isin(regions, MEASURED)
    axis = _axis_of_bodies(spine, spacing_mm, settings)
    core = np.zeros(spine.shape, dtype=bool)
    if len(axis) < 2:
        return SpineColumn(core=core, bodies=(), discs=())
    share = np.full(spine.shape[2], np.nan)
    for k, (i, j) in axis.items():
        plane = _circle(spine.shape[:2], (i, j), spacing_mm, settings.core_radius_mm)
        core[:, :, k] = plane
        share[k] = spine[:, :, k][plane].mean()
    bodies = tuple(
        run
        for run in _runs(share >= settings.body_share)
        if length(run) * spacing_mm[2] >= settings.body_height_mm
    )
    low, high = settings.disc_height_mm
    gaps = _runs(share < settings.disc_share)
    discs = tuple(
        gap
        for gap in gaps
        if low <= length(gap) * spacing_mm[2] <= high and _is_between(gap, bodies, spacing_mm[2])
    )
    return SpineColumn(core=core, bodies=bodies, discs=discs)


def _axis_of_bodies(
    spine: LesionMask, spacing_mm: tuple[float, float, float], settings: SpineSettings
) -> dict[int, tuple[float, float]]:
    """Return `(i, j)` of the axis for every plane between the lowest and highest body."""
    planes = np.flatnonzero(spine.any(axis=(0, 1)))
    seen, centres = [], []
    for k in planes:
        depth = _depth_mm(spine[:, :, k], spacing_mm[:2])
        if depth.max() >= settings.body_radius_mm:
            seen.append(int(k))
            centres.append(np.argwhere(depth >= 0.9 * depth.max()).mean(axis=0))
    if len(seen) < 2:
        return {}
    smooth = ndimage.median_filter(np.array(centres), size=(5, 1), mode="nearest")
    between = np.arange(seen[0], seen[-1] + 1)
    i, j = (np.interp(between, seen, smooth[:, axis]) for axis in range(2))
    return {int(k): (float(i[n]), float(j[n])) for n, k in enumerate(between)}


def _depth_mm(plane: npt.NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Return the distance of every voxel of a plane to the edge of the mask, computed in its box only."""
    box = ndimage.find_objects(plane.astype(np.uint8))[0]
    depth = np.zeros(plane.shape)
    padded = np.pad(plane[box], 1)
    depth[box] = np.asarray(ndimage.distance_transform_edt(padded, sampling=spacing_mm))[1:-1, 1:-1]
    return depth


def _circle(
    shape: tuple[int, ...], centre: tuple[float, float], spacing_mm: tuple[float, ...], radius_mm: float
) -> npt.NDArray[np.bool_]:
    i = (np.arange(shape[0]) - centre[0])[:, None] * spacing_mm[0]
    j = (np.arange(shape[1]) - centre[1])[None, :] * spacing_mm[1]
    return i * i + j * j <= radius_mm * radius_mm


def _runs(is_so: npt.NDArray[np.bool_]) -> Iterator[slice]:
    """Yield the index ranges in which a row of bools is True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_so, [False]]).astype(np.int8)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        yield slice(int(start), int(stop))


def length(run: slice) -> int:
    """Return the number of planes in a range."""
    return run.stop - run.start


def _is_between(gap: slice, bodies: tuple[slice, ...], spacing_mm: float) -> bool:
    """Say whether a body ends just below the gap and one starts just above it."""
    reach = round(5.0 / spacing_mm)
    below = any(0 <= gap.start - body.stop <= reach for body in bodies)
    return below and any(0 <= body.start - gap.stop <= reach for body in bodies)
