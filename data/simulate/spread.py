"""Disease beyond single lesions: vertebrae that collapse under it, and masses in soft tissue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.simulate.disease_settings import DiseaseSettings
from marrowmap.data.simulate.labels import CORTEX_TISSUES, MARROW_TISSUES, Bone, Tissue
from marrowmap.data.simulate.lesions import lesion_material, lesion_truth
from marrowmap.data.simulate.painting import Box, PaintedBody, connected_to, irregular_blob
from marrowmap.data.simulate.truth import LesionTruth

#: Where masses apart from bone grow, and how often.
_SOFT_SITES = {
    Tissue.MUSCLE: 0.3, Tissue.VISCERAL_FAT: 0.3, Tissue.LIVER: 0.2, Tissue.LYMPH_NODE: 0.1,
    Tissue.KIDNEY: 0.1,
}  # fmt: skip
_MAY_DISPLACE = (Tissue.MUSCLE, Tissue.VISCERAL_FAT, Tissue.SUBCUTANEOUS_FAT, Tissue.LIVER, Tissue.LYMPH_NODE,
                 Tissue.KIDNEY, Tissue.RENAL_MEDULLA, Tissue.BOWEL_WALL,
                 Tissue.BOWEL_MUCOSA)  # fmt: skip


def paint_malignant_collapse(
    canvas: PaintedBody, bone: Bone, rng: np.random.Generator, *, lesion_id: int
) -> LesionTruth | None:
    """Fill the body of a collapsed vertebra with a lesion that bulges into the canal; None if absent."""
    found = _vertebra(canvas, bone)
    if found is None:
        return None
    box, here = found
    tissue = canvas.anatomy.tissue[box]
    body = here & np.isin(tissue, (*MARROW_TISSUES, *CORTEX_TISSUES))
    depth = np.nonzero(body)[1]
    wall = np.quantile(depth, 0.45)  # the body is the front part; one pedicle is often taken too
    column = np.arange(body.shape[1])[None, :, None]
    taken = body & (column >= wall - rng.integers(0, 8))
    bulge = np.asarray(ndimage.binary_dilation(taken, iterations=2), dtype=bool)
    taken |= bulge & np.isin(tissue, (Tissue.CSF, Tissue.VISCERAL_FAT)) & (column < wall)
    mask = taken & (canvas.lesion_labels[box] == 0)
    if mask.sum() < 30:
        return None
    mask = connected_to(mask, tuple(np.argwhere(mask)[mask.sum() // 2]))
    material = lesion_material("active", rng)
    canvas.paint(box, mask, canvas.add(material))
    canvas.lesion_labels[box][mask] = lesion_id
    return replace(
        lesion_truth(canvas, box, mask, bone, lesion_id, "active", material),
        breaches_cortex=True,
        is_epidural=bool((tissue[mask] == Tissue.CSF).any()),
        collapses_vertebra=True,
    )


def _vertebra(canvas: PaintedBody, bone: Bone) -> tuple[Box, npt.NDArray[np.bool_]] | None:
    """Return the box of a bone with a margin and which of its voxels belong to it; None if it is absent."""
    found = ndimage.find_objects((canvas.anatomy.bone == bone).astype(np.uint8))
    if not found:
        return None
    i, j, k = (
        slice(max(side.start - 4, 0), min(side.stop + 4, n))
        for side, n in zip(found[0], canvas.material.shape, strict=True)
    )
    return (i, j, k), canvas.anatomy.bone[i, j, k] == bone


def paint_extramedullary(
    canvas: PaintedBody, settings: DiseaseSettings, rng: np.random.Generator, *, first_id: int
) -> tuple[LesionTruth, ...]:
    """Paint masses of 12 to 50 mm in soft tissue, in a share of the people.

    Args:
        canvas: Painted on.
        settings: How often.
        rng: Source of randomness.
        first_id: Of the labels.

    Returns:
        What was painted; none in most people.
    """
    if rng.random() >= settings.extramedullary_share:
        return ()
    lesions: list[LesionTruth] = []
    for _ in range(int(rng.integers(1, 4))):
        site = list(_SOFT_SITES)[int(rng.choice(len(_SOFT_SITES), p=list(_SOFT_SITES.values())))]
        centre = soft_place(canvas, site, rng)
        if centre is None:
            continue
        lesion = _paint_mass(canvas, centre, first_id + len(lesions), rng)
        lesions += [lesion] if lesion else []
    return tuple(lesions)


def _paint_mass(
    canvas: PaintedBody, centre: npt.NDArray[np.integer], lesion_id: int, rng: np.random.Generator
) -> LesionTruth | None:
    box, distance = irregular_blob(centre, float(rng.uniform(12, 50)), canvas, rng, irregularity=0.2)
    free = np.isin(canvas.anatomy.tissue[box], _MAY_DISPLACE) & (canvas.lesion_labels[box] == 0)
    seed = tuple(int(c) - side.start for c, side in zip(centre, box, strict=True))
    mask = connected_to(free & (distance < 1), seed)
    if mask.sum() < 30:
        return None
    material = lesion_material("active", rng)
    canvas.paint(box, mask, canvas.add(material))
    canvas.lesion_labels[box][mask] = lesion_id
    bone = nearest_bone(canvas, centre)
    lesion = lesion_truth(canvas, box, mask, bone, lesion_id, "active", material)
    return replace(lesion, is_extramedullary=True)


def soft_place(canvas: PaintedBody, site: Tissue, rng: np.random.Generator) -> npt.NDArray[np.int32] | None:
    """Return a random voxel of a tissue that lies deeper than its rim, None where there is none."""
    flat = np.flatnonzero(canvas.anatomy.tissue == site)
    if not flat.size:
        return None
    place = flat[rng.integers(flat.size)]
    return np.array(np.unravel_index(place, canvas.material.shape)).astype(np.int32)


def nearest_bone(canvas: PaintedBody, voxel: npt.NDArray[np.integer]) -> Bone:
    """Return the bone next to a voxel; the sacrum where none is within 12 cm."""
    for reach_mm in (15.0, 30.0, 60.0, 120.0):
        reach = round(reach_mm / canvas.spacing_mm)
        i, j, k = (slice(max(int(c) - reach, 0), int(c) + reach + 1) for c in voxel)
        near = canvas.anatomy.bone[i, j, k]
        places = np.argwhere(near > 0)
        if len(places):
            middle = np.array([int(c) - side.start for c, side in zip(voxel, (i, j, k), strict=True)])
            a, b, c = places[np.argmin(((places - middle) ** 2).sum(axis=1))]
            return Bone(int(near[a, b, c]))
    return Bone.SACRUM
