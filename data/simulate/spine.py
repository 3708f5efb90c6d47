"""What lies between and behind the vertebral bodies: discs, cerebrospinal fluid, cord; and rib cartilage."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from marrowmap.data.simulate.canvas import Canvas
from marrowmap.data.simulate.labels import Bone, Tissue
from marrowmap.data.simulate.posture import BoneSurface, vertebral_body_centre
from marrowmap.data.simulate.shapes import Points, ellipsoid, tube
from marrowmap.data.simulate.variants import Transitional

_VERTEBRAE = [bone for bone in Bone if Bone.C1 <= bone <= Bone.L5]
_SOFT = frozenset({Tissue.SUBCUTANEOUS_FAT, Tissue.VISCERAL_FAT, Tissue.MUSCLE, Tissue.BLOOD, Tissue.LUNG})
_CORD_ENDS_AT = Bone.L1
_STERNUM_HALF_WIDTH_MM = 23.0


def paint_discs(canvas: Canvas, bones: list[BoneSurface], *, transitional: Transitional = "none") -> None:
    """Paint a disc between each two vertebral bodies, and between L5 and the sacrum.

    Args:
        canvas: Painted in place, before the bones, which cut the discs to the gap.
        bones: The deformed skeleton.
        transitional: A sacralised L5 has a small last disc.
    """
    surfaces = dict((bone, surface) for bone, surface in bones if bone in _VERTEBRAE or bone == Bone.SACRUM)
    levels = [bone for bone in _VERTEBRAE if bone >= Bone.C2] + [Bone.SACRUM]
    for upper, lower in pairwise(levels):
        above, below = vertebral_body_centre(surfaces[upper]), vertebral_body_centre(surfaces[lower])
        if lower == Bone.SACRUM:
            below = _top_of_sacrum(surfaces[lower].vertices)
        y = surfaces[upper].vertices[:, 1]
        radius = 0.25 * np.ptp(y) if upper < Bone.T1 else 0.29 * np.ptp(y)
        if lower == Bone.SACRUM and transitional == "sacralised_l5":
            radius *= 0.6
        path = np.linspace(above + 0.15 * (below - above), above + 0.85 * (below - above), 4)
        canvas.paint(tube(np.column_stack([path, np.full(4, radius)]), sectors=20), Tissue.DISC)


def part_first_sacral(canvas: Canvas, bones: list[BoneSurface]) -> None:
    """Set the first sacral vertebra apart by a disc, as in a lumbarised S1.

    Args:
        canvas: Painted in place, after the bones.
        bones: The deformed skeleton.
    """
    vertices = next(surface for bone, surface in bones if bone == Bone.SACRUM).vertices
    top = _top_of_sacrum(vertices)
    lower = vertices[np.abs(vertices[:, 2] - top[2] + 55.0) < 12.0]
    front = lower[lower[:, 1] > lower[:, 1].max() - 18.0].mean(axis=0)
    along = (front - top) / np.linalg.norm(front - top)
    place = top + 27.0 * along
    path = np.linspace(place - 3.5 * along, place + 3.5 * along, 3)
    box, inside = canvas.inside(tube(np.column_stack([path, np.full(3, 15.0)]), sectors=20))
    inside &= canvas.bone[box] == Bone.SACRUM
    canvas.tissue[box][inside] = Tissue.DISC
    canvas.bone[box][inside] = 0


def _top_of_sacrum(vertices: Points) -> Points:
    top = vertices[vertices[:, 2] > vertices[:, 2].max() - 22]
    front = top[top[:, 1] > top[:, 1].max() - 30]
    return front.mean(axis=0)


def paint_canal(canvas: Canvas, bones: list[BoneSurface]) -> None:
    """Paint the dural sac and the cord behind the vertebral bodies, never over bone.

    Args:
        canvas: Painted in place, after the bones.
        bones: The deformed skeleton.
        transitional: A sacralised L5 has a small last disc.
    """
    surfaces = dict((bone, surface) for bone, surface in bones if bone in _VERTEBRAE)
    path = np.array([_canal_centre(surfaces[bone].vertices, bone) for bone in _VERTEBRAE])
    above = path[0] + np.array([0.0, 2.0, 30.0])
    below = path[-1] + np.array([0.0, -12.0, -42.0])
    line = np.concatenate([above[None], path, below[None]])
    line[1:-1] = (line[:-2] + 2 * line[1:-1] + line[2:]) / 4
    dural = np.interp(np.arange(len(line)), [0, 8, 20, len(line) - 1], [9.5, 8.0, 8.5, 5.0])
    fat = np.column_stack([line - [0.0, 1.5, 0.0], dural + 2.0])  # the epidural fat lies mostly behind
    canvas.paint(tube(fat), Tissue.VISCERAL_FAT, over=_SOFT | {Tissue.DISC})
    _paint_ganglia(canvas, line)
    canvas.paint(tube(np.column_stack([line, dural])), Tissue.CSF, over=_SOFT | {Tissue.DISC})
    cord = line[: 2 + _VERTEBRAE.index(_CORD_ENDS_AT)]
    radius = np.interp(np.arange(len(cord)), [0, 5, 9, 18, len(cord) - 1], [6.0, 5.5, 4.2, 4.8, 2.0])
    canvas.paint(tube(np.column_stack([cord, radius])), Tissue.CORD, over=_SOFT | {Tissue.CSF, Tissue.DISC})


def _paint_ganglia(canvas: Canvas, line: Points) -> None:
    """Paint the nerve roots' ganglia beside the canal: small, and bright on diffusion."""
    for number, place in enumerate(line[2:], start=2):
        large = 1.2 if number > len(line) - 7 else 0.9
        for side in (-1.0, 1.0):
            centre = place + np.array([side * (15.0 if number > 8 else 17.0), 3.0, -4.0])
            row = (*centre, 5.0 * large, 3.0 * large, 3.5 * large, 0.0, side * 0.6, 0.0, 2.0)
            canvas.paint(ellipsoid(row), Tissue.NERVE, over=_SOFT)


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
