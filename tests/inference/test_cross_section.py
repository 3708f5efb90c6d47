from __future__ import annotations

import numpy as np
import pytest

from marrowmap.data.skeleton import Region
from marrowmap.inference.cross_section import cross_section_share


def femur() -> np.ndarray:
    """A shaft of 10 x 10 voxels."""
    regions = np.zeros((30, 30, 20), dtype=np.uint8)
    regions[10:20, 10:20] = Region.FEMORA
    return regions


def block(*sides: tuple[int, int]) -> np.ndarray:
    """Return the indices `(n, 3)` of a block."""
    mask = np.zeros((30, 30, 20), dtype=bool)
    mask[tuple(slice(*side) for side in sides)] = True
    return np.argwhere(mask)


def test_a_lesion_that_fills_half_of_a_femur() -> None:
    voxels = block((10, 15), (10, 20), (8, 11))
    assert cross_section_share(voxels, femur(), Region.FEMORA) == pytest.approx(0.5)


def test_the_plane_where_it_fills_most_counts() -> None:
    thin = block((10, 11), (10, 20), (8, 11))
    wide = block((10, 20), (10, 20), (12, 13))
    assert cross_section_share(np.concatenate([thin, wide]), femur(), Region.FEMORA) == pytest.approx(1.0)


def test_the_other_femur_does_not_make_the_section_larger() -> None:
    regions = femur()
    regions[22:29, 10:20] = Region.FEMORA
    voxels = block((10, 15), (10, 20), (8, 11))
    assert cross_section_share(voxels, regions, Region.FEMORA) == pytest.approx(0.5)


def test_a_bone_that_carries_no_weight_has_no_section() -> None:
    assert cross_section_share(np.array([[12, 12, 8]]), femur(), Region.THORAX) is None
