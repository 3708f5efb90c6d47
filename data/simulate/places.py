"""Where a lesion begins when it must touch another one or the spinal canal."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.simulate.labels import MARROW_TISSUES, Bone, Tissue
from marrowmap.data.simulate.painting import PaintedBody, marrow_mask
from marrowmap.data.simulate.truth import LesionTruth


def beside(
    canvas: PaintedBody,
    lesion: LesionTruth,
    rng: np.random.Generator,
    *,
    otherwise: npt.NDArray[np.int32],
) -> npt.NDArray[np.int32]:
    """Return a free marrow voxel at the edge of a lesion, so that the next one touches it."""
    affine = canvas.anatomy.affine_ras_mm
    middle = np.rint((np.array(lesion.centroid_ras_mm) - affine[:3, 3]) / canvas.spacing_mm).astype(int)
    reach = int(lesion.longest_diameter_mm / 2 / canvas.spacing_mm) + 3
    i, j, k = (
        slice(max(c - reach, 0), min(c + reach + 1, n))
        for c, n in zip(middle, canvas.material.shape, strict=True)
    )
    box = i, j, k
    labels = canvas.lesion_labels[box]
    near = ndimage.binary_dilation(labels == lesion.id, iterations=2)
    free = marrow_mask(canvas, box, np.asarray(near, dtype=bool), int(lesion.bone))
    places = np.argwhere(free)
    if not len(places):
        return otherwise
    return (places[rng.integers(len(places))] + [side.start for side in box]).astype(np.int32)


def toward_canal(canvas: PaintedBody, centre: npt.NDArray[np.int32], bone: Bone) -> npt.NDArray[np.int32]:
    """Return the marrow voxel of a vertebra near a place that lies closest to the spinal canal."""
    reach = round(30.0 / canvas.spacing_mm)
    low = np.maximum(centre - reach, 0)
    i, j, k = (slice(int(start), int(c) + reach) for start, c in zip(low, centre, strict=True))
    tissue, bones = canvas.anatomy.tissue[i, j, k], canvas.anatomy.bone[i, j, k]
    fluid = tissue == Tissue.CSF
    free = np.isin(tissue, MARROW_TISSUES) & (bones == bone) & (canvas.lesion_labels[i, j, k] == 0)
    if not fluid.any() or not free.any():
        return centre
    away = np.where(free, np.asarray(ndimage.distance_transform_edt(~fluid)), np.inf)
    return (np.array(np.unravel_index(np.argmin(away), away.shape)) + low).astype(np.int32)
