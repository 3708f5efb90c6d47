"""The same body on the table again: moved, tilted and bent a little, as people lie down differently.

At each height the body turns and shifts as a whole; head, neck, chest, loin, pelvis and thighs turn each by
their own small angles, with smooth passages between. The arms move apart from the trunk.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

from marrowmap.data.simulate.disease import DiseasedBody

if TYPE_CHECKING:
    from marrowmap.data.simulate.anatomy import Anatomy

Points = npt.NDArray[np.float64]
Owner = TypeVar("Owner")

#: Heights of thigh, pelvis, loin, chest, neck and head as a share of the body's grid, feet to head.
_KNOTS = (0.0, 0.16, 0.36, 0.62, 0.84, 1.0)
#: Half of a person's trunk, in mm: what lies further to the side is arm.
_ARM_FROM_MM = 165.0


@dataclass(frozen=True, kw_only=True)
class RepositionSettings:
    """How differently a person lies; standard deviations.

    Attributes:
        table_mm: Shift of the whole body against the scanner's frame, along each axis.
        trunk_deg: Turn of each part of the trunk about each axis.
        head_deg: Turn of the head.
        bend_mm: Sideways and forward bend of the spine.
        arm_mm: Sideways move of the arms.
    """

    table_mm: float = 15.0
    trunk_deg: float = 1.5
    head_deg: float = 3.0
    bend_mm: float = 4.0
    arm_mm: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Pose:
    """One way to lie, against the way before.

    Attributes:
        table_mm: Shift of the scanner's frame, RAS+ mm.
        turns_rad: `(knots, 3)`, turn about x, y and z at each height.
        bends_mm: `(knots, 3)`, shift at each height; z is 0.
        arm_mm: Move of the arms outward.
    """

    table_mm: Points
    turns_rad: Points
    bends_mm: Points
    arm_mm: float


def draw_pose(rng: np.random.Generator, settings: RepositionSettings | None = None) -> Pose:
    """Draw how a person lies this time."""
    settings = settings or RepositionSettings()
    spread = np.full((len(_KNOTS), 1), settings.trunk_deg)
    spread[-1] = settings.head_deg
    bends = rng.normal(0, settings.bend_mm, (len(_KNOTS), 3))
    bends[:, 2] = 0.0
    return Pose(
        table_mm=rng.normal(0, settings.table_mm, 3),
        turns_rad=np.deg2rad(rng.normal(0, 1, (len(_KNOTS), 3)) * spread),
        bends_mm=bends,
        arm_mm=float(rng.normal(0, settings.arm_mm)),
    )


def reposition(anatomy: Anatomy, body: DiseasedBody, pose: Pose) -> tuple[Anatomy, DiseasedBody]:
    """Return the body in a new pose, every map moved alike by the nearest voxel.

    Args:
        anatomy: Every array of it that lies on the body's grid is moved.
        body: The same.
        pose: How the body lies now.

    Returns:
        Anatomy and disease on a grid of the same shape.
    """
    index = _source_voxels(anatomy, pose)
    affine = np.array(anatomy.affine_ras_mm, dtype=np.float64)
    affine[:3, 3] += pose.table_mm
    return replace(_moved(anatomy, index), affine_ras_mm=affine), _moved(body, index)


def _source_voxels(anatomy: Anatomy, pose: Pose) -> npt.NDArray[np.int32]:
    """Return for every voxel the flat index of the voxel that comes to lie there, -1 for air outside."""
    shape = anatomy.tissue.shape
    spacing = float(np.linalg.norm(anatomy.affine_ras_mm[:3, 0]))
    heights = np.linspace(0.0, 1.0, shape[2])
    turns = PchipInterpolator(_KNOTS, pose.turns_rad)(heights)
    bends = PchipInterpolator(_KNOTS, pose.bends_mm)(heights) / spacing
    x, y = (np.arange(n, dtype=np.float64) - (n - 1) / 2 for n in shape[:2])
    arm = _arm_shift(np.asarray(x) * spacing, pose.arm_mm) / spacing
    index = np.empty(shape, dtype=np.int32)
    for k, ((rx, ry, rz), (bx, by, _)) in enumerate(zip(turns, bends, strict=True)):
        reach = np.interp(heights[k], (0.55, 0.7), (1.0, 0.0))
        i = x[:, None] - rz * y[None, :] + bx + (arm * reach)[:, None]
        j = y[None, :] + rz * x[:, None] + by
        height = k + rx * y[None, :] - ry * x[:, None]
        index[:, :, k] = _flat(i + (shape[0] - 1) / 2, j + (shape[1] - 1) / 2, height, shape)
    return index


def _arm_shift(x_mm: Points, arm_mm: float) -> Points:
    """Return how far each column lies further out: nothing in the trunk, all of it in the arms."""
    return np.sign(x_mm) * arm_mm * np.clip((np.abs(x_mm) - _ARM_FROM_MM) / 40.0, 0.0, 1.0)


def _flat(i: Points, j: Points, k: Points, shape: tuple[int, ...]) -> npt.NDArray[np.int32]:
    voxel = [np.rint(axis).astype(np.int32) for axis in np.broadcast_arrays(i, j, k)]
    inside = np.ones(voxel[0].shape, dtype=bool)
    for axis, n in zip(voxel, shape, strict=True):
        inside &= (axis >= 0) & (axis < n)
    flat = (voxel[0] * shape[1] + voxel[1]) * shape[2] + voxel[2]
    return np.where(inside, flat, -1).astype(np.int32)


def _moved(owner: Owner, index: npt.NDArray[np.int32]) -> Owner:
    """Return a dataclass whose maps on the body's grid are moved; 0 comes in from outside."""
    outside = index < 0
    changed: dict[str, Any] = {}
    for item in fields(owner):  # pyright: ignore[reportArgumentType]  # every owner is a dataclass
        value = getattr(owner, item.name)
        if isinstance(value, np.ndarray) and value.shape == index.shape:
            moved = np.take(value, index, mode="clip")
            moved[outside] = 0
            changed[item.name] = moved
    return replace(owner, **changed)  # pyright: ignore[reportArgumentType]
