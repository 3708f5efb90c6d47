"""Hip replacement: metal in the place of the femoral head, in the neck and down the shaft."""

from __future__ import annotations

import numpy as np

from marrowmap.data.simulate.canvas import Canvas
from marrowmap.data.simulate.labels import Bone, Tissue
from marrowmap.data.simulate.posture import BoneSurface
from marrowmap.data.simulate.shapes import Points, ellipsoid, tube
from marrowmap.data.simulate.variants import Prosthesis

_SIDES: dict[Prosthesis, tuple[Bone, ...]] = {
    "none": (),
    "right": (Bone.FEMUR_RIGHT,),
    "left": (Bone.FEMUR_LEFT,),
    "both": (Bone.FEMUR_RIGHT, Bone.FEMUR_LEFT),
}
_CUP_RADIUS_MM = 26.0
_RESECTED_MM = 38.0  # from the centre of the head


def paint_prosthesis(canvas: Canvas, bones: list[BoneSurface], prosthesis: Prosthesis) -> None:
    """Replace hip joints.

    Args:
        canvas: Painted in place, after the bones.
        bones: The deformed skeleton.
        prosthesis: Which sides.
    """
    for bone, surface in bones:
        if bone in _SIDES[prosthesis]:
            _replace_hip(canvas, bone, surface.vertices)


def _replace_hip(canvas: Canvas, bone: Bone, vertices: Points) -> None:
    side = 1.0 if bone == Bone.FEMUR_RIGHT else -1.0
    head = _head_centre(vertices, side)
    gap = ellipsoid((*head, *[_RESECTED_MM] * 3, 0, 0, 0, 2.0))
    box, inside = canvas.inside(gap)
    resected = inside & (canvas.bone[box] == bone)
    canvas.tissue[box][resected] = Tissue.MUSCLE
    canvas.bone[box][resected] = 0
    shaft = [_shaft_centre(vertices, head[2] - below) for below in (70.0, 110.0, 160.0)]
    line = np.column_stack([np.stack([head, (head + shaft[0]) / 2, *shaft]), [7.0, 7.5, 9.0, 6.5, 4.5]])
    for metal in (ellipsoid((*head, *[_CUP_RADIUS_MM] * 3, 0, 0, 0, 2.0)), tube(line)):
        box, inside = canvas.inside(metal)
        canvas.tissue[box][inside] = Tissue.METAL
        canvas.bone[box][inside] = 0


def _head_centre(vertices: Points, side: float) -> Points:
    """Return the centre of the femoral head: the innermost part near the top."""
    upper = vertices[vertices[:, 2] > vertices[:, 2].max() - 60.0]
    inner = upper[upper[:, 0] * side < (upper[:, 0] * side).min() + 36.0]
    return (inner.min(axis=0) + inner.max(axis=0)) / 2


def _shaft_centre(vertices: Points, z_mm: float) -> Points:
    """Return the middle of the shaft at a height: of the vertices near it, or of the eight nearest."""
    distance = np.abs(vertices[:, 2] - z_mm)
    near = vertices[distance <= max(15.0, float(np.partition(distance, 7)[7]))]
    centre = (near.min(axis=0) + near.max(axis=0)) / 2
    return np.array([centre[0], centre[1], z_mm])
