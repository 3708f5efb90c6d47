"""The soft body around the skeleton: skin, fat under it, muscle, and the fat of chest and belly."""

from __future__ import annotations

import numpy as np

from marrowmap.data.simulate.canvas import Canvas
from marrowmap.data.simulate.figures import (
    STATURE_MM,
    VERTEBRAE_OVER_STATURE,
)
from marrowmap.data.simulate.labels import Tissue
from marrowmap.data.simulate.muscles import part_muscles
from marrowmap.data.simulate.outline import (
    BEHIND,
    CENTRE_X,
    CENTRE_Y,
    FRONT,
    WIDTH,
    Rows,
    Z,
    fat_thickness_mm,
)
from marrowmap.data.simulate.person import Person
from marrowmap.data.simulate.posture import Warp
from marrowmap.data.simulate.shapes import Surface, loft


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
    front, behind, side = fat_thickness_mm(section[:, Z], person).T
    if is_limb:
        front, behind = side, side
        limit = 0.62
    else:
        limit = 0.5
    for column, thickness in ((WIDTH, side), (FRONT, front), (BEHIND, behind)):
        inner[:, column] = np.maximum(inner[:, column] - thickness, limit * inner[:, column])
    return inner


def _cavity(section: Rows, person: Person) -> Rows:
    """Return the sections of chest and belly inside their muscular wall."""
    inner = _below_fat(section, person, is_limb=False)
    z, stature = inner[:, Z], person.stature_mm
    inner = inner[(z > -0.025 * stature) & (z < 0.315 * stature)]
    share = inner[:, Z] / stature
    heights, depths = np.array(sorted(VERTEBRAE_OVER_STATURE.values())).T
    spine_y = np.interp(share, [0.0, *heights], [-0.02, *depths]) * stature
    widest = np.interp(share, [-0.03, 0.03, 0.09, 0.2, 0.28, 0.32], [45, 62, 125, 140, 105, 60])
    inner[:, WIDTH] = np.minimum(inner[:, WIDTH] - 16, widest * stature / STATURE_MM * 1.05)
    front = inner[:, CENTRE_Y] + inner[:, FRONT] - 12
    back = np.minimum(spine_y - 12, front - 30)
    inner[:, CENTRE_Y] = (front + back) / 2
    inner[:, FRONT] = inner[:, BEHIND] = (front - back) / 2
    inner[:, CENTRE_X] = 0.0
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
