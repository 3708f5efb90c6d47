"""The inside of the head: the skull's tables and diploe, brain, cerebrospinal fluid, sinuses."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.exam import LesionMask
from marrowmap.data.simulate.canvas import Canvas
from marrowmap.data.simulate.labels import Bone, Tissue
from marrowmap.data.simulate.random_field import smooth_noise

Distance = npt.NDArray[np.float32]

_VENTRICLE_HALF_AXES_MM = (5.0, 26.0, 9.0)


def paint_head_inside(canvas: Canvas, rng: np.random.Generator) -> None:
    """Hollow the solid skull and fill it.

    Args:
        canvas: Painted in place; the skull is one solid of cortex.
        rng: Source of the skull's thickness and of the brain's folds.
    """
    box = ndimage.find_objects((canvas.bone == Bone.SKULL).astype(np.uint8))[0]
    skull = canvas.bone[box] == Bone.SKULL
    depth = np.asarray(ndimage.distance_transform_edt(skull, sampling=canvas.spacing_mm), dtype=np.float32)
    thickness = float(np.clip(rng.normal(6.5, 1.0), 5.0, 9.0))
    cavity = depth > thickness
    brain = _largest_part(np.asarray(ndimage.binary_opening(cavity, iterations=3), dtype=bool))
    tissue, bone = canvas.tissue[box], canvas.bone[box]
    _paint_face(tissue, cavity & ~brain, depth, thickness)
    bone[cavity] = 0
    _paint_brain(tissue, brain, depth - thickness, canvas.spacing_mm, rng)
    near_brain = np.asarray(ndimage.binary_dilation(brain, iterations=2), dtype=bool)
    diploe = (depth > 0.35 * thickness) & (depth <= 0.7 * thickness)
    base = (depth > 0.3 * thickness) & ~near_brain
    tissue[skull & ~cavity & (diploe | base)] = Tissue.MARROW


def _paint_face(tissue: npt.NDArray[np.uint8], inside: LesionMask, depth: Distance, thickness: float) -> None:
    """Fill what is no brain: thin walls, soft tissue and air of orbits, nose and sinuses."""
    tissue[inside] = Tissue.VISCERAL_FAT
    tissue[inside & (depth > thickness + 5)] = Tissue.GAS


def _paint_brain(
    tissue: npt.NDArray[np.uint8],
    brain: LesionMask,
    below_table_mm: Distance,
    spacing_mm: float,
    rng: np.random.Generator,
) -> None:
    """Paint fluid, folded grey matter, white matter and the lateral ventricles."""
    folds = np.abs(smooth_noise(brain.shape, spacing_mm, (11.0, 11.0, 11.0), rng))[brain]
    depth = below_table_mm[brain]
    atrophy = rng.uniform(0.06, 0.2)
    is_fluid = (depth < 1.0) | ((folds < atrophy * (1 - depth / 22)) & (depth < 18))
    is_grey = (depth < 4.5) | ((folds < 0.6 * (1 - depth / 26)) & (depth < 20))
    tissue[brain] = np.select([is_fluid, is_grey], [Tissue.CSF, Tissue.GREY_MATTER], Tissue.WHITE_MATTER)
    centre = np.argwhere(brain).mean(axis=0)
    axes = np.ogrid[tuple(slice(0, n) for n in brain.shape)]
    for side_mm in (-7.0, 7.0):
        middle = (centre[0] + side_mm / spacing_mm, centre[1], centre[2] + 4)
        squares = [
            ((axis - m) * spacing_mm / half) ** 2
            for axis, m, half in zip(axes, middle, _VENTRICLE_HALF_AXES_MM, strict=True)
        ]
        tissue[brain & (sum(squares) < 1)] = Tissue.CSF


def _largest_part(mask: LesionMask) -> LesionMask:
    import cc3d

    return np.asarray(cc3d.largest_k(mask, k=1, connectivity=6)) > 0
