"""How much of a bone's cross-section a lesion fills, in the axial plane where it fills most."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.skeleton import Region

#: Bones that carry weight, and whose axial cross-section is the one that carries it.
WEIGHT_BEARING = (Region.FEMORA, Region.HUMERI, Region.THORACIC_SPINE, Region.LUMBAR_SPINE)
#: A plane with less of the bone than this many voxels has no cross-section to speak of.
MINIMUM_VOXELS = 12


def cross_section_share(
    voxels: npt.NDArray[np.intp], regions: npt.NDArray[np.uint8], region: Region
) -> float | None:
    """Return the greatest share of the bone's axial cross-section that a lesion fills.

    Args:
        voxels: Indices `(n, 3)` of the lesion.
        regions: uint8 `(i, j, k)` of `Region` values.
        region: Where the lesion lies.

    Returns:
        In [0, 1]; None for a bone that carries no weight, or where no plane shows enough of it. Cortex
        counts as bone: whether it is broken cannot be told here.
    """
    if region not in WEIGHT_BEARING:
        return None
    shares = []
    for plane in np.unique(voxels[:, 2]):
        here = voxels[voxels[:, 2] == plane]
        lesion = np.zeros(regions.shape[:2], dtype=bool)
        lesion[tuple(here[:, :2].T)] = True
        bone = (regions[:, :, plane] == region) | lesion
        labels = np.zeros(bone.shape, dtype=np.int32)
        ndimage.label(bone, output=labels)
        touched = np.unique(labels[lesion])
        section = np.isin(labels, touched[touched > 0])
        if int(section.sum()) >= MINIMUM_VOXELS:
            shares.append(float((lesion & section).sum()) / float(section.sum()))
    return max(shares, default=None)
