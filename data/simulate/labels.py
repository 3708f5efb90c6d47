"""What a simulated body is made of: tissues, and the bones that marrow belongs to."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from marrowmap.data.skeleton import Region


class Tissue(IntEnum):
    """Value of a voxel in a simulated body's tissue map."""

    AIR = 0
    SUBCUTANEOUS_FAT = 1
    VISCERAL_FAT = 2
    MUSCLE = 3
    SKIN = 4
    CORTICAL_BONE = 5
    MARROW = 6
    DISC = 7
    CARTILAGE = 8
    CSF = 9
    CORD = 10
    GREY_MATTER = 11
    WHITE_MATTER = 12
    LIVER = 13
    SPLEEN = 14
    KIDNEY = 15
    BLADDER = 16
    BOWEL_WALL = 17
    BOWEL_CONTENT = 18
    GAS = 19
    STOMACH = 20
    LUNG = 21
    HEART = 22
    BLOOD = 23
    PANCREAS = 24
    GALLBLADDER = 25
    PROSTATE = 26
    TESTIS = 27
    UTERUS = 28
    OVARY = 29
    SALIVARY_GLAND = 30
    THYROID = 31
    EYE = 32
    LYMPH_NODE = 33
    TONGUE = 34
    BREAST = 35
    ADRENAL = 36
    METAL = 37
    RENAL_MEDULLA = 38
    ENDOMETRIUM = 39
    THIN_CORTEX = 41
    MEDULLARY_CAVITY = 42
    BOWEL_MUCOSA = 43
    PERIPHERAL_ZONE = 44
    CAVERNOUS_BODY = 45
    NERVE = 46


#: Marrow of any kind: between trabeculae and in the hollow of a shaft.
MARROW_TISSUES = (Tissue.MARROW, Tissue.MEDULLARY_CAVITY)
#: Compact bone, and the shell of flat bones and vertebrae that is thinner than a voxel.
CORTEX_TISSUES = (Tissue.CORTICAL_BONE, Tissue.THIN_CORTEX)


class Bone(IntEnum):
    """Value of a voxel in a simulated body's bone map; 0 is no bone. Cortex and marrow share the value."""

    SKULL = 1
    MANDIBLE = 2
    C1 = 11
    C2 = 12
    C3 = 13
    C4 = 14
    C5 = 15
    C6 = 16
    C7 = 17
    T1 = 21
    T2 = 22
    T3 = 23
    T4 = 24
    T5 = 25
    T6 = 26
    T7 = 27
    T8 = 28
    T9 = 29
    T10 = 30
    T11 = 31
    T12 = 32
    L1 = 41
    L2 = 42
    L3 = 43
    L4 = 44
    L5 = 45
    SACRUM = 51
    PELVIS_RIGHT = 52
    PELVIS_LEFT = 53
    RIBS = 61
    STERNUM = 62
    CLAVICLE_RIGHT = 63
    CLAVICLE_LEFT = 64
    SCAPULA_RIGHT = 65
    SCAPULA_LEFT = 66
    HUMERUS_RIGHT = 71
    HUMERUS_LEFT = 72
    FEMUR_RIGHT = 81
    FEMUR_LEFT = 82
    FOREARM = 91


def _region_of(bone: Bone) -> int:
    group = {1: Region.CERVICAL_SPINE, 2: Region.THORACIC_SPINE, 3: Region.THORACIC_SPINE,
             4: Region.LUMBAR_SPINE, 5: Region.SACRUM_PELVIS, 6: Region.THORAX,
             7: Region.HUMERI, 8: Region.FEMORA}  # fmt: skip
    return Region.SKULL if bone <= Bone.MANDIBLE else group.get(bone // 10, 0)


def regions_of_bones(bone: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the skeletal region of every voxel of a bone map.

    Args:
        bone: uint8 `(i, j, k)` of `Bone` values, 0 outside bone.

    Returns:
        uint8 `(i, j, k)` of `Region` values; the forearm belongs to no region.
    """
    table = np.zeros(256, dtype=np.uint8)
    for member in Bone:
        table[member] = _region_of(member)
    return table[bone]
