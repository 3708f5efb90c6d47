"""A lesion's diameter on the finest sequence of the exam, with its uncertainty.

The network works on a grid as coarse as the diffusion images; whether a lesion reaches 5 mm is measured
where pixels are finest. Around each small lesion the finest anatomical volume is cut half way between
the signal of the lesion and that of the bone around it, and what is connected is measured in the plane of
the slices, as a reader would. Where that cannot be done (no contrast, nothing finer, a lesion that runs
along the slices' normal) the diameter on the grid stays, with a voxel of the grid as its uncertainty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.components import Diameters, diameters_mm
from marrowmap.data.exam import Array3D, Exam, LesionMask, Sequence
from marrowmap.data.grid import Grid

#: What shows the outline of a lesion in marrow, best contrast first where pixels are alike.
ANATOMICAL = (Sequence.STIR, Sequence.T1, Sequence.DIXON_WATER, Sequence.DIXON_IN, Sequence.T2)
SLICE_ANISOTROPY = 1.5


@dataclass(frozen=True, kw_only=True)
class FineSettings:
    """When a diameter of the finest sequence is believed.

    Attributes:
        largest_mm: Lesions larger than this on the grid are measured there: a voxel is little to them.
            On simulated exams the finest sequence halved the error of lesions below 6 mm (1.2 mm
            against 2.5 mm) and won nothing from 9 mm on.
        beyond_mm: So far outside the network's outline the lesion may reach.
        ring_mm: From here to there outside the outline lies the background.
        contrast_to_noise: Lesion and background differ at least by so many standard deviations.
        volume_ratio: The cut-out lesion has between one over this and this times the outline's volume.
        elongation: A lesion longer than this many times its width along the slices' normal is left.
    """

    largest_mm: float = 10.0
    beyond_mm: float = 2.5
    ring_mm: tuple[float, float] = (4.0, 8.0)
    contrast_to_noise: float = 2.0
    volume_ratio: float = 3.0
    elongation: float = 1.5


@dataclass(frozen=True, kw_only=True)
class FineDiameter:
    """Diameters in the plane of the finest slices.

    Attributes:
        diameters: Longest and perpendicular.
        uncertainty_mm: One pixel.
        sequence: Where it was measured.
    """

    diameters: Diameters
    uncertainty_mm: float
    sequence: Sequence


class FineRuler:
    """The finest anatomical volume of an exam, ready to measure lesions of a grid."""

    def __init__(
        self, exam: Exam, grid: Grid, bone: LesionMask, settings: FineSettings | None = None
    ) -> None:
        """Choose the volume; none where none is finer than the grid.

        Args:
            exam: With its volumes as they were acquired.
            grid: Of the lesions.
            bone: bool `(i, j, k)`, the skeleton on the grid: the background is taken from it.
            settings: When a diameter is believed.
        """
        self._settings, self._grid, self._bone = settings or FineSettings(), grid, bone
        self._to_grid = np.linalg.inv(grid.affine_ras_mm)
        self._sequence = finest_sequence(exam, grid)
        if self._sequence is not None:
            volume = exam[self._sequence]
            self._array: Array3D = volume.array
            self._affine = volume.affine_ras_mm
            self._spacing = np.linalg.norm(volume.affine_ras_mm[:3, :3], axis=0)

    def measure(self, voxels: npt.NDArray[np.intp], on_grid: Diameters) -> FineDiameter | None:
        """Measure one lesion; None where the grid's diameter is to stay.

        Args:
            voxels: Indices `(n, 3)` of the lesion on the grid.
            on_grid: Its diameters there.
        """
        if self._sequence is None or on_grid.longest_mm > self._settings.largest_mm:
            return None
        cut = self._cut_out(voxels)
        if cut is None:
            return None
        return self._measured(cut)

    def _cut_out(self, voxels: npt.NDArray[np.intp]) -> LesionMask | None:
        """Return the lesion on the pixels of the finest volume, None where it does not stand out."""
        settings = self._settings
        values, outline, bone = self._around(voxels)
        if not outline.any():
            return None
        outside_mm = np.asarray(ndimage.distance_transform_edt(~outline, sampling=tuple(self._spacing)))
        low, high = settings.ring_mm
        ring = values[(outside_mm > low) & (outside_mm <= high) & bone]
        if ring.size < 20:
            return None
        inner, around = float(np.median(values[outline])), float(np.median(ring))
        noise = 1.4826 * float(np.median(np.abs(ring - around)))
        if abs(inner - around) < settings.contrast_to_noise * max(noise, 1e-9):
            return None
        half = (inner + around) / 2.0
        is_like_lesion = values >= half if inner > around else values <= half
        labels = np.zeros(values.shape, dtype=np.int32)
        ndimage.label(is_like_lesion & (outside_mm <= settings.beyond_mm), output=labels)
        inside = np.bincount(labels[outline], minlength=1)
        inside[0] = 0
        if not inside.any():
            return None
        lesion = labels == int(inside.argmax())
        ratio = float(lesion.sum()) / float(outline.sum())
        is_alike = 1.0 / settings.volume_ratio <= ratio <= settings.volume_ratio
        return lesion if is_alike else None

    def _around(self, voxels: npt.NDArray[np.intp]) -> tuple[Array3D, LesionMask, LesionMask]:
        """Return the finest volume's box around a lesion, and lesion and bone on its pixels."""
        places = self._grid.points_mm(voxels)
        index = (places - self._affine[:3, 3]) @ np.linalg.inv(self._affine[:3, :3]).T
        margin = np.ceil((self._settings.ring_mm[1] + 1.0) / self._spacing)
        first = np.maximum(np.floor(index.min(axis=0) - margin), 0).astype(int)
        last = np.minimum(np.ceil(index.max(axis=0) + margin) + 1, self._array.shape).astype(int)
        if (last <= first).any():
            empty = np.zeros((0, 0, 0))
            return empty.astype(np.float32), empty.astype(bool), empty.astype(bool)
        i, j, k = (slice(int(low), int(high)) for low, high in zip(first, last, strict=True))
        inside = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in (i, j, k)), indexing="ij"), -1)
        points = inside @ self._affine[:3, :3].T + self._affine[:3, 3]
        on_grid = np.rint(points @ self._to_grid[:3, :3].T + self._to_grid[:3, 3]).astype(int)
        shape = np.array(self._grid.shape)
        is_seen = ((on_grid >= 0) & (on_grid < shape)).all(axis=-1)
        places_of = np.clip(on_grid, 0, shape - 1)
        flat = np.ravel_multi_index(tuple(np.moveaxis(places_of, -1, 0)), self._grid.shape)
        own = np.ravel_multi_index(tuple(voxels.T), self._grid.shape)
        outline = np.isin(flat, own) & is_seen
        bone = self._bone.ravel()[flat] & is_seen
        return np.asarray(self._array[i, j, k], dtype=np.float32), outline, bone

    def _measured(self, lesion: LesionMask) -> FineDiameter | None:
        """Return the longest diameter of any slice, or in space where pixels are as long as wide."""
        spacing = self._spacing
        sides = float(spacing[0]), float(spacing[1]), float(spacing[2])
        assert self._sequence is not None
        normal = int(spacing.argmax())
        pixel = float(np.sort(spacing)[1])
        voxels = np.argwhere(lesion)
        if spacing[normal] < SLICE_ANISOTROPY * spacing.min():
            return FineDiameter(
                diameters=diameters_mm(voxels, sides), uncertainty_mm=pixel, sequence=self._sequence
            )
        flat = [0.0 if axis == normal else side for axis, side in enumerate(sides)]
        in_plane = flat[0], flat[1], flat[2]
        slices = [voxels[voxels[:, normal] == number] for number in np.unique(voxels[:, normal])]
        longest = max((diameters_mm(one, in_plane) for one in slices), key=lambda found: found.longest_mm)
        along = float(np.ptp(voxels[:, normal])) * sides[normal]
        if along > self._settings.elongation * longest.longest_mm:
            return None
        return FineDiameter(diameters=longest, uncertainty_mm=pixel, sequence=self._sequence)


def finest_sequence(exam: Exam, grid: Grid) -> Sequence | None:
    """Return the anatomical sequence with the smallest pixels, None where none is finer than the grid."""
    pixels = {}
    for sequence in ANATOMICAL:
        if sequence in exam:
            spacing = np.sort(np.linalg.norm(exam[sequence].affine_ras_mm[:3, :3], axis=0))
            pixels[sequence] = round(float(spacing[1]), 2)
    best = min(pixels, key=lambda sequence: pixels[sequence], default=None)
    return best if best is not None and pixels[best] < 0.95 * min(grid.spacing_mm) else None
