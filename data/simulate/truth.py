"""What is true of a simulated exam: its lesions, its mimics, its skeleton."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import Affine
from marrowmap.data.simulate.labels import Bone
from marrowmap.data.simulate.variants import Variants
from marrowmap.data.skeleton import Region

if TYPE_CHECKING:
    from marrowmap.data.simulate.person import Person

Pattern = Literal["normal", "focal", "diffuse", "mixed", "micronodular"]
DiffuseGrade = Literal["none", "mild", "moderate", "severe"]
LesionKind = Literal["active", "treated", "necrotic_core", "t1_bright", "micronodule"]


@dataclass(frozen=True, kw_only=True)
class LesionTruth:
    """One simulated lesion, as painted.

    Attributes:
        id: Its value in `Truth.lesion_labels`.
        kind: What it is; `treated` lesions have an ADC above 1400 um2/s.
        region: Where, in the eight regions of every output.
        bone: Where, by bone.
        volume_ml: Of its voxels.
        longest_diameter_mm: Largest distance across it, in three dimensions.
        centroid_ras_mm: Mean position of its voxels.
        adc_um2_per_s: Of its water.
        fat_fraction: Of its tissue.
        breaches_cortex: True when it grows through the cortex.
        is_paramedullary: True when it grows into the soft tissue around the bone.
        is_epidural: True when it narrows the spinal canal.
        is_extramedullary: True when it lies in soft tissue apart from bone; `bone` is then the nearest one.
        collapses_vertebra: True when it fills a vertebra that has lost height because of it.
    """

    id: int
    kind: LesionKind
    region: Region
    bone: Bone
    volume_ml: float
    longest_diameter_mm: float
    centroid_ras_mm: tuple[float, float, float]
    adc_um2_per_s: float
    fat_fraction: float
    breaches_cortex: bool = False
    is_paramedullary: bool = False
    is_epidural: bool = False
    is_extramedullary: bool = False
    collapses_vertebra: bool = False


@dataclass(frozen=True, kw_only=True)
class MimicTruth:
    """Something benign that looks like a lesion; it is in no lesion label.

    Attributes:
        kind: `haemangioma`, `modic_oedema`, `bone_island` ... (see `mimics.MIMICS`).
        region: Where, in the eight regions.
        bone: Where, by bone.
        volume_ml: Of its voxels.
        longest_diameter_mm: Largest distance across it.
        centroid_ras_mm: Mean position of its voxels.
    """

    kind: str
    region: Region
    bone: Bone
    volume_ml: float
    longest_diameter_mm: float
    centroid_ras_mm: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Everything that is known of a simulated exam, on the simulation grid.

    Attributes:
        lesion_labels: uint16 `(i, j, k)`, 0 or a `LesionTruth.id`; touching lesions keep their own.
        regions: uint8 `(i, j, k)` of `Region`, 0 outside the skeleton; cortex and marrow alike.
        affine_ras_mm: 4 x 4, voxel to RAS+ mm.
        lesions: One per label.
        mimics: Benign look-alikes.
        person: Who it is.
        pattern: Infiltration pattern.
        diffuse_grade: How far the background marrow is infiltrated.
        marrow_fat_fraction: Mean over lumbar spine, sacrum and pelvis before lesions; NaN without them.
        has_hyperplasia: True when red marrow is increased by anaemia, growth factor or smoking.
        variants: What is particular about the body.
        seed: Of the whole exam.
        effects: What the scanner did to the images, from name (`effects.Effect`) to strength, 0 to 1.
        acquisition: How the exam was acquired, as plain words and numbers.
    """

    lesion_labels: npt.NDArray[np.uint16]
    regions: npt.NDArray[np.uint8]
    affine_ras_mm: Affine
    lesions: tuple[LesionTruth, ...]
    mimics: tuple[MimicTruth, ...] = ()
    person: Person
    pattern: Pattern
    diffuse_grade: DiffuseGrade = "none"
    marrow_fat_fraction: float = float("nan")
    has_hyperplasia: bool = False
    variants: Variants = field(default_factory=Variants)
    seed: int
    effects: Mapping[str, float] = field(default_factory=dict)
    acquisition: Mapping[str, Any] = field(default_factory=dict)
