"""From the lesion probability to lesions as voxels: connected, numbered, specks counted apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowmap.data.components import find_components
from marrowmap.data.exam import Array3D, ExamWarning, LesionMask

#: Ids are uint16 in `lesions.nii.gz`.
MAXIMUM_LESIONS = 65_535


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
    lesion_probability: Array3D, *, threshold: float, minimum_volume_ml: float, voxel_ml: float
) -> LesionInstances:
    """Cut the probability into connected lesions, touching at a face, edge or corner.

    Args:
        lesion_probability: float32 `(i, j, k)` in [0, 1].
        threshold: Voxels of this probability or more are lesion.
        minimum_volume_ml: Components of less are specks.
        voxel_ml: Volume of a voxel.
    """
    components = find_components(lesion_probability >= threshold)
    sizes = np.concatenate([[0], components.voxels])
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


def speck_warnings(instances: LesionInstances, minimum_volume_ml: float) -> tuple[ExamWarning, ...]:
    """Return a warning that names what was too small to list; none for none."""
    if not instances.specks:
        return ()
    text = (
        f"{instances.specks} specks below {minimum_volume_ml:g} ml ({instances.specks_ml:.2f} ml together) "
        "are not listed; they stand in lesion_probability.nii.gz."
    )
    return (ExamWarning(code="specks_not_listed", text=text),)
