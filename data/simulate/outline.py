"""The outline of a body as flat sections, fitted to the skeleton, the build and the sex of a person."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.simulate.figures import (
    SKIN_SECTIONS,
    STATURE_MM,
    SUBCUTANEOUS_FAT,
)
from marrowmap.data.simulate.labels import Bone
from marrowmap.data.simulate.person import Person
from marrowmap.data.simulate.posture import BoneSurface

Rows = npt.NDArray[np.float64]

#: Columns of a section: z, centre x and y, half width, half depth in front and behind, exponents, rotation.
Z, CENTRE_X, CENTRE_Y, WIDTH, FRONT, BEHIND = range(6)
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
        section[:, : BEHIND + 1] *= scale
        if part == "head_trunk":
            section = _smoothed(_slim_throat(section[section[:, Z] > -0.034 * person.stature_mm], scale))
            section = _enclose(
                _shape_trunk(section, person), trunk, person, head_from=0.395 * person.stature_mm
            )
            section = _smoothed(section, reach_mm=7.0)
        elif part.startswith("arm"):
            section = _follow_arm(section, bones, part, person)
        else:
            section[:, WIDTH : BEHIND + 1] *= np.exp(0.07 * person.adiposity)
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
    height = section[:, Z] / person.stature_mm
    belly = np.exp(-(((height - 0.14) / 0.11) ** 2))
    is_head = height > 0.37
    heavy = np.where(is_head, 0.2, 1.0) * person.adiposity
    shaped = section.copy()
    female = person.sex == "F"
    hips = np.exp(-(((height + 0.01) / 0.09) ** 2)) * (0.06 if female else 0.0)
    shoulders = np.exp(-(((height - 0.29) / 0.06) ** 2)) * (-0.07 if female else 0.0)
    shaped[:, WIDTH] *= np.exp(heavy * (0.045 + 0.055 * belly) + hips + shoulders)
    shaped[:, FRONT] *= np.exp(heavy * (0.07 + 0.11 * belly))
    shaped[:, BEHIND] *= np.exp(heavy * 0.06)
    return shaped


def _slim_throat(section: Rows, scale: float) -> Rows:
    """Hold the front of the neck back: the chin must not stand over the shoulders."""
    slim = section.copy()
    z = slim[:, Z] / scale
    furthest = np.interp(z, [540, 560, 584, 600, 624, 645, 664], [60, 42, 36, 42, 56, 75, 130]) * scale
    is_throat = (z > 540) & (z < 664)
    front = np.minimum(slim[:, CENTRE_Y] + slim[:, FRONT], furthest)
    slim[is_throat, FRONT] = np.maximum(front - slim[:, CENTRE_Y], 20.0)[is_throat]
    return slim


def _joined_to_trunk(section: Rows, trunk_end: Rows) -> Rows:
    """Lead front, back and outer side of a thigh into those of the trunk's lowest section."""
    joined = section.copy()
    below = np.clip((trunk_end[Z] - section[:, Z]) / 130.0, 0, 1)
    share = 1 - below * below * (3 - 2 * below)
    front, back = section[:, CENTRE_Y] + section[:, FRONT], section[:, CENTRE_Y] - section[:, BEHIND]
    front += share * (trunk_end[CENTRE_Y] + 0.95 * trunk_end[FRONT] - front)
    back += share * (trunk_end[CENTRE_Y] - 0.97 * trunk_end[BEHIND] - back)
    side = np.sign(section[:, CENTRE_X])
    outer, inner = (
        np.abs(section[:, CENTRE_X]) + section[:, WIDTH],
        np.abs(section[:, CENTRE_X]) - section[:, WIDTH],
    )
    outer += share * (0.98 * trunk_end[WIDTH] - outer)
    inner += share * (-4.0 - inner)
    joined[:, CENTRE_X], joined[:, WIDTH] = side * (outer + inner) / 2, (outer - inner) / 2
    joined[:, CENTRE_Y] = (front + back) / 2
    joined[:, FRONT] = joined[:, BEHIND] = (front - back) / 2
    joined[:, 6:9] += share[:, None] * (np.array([2.3, 2.3, 0.0]) - joined[:, 6:9])
    return joined


def _thigh(section: Rows, trunk_end: Rows, scale: float) -> Rows:
    """Lengthen a thigh into the pelvis: the trunk ends at the perineum, below it the thighs are two."""
    rise = np.array([30.0, 60.0, 90.0, 120.0])
    tops = np.repeat(section[-1][None], len(rise), axis=0)
    tops[:, Z] += rise * scale
    thigh = _joined_to_trunk(np.concatenate([section, tops]), trunk_end)
    above = np.clip((thigh[:, Z] - trunk_end[Z]) / (70.0 * scale), 0, 1)
    thigh[:, WIDTH : BEHIND + 1] *= 1 - 0.3 * above[:, None] ** 2
    return _smoothed(thigh)


def _smoothed(section: Rows, *, step_mm: float = 8.0, reach_mm: float = 14.0) -> Rows:
    """Return sections every few mm through which the outline runs smoothly.

    Front and back are smoothed as places, not as depths about a centre that jumps from row to row.
    """
    z = np.arange(section[0, Z], section[-1, Z] + step_mm / 2, step_mm)
    places = section.copy()
    places[:, FRONT] += section[:, CENTRE_Y]
    places[:, BEHIND] = section[:, CENTRE_Y] - section[:, BEHIND]
    fine = np.stack([np.interp(z, section[:, Z], column) for column in places.T], axis=1)
    fine[:, 1:] = ndimage.gaussian_filter1d(fine[:, 1:], reach_mm / step_mm, axis=0, mode="nearest")
    front, back = fine[:, FRONT].copy(), fine[:, BEHIND].copy()
    fine[:, CENTRE_Y] = np.clip(fine[:, CENTRE_Y], back + 0.3 * (front - back), back + 0.7 * (front - back))
    fine[:, FRONT], fine[:, BEHIND] = front - fine[:, CENTRE_Y], fine[:, CENTRE_Y] - back
    fine[:, Z] = z
    return fine


def _enclose(section: Rows, points: Rows, person: Person, *, head_from: float) -> Rows:
    """Move and widen sections so that the bones lie below the fat."""
    fitted = section.copy()
    fat = fat_thickness_mm(section[:, Z], person)
    for row, (front, behind, side) in zip(fitted, fat, strict=True):
        near = points[np.abs(points[:, 2] - row[Z]) < 14.0]
        if len(near) < 8:
            continue
        low, high = near.min(axis=0), near.max(axis=0)
        if row[Z] > head_from:  # the head follows the skull alone: its tilt is the skeleton's
            row[CENTRE_X], row[CENTRE_Y] = 0.0, (low[1] + high[1]) / 2
            row[[WIDTH, FRONT, BEHIND]] = 0.0
            front, behind, side = 1.0, 1.0, 1.0
        row[CENTRE_X] *= 0.4
        flesh = _FLESH_MM["front"]
        if 0.3 < row[Z] / person.stature_mm < 0.345:  # little lies before the collar bones
            front, flesh, row[6] = min(front, 5.0), 3.0, min(row[6], 2.0)
        row[FRONT] = max(row[FRONT], high[1] - row[CENTRE_Y] + front + flesh)
        row[BEHIND] = max(row[BEHIND], row[CENTRE_Y] - low[1] + behind + _FLESH_MM["behind"])
        row[WIDTH] = max(row[WIDTH], np.abs(near[:, 0]).max() + side + _FLESH_MM["side"])
        if row[Z] > head_from:
            row[6:8] = 2.1
    return fitted


def _follow_arm(section: Rows, bones: list[BoneSurface], part: str, person: Person) -> Rows:
    """Centre the arm's sections on its bones."""
    side = 1.0 if part == "arm_r" else -1.0
    points = np.concatenate([s.vertices for bone, s in bones if bone in _ARM_BONES])
    points = points[points[:, 0] * side > 0]
    followed = section.copy()
    for row in followed:
        near = points[np.abs(points[:, 2] - row[Z]) < 30.0]
        if len(near):
            row[CENTRE_X : CENTRE_Y + 1] = (near.min(axis=0)[:2] + near.max(axis=0)[:2]) / 2
        # Single sections of the source are skewed by the cut through the hand: an arm is nearly round.
        row[WIDTH : BEHIND + 1] = np.clip(row[WIDTH : BEHIND + 1], 26.0, 52.0)
        row[WIDTH : BEHIND + 1] *= np.exp(0.1 * person.adiposity)
        row[6:9] = (2.0, 2.0, 0.0)
    return followed
