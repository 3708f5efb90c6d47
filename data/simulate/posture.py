"""The skeleton fitted to a person: heights of the vertebrae by the figures, then sizes, posture and chance.

One map of the trunk keeps joints together: height, depth and width of every point follow the spine's
landmarks. What varies a person further (curved spine, smooth deformation) moves bones, organs and skin alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from marrowmap.data.simulate.bones import bone_surfaces
from marrowmap.data.simulate.figures import SKULL_TOP_OVER_STATURE, VERTEBRAE_OVER_STATURE
from marrowmap.data.simulate.labels import Bone
from marrowmap.data.simulate.person import Person
from marrowmap.data.simulate.shapes import Points, Surface
from marrowmap.data.simulate.variants import Variants
from marrowmap.data.simulate.vertebrae import collapsed, lost_height_mm, sacralised

BoneSurface = tuple[Bone, Surface]
Warp = Callable[[Points], Points]

ARM_BONES = frozenset({Bone.HUMERUS_RIGHT, Bone.HUMERUS_LEFT, Bone.FOREARM})
_PELVIS = frozenset({Bone.SACRUM, Bone.PELVIS_RIGHT, Bone.PELVIS_LEFT, Bone.FEMUR_RIGHT, Bone.FEMUR_LEFT})
_THORAX = frozenset({Bone.RIBS, Bone.STERNUM, Bone.CLAVICLE_RIGHT, Bone.CLAVICLE_LEFT,
                     Bone.SCAPULA_RIGHT, Bone.SCAPULA_LEFT})  # fmt: skip
_HEAD = frozenset({Bone.SKULL, Bone.MANDIBLE})


@dataclass(frozen=True, kw_only=True)
class SpineMap:
    """Corresponding points of the model's spine and the person's, by rising height (mm)."""

    model_z: Points
    model_y: Points
    person_z: Points
    person_y: Points


def vertebral_body_centre(surface: Surface) -> Points:
    """Return the centre of a vertebral body: the front part of the vertebra (mm)."""
    y = surface.vertices[:, 1]
    front = surface.vertices[y > y.max() - 0.45 * np.ptp(y)]
    return (front.min(axis=0) + front.max(axis=0)) / 2


def fit_skeleton(
    person: Person, rng: np.random.Generator, variants: Variants | None = None
) -> list[BoneSurface]:
    """Return the bones of a person, before posture and smooth deformation.

    Args:
        person: Whose skeleton.
        rng: Source of the variation of single bones.
        variants: Collapsed and transitional vertebrae; none if None.

    Returns:
        (bone, surface) in RAS+ mm, origin midway between the hip joints.
    """
    variants = variants or Variants()
    collapses = {collapse.bone: collapse for collapse in variants.collapses}
    spine = _spine_map(person, variants)
    subject = 1 + 0.03 * rng.standard_normal(3)
    widths = {
        "thorax": (0.95 if person.sex == "F" else 1.03) * subject[0],
        "pelvis": (1.05 if person.sex == "F" else 0.99) * subject[1],
    }
    fitted = []
    for bone, surface in bone_surfaces():
        width = (
            widths["pelvis"] if bone in _PELVIS else widths["thorax"] if bone in _THORAX | ARM_BONES else 1.0
        )
        vertices = _map_trunk(surface.vertices, spine, person, width=width, is_thorax=bone in _THORAX)
        if bone in ARM_BONES:
            vertices = _hang_arm(vertices, person)
        if bone not in _PELVIS | _THORAX | _HEAD:
            centre = vertices.mean(axis=0)
            # The model's vertebrae are a tenth smaller than measured ones, its discs as much too high.
            size = 1.1 if Bone.C1 <= bone <= Bone.L5 else 1.0
            vertices = centre + (vertices - centre) * size * (1 + 0.03 * rng.standard_normal(3))
        if bone in collapses:
            vertices = collapsed(vertices, collapses[bone])
        if bone == Bone.L5 and variants.transitional == "sacralised_l5":
            vertices = sacralised(vertices)
        fitted.append((bone, surface.moved(vertices)))
    return fitted


def _spine_map(person: Person, variants: Variants) -> SpineMap:
    centres = {bone: vertebral_body_centre(s) for bone, s in bone_surfaces() if Bone.C1 <= bone <= Bone.L5}
    order = sorted(centres, key=lambda bone: centres[bone][2])
    top = max(s.vertices[:, 2].max() for bone, s in bone_surfaces() if bone == Bone.SKULL)
    share = [VERTEBRAE_OVER_STATURE[bone.name] for bone in order]
    c1 = centres[order[-1]]
    sunk = np.array([0.0, 0.0, *(lost_height_mm(person, variants, bone) for bone in order), 0.0])
    sunk[-1] = sunk[-2]
    return SpineMap(
        model_z=np.array([-1000.0, 0.0, *(centres[bone][2] for bone in order), top]),
        model_y=np.array([0.0, 0.0, *(centres[bone][1] for bone in order), c1[1]]),
        person_z=np.array([-0.578, 0.0, *(z for z, _ in share), SKULL_TOP_OVER_STATURE]) * person.stature_mm
        - sunk,
        person_y=np.array([0.0, 0.0, *(y for _, y in share), share[-1][1]]) * person.stature_mm,
    )


def _map_trunk(vertices: Points, spine: SpineMap, person: Person, *, width: float, is_thorax: bool) -> Points:
    """Carry points from the model's spine to the person's."""
    scale = person.stature_mm / 1729.0  # the model's own stature
    x, y, z = vertices.T
    depth = scale * (0.9 if is_thorax else 1.0)
    behind = y - np.interp(z, spine.model_z, spine.model_y)
    moved_y = behind * depth + np.interp(z, spine.model_z, spine.person_y)
    return np.stack([x * scale * width, moved_y, np.interp(z, spine.model_z, spine.person_z)], axis=1)


def _hang_arm(vertices: Points, person: Person) -> Points:
    """Lead the arm outward so that the elbow clears the trunk."""
    shoulder = 0.31 * person.stature_mm
    below = np.clip((shoulder - vertices[:, 2]) / (0.19 * person.stature_mm), 0, 1)
    lead = (12.0 + 10.0 * max(person.adiposity, 0.0)) * below
    return vertices + np.stack([np.sign(vertices[:, 0]) * lead, 0 * below, 0 * below], axis=1)


def draw_arm_posture(person: Person, variants: Variants) -> Warp:
    """Return the map that lifts the arms: all of them turn about the shoulders, forearms also at the elbows.

    Args:
        person: Sets where the joints are.
        variants: Posture and angle.

    Returns:
        A function that moves points `(n, 3)` (mm) of arms that hang; the shoulder's cap bends along.
    """
    shoulder_x, shoulder_z = 0.101 * person.stature_mm, 0.309 * person.stature_mm
    elbow_z = shoulder_z - 0.19 * person.stature_mm
    angle = np.deg2rad(variants.arm_angle_deg)
    bend = np.deg2rad(70.0 if variants.arms == "above" else 0.0)

    def lift(points: Points) -> Points:
        moved = points.copy()
        side = np.where(points[:, 0] < 0, -1.0, 1.0)
        out, z = points[:, 0] * side, points[:, 2]
        forearm = np.clip((elbow_z - z) / 30.0, 0, 1) * bend
        elbow_x = shoulder_x + 0.03 * person.stature_mm
        x, z = _turned(out - elbow_x, z - elbow_z, forearm)
        x, z = x + elbow_x - shoulder_x, z + elbow_z - shoulder_z
        share = np.clip((shoulder_z + 15.0 - points[:, 2]) / 60.0, 0, 1)
        x, z = _turned(x, z, angle * share)
        moved[:, 0], moved[:, 2] = (x + shoulder_x) * side, z + shoulder_z
        return moved

    return lift


def _turned(x: Points, z: Points, angle: Points) -> tuple[Points, Points]:
    """Turn points about the origin of a plane, from its first axis to its second."""
    return x * np.cos(angle) - z * np.sin(angle), x * np.sin(angle) + z * np.cos(angle)


def _draw_lie(stature_mm: float, rng: np.random.Generator) -> Warp:
    """Draw how a person lies: turned a little on the table, head nodded and turned, thighs apart."""
    roll, tilt = np.deg2rad(rng.normal(0, (2.0, 1.5)))
    nod, turn, lean = np.deg2rad(rng.normal(0, (5.0, 5.0, 3.0)))
    apart = float(np.clip(rng.normal(0.01, 0.03), -0.03, 0.08))
    neck = np.array([0.0, 0.0, 0.335 * stature_mm])

    def lie(points: Points) -> Points:
        x, y, z = (points - neck).T
        share = np.clip(z / (0.06 * stature_mm), 0, 1)
        share = share * share * (3 - 2 * share)
        y, z = _turned(y, z, nod * share)
        x, y = _turned(x, y, turn * share)
        x, z = _turned(x, z, lean * share)
        moved = np.stack([x, y, z], axis=1) + neck
        below = np.maximum(-points[:, 2] - 0.01 * stature_mm, 0)
        moved[:, 0] += apart * below * np.tanh(points[:, 0] / 30.0)
        moved[:, 0], moved[:, 1] = _turned(moved[:, 0], moved[:, 1], np.full(len(points), roll))
        moved[:, 0], moved[:, 2] = _turned(moved[:, 0], moved[:, 2], np.full(len(points), tilt))
        return moved

    return lie


def draw_warp(person: Person, rng: np.random.Generator, *, strength_mm: float = 5.0) -> Warp:
    """Draw the smooth deformation of a whole body: curved spine plus chance.

    Args:
        person: Whose kyphosis and scoliosis to apply.
        rng: Source of randomness.
        strength_mm: Standard deviation of the random displacement along each axis.

    Returns:
        A function that moves points `(n, 3)` (mm); it folds nothing at this strength.
    """
    shortest = max(180.0, 32.0 * strength_mm)  # shorter waves of that height would fold
    wavelengths = rng.uniform(shortest, 700, size=(10, 3))
    waves = 2 * np.pi / wavelengths * rng.choice([-1, 1], size=(10, 3)) * [[1.0, 1.0, 1.0]]
    phases = rng.uniform(0, 2 * np.pi, size=(10, 3))
    heights = rng.normal(0, strength_mm * np.sqrt(2 / 10), size=(10, 3))
    stature = person.stature_mm
    turns = rng.uniform(0.6, 1.4)
    lie = _draw_lie(stature, rng)

    def warp(points: Points) -> Points:
        moved = lie(points)
        for wave, phase, height in zip(waves, phases, heights, strict=True):
            along = points @ wave
            moved += np.sin(along[:, None] + phase) * height
        trunk = np.clip(points[:, 2] / (0.36 * stature), 0, 1)
        moved[:, 1] += person.kyphosis_mm * np.maximum(trunk - 0.55, 0) ** 2 * 4.0
        moved[:, 0] += person.scoliosis_mm * np.sin(2 * np.pi * turns * trunk) * (trunk > 0)
        return moved

    return warp
