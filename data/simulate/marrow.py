"""Red and yellow marrow: fat fraction and ADC of every marrow voxel, by bone, age and sex.

Lumbar fat by age and the red share by bone follow ICRP 70/89 (Cristy 1981) and the MR literature; the
whole-body mean meets 0.656 +/- 0.072 and an ADC of 422 +/- 67 um2/s in healthy adults
(Colombo, PMC8161193).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from marrowmap.data.simulate.labels import MARROW_TISSUES, Bone, Tissue
from marrowmap.data.simulate.texture import broad_noise, noise_tile, tile_at
from marrowmap.data.simulate.tissue import TISSUE_ROWS, MaterialTable

if TYPE_CHECKING:
    from marrowmap.data.simulate.anatomy import Anatomy
    from marrowmap.data.simulate.person import Person

#: The marrow family: one material for each pair of fat fraction and ADC.
FAT_STEPS = np.linspace(0.0, 1.0, 51, dtype=np.float32)
ADC_STEPS_UM2_PER_S = np.arange(150, 1501, 50, dtype=np.float32)
MARROW_ROWS = len(FAT_STEPS) * len(ADC_STEPS_UM2_PER_S)
FIRST_LESION_ROW = TISSUE_ROWS + MARROW_ROWS

_HYPERPLASIA_SHARE = 0.08
_LUMBAR_FAT_AT_AGE = ((20, 40, 60, 80, 95), (0.27, 0.38, 0.50, 0.58, 0.60))
_RED_SHARE = {
    "spine": 0.70,
    "thorax": 0.68,
    "pelvis": 0.48,
    "skull": 0.38,
    "clavicle": 0.33,
    "limb": 0.25,
    "distal": 0.05,
}


@dataclass(frozen=True, kw_only=True)
class MarrowState:
    """Composition of the marrow before lesions.

    Attributes:
        flat: int `(n,)` flat indices of the marrow voxels.
        voxels: int32 `(3, n)` the same as `(i, j, k)`.
        bone: uint8 `(n,)` `Bone` values.
        fat_fraction: float32 `(n,)`.
        adc_um2_per_s: float32 `(n,)`.
        has_hyperplasia: True when red marrow is increased.
    """

    flat: npt.NDArray[np.intp]
    voxels: npt.NDArray[np.int32]
    bone: npt.NDArray[np.uint8]
    fat_fraction: npt.NDArray[np.float32]
    adc_um2_per_s: npt.NDArray[np.float32]
    has_hyperplasia: bool = False


def healthy_marrow(
    anatomy: Anatomy, rng: np.random.Generator, *, hyperplasia: bool | None = None
) -> MarrowState:
    """Return this person's marrow without disease.

    Args:
        anatomy: Tissue and bone maps.
        rng: Source of randomness: person's offset, hyperplasia, patches.
        hyperplasia: Whether red marrow is increased; None draws.

    Returns:
        The state of every voxel of `Tissue.MARROW`.
    """
    flat = np.flatnonzero(np.isin(anatomy.tissue, MARROW_TISSUES))
    voxels = np.stack(np.unravel_index(flat, anatomy.tissue.shape)).astype(np.int32)
    bone = anatomy.bone.reshape(-1)[flat]
    spacing = float(np.linalg.norm(anatomy.affine_ras_mm[:3, 0]))
    drawn = rng.random() < _HYPERPLASIA_SHARE
    is_increased = drawn if hyperplasia is None else hyperplasia
    fat = mean_fat_by_bone(anatomy.person, rng, hyperplasia=is_increased)[bone] + _long_bone_fat(
        bone, voxels, spacing
    )
    fine = tile_at(noise_tile(rng, smoothing_voxels=4.0 / spacing), voxels)
    broad = broad_noise(rng, voxels, anatomy.tissue.shape, wavelength_voxels=24.0 / spacing)
    patchiness = 0.03 + 0.0006 * max(anatomy.person.age_years - 30, 0)
    islands = 0.004 * max(anatomy.person.age_years - 35, 0) * np.maximum(fine - 1.1, 0)
    fat = np.clip(fat + patchiness * fine + islands + 0.045 * broad, 0.05, 0.97).astype(np.float32)
    hollow = anatomy.tissue.reshape(-1)[flat] == Tissue.MEDULLARY_CAVITY
    fat[hollow] = np.maximum(fat[hollow], 0.86 + 0.03 * fine[hollow])
    person_offset = np.float32(rng.normal(0, 25))
    other = tile_at(noise_tile(rng, smoothing_voxels=5.0 / spacing), voxels)
    adc = np.clip(adc_of_healthy_marrow(fat) + person_offset + 30 * other, 200, 900).astype(np.float32)
    return MarrowState(
        flat=flat,
        voxels=voxels,
        bone=bone,
        fat_fraction=fat,
        adc_um2_per_s=adc,
        has_hyperplasia=is_increased,
    )


def mean_fat_by_bone(
    person: Person, rng: np.random.Generator, *, hyperplasia: bool = False
) -> npt.NDArray[np.float32]:
    """Return the mean fat fraction of every `Bone` value of this person, float32 `(256,)`.

    Hyperplasia (anaemia, growth factor, smoking) makes axial marrow redder and wins back the limbs.
    """
    lumbar = np.interp(person.age_years, *_LUMBAR_FAT_AT_AGE) + rng.normal(0, 0.06)
    male_surplus = 0.03 if person.age_years < 50 else (-0.02 if person.age_years > 60 else 0.0)
    lumbar += male_surplus if person.sex == "M" else -male_surplus
    redder, regained = rng.uniform(0.08, 0.2), rng.uniform(1.2, 2.0)
    lumbar -= redder if hyperplasia else 0.0
    water = 1 - np.clip(lumbar, 0.12, 0.75)
    fat = np.zeros(256, dtype=np.float32)
    for bone in Bone:
        share = _RED_SHARE[_kind(bone)] * np.exp(rng.normal(0, 0.07))
        share *= regained if hyperplasia and _kind(bone) in ("limb", "pelvis", "clavicle") else 1.0
        fat[bone] = 1 - water * min(share / _RED_SHARE["spine"], 1.1)
    return np.clip(fat, 0.08, 0.94)


def adc_of_healthy_marrow(fat_fraction: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the mean ADC (um2/s) of marrow of a fat fraction: fatty marrow is low, red marrow higher."""
    return 310 + 430 * (1 - fat_fraction)


def infiltrated(state: MarrowState, share: npt.NDArray[np.float32], *, adc_um2_per_s: float) -> MarrowState:
    """Return marrow whose fat is displaced by plasma cells.

    Args:
        state: Marrow before.
        share: float32 `(n,)`, part of each voxel taken over by cells, 0 to 1.
        adc_um2_per_s: ADC of fully infiltrated marrow.
    """
    fat = state.fat_fraction * (1 - share) + 0.02 * share
    adc = state.adc_um2_per_s * (1 - share) + np.float32(adc_um2_per_s) * share
    return replace(state, fat_fraction=fat.astype(np.float32), adc_um2_per_s=adc.astype(np.float32))


def marrow_index(
    fat: npt.NDArray[np.float32], adc_um2_per_s: npt.NDArray[np.float32]
) -> npt.NDArray[np.uint16]:
    """Return the row of the material table for marrow of these properties, uint16 `(n,)`."""
    adc_count = len(ADC_STEPS_UM2_PER_S)
    fat_step = np.rint(np.clip(fat, 0, 1) * (len(FAT_STEPS) - 1))
    adc_step = np.clip(np.rint((adc_um2_per_s - ADC_STEPS_UM2_PER_S[0]) / 50), 0, adc_count - 1)
    return (TISSUE_ROWS + fat_step * adc_count + adc_step).astype(np.uint16)


def marrow_table(rng: np.random.Generator) -> MaterialTable:
    """Return the marrow family, `MARROW_ROWS` rows: every fat fraction with every ADC."""
    fat, adc = (side.ravel() for side in np.meshgrid(FAT_STEPS, ADC_STEPS_UM2_PER_S, indexing="ij"))
    cellular = np.clip((adc - 550) / 250, 0, 1)
    # Without fat, trabeculae show: proton density falls, severe diffuse marrow is darker than muscle on T1.
    density = 0.88 + 0.12 * np.clip(fat / 0.2, 0, 1)
    t1, t2 = np.exp(0.04 * rng.standard_normal(2))
    return MaterialTable(
        proton_density=density.astype(np.float32),
        t1_ms=np.full(fat.shape, 970 * t1, dtype=np.float32),
        t2_ms=((44 + 4 * cellular) * t2).astype(np.float32),
        fat_fraction=fat,
        adc_um2_per_s=adc,
        flow=np.ones_like(fat),
    )


def _kind(bone: Bone) -> str:
    if bone in (Bone.SKULL, Bone.MANDIBLE, Bone.SCAPULA_LEFT, Bone.SCAPULA_RIGHT):
        return "skull"
    if bone in (Bone.CLAVICLE_LEFT, Bone.CLAVICLE_RIGHT):
        return "clavicle"
    if bone is Bone.FOREARM:
        return "distal"
    if bone // 10 == 6:
        return "thorax"
    if bone // 10 in (7, 8):
        return "limb"
    return "pelvis" if bone in (Bone.PELVIS_LEFT, Bone.PELVIS_RIGHT) else "spine"


def _long_bone_fat(
    bone: npt.NDArray[np.uint8], voxels: npt.NDArray[np.int32], spacing_mm: float
) -> npt.NDArray[np.float32]:
    """Return the extra fat of the ends and shafts of femora and humeri: the metaphysis stays reddest."""
    extra = np.zeros(bone.shape, dtype=np.float32)
    for long_bone in (Bone.HUMERUS_LEFT, Bone.HUMERUS_RIGHT, Bone.FEMUR_LEFT, Bone.FEMUR_RIGHT):
        inside = bone == long_bone
        if inside.any():
            height = voxels[2, inside]
            below_top_mm = (height.max() - height) * spacing_mm
            extra[inside] = np.interp(below_top_mm, (0, 20, 45, 90, 160), (0.12, 0.12, -0.10, -0.08, 0.2))
    return extra
