"""Lesions that change on a body painted before: cleared, cut down to their core, grown, added."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.simulate.labels import regions_of_bones
from marrowmap.data.simulate.marrow import FIRST_LESION_ROW
from marrowmap.data.simulate.painting import (
    SOFT_TISSUE,
    Box,
    Mask,
    PaintedBody,
    bone_at,
    connected_to,
    irregular_blob,
    marrow_mask,
)
from marrowmap.data.simulate.tissue import TISSUE_ROWS, Material
from marrowmap.data.simulate.truth import LesionTruth
from marrowmap.data.skeleton import Region

_NEW_DIAMETER_MM = (9.0, 24.0)


def mean_material(canvas: PaintedBody, box: Box, mask: Mask) -> Material:
    """Return the mean of what a lesion is made of."""
    rows = canvas.material[box][mask].astype(np.intp) - FIRST_LESION_ROW
    used, counts = np.unique(rows[rows >= 0], return_counts=True)
    names = Material.__dataclass_fields__
    return Material(
        **{
            name: float(np.average([getattr(canvas.materials[r], name) for r in used], weights=counts))
            for name in names
        }
    )


def widened(box: Box, canvas: PaintedBody, *, by_mm: float) -> Box:
    """Return a box with a margin, cut at the body's grid."""
    margin = int(np.ceil(by_mm / canvas.spacing_mm))
    i, j, k = (
        slice(max(side.start - margin, 0), min(side.stop + margin, n))
        for side, n in zip(box, canvas.material.shape, strict=True)
    )
    return i, j, k


def clear(canvas: PaintedBody, box: Box, mask: Mask) -> None:
    """Give voxels back what lies nearest in the same tissue of the same bone."""
    if not mask.any():
        return
    anatomy, labels = canvas.anatomy, canvas.lesion_labels[box]
    kind = anatomy.tissue[box].astype(np.int32) * 256 + anatomy.bone[box]
    material = canvas.material[box]
    for value in np.unique(kind[mask]):
        wanted = mask & (kind == value)
        free = (kind == value) & (labels == 0) & (material < FIRST_LESION_ROW)
        free = free if free.any() else (labels == 0) & ~mask
        nearest = ndimage.distance_transform_edt(~free, return_distances=False, return_indices=True)
        i, j, k = np.asarray(nearest)[:, wanted]
        material[wanted] = material[i, j, k]
    labels[mask] = 0


def core(mask: Mask, ratio: float) -> Mask:
    """Return the inner part of a mask, its volume smaller by about the cube of a ratio of diameters."""
    depth = np.asarray(ndimage.distance_transform_edt(np.pad(mask, 1)))[1:-1, 1:-1, 1:-1]
    deepest = np.array(np.unravel_index(int(np.argmax(depth)), mask.shape))
    points = np.argwhere(mask)
    distance = np.linalg.norm(points - deepest, axis=1)
    wanted = max(1, round(len(points) * ratio**3))
    inner = np.zeros_like(mask)
    inner[tuple(points[np.argsort(distance, kind="stable")[:wanted]].T)] = True
    return connected_to(inner, tuple(int(index) for index in deepest))


def grown_mask(canvas: PaintedBody, box: Box, mask: Mask, lesion: LesionTruth, ratio: float) -> Mask:
    """Return a mask grown to about a ratio of diameters, through bone first, then through soft tissue."""
    anatomy = canvas.anatomy
    is_bone = anatomy.bone[box] == lesion.bone
    allowed = is_bone | np.isin(anatomy.tissue[box], SOFT_TISSUE)
    allowed &= (canvas.lesion_labels[box] == 0) | mask
    distance = np.asarray(ndimage.distance_transform_edt(~mask))
    reach = max(ratio - 1.0, 5.0 / lesion.longest_diameter_mm) * lesion.longest_diameter_mm / 2
    resistance = np.where(is_bone, 1.0, 1.6)
    grown = mask | (allowed & (distance * resistance <= reach / canvas.spacing_mm))
    seed = np.argwhere(mask)[0]
    return connected_to(grown, tuple(int(index) for index in seed))


def add_lesions(
    canvas: PaintedBody, rng: np.random.Generator, known: int, count: int
) -> tuple[LesionTruth, ...]:
    """Paint new lesions into free marrow of the axial skeleton and the proximal limbs."""
    is_free = (canvas.material >= TISSUE_ROWS) & (canvas.material < FIRST_LESION_ROW)
    places = np.flatnonzero(is_free & (canvas.anatomy.bone < 90))
    added: list[LesionTruth] = []
    for _ in range(8 * count):
        if len(added) == count or not places.size:
            break
        centre = np.array(np.unravel_index(places[rng.integers(places.size)], is_free.shape))
        lesion = _add_lesion(canvas, centre, known + len(added) + 1, rng)
        added += [lesion] if lesion else []
    return tuple(added)


def _add_lesion(
    canvas: PaintedBody, centre: npt.NDArray[np.integer], lesion_id: int, rng: np.random.Generator
) -> LesionTruth | None:
    bone = bone_at(canvas, centre)
    diameter = float(rng.uniform(*_NEW_DIAMETER_MM))
    box, distance = irregular_blob(centre, diameter, canvas, rng)
    seed = tuple(int(c) - side.start for c, side in zip(centre, box, strict=True))
    mask = connected_to(marrow_mask(canvas, box, distance < 1, bone), seed)
    # A rib holds a sliver only: a new lesion is one that can be seen.
    if mask.sum() * canvas.spacing_mm**3 < 150.0:
        return None
    adc = float(rng.uniform(650, 950))
    material = Material(proton_density=1.0, t1_ms=970.0, t2_ms=51.0, fat_fraction=0.05, adc_um2_per_s=adc)
    canvas.paint(box, mask, canvas.add(material))
    canvas.lesion_labels[box][mask] = lesion_id
    region = Region(int(regions_of_bones(np.array([bone], dtype=np.uint8))[0]))
    return LesionTruth(
        id=lesion_id,
        kind="active",
        region=region,
        bone=bone,
        volume_ml=float(mask.sum()) * canvas.spacing_mm**3 / 1000.0,
        longest_diameter_mm=diameter,
        centroid_ras_mm=(0.0, 0.0, 0.0),
        adc_um2_per_s=material.adc_um2_per_s,
        fat_fraction=material.fat_fraction,
    )
