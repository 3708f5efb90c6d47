"""The skeletal regions: numbers, names and display order that every output shares."""

from __future__ import annotations

from enum import IntEnum


class Region(IntEnum):
    """Value of a voxel in `regions.nii.gz` (0 is no skeleton)."""

    SKULL = 1
    CERVICAL_SPINE = 2
    THORACIC_SPINE = 3
    LUMBAR_SPINE = 4
    SACRUM_PELVIS = 5
    THORAX = 6
    HUMERI = 7
    FEMORA = 8

    @property
    def key(self) -> str:
        """Word used in files: `cervical_spine`, `sacrum_pelvis`, `thorax` ..."""
        return self.name.lower()

    @property
    def label(self) -> str:
        """Words for a person."""
        return REGION_LABELS[self]


REGION_LABELS = {
    Region.SKULL: "skull",
    Region.CERVICAL_SPINE: "cervical spine",
    Region.THORACIC_SPINE: "thoracic spine",
    Region.LUMBAR_SPINE: "lumbar spine",
    Region.SACRUM_PELVIS: "sacrum and pelvis",
    Region.THORAX: "ribs, sternum, clavicles and scapulae",
    Region.HUMERI: "humeri",
    Region.FEMORA: "femora",
}

#: Background plus the eight regions: the number of region channels of the network.
REGION_CHANNELS = len(Region) + 1

#: Label of a voxel where nobody drew regions: what the network says there is neither right nor wrong.
UNLABELLED = 255
