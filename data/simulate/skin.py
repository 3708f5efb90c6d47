"""The soft body around the skeleton: skin, fat under it, muscle, and the fat of chest and belly."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from marrowmap.data.simulate.canvas import Canvas
from marrowmap.data.simulate.figures import (
    SKIN_SECTIONS,
    STATURE_MM,
    SUBCUTANEOUS_FAT,
    VERTEBRAE_OVER_STATURE,
)
from marrowmap.data.simulate.labels import Bone, Tissue
from marrowmap.data.simulate.person import Person
from marrowmap.data.simulate.posture import BoneSurface, Warp
from marrowmap.data.simulate.random_field import smooth_noise
from marrowmap.data.simulate.shapes import loft

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
    trunk = np.concatenate([s.vertices for bone, s in bones if bone not in _ARM_BONES | _LEG_BONES])
    sections = {}
    for part, rows in SKIN_SECTIONS.items():
        section = np.array(rows, dtype=np.float64)
        section[:, : _BEHIND + 1] *= scale
        if part == "head_trunk":
            section = _enclose(
                _shape_trunk(section, person), trunk, person, head_from=0.395 * person.stature_mm
            )
        elif part.startswith("arm"):
            section = _follow_arm(section, bones, part, person)
        else:
            section[:, _WIDTH : _BEHIND + 1] *= np.exp(0.07 * person.adiposity)
            section = _reach_up(section, 40.0 * scale)
        sections[part] = section
    return sections


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


def _reach_up(section: Rows, reach_mm: float) -> Rows:
    """Lengthen a leg into the pelvis, so that the warp opens no gap at the groin."""
    top = section[-1].copy()
    top[_Z] += reach_mm
    top[_WIDTH : _BEHIND + 1] *= 0.85
    return np.concatenate([section, top[None]])


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
        row[_FRONT] = max(row[_FRONT], high[1] - row[_CY] + front + _FLESH_MM["front"])
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
    canvas: Canvas, sections: dict[str, Rows], warp: Warp, person: Person, rng: np.random.Generator
) -> None:
    """Paint fat, muscle and the fat of chest and belly, from the outside in.

    Args:
        canvas: Painted in place.
        sections: From `skin_sections`.
        warp: Deformation of the body.
        person: Sets the fat's thickness.
        rng: Source of the fat between muscles.
    """
    for section in sections.values():
        surface = loft(section)
        canvas.paint(surface.moved(warp(surface.vertices)), Tissue.SUBCUTANEOUS_FAT)
    soft = frozenset({Tissue.SUBCUTANEOUS_FAT})
    for part, section in sections.items():
        surface = loft(_below_fat(section, person, is_limb=part != "head_trunk"))
        canvas.paint(surface.moved(warp(surface.vertices)), Tissue.MUSCLE, over=soft)
    _paint_septa(canvas, person, rng)
    cavity = loft(_cavity(sections["head_trunk"], person))
    canvas.paint(cavity.moved(warp(cavity.vertices)), Tissue.VISCERAL_FAT, over=frozenset({Tissue.MUSCLE}))
    _paint_skin(canvas)


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


def _paint_septa(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    """Thread fat between the muscles: broken sheets along the body where a smooth noise changes sign."""
    width = float(np.clip(0.03 + 0.02 * person.adiposity + 0.001 * (person.age_years - 50), 0.015, 0.12))
    shape, spacing = canvas.tissue.shape, canvas.spacing_mm
    sheet = np.abs(smooth_noise(shape, spacing, (18.0, 18.0, 70.0), rng)) < width
    sheet &= smooth_noise(shape, spacing, (40.0, 40.0, 60.0), rng) > -0.25
    canvas.tissue[sheet & (canvas.tissue == Tissue.MUSCLE)] = Tissue.VISCERAL_FAT


def _paint_skin(canvas: Canvas) -> None:
    """Turn the outermost voxel of the body into skin."""
    body = canvas.tissue != Tissue.AIR
    core = body.copy()
    for axis in range(3):
        for step in (1, -1):
            core &= np.roll(body, step, axis=axis)
    canvas.tissue[body & ~core] = Tissue.SKIN
