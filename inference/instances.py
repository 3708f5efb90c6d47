"""From the lesion probability to lesions as voxels: connected, numbered, specks counted apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.exam import Array3D, ExamWarning, LesionMask
from marrowmap.data.lesion_outline import OUTLINE_PROBABILITY, lesion_components

#: Ids are uint16 in `lesions.nii.gz`.
MAXIMUM_LESIONS = 65_535
#: A lesion of fewer voxels shows no neck.
NECK_VOXELS = 60
#: Each side of a neck is at least this many voxels deeper than the neck itself.
NECK_DEPTH = 1.0
_EVERY_DIRECTION = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True, kw_only=True)
class LesionInstances:
    """Lesions as voxels, before they are described.

    Attributes:
        labels: uint16 `(i, j, k)`, 1 is the largest lesion, 0 is none.
        specks: Number of components below the least volume.
        specks_ml: Their volume.
    """

    labels: npt.NDArray[np.uint16]
    specks: int
    specks_ml: float

    @property
    def mask(self) -> LesionMask:
        """Where any lesion is."""
        return self.labels > 0


def outline_lesions(
    lesion_probability: Array3D,
    *,
    threshold: float,
    outline: float = OUTLINE_PROBABILITY,
    minimum_volume_ml: float,
    voxel_ml: float,
) -> LesionInstances:
    """Cut the probability into connected lesions, touching at a face, edge or corner.

    Args:
        lesion_probability: float32 `(i, j, k)` in [0, 1].
        threshold: A lesion has a voxel of this probability or more.
        outline: Its other voxels have this probability or more.
        minimum_volume_ml: Components of less are specks.
        voxel_ml: Volume of a voxel.
    """
    components, is_found = lesion_components(lesion_probability, threshold, outline)
    sizes = np.concatenate([[0], np.where(is_found, components.voxels, 0)])
    order = np.argsort(-sizes, kind="stable")
    is_large = (sizes > 0) & (sizes * voxel_ml >= minimum_volume_ml - 1e-9)
    order = order[is_large[order]][:MAXIMUM_LESIONS]
    new_id = np.zeros(len(sizes), dtype=np.uint16)
    new_id[order] = np.arange(1, len(order) + 1)
    is_speck = (sizes > 0) & (new_id == 0)
    specks_ml = float(sizes[is_speck].sum()) * voxel_ml
    return LesionInstances(labels=new_id[components.labels], specks=int(is_speck.sum()), specks_ml=specks_ml)


def voxels_by_id(labels: npt.NDArray[np.uint16]) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
    """Yield each id with the indices `(n, 3)` of its voxels, ids ascending."""
    flat = np.flatnonzero(labels)
    if not flat.size:
        return
    flat = flat[np.argsort(labels.ravel()[flat], kind="stable")]
    ids, starts = np.unique(labels.ravel()[flat], return_index=True)
    for number, part in zip(ids.tolist(), np.split(flat, starts[1:]), strict=True):
        yield number, np.stack(np.unravel_index(part, labels.shape), axis=1)


def parts_between_necks(voxels: npt.NDArray[np.intp]) -> int:
    """Return into how many parts the necks of a lesion divide it; 1 for a lesion without a neck.

    The lesion is peeled layer by layer; what falls apart into deep parts had grown together.

    Args:
        voxels: Indices `(n, 3)`.
    """
    if len(voxels) < NECK_VOXELS:
        return 1
    low = voxels.min(axis=0)
    mask = np.zeros(voxels.max(axis=0) - low + 3, dtype=bool)
    mask[tuple((voxels - low + 1).T)] = True
    depth = np.asarray(ndimage.distance_transform_edt(mask))
    most = 1
    for peeled in np.arange(1.0, float(depth.max()) - NECK_DEPTH + 0.01, 0.5):
        labels = np.zeros(mask.shape, dtype=np.int32)
        count = int(ndimage.label(depth > peeled, structure=_EVERY_DIRECTION, output=labels))  # type: ignore[arg-type]
        deepest = np.asarray(ndimage.maximum(depth, labels, np.arange(1, count + 1)))
        most = max(most, int((deepest >= peeled + NECK_DEPTH).sum()))
    return most


def speck_warnings(instances: LesionInstances, minimum_volume_ml: float) -> tuple[ExamWarning, ...]:
    """Return a warning that names what was too small to list; none for none."""
    if not instances.specks:
        return ()
    text = (
        f"{instances.specks} specks below {minimum_volume_ml:g} ml ({instances.specks_ml:.2f} ml together) "
        "are not listed; they stand in lesion_probability.nii.gz."
    )
    return (ExamWarning(code="specks_not_listed", text=text),)
