"""The grid that a body is painted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.exam import Affine, LesionMask
from marrowmap.data.simulate.labels import Bone, Tissue
from marrowmap.data.simulate.shapes import Points, Surface
from marrowmap.data.simulate.voxelise import inside_surface

Box = tuple[slice, slice, slice]

#: Thickness of compact bone by distance below the top of a long bone (mm): head, neck, shaft.
_LONG_CORTEX = {
    Bone.FEMUR_RIGHT: ((0, 60, 100, 160), (1.0, 2.0, 4.5, 6.0)),
    Bone.FEMUR_LEFT: ((0, 60, 100, 160), (1.0, 2.0, 4.5, 6.0)),
    Bone.HUMERUS_RIGHT: ((0, 45, 90, 150), (1.0, 1.5, 3.2, 4.2)),
    Bone.HUMERUS_LEFT: ((0, 45, 90, 150), (1.0, 1.5, 3.2, 4.2)),
    Bone.FOREARM: ((0, 40), (2.0, 2.8)),
}
#: From here down a shaft is hollow: yellow marrow without trabeculae.
_CAVITY_BELOW_TOP_MM = {Bone.FEMUR_RIGHT: 105.0, Bone.FEMUR_LEFT: 105.0,
                        Bone.HUMERUS_RIGHT: 85.0, Bone.HUMERUS_LEFT: 85.0}  # fmt: skip
#: The shell of these is thinner than a voxel of 2 mm: it shows as a mixture of bone and marrow.
_THIN_SHELL = frozenset(
    {bone for bone in Bone if Bone.C1 <= bone <= Bone.L5}
    | {Bone.RIBS, Bone.STERNUM, Bone.SACRUM, Bone.SCAPULA_RIGHT, Bone.SCAPULA_LEFT}
)
_SOLID = frozenset({Bone.SKULL})
_CROSS = ndimage.generate_binary_structure(3, 1)


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """Tissue and bone maps under construction; painting changes them in place.

    Attributes:
        tissue: uint8 `(i, j, k)`.
        bone: uint8 `(i, j, k)`.
        origin_mm: RAS+ position of voxel (0, 0, 0).
        spacing_mm: Isotropic voxel size.
    """

    tissue: npt.NDArray[np.uint8]
    bone: npt.NDArray[np.uint8]
    origin_mm: Points
    spacing_mm: float

    @classmethod
    def blank(cls, shape: tuple[int, int, int], origin_mm: Points, spacing_mm: float) -> Canvas:
        """Return a canvas of air."""
        return cls(
            tissue=np.zeros(shape, dtype=np.uint8),
            bone=np.zeros(shape, dtype=np.uint8),
            origin_mm=origin_mm,
            spacing_mm=spacing_mm,
        )

    @property
    def affine_ras_mm(self) -> Affine:
        """Voxel to RAS+ mm."""
        affine = np.diag([self.spacing_mm] * 3 + [1.0])
        affine[:3, 3] = self.origin_mm
        return affine

    def to_voxels(self, points_mm: Points) -> Points:
        """Return voxel coordinates of RAS+ points `(n, 3)`."""
        return (points_mm - self.origin_mm) / self.spacing_mm

    def inside(self, surface: Surface) -> tuple[Box, npt.NDArray[np.bool_]]:
        """Return the box that a surface touches and the voxels of it that lie inside."""
        shape = (self.tissue.shape[0], self.tissue.shape[1], self.tissue.shape[2])
        vertices = self.to_voxels(surface.vertices)
        return inside_surface(vertices, surface.faces, shape, is_closed=surface.is_closed)

    def paint(self, surface: Surface, tissue: Tissue, *, over: frozenset[Tissue] | None = None) -> None:
        """Paint a tissue inside a surface, only over the given tissues if any are given."""
        box, inside = self.inside(surface)
        target = self.tissue[box]
        if over is not None:
            inside = inside & np.isin(target, list(over))
        target[inside] = tissue

    def paint_hollow(
        self,
        surface: Surface,
        wall: Tissue,
        content: Tissue,
        *,
        over: frozenset[Tissue],
        gas_share: float = 0.0,
    ) -> None:
        """Paint an organ with a wall of one voxel and its content; gas rises to the front."""
        box, inside = self.inside(surface)
        inside &= np.isin(self.tissue[box], list(over))
        core = _eroded(inside, 1, border=False)
        self.tissue[box][inside] = wall
        self.tissue[box][core] = content
        depth = np.nonzero(core)[1]
        if gas_share > 0 and depth.size:
            level = np.quantile(depth, 1 - gas_share)
            front = np.arange(core.shape[1])[None, :, None] >= level
            self.tissue[box][core & front] = Tissue.GAS

    def paint_bone(self, bone: Bone, surface: Surface) -> None:
        """Paint a bone: its outer layer as cortex, the rest as marrow, soft tissue kept around it."""
        box, inside = self.inside(surface)
        if not inside.any():
            return
        self._cover(box, inside)
        if bone in _LONG_CORTEX:
            core, cavity = self._hollow_shaft(bone, box, inside)
        else:
            # At the edge of the field of view a bone is cut, not capped with cortex.
            core = np.zeros_like(inside) if bone in _SOLID else _eroded(inside, 1, border=True)
            cavity = np.zeros_like(core)
        shell = Tissue.THIN_CORTEX if bone in _THIN_SHELL else Tissue.CORTICAL_BONE
        self.tissue[box][inside] = shell
        self.tissue[box][core] = Tissue.MARROW
        self.tissue[box][cavity] = Tissue.MEDULLARY_CAVITY
        self.bone[box][inside] = bone

    def _hollow_shaft(self, bone: Bone, box: Box, inside: LesionMask) -> tuple[LesionMask, LesionMask]:
        """Return the marrow of a long bone and which of it lies in the hollow of its shaft."""
        # At the edge of the field of view a bone is cut, not capped with cortex.
        padded = np.pad(inside, 1, mode="edge")
        depth = np.asarray(ndimage.distance_transform_edt(padded, sampling=self.spacing_mm))[1:-1, 1:-1, 1:-1]
        heights = np.flatnonzero(inside.any(axis=(0, 1)))
        below_top = (heights[-1] - np.arange(inside.shape[2])) * self.spacing_mm
        cortex = np.maximum(np.interp(below_top, *_LONG_CORTEX[bone]), 0.6 * self.spacing_mm)
        core = inside & (depth > cortex)
        hollow_from = _CAVITY_BELOW_TOP_MM.get(bone, np.inf)
        return core, core & (below_top > hollow_from) & (depth > cortex + 1.5)

    def _cover(self, box: Box, inside: LesionMask) -> None:
        """See that a bone does not lie bare: soft tissue where it would touch the air."""
        margin = max(1, round(4.0 / self.spacing_mm))
        wide = tuple(
            slice(max(0, part.start - margin), min(n, part.stop + margin))
            for part, n in zip(box, self.tissue.shape, strict=True)
        )
        pads = [(part.start - w.start, w.stop - part.stop) for part, w in zip(box, wide, strict=True)]
        near = ndimage.binary_dilation(np.pad(inside, pads), _CROSS, iterations=margin)
        target = self.tissue[wide]
        target[np.asarray(near, dtype=bool) & (target == Tissue.AIR)] = Tissue.SUBCUTANEOUS_FAT


def _eroded(mask: LesionMask, layers: int, *, border: bool) -> LesionMask:
    return np.asarray(
        ndimage.binary_erosion(mask, _CROSS, iterations=layers, border_value=border), dtype=bool
    )
