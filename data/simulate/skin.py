"""The soft body around the skeleton: skin, fat under it, muscle, and the fat of chest and belly."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.simulate.canvas import Canvas
from marrowmap.data.simulate.figures import (
    SKIN_SECTIONS,
    STATURE_MM,
    SUBCUTANEOUS_FAT,
    VERTEBRAE_OVER_STATURE,
)
from marrowmap.data.simulate.labels import Bone, Tissue
from marrowmap.data.simulate.muscles import part_muscles
from marrowmap.data.simulate.person import Person
from marrowmap.data.simulate.posture import BoneSurface, Warp
from marrowmap.data.simulate.shapes import Surface, loft

Rows = npt.NDArray[np.float64]

#: Columns of a section: z, centre x and y, half width, half depth in front and behind, exponents, rotation.
_Z, _CX, _CY, _WIDTH, _FRONT, _BEHIND = range(6)
_FLESH_MM = {"front": 9.0, "behind": 12.0, "side": 10.0}
_ARM_BONES = frozenset({Bone.HUMERUS_RIGHT, Bone.HUMERUS_LEFT, Bone.FOREARM})
_LEG_BONES = frozenset({Bone.FEMUR_RIGHT, Bone.FEMUR_LEFT})


def skin_sections(person: Person, skeleton: Iterable[BoneSurface]) -> dict[str, Rows]:
    """Return the sections of the skin by body part, wide enough for the bones and as heavy as the person.

    Args:
        person: Sets stature, sex and build.
        skeleton: Bones in the same frame, not yet deformed.

    Returns:
        Rows of `figures.SKIN_SECTIONS` in mm, for this person.
    """
    scale = person.stature_mm / STATURE_MM
    bones = list(skeleton)
    trunk = _trunk_points(bones, chin_mm=0.355 * person.stature_mm)
    sections = {}
    for part, rows in SKIN_SECTIONS.items():
        section = np.array(rows, dtype=np.float64)
        section[:, : _BEHIND + 1] *= scale
        if part == "head_trunk":
            section = _smoothed(_slim_throat(section[section[:, _Z] > -0.034 * person.stature_mm], scale))
            section = _enclose(
                _shape_trunk(section, person), trunk, person, head_from=0.395 * person.stature_mm
            )
            section = _smoothed(section, reach_mm=7.0)
        elif part.startswith("arm"):
            section = _follow_arm(section, bones, part, person)
        else:
            section[:, _WIDTH : _BEHIND + 1] *= np.exp(0.07 * person.adiposity)
            section = _thigh(section, sections["head_trunk"][0], scale)
        sections[part] = section
    return sections


def _trunk_points(bones: list[BoneSurface], *, chin_mm: float) -> Rows:
    """Return the vertices of head and trunk; below the chin's height the jaw does not widen the shoulders."""
    points = []
    for bone, surface in bones:
        if bone in (Bone.SKULL, Bone.MANDIBLE):
            points.append(surface.vertices[surface.vertices[:, 2] > chin_mm])
        elif bone not in _ARM_BONES | _LEG_BONES:
            points.append(surface.vertices)
    return np.concatenate(points)


def fat_thickness_mm(z_mm: Rows, person: Person) -> Rows:
    """Return skin and fat thickness in front, behind and at the side, `(n, 3)` in mm, by height."""
    table = np.array(SUBCUTANEOUS_FAT)
    scale = person.stature_mm / STATURE_MM
    build = np.exp(0.42 * person.adiposity) * (1.3 if person.sex == "F" else 0.95)
    columns = [np.interp(z_mm / scale, table[:, 0], table[:, column]) for column in (1, 2, 3)]
    is_head = (z_mm / scale > 620)[:, None]
    thickness = np.stack(columns, axis=1)
    return np.where(is_head, np.minimum(thickness, 7.0), np.clip(thickness * build, 4.0, 75.0))


def _shape_trunk(section: Rows, person: Person) -> Rows:
    """Widen and deepen the trunk by build (most at the belly) and sex (hips against shoulders)."""
    height = section[:, _Z] / person.stature_mm
    belly = np.exp(-(((height - 0.14) / 0.11) ** 2))
    is_head = height > 0.37
    heavy = np.where(is_head, 0.2, 1.0) * person.adiposity
    shaped = section.copy()
    female = person.sex == "F"
    hips = np.exp(-(((height + 0.01) / 0.09) ** 2)) * (0.06 if female else 0.0)
    shoulders = np.exp(-(((height - 0.29) / 0.06) ** 2)) * (-0.07 if female else 0.0)
    shaped[:, _WIDTH] *= np.exp(heavy * (0.045 + 0.055 * belly) + hips + shoulders)
    shaped[:, _FRONT] *= np.exp(heavy * (0.07 + 0.11 * belly))
    shaped[:, _BEHIND] *= np.exp(heavy * 0.06)
    return shaped


def _slim_throat(section: Rows, scale: float) -> Rows:
    """Hold the front of the neck back: the chin must not stand over the shoulders."""
    slim = section.copy()
    z = slim[:, _Z] / scale
    furthest = np.interp(z, [540, 560, 584, 600, 624, 645, 664], [60, 42, 36, 42, 56, 75, 130]) * scale
    is_throat = (z > 540) & (z < 664)
    front = np.minimum(slim[:, _CY] + slim[:, _FRONT], furthest)
    slim[is_throat, _FRONT] = np.maximum(front - slim[:, _CY], 20.0)[is_throat]
    return slim


def _joined_to_trunk(section: Rows, trunk_end: Rows) -> Rows:
    """Lead front, back and outer side of a thigh into those of the trunk's lowest section."""
    joined = section.copy()
    below = np.clip((trunk_end[_Z] - section[:, _Z]) / 130.0, 0, 1)
    share = 1 - below * below * (3 - 2 * below)
    front, back = section[:, _CY] + section[:, _FRONT], section[:, _CY] - section[:, _BEHIND]
    front += share * (trunk_end[_CY] + 0.95 * trunk_end[_FRONT] - front)
    back += share * (trunk_end[_CY] - 0.97 * trunk_end[_BEHIND] - back)
    side = np.sign(section[:, _CX])
    outer, inner = np.abs(section[:, _CX]) + section[:, _WIDTH], np.abs(section[:, _CX]) - section[:, _WIDTH]
    outer += share * (0.98 * trunk_end[_WIDTH] - outer)
    inner += share * (-4.0 - inner)
    joined[:, _CX], joined[:, _WIDTH] = side * (outer + inner) / 2, (outer - inner) / 2
    joined[:, _CY] = (front + back) / 2
    joined[:, _FRONT] = joined[:, _BEHIND] = (front - back) / 2
    joined[:, 6:9] += share[:, None] * (np.array([2.3, 2.3, 0.0]) - joined[:, 6:9])
    return joined


def _thigh(section: Rows, trunk_end: Rows, scale: float) -> Rows:
    """Lengthen a thigh into the pelvis: the trunk ends at the perineum, below it the thighs are two."""
    rise = np.array([30.0, 60.0, 90.0, 120.0])
    tops = np.repeat(section[-1][None], len(rise), axis=0)
    tops[:, _Z] += rise * scale
    thigh = _joined_to_trunk(np.concatenate([section, tops]), trunk_end)
    above = np.clip((thigh[:, _Z] - trunk_end[_Z]) / (70.0 * scale), 0, 1)
    thigh[:, _WIDTH : _BEHIND + 1] *= 1 - 0.3 * above[:, None] ** 2
    return _smoothed(thigh)


def _smoothed(section: Rows, *, step_mm: float = 8.0, reach_mm: float = 14.0) -> Rows:
    """Return sections every few mm through which the outline runs smoothly.

    Front and back are smoothed as places, not as depths about a centre that jumps from row to row.
    """
    z = np.arange(section[0, _Z], section[-1, _Z] + step_mm / 2, step_mm)
    places = section.copy()
    places[:, _FRONT] += section[:, _CY]
    places[:, _BEHIND] = section[:, _CY] - section[:, _BEHIND]
    fine = np.stack([np.interp(z, section[:, _Z], column) for column in places.T], axis=1)
    fine[:, 1:] = ndimage.gaussian_filter1d(fine[:, 1:], reach_mm / step_mm, axis=0, mode="nearest")
    front, back = fine[:, _FRONT].copy(), fine[:, _BEHIND].copy()
    fine[:, _CY] = np.clip(fine[:, _CY], back + 0.3 * (front - back), back + 0.7 * (front - back))
    fine[:, _FRONT], fine[:, _BEHIND] = front - fine[:, _CY], fine[:, _CY] - back
    fine[:, _Z] = z
    return fine


def _enclose(section: Rows, points: Rows, person: Person, *, head_from: float) -> Rows:
    """Move and widen sections so that the bones lie below the fat."""
    fitted = section.copy()
    fat = fat_thickness_mm(section[:, _Z], person)
    for row, (front, behind, side) in zip(fitted, fat, strict=True):
        near = points[np.abs(points[:, 2] - row[_Z]) < 14.0]
        if len(near) < 8:
            continue
        low, high = near.min(axis=0), near.max(axis=0)
        if row[_Z] > head_from:  # the head follows the skull alone: its tilt is the skeleton's
            row[_CX], row[_CY] = 0.0, (low[1] + high[1]) / 2
            row[[_WIDTH, _FRONT, _BEHIND]] = 0.0
            front, behind, side = 1.0, 1.0, 1.0
        row[_CX] *= 0.4
        flesh = _FLESH_MM["front"]
        if 0.3 < row[_Z] / person.stature_mm < 0.345:  # little lies before the collar bones
            front, flesh, row[6] = min(front, 5.0), 3.0, min(row[6], 2.0)
        row[_FRONT] = max(row[_FRONT], high[1] - row[_CY] + front + flesh)
        row[_BEHIND] = max(row[_BEHIND], row[_CY] - low[1] + behind + _FLESH_MM["behind"])
        row[_WIDTH] = max(row[_WIDTH], np.abs(near[:, 0]).max() + side + _FLESH_MM["side"])
        if row[_Z] > head_from:
            row[6:8] = 2.1
    return fitted


def _follow_arm(section: Rows, bones: list[BoneSurface], part: str, person: Person) -> Rows:
    """Centre the arm's sections on its bones."""
    side = 1.0 if part == "arm_r" else -1.0
    points = np.concatenate([s.vertices for bone, s in bones if bone in _ARM_BONES])
    points = points[points[:, 0] * side > 0]
    followed = section.copy()
    for row in followed:
        near = points[np.abs(points[:, 2] - row[_Z]) < 30.0]
        if len(near):
            row[_CX : _CY + 1] = (near.min(axis=0)[:2] + near.max(axis=0)[:2]) / 2
        # Single sections of the source are skewed by the cut through the hand: an arm is nearly round.
        row[_WIDTH : _BEHIND + 1] = np.clip(row[_WIDTH : _BEHIND + 1], 26.0, 52.0)
        row[_WIDTH : _BEHIND + 1] *= np.exp(0.1 * person.adiposity)
        row[6:9] = (2.0, 2.0, 0.0)
    return followed


def paint_soft_body(
    canvas: Canvas,
    sections: dict[str, Rows],
    warp: Warp,
    arm: Warp,
    person: Person,
    rng: np.random.Generator,
) -> None:
    """Paint fat, muscle and the fat of chest and belly, from the outside in.

    Args:
        canvas: Painted in place.
        sections: From `skin_sections`.
        warp: Deformation of the body.
        arm: Posture of the arms, before the deformation.
        person: Sets the fat's thickness.
        rng: Source of the fat between muscles.
    """

    def posed(part: str, section: Rows) -> Surface:
        surface = loft(section)
        vertices = arm(surface.vertices) if part.startswith("arm") else surface.vertices
        return surface.moved(warp(vertices))

    for part, section in sections.items():
        canvas.paint(posed(part, section), Tissue.SUBCUTANEOUS_FAT)
    soft = frozenset({Tissue.SUBCUTANEOUS_FAT})
    for part, section in sections.items():
        below = _below_fat(section, person, is_limb=part != "head_trunk")
        canvas.paint(posed(part, below), Tissue.MUSCLE, over=soft)
    part_muscles(canvas, person, warp, arm, rng)
    cavity = loft(_cavity(sections["head_trunk"], person))
    canvas.paint(
        cavity.moved(warp(cavity.vertices)),
        Tissue.VISCERAL_FAT,
        over=frozenset({Tissue.MUSCLE, Tissue.SUBCUTANEOUS_FAT}),
    )


def _below_fat(section: Rows, person: Person, *, is_limb: bool) -> Rows:
    inner = section.copy()
    front, behind, side = fat_thickness_mm(section[:, _Z], person).T
    if is_limb:
        front, behind = side, side
        limit = 0.62
    else:
        limit = 0.5
    for column, thickness in ((_WIDTH, side), (_FRONT, front), (_BEHIND, behind)):
        inner[:, column] = np.maximum(inner[:, column] - thickness, limit * inner[:, column])
    return inner


def _cavity(section: Rows, person: Person) -> Rows:
    """Return the sections of chest and belly inside their muscular wall."""
    inner = _below_fat(section, person, is_limb=False)
    z, stature = inner[:, _Z], person.stature_mm
    inner = inner[(z > -0.025 * stature) & (z < 0.315 * stature)]
    share = inner[:, _Z] / stature
    heights, depths = np.array(sorted(VERTEBRAE_OVER_STATURE.values())).T
    spine_y = np.interp(share, [0.0, *heights], [-0.02, *depths]) * stature
    widest = np.interp(share, [-0.03, 0.03, 0.09, 0.2, 0.28, 0.32], [45, 62, 125, 140, 105, 60])
    inner[:, _WIDTH] = np.minimum(inner[:, _WIDTH] - 16, widest * stature / STATURE_MM * 1.05)
    front = inner[:, _CY] + inner[:, _FRONT] - 12
    back = np.minimum(spine_y - 12, front - 30)
    inner[:, _CY] = (front + back) / 2
    inner[:, _FRONT] = inner[:, _BEHIND] = (front - back) / 2
    inner[:, _CX] = 0.0
    inner[:, 6:8] = 2.4
    return inner


def paint_skin(canvas: Canvas) -> None:
    """Turn the outermost voxel of the body into skin."""
    body = canvas.tissue != Tissue.AIR
    core = body.copy()
    for axis in range(3):
        for step in (1, -1):
            core &= np.roll(body, step, axis=axis)
    canvas.tissue[body & ~core] = Tissue.SKIN
