"""What lies between and behind the vertebral bodies: discs, cerebrospinal fluid, cord; and rib cartilage."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from marrowmap.data.simulate.canvas import Canvas
from marrowmap.data.simulate.labels import Bone, Tissue
from marrowmap.data.simulate.posture import BoneSurface, vertebral_body_centre
from marrowmap.data.simulate.shapes import Points, tube

_VERTEBRAE = [bone for bone in Bone if Bone.C1 <= bone <= Bone.L5]
_SOFT = frozenset({Tissue.SUBCUTANEOUS_FAT, Tissue.VISCERAL_FAT, Tissue.MUSCLE, Tissue.BLOOD, Tissue.LUNG})
_CORD_ENDS_AT = Bone.L1
_STERNUM_HALF_WIDTH_MM = 23.0


def paint_discs(canvas: Canvas, bones: list[BoneSurface]) -> None:
    """Paint a disc between each two vertebral bodies, and between L5 and the sacrum.

    Args:
        canvas: Painted in place, before the bones, which cut the discs to the gap.
        bones: The deformed skeleton.
    """
    surfaces = dict((bone, surface) for bone, surface in bones if bone in _VERTEBRAE or bone == Bone.SACRUM)
    levels = [bone for bone in _VERTEBRAE if bone >= Bone.C2] + [Bone.SACRUM]
    for upper, lower in pairwise(levels):
        above, below = vertebral_body_centre(surfaces[upper]), vertebral_body_centre(surfaces[lower])
        if lower == Bone.SACRUM:
            below = _top_of_sacrum(surfaces[lower].vertices)
        y = surfaces[upper].vertices[:, 1]
        radius = 0.25 * np.ptp(y) if upper < Bone.T1 else 0.29 * np.ptp(y)
        path = np.linspace(above + 0.15 * (below - above), above + 0.85 * (below - above), 4)
        canvas.paint(tube(np.column_stack([path, np.full(4, radius)]), sectors=20), Tissue.DISC)


def _top_of_sacrum(vertices: Points) -> Points:
    top = vertices[vertices[:, 2] > vertices[:, 2].max() - 22]
    front = top[top[:, 1] > top[:, 1].max() - 30]
    return front.mean(axis=0)


def paint_canal(canvas: Canvas, bones: list[BoneSurface]) -> None:
    """Paint the dural sac and the cord behind the vertebral bodies, never over bone.

    Args:
        canvas: Painted in place, after the bones.
        bones: The deformed skeleton.
    """
    surfaces = dict((bone, surface) for bone, surface in bones if bone in _VERTEBRAE)
    path = np.array([_canal_centre(surfaces[bone].vertices, bone) for bone in _VERTEBRAE])
    above = path[0] + np.array([0.0, 2.0, 30.0])
    below = path[-1] + np.array([0.0, -12.0, -42.0])
    line = np.concatenate([above[None], path, below[None]])
    line[1:-1] = (line[:-2] + 2 * line[1:-1] + line[2:]) / 4
    dural = np.interp(np.arange(len(line)), [0, 8, 20, len(line) - 1], [9.5, 8.0, 8.5, 5.0])
    canvas.paint(tube(np.column_stack([line, dural])), Tissue.CSF, over=_SOFT | {Tissue.DISC})
    cord = line[: 2 + _VERTEBRAE.index(_CORD_ENDS_AT)]
    radius = np.interp(np.arange(len(cord)), [0, 5, 9, 18, len(cord) - 1], [6.0, 5.5, 4.2, 4.8, 2.0])
    canvas.paint(tube(np.column_stack([cord, radius])), Tissue.CORD, over=_SOFT | {Tissue.CSF, Tissue.DISC})


def _canal_centre(vertices: Points, bone: Bone) -> Points:
    """Return the middle of the vertebral foramen: just behind the body."""
    front, back = vertices[:, 1].max(), vertices[:, 1].min()
    share = 0.47 if bone <= Bone.C7 else 0.50 if bone <= Bone.T12 else 0.60
    middle = vertices[np.abs(vertices[:, 1] - (front - share * (front - back))) < 10]
    return np.array([middle[:, 0].mean(), front - share * (front - back), middle[:, 2].mean()])


def part_costal_cartilage(canvas: Canvas, bones: list[BoneSurface]) -> None:
    """Turn what the sternum's surface carries beside the sternum into cartilage.

    Args:
        canvas: Painted in place, after the bones.
        bones: The deformed skeleton.
    """
    surface = next(surface for bone, surface in bones if bone == Bone.STERNUM)
    box, inside = canvas.inside(surface)
    inside &= canvas.bone[box] == Bone.STERNUM
    first = box[0].start * canvas.spacing_mm + canvas.origin_mm[0]
    x = first + canvas.spacing_mm * np.arange(inside.shape[0])
    middle = (surface.vertices[:, 0].min() + surface.vertices[:, 0].max()) / 2
    beside = inside & (np.abs(x - middle) > _STERNUM_HALF_WIDTH_MM)[:, None, None]
    canvas.tissue[box][beside] = Tissue.CARTILAGE
    canvas.bone[box][beside] = 0
