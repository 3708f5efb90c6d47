"""A body as voxels: every tissue painted in order onto one grid, from skin to cord."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import Affine
from marrowmap.data.simulate.canvas import Canvas
from marrowmap.data.simulate.head import paint_head_inside
from marrowmap.data.simulate.labels import Bone
from marrowmap.data.simulate.organs import paint_organs
from marrowmap.data.simulate.outline import skin_sections
from marrowmap.data.simulate.person import Person
from marrowmap.data.simulate.posture import ARM_BONES, Warp, draw_arm_posture, draw_warp, fit_skeleton
from marrowmap.data.simulate.prosthesis import paint_prosthesis
from marrowmap.data.simulate.shapes import Surface
from marrowmap.data.simulate.skin import paint_skin, paint_soft_body
from marrowmap.data.simulate.spine import (
    paint_canal,
    paint_discs,
    part_costal_cartilage,
    part_first_sacral,
)
from marrowmap.data.simulate.variants import AnatomySettings, Variants, draw_variants


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """A simulated body.

    Attributes:
        tissue: uint8 `(i, j, k)` of `Tissue` values.
        bone: uint8 `(i, j, k)` of `Bone` values; cortex and marrow of a bone share its value.
        affine_ras_mm: Voxel to RAS+ mm; origin near the midpoint of the hip joints.
        person: Who it is.
        variants: What is particular about the body.
    """

    tissue: npt.NDArray[np.uint8]
    bone: npt.NDArray[np.uint8]
    affine_ras_mm: Affine
    person: Person
    variants: Variants = field(default_factory=Variants)


#: Half of the widest body that fits the grid; wider ones are cut as a scanner's field of view does.
_HALF_WIDTH_MM = 262.0


def build_anatomy(
    person: Person,
    rng: np.random.Generator,
    *,
    spacing_mm: float = 2.0,
    settings: AnatomySettings | None = None,
) -> Anatomy:
    """Build one body, vertex to mid-thigh, supine.

    Args:
        person: Whose body.
        rng: Source of all variation beyond the person.
        spacing_mm: Isotropic voxel size.
        settings: What the body must be like; all is drawn if None.

    Returns:
        The anatomy, deterministic by person, generator state and spacing.
    """
    variants = draw_variants(person, settings or AnatomySettings(), rng)
    skeleton = fit_skeleton(person, rng, variants)
    warp = draw_warp(person, rng, strength_mm=variants.deformation_mm)
    arm = draw_arm_posture(person, variants)
    sections = skin_sections(person, skeleton)
    canvas = _blank_canvas(person, sections, warp(_corners(sections)), spacing_mm)
    bones = [(bone, _posed(bone, surface, warp, arm)) for bone, surface in skeleton]
    paint_soft_body(canvas, sections, warp, arm, person, rng)
    paint_organs(canvas, person, warp, rng)
    paint_skin(canvas)
    paint_discs(canvas, bones, transitional=variants.transitional)
    for bone, surface in bones:
        canvas.paint_bone(bone, surface)
    part_costal_cartilage(canvas, bones)
    if variants.transitional == "lumbarised_s1":
        part_first_sacral(canvas, bones)
    paint_canal(canvas, bones)
    paint_prosthesis(canvas, bones, variants.prosthesis)
    paint_head_inside(canvas, rng)
    return Anatomy(
        tissue=canvas.tissue,
        bone=canvas.bone,
        affine_ras_mm=canvas.affine_ras_mm,
        person=person,
        variants=variants,
    )


def _posed(bone: Bone, surface: Surface, warp: Warp, arm: Warp) -> Surface:
    vertices = arm(surface.vertices) if bone in ARM_BONES else surface.vertices
    return surface.moved(warp(vertices))


def _corners(sections: dict[str, np.ndarray]) -> np.ndarray:
    """Return points that bound the skin in depth and height (mm)."""
    trunk = sections["head_trunk"]
    z, cy, front, behind = trunk[:, 0], trunk[:, 2], trunk[:, 4], trunk[:, 5]
    return np.concatenate([np.stack([0 * z, cy + front, z], 1), np.stack([0 * z, cy - behind, z], 1)])


def _blank_canvas(
    person: Person, sections: dict[str, np.ndarray], bounds: np.ndarray, spacing_mm: float
) -> Canvas:
    half_width = min(_HALF_WIDTH_MM, np.abs(sections["arm_r"][:, 1]).max() + 70.0)
    low = np.array([-half_width, bounds[:, 1].min() - 14, -0.125 * person.stature_mm])
    high = np.array([half_width, bounds[:, 1].max() + 14, bounds[:, 2].max() + 16])
    shape = np.ceil((high - low) / spacing_mm).astype(int)
    return Canvas.blank((int(shape[0]), int(shape[1]), int(shape[2])), low, spacing_mm)
