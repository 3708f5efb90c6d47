"""Irregular shapes painted into marrow, in small boxes: what lesions and their mimics have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.simulate.labels import CORTEX_TISSUES, MARROW_TISSUES, Bone, Tissue
from marrowmap.data.simulate.marrow import FIRST_LESION_ROW
from marrowmap.data.simulate.texture import TILE
from marrowmap.data.simulate.tissue import TEXTURE_LEVELS, Material

if TYPE_CHECKING:
    from marrowmap.data.simulate.anatomy import Anatomy

Box = tuple[slice, slice, slice]
Field = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

#: What a paramedullary mass may displace.
SOFT_TISSUE = (Tissue.MUSCLE, Tissue.SUBCUTANEOUS_FAT, Tissue.VISCERAL_FAT, Tissue.CSF, Tissue.CARTILAGE)
_EVERY_DIRECTION = ndimage.generate_binary_structure(3, 3)
#: Voxel centres span a little less than the body they sample; found on spheres of 4 to 30 mm.
_DIAMETER_OFFSET_VOXELS = 0.5


@dataclass(frozen=True, kw_only=True)
class PaintedBody:
    """The volumes that disease is painted on; painting changes them.

    Attributes:
        anatomy: The body.
        material: uint16 `(i, j, k)` rows of the material table.
        lesion_labels: uint16 `(i, j, k)`.
        levels: uint8 `(64, 64, 64)` periodic texture levels.
        materials: Rows added so far, four texture levels for each paint.
        spacing_mm: Voxel side.
    """

    anatomy: Anatomy
    material: npt.NDArray[np.uint16]
    lesion_labels: npt.NDArray[np.uint16]
    levels: npt.NDArray[np.uint8]
    materials: list[Material] = field(default_factory=list)
    spacing_mm: float = 2.0

    def add(self, material: Material) -> int:
        """Add a material with its texture levels; return its first row."""
        row = FIRST_LESION_ROW + len(self.materials)
        for offset in (-1.2, -0.3, 0.3, 1.2)[:TEXTURE_LEVELS]:
            self.materials.append(
                Material(
                    proton_density=material.proton_density * (1 + 0.03 * offset),
                    t1_ms=material.t1_ms,
                    t2_ms=material.t2_ms * (1 + 0.04 * offset),
                    fat_fraction=material.fat_fraction,
                    adc_um2_per_s=material.adc_um2_per_s * (1 - 0.05 * offset),
                )
            )
        return row

    def paint(self, box: Box, mask: Mask, row: int) -> None:
        """Give the voxels of `mask` in `box` the material that starts at `row`."""
        grid = np.ix_(*(np.arange(side.start, side.stop) % TILE for side in box))
        self.material[box][mask] = self.levels[grid][mask] + np.uint16(row)


def irregular_blob(
    centre: npt.NDArray[np.integer],
    diameter_mm: float,
    canvas: PaintedBody,
    rng: np.random.Generator,
    *,
    irregularity: float = 0.16,
) -> tuple[Box, Field]:
    """Return a smooth irregular shape around a voxel.

    Args:
        centre: `(i, j, k)` of the voxel at its middle.
        diameter_mm: Longest diameter.
        canvas: Gives the voxel size and the limits of the volume.
        rng: Source of randomness: orientation, axis ratios, bumps.
        irregularity: Height of the bumps as a share of the radius.

    Returns:
        The box and a float32 field over it: below 1 inside, 1 on the surface.
    """
    radius = diameter_mm / 2 / canvas.spacing_mm
    reach = int(np.ceil(radius * (1 + irregularity))) + 1
    shape = canvas.material.shape
    i, j, k = (
        slice(max(int(c) - reach, 0), min(int(c) + reach + 1, n)) for c, n in zip(centre, shape, strict=True)
    )
    box = i, j, k
    middle = centre + rng.uniform(-0.5, 0.5, 3) * min(1.0, radius / 2)
    axes = np.meshgrid(
        *(np.arange(s.start, s.stop) - m for s, m in zip(box, middle, strict=True)), indexing="ij"
    )
    points = np.stack([axis.ravel() for axis in axes]).astype(np.float32)
    turned = _random_rotation(rng) @ points
    flattest = np.interp(radius, (1.0, 3.0), (0.9, 0.6))  # a few voxels cannot show a flat shape
    semi_axes = radius * np.array([1.0, *rng.uniform(flattest, 1.0, 2)], dtype=np.float32)
    distance = np.sqrt(np.square(turned / semi_axes[:, None]).sum(axis=0))
    waves = rng.normal(0, 2.2 / max(radius, 1.0), (4, 3)).astype(np.float32) @ points
    bumps = np.sin(waves + rng.uniform(0, 2 * np.pi, (4, 1)).astype(np.float32)).mean(axis=0)
    return box, (distance - 2 * irregularity * bumps).reshape(axes[0].shape).astype(np.float32)


def marrow_mask(canvas: PaintedBody, box: Box, inside: Mask, bone: int) -> Mask:
    """Return the part of a shape that lies in free marrow of one bone."""
    anatomy = canvas.anatomy
    free = np.isin(anatomy.tissue[box], MARROW_TISSUES) & (anatomy.bone[box] == bone)
    return inside & free & (canvas.lesion_labels[box] == 0)


def beyond_marrow_mask(canvas: PaintedBody, box: Box, inside: Mask, bone: int, *, soft_tissue: bool) -> Mask:
    """Return the part of a shape in the cortex of one bone and, if asked, in the soft tissue around it."""
    tissue = canvas.anatomy.tissue[box]
    allowed = np.isin(tissue, CORTEX_TISSUES) & (canvas.anatomy.bone[box] == bone)
    if soft_tissue:
        allowed |= np.isin(tissue, SOFT_TISSUE)
    return inside & allowed & (canvas.lesion_labels[box] == 0)


def connected_to(mask: Mask, seed: tuple[int, ...]) -> Mask:
    """Return the connected part of a mask that holds a voxel; nothing if the voxel is not in the mask."""
    labels = np.zeros(mask.shape, dtype=np.int32)
    ndimage.label(mask, structure=_EVERY_DIRECTION, output=labels)
    return (labels == labels[seed]) & mask


def longest_diameter_mm(points: npt.NDArray[np.float64], spacing_mm: float) -> float:
    """Return the largest distance across a set of voxels.

    Args:
        points: `(3, n)` voxel indices.
        spacing_mm: Voxel side.

    Returns:
        Largest extent over 200 directions (within 1 %), corrected for the voxels' own size.
    """
    extent = np.ptp(_DIRECTIONS @ points, axis=1).max()
    return float(max(extent + _DIAMETER_OFFSET_VOXELS, 1.0) * spacing_mm)


def placed(canvas: PaintedBody, box: Box, mask: Mask) -> tuple[float, float, tuple[float, float, float]]:
    """Return volume in ml, longest diameter in mm and centroid in RAS mm of the voxels of `mask` in `box`."""
    points = np.array(np.nonzero(mask), dtype=np.float64) + [[side.start] for side in box]
    affine = canvas.anatomy.affine_ras_mm
    x, y, z = affine[:3, :3] @ points.mean(axis=1) + affine[:3, 3]
    volume_ml = points.shape[1] * canvas.spacing_mm**3 / 1000
    return volume_ml, longest_diameter_mm(points, canvas.spacing_mm), (float(x), float(y), float(z))


def bone_at(canvas: PaintedBody, voxel: npt.NDArray[np.integer]) -> Bone:
    """Return the bone that a voxel belongs to."""
    i, j, k = (int(index) for index in voxel)
    return Bone(int(canvas.anatomy.bone[i, j, k]))


def _random_rotation(rng: np.random.Generator) -> Field:
    orthogonal, upper = np.linalg.qr(rng.standard_normal((3, 3)))
    return (orthogonal * np.sign(np.diag(upper))).astype(np.float32)


def _fibonacci_directions(count: int) -> npt.NDArray[np.float64]:
    steps = np.arange(count) + 0.5
    height, angle = 1 - steps / count, np.pi * (1 + 5**0.5) * steps
    around = np.sqrt(1 - height**2)
    return np.stack([around * np.cos(angle), around * np.sin(angle), height], axis=1)


_DIRECTIONS = _fibonacci_directions(200)
