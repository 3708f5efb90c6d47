"""Benign findings that look like lesions on some sequence; each is in the truth, none in a lesion label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import SettingsError
from marrowmap.data.simulate.labels import Bone, Tissue, regions_of_bones
from marrowmap.data.simulate.marrow import MarrowState
from marrowmap.data.simulate.painting import (
    Box,
    Mask,
    PaintedBody,
    bone_at,
    connected_to,
    irregular_blob,
    marrow_mask,
    placed,
)
from marrowmap.data.simulate.spread import nearest_bone, soft_place
from marrowmap.data.simulate.tissue import Material
from marrowmap.data.simulate.truth import MimicTruth
from marrowmap.data.skeleton import Region

_VERTEBRAE = tuple(bone for bone in Bone if Bone.C2 <= bone <= Bone.L5)
_LOWER_VERTEBRAE = tuple(bone for bone in Bone if Bone.T6 <= bone <= Bone.L5)
_PELVIS = (Bone.SACRUM, Bone.PELVIS_LEFT, Bone.PELVIS_RIGHT)
_LIMBS = (Bone.FEMUR_LEFT, Bone.FEMUR_RIGHT, Bone.HUMERUS_LEFT, Bone.HUMERUS_RIGHT)
_ANYWHERE = tuple(bone for bone in Bone if bone is not Bone.FOREARM)
_AROUND_NODES = (Tissue.LYMPH_NODE, Tissue.VISCERAL_FAT, Tissue.SUBCUTANEOUS_FAT)

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Mimic:
    """How one kind of benign finding is drawn; every pair is a uniform range.

    Attributes:
        frequency: How often, relative to the other kinds.
        bones: Where it may lie.
        place: Anywhere in the marrow, along a disc, in the posterior arch, or at a lymph node.
        diameter_mm: Its longest diameter; along a disc the width, with `depth_mm`.
        fat_fraction: Of its tissue.
        adc_um2_per_s: Of its water.
        t2_ms: Of its water.
        proton_density: Muscle 1.0.
        depth_mm: How far a band along a disc reaches into the vertebra.
    """

    frequency: float
    bones: tuple[Bone, ...]
    place: Literal["marrow", "endplate", "arch", "node"] = "marrow"
    diameter_mm: Range
    fat_fraction: Range
    adc_um2_per_s: Range
    t2_ms: Range = (44, 48)
    proton_density: Range = (0.97, 1.03)
    depth_mm: Range = (4, 9)


MIMICS: dict[str, Mimic] = {
    "haemangioma": Mimic(
        frequency=3, bones=_VERTEBRAE, diameter_mm=(7, 24), fat_fraction=(0.6, 0.9),
        adc_um2_per_s=(1300, 1900), t2_ms=(75, 110),
    ),
    "atypical_haemangioma": Mimic(
        frequency=1, bones=_VERTEBRAE, diameter_mm=(7, 20), fat_fraction=(0.1, 0.35),
        adc_um2_per_s=(1350, 1800), t2_ms=(60, 80),
    ),
    "modic_oedema": Mimic(
        frequency=2, bones=_LOWER_VERTEBRAE, place="endplate", diameter_mm=(16, 40),
        fat_fraction=(0.1, 0.35), adc_um2_per_s=(1100, 1600), t2_ms=(50, 65),
    ),
    "modic_fat": Mimic(
        frequency=2, bones=_LOWER_VERTEBRAE, place="endplate", diameter_mm=(16, 40),
        fat_fraction=(0.85, 0.95), adc_um2_per_s=(300, 400),
    ),
    "schmorl_node": Mimic(
        frequency=1, bones=_LOWER_VERTEBRAE, place="endplate", diameter_mm=(7, 12),
        fat_fraction=(0.0, 0.15), adc_um2_per_s=(1200, 1700), t2_ms=(50, 65), depth_mm=(6, 9),
    ),
    "fracture_oedema": Mimic(
        frequency=1, bones=_LOWER_VERTEBRAE, place="endplate", diameter_mm=(40, 60),
        fat_fraction=(0.1, 0.3), adc_um2_per_s=(1400, 2000), t2_ms=(60, 80), depth_mm=(6, 14),
    ),
    "facet_oedema": Mimic(
        frequency=1, bones=_LOWER_VERTEBRAE, place="arch", diameter_mm=(7, 13),
        fat_fraction=(0.1, 0.3), adc_um2_per_s=(1200, 1700), t2_ms=(50, 65),
    ),
    "bone_island": Mimic(
        frequency=2, bones=_ANYWHERE, diameter_mm=(4, 12), fat_fraction=(0.0, 0.1),
        adc_um2_per_s=(700, 900), t2_ms=(10, 20), proton_density=(0.05, 0.2),
    ),
    "red_marrow_patch": Mimic(
        frequency=3, bones=_PELVIS + _LIMBS + _LOWER_VERTEBRAE, diameter_mm=(12, 35),
        fat_fraction=(0.25, 0.4), adc_um2_per_s=(480, 620),
    ),
    "fatty_scar": Mimic(
        frequency=2, bones=_ANYWHERE, diameter_mm=(6, 22), fat_fraction=(0.82, 0.95),
        adc_um2_per_s=(300, 420),
    ),
    "cyst": Mimic(
        frequency=1, bones=_PELVIS + _LIMBS, diameter_mm=(5, 14), fat_fraction=(0.0, 0.02),
        adc_um2_per_s=(2200, 2900), t2_ms=(120, 220),
    ),
    "bright_node": Mimic(
        frequency=2, bones=_ANYWHERE, place="node", diameter_mm=(8, 20), fat_fraction=(0.0, 0.15),
        adc_um2_per_s=(800, 1150), t2_ms=(58, 72),
    ),
}  # fmt: skip


def paint_mimics(
    canvas: PaintedBody,
    marrow: MarrowState,
    rng: np.random.Generator,
    *,
    mean_count: float,
    kinds: tuple[str, ...] | None = None,
) -> tuple[MimicTruth, ...]:
    """Paint a random number of benign findings where there is no lesion.

    Args:
        canvas: Painted on.
        marrow: Where marrow is.
        rng: Source of randomness.
        mean_count: Mean of the Poisson number of findings.
        kinds: These and no others, one finding each.

    Returns:
        What was painted.

    Raises:
        SettingsError: If a kind is unknown.
    """
    if kinds is None:
        names = list(MIMICS)
        weights = np.array([MIMICS[kind].frequency for kind in names])
        chosen = rng.choice(len(names), size=int(rng.poisson(mean_count)), p=weights / weights.sum())
        kinds = tuple(names[int(index)] for index in chosen)
    unknown = sorted(set(kinds) - set(MIMICS))
    if unknown:
        raise SettingsError(f"unknown mimic {unknown[0]!r}; use one of {', '.join(MIMICS)}")
    painted = [paint_mimic(canvas, marrow, kind, rng) for kind in kinds]
    return tuple(mimic for mimic in painted if mimic)


def paint_mimic(
    canvas: PaintedBody,
    marrow: MarrowState,
    kind: str,
    rng: np.random.Generator,
    *,
    bones: tuple[Bone, ...] | None = None,
) -> MimicTruth | None:
    """Paint one benign finding of a kind, in some bones only if given; None where there is no place."""
    mimic = MIMICS[kind]
    centre = _centre(canvas, marrow, mimic, bones or mimic.bones, rng)
    if centre is None:
        return None
    box, distance = irregular_blob(centre, float(rng.uniform(*mimic.diameter_mm)), canvas, rng)
    if mimic.place == "node":
        bone = nearest_bone(canvas, centre)
        mask = (distance < 1) & np.isin(canvas.anatomy.tissue[box], _AROUND_NODES)
        mask &= canvas.lesion_labels[box] == 0
    else:
        bone = bone_at(canvas, centre)
        mask = marrow_mask(canvas, box, distance < 1, bone)
    if mimic.place == "endplate":
        depth = max(int(rng.uniform(*mimic.depth_mm) / canvas.spacing_mm), 1)
        mask &= _near_disc(canvas, box, depth)
    mask = connected_to(mask, tuple(int(c) - s.start for c, s in zip(centre, box, strict=True)))
    if mask.sum() < 3:
        return None
    canvas.paint(box, mask, canvas.add(_material(mimic, rng)))
    return _mimic_truth(canvas, box, mask, bone, kind)


def _mimic_truth(canvas: PaintedBody, box: Box, mask: Mask, bone: Bone, kind: str) -> MimicTruth:
    volume_ml, diameter_mm, centroid = placed(canvas, box, mask)
    region = int(regions_of_bones(np.array([bone], dtype=np.uint8))[0]) or Region.HUMERI  # beside a forearm
    return MimicTruth(
        kind=kind,
        region=Region(region),
        bone=bone,
        volume_ml=volume_ml,
        longest_diameter_mm=diameter_mm,
        centroid_ras_mm=centroid,
    )


def _centre(
    canvas: PaintedBody, marrow: MarrowState, mimic: Mimic, bones: tuple[Bone, ...], rng: np.random.Generator
) -> npt.NDArray[np.int32] | None:
    """Return where a finding may begin, None where this body has no place for it."""
    if mimic.place == "node":
        return soft_place(canvas, Tissue.LYMPH_NODE, rng)
    places = np.flatnonzero(np.isin(marrow.bone, bones))
    if mimic.place == "arch":
        places = _posterior(marrow, places)
    elif mimic.place == "endplate":
        places = _beside_disc(canvas, marrow, places, depth_voxels=1 + int(4 / canvas.spacing_mm))
    return marrow.voxels[:, places[rng.integers(places.size)]] if places.size else None


def _material(mimic: Mimic, rng: np.random.Generator) -> Material:
    return Material(
        proton_density=float(rng.uniform(*mimic.proton_density)),
        t1_ms=970.0,
        t2_ms=float(rng.uniform(*mimic.t2_ms)),
        fat_fraction=float(rng.uniform(*mimic.fat_fraction)),
        adc_um2_per_s=float(rng.uniform(*mimic.adc_um2_per_s)),
    )


def _posterior(marrow: MarrowState, places: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return the marrow voxels in the rear third of one vertebra's extent, over all vertebrae."""
    back = np.zeros(places.size, dtype=bool)
    for bone in np.unique(marrow.bone[places]):
        here = marrow.bone[places] == bone
        depth = marrow.voxels[1, places[here]]
        back[here] = depth < depth.min() + (np.ptp(depth) + 1) * 0.45
    return places[back]


def _beside_disc(
    canvas: PaintedBody, marrow: MarrowState, places: npt.NDArray[np.intp], *, depth_voxels: int
) -> npt.NDArray[np.intp]:
    i, j, k = marrow.voxels[:, places]
    top = canvas.anatomy.tissue.shape[2] - 1
    near = np.zeros(places.size, dtype=bool)
    for step in range(-depth_voxels, depth_voxels + 1):
        near |= canvas.anatomy.tissue[i, j, np.clip(k + step, 0, top)] == Tissue.DISC
    return places[near]


def _near_disc(canvas: PaintedBody, box: Box, depth_voxels: int) -> Mask:
    """Return which voxels of a box have disc above or below within a depth."""
    low, high = max(box[2].start - depth_voxels, 0), box[2].stop + depth_voxels
    disc = canvas.anatomy.tissue[box[0], box[1], low:high] == Tissue.DISC
    near = np.zeros(tuple(side.stop - side.start for side in box), dtype=bool)
    offset, length = box[2].start - low, box[2].stop - box[2].start
    for step in range(-depth_voxels, depth_voxels + 1):
        first = offset + step
        start, stop = max(first, 0), min(first + length, disc.shape[2])
        near[:, :, start - first : stop - first] |= disc[:, :, start:stop]
    return near
