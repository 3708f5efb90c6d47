"""Muscles parted by planes of fat: every voxel of muscle belongs to the nearest muscle of the figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial.transform import Rotation

from marrowmap.data.simulate.canvas import Box, Canvas
from marrowmap.data.simulate.figures import STATURE_MM
from marrowmap.data.simulate.labels import Tissue
from marrowmap.data.simulate.muscle_figures import ARM_MUSCLES, MUSCLE_ELLIPSOIDS
from marrowmap.data.simulate.person import Person
from marrowmap.data.simulate.posture import Warp
from marrowmap.data.simulate.shapes import Points
from marrowmap.data.simulate.texture import TILE, noise_tile

Field = npt.NDArray[np.float32]

#: How far beyond its ellipsoid a muscle still fills the space.
_REACH_MM = 16.0
_FAR_MM = 99.0
_STEPS_PER_MM = 8  # distances are kept as whole steps: a third of the memory to move
_STEP_MM = 8.0  # of the finite differences that turn a muscle with the body


@dataclass(frozen=True, kw_only=True)
class _Nearest:
    """Distances to the nearest muscle and to the next one in eighths of a mm, and which is nearest."""

    first: npt.NDArray[np.int16]
    second: npt.NDArray[np.int16]
    label: npt.NDArray[np.uint8]


def part_muscles(canvas: Canvas, person: Person, warp: Warp, arm: Warp, rng: np.random.Generator) -> None:
    """Thread fat between and inside the muscles.

    Args:
        canvas: Painted in place: voxels of muscle that lie between two muscles become fat.
        person: Build and age set how much fat there is.
        warp: Deformation of the body.
        arm: Posture of the arms, before the deformation.
        rng: Source of each muscle's size and of the fat's thickness.
    """
    nearest = _nearest_muscles(canvas, person, warp, arm, rng)
    build = 0.45 * person.adiposity + 0.012 * (person.age_years - 55)
    plane_mm = float(np.clip(2.0 + build + 0.4 * rng.standard_normal(), 1.2, 3.6))
    gap_mm = float(np.clip(12.0 - 2.0 * build + rng.normal(0, 1.5), 7.0, 15.0))
    flat = np.flatnonzero(canvas.tissue == Tissue.MUSCLE)
    i, j, k = np.unravel_index(flat, canvas.tissue.shape)
    place = ((i % TILE) * TILE + j % TILE) * TILE + k % TILE
    uneven = noise_tile(rng, smoothing_voxels=4.0).reshape(-1)[place]
    first, second = (
        side.reshape(-1)[flat] / np.float32(_STEPS_PER_MM) for side in (nearest.first, nearest.second)
    )
    height = canvas.origin_mm[2] + canvas.spacing_mm * k
    is_named = (first < _REACH_MM) & (height < 0.33 * person.stature_mm)  # the face's muscles are not listed
    fat = (second - first < plane_mm * (1 + 0.4 * uneven)) | (is_named & (first > gap_mm + 1.5 * uneven))
    fat |= _streaks(build, rng)[place]
    canvas.tissue.reshape(-1)[flat[fat]] = Tissue.SUBCUTANEOUS_FAT


def _streaks(build: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return a periodic tile of streaks along the body; the more of them, the older and heavier."""
    share = float(np.clip(0.02 + 0.02 * build + 0.01 * rng.standard_normal(), 0.003, 0.12))
    white = rng.standard_normal((TILE, TILE, TILE), dtype=np.float32)
    tile = ndimage.gaussian_filter(white, (1.0, 1.0, 5.0), mode="wrap", truncate=3.0)
    return (tile > np.quantile(tile, 1 - share)).reshape(-1)


def _nearest_muscles(
    canvas: Canvas, person: Person, warp: Warp, arm: Warp, rng: np.random.Generator
) -> _Nearest:
    shape = canvas.tissue.shape
    far = np.full(shape, _FAR_MM * _STEPS_PER_MM, dtype=np.int16)
    nearest = _Nearest(first=far, second=far.copy(), label=np.zeros(shape, dtype=np.uint8))
    scale = person.stature_mm / STATURE_MM
    for side in (1.0, -1.0):
        for number, (name, rows) in enumerate(MUSCLE_ELLIPSOIDS.items()):
            bulk = np.exp(rng.normal(0, 0.08, size=3))
            value = 1 + 2 * number + (side < 0)
            posed = (lambda points: warp(arm(points))) if name in ARM_MUSCLES else warp
            for row in rows:
                _add(canvas, nearest, _mirrored(row, side, scale, bulk), posed, value)
    return nearest


def _mirrored(row: tuple[float, ...], side: float, scale: float, bulk: Points) -> Points:
    """Return a row of the right side for one side of a body."""
    changed = np.array(row, dtype=np.float64)
    changed[:6] *= scale
    changed[3:6] *= bulk
    changed[0] *= side
    changed[7:9] *= side
    return changed


def _add(canvas: Canvas, nearest: _Nearest, row: Points, posed: Warp, value: int) -> None:
    """Take one ellipsoid into the distances, in its box."""
    centre, turn = _frame(row[:3], posed)
    axes = turn @ Rotation.from_rotvec(row[6:9]).as_matrix()
    extent = np.sqrt(((axes * row[3:6]) ** 2).sum(axis=1)) + _REACH_MM
    low = np.floor((centre - extent - canvas.origin_mm) / canvas.spacing_mm).astype(int)
    high = np.ceil((centre + extent - canvas.origin_mm) / canvas.spacing_mm).astype(int) + 1
    low, high = np.clip(low, 0, canvas.tissue.shape), np.clip(high, 0, canvas.tissue.shape)
    if (high <= low).any():
        return
    box: Box = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    distance = (_distance(canvas, box, centre, axes, row[3:6]) * _STEPS_PER_MM).astype(np.int16)
    first, second, label = nearest.first[box], nearest.second[box], nearest.label[box]
    other, nearer = label != value, distance < first
    np.copyto(second, first, where=nearer & other)
    np.minimum(second, distance, out=second, where=other & ~nearer)
    np.copyto(first, distance, where=nearer)
    label[nearer] = value


def _distance(
    canvas: Canvas,
    box: Box,
    centre: Points,
    axes: Points,
    half: Points,
) -> Field:
    """Return about the distance (mm) of a box's voxels from an ellipsoid, negative inside."""
    offsets = [
        (canvas.origin_mm[a] + canvas.spacing_mm * np.arange(s.start, s.stop) - centre[a]).astype(np.float32)
        for a, s in enumerate(box)
    ]
    x, y, z = offsets[0][:, None, None], offsets[1][None, :, None], offsets[2][None, None, :]
    form = ((axes / half**2) @ axes.T).astype(np.float32)
    plane = form[0, 0] * x * x + form[1, 1] * y * y + 2 * form[0, 1] * x * y
    reduced = plane + (2 * (form[0, 2] * x + form[1, 2] * y)) * z
    reduced += form[2, 2] * z * z
    level = np.sqrt(np.maximum(reduced, 1e-3))
    length = np.sqrt((x * x + y * y) + z * z)
    return length * (1 - 1 / level)


def _frame(centre: Points, posed: Warp) -> tuple[Points, Points]:
    """Return where a point goes and how its neighbourhood turns."""
    moved = posed(np.concatenate([centre[None], centre + _STEP_MM * np.eye(3)]))
    turn, upper = np.linalg.qr(((moved[1:] - moved[0]) / _STEP_MM).T)
    return moved[0], turn * np.sign(np.diag(upper))
