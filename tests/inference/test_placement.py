from __future__ import annotations

import math

import numpy as np

from marrowmap.data.grid import Grid
from marrowmap.data.skeleton import Region
from marrowmap.inference.placement import PlacementSettings, Skeleton

SHAPE = (40, 40, 40)
GRID = Grid(shape=SHAPE, affine_ras_mm=np.diag([2.5, 2.5, 2.5, 1.0]))


def skeleton(*bones: tuple[Region, slice]) -> Skeleton:
    """A skeleton of boxes that differ along i only and fill the middle of j and k."""
    regions = np.zeros(SHAPE, dtype=np.uint8)
    for region, along_i in bones:
        regions[along_i, 10:30, 10:30] = region
    return Skeleton(regions, GRID, PlacementSettings())


def box(along_i: slice, side: int = 4) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[along_i, 18 : 18 + side, 18 : 18 + side] = True
    return np.argwhere(mask)


def test_a_lesion_in_a_bone_is_focal_there() -> None:
    place = skeleton((Region.LUMBAR_SPINE, slice(0, 20))).place(box(slice(5, 9)))
    assert (place.region, place.kind, place.distance_mm) == (Region.LUMBAR_SPINE, "focal", 0.0)


def test_a_lesion_across_two_regions_belongs_to_the_larger_part() -> None:
    bones = skeleton((Region.LUMBAR_SPINE, slice(0, 10)), (Region.SACRUM_PELVIS, slice(10, 20)))
    assert bones.place(box(slice(7, 11))).region is Region.LUMBAR_SPINE
    assert bones.place(box(slice(9, 13))).region is Region.SACRUM_PELVIS


def test_a_lesion_5_mm_beside_a_bone_still_counts_as_in_bone() -> None:
    place = skeleton((Region.THORAX, slice(0, 10))).place(box(slice(10, 12)))
    assert (place.region, place.kind, place.distance_mm) == (Region.THORAX, "focal", 2.5)


def test_a_lesion_of_which_most_is_beyond_the_bone_is_paramedullary() -> None:
    # 12 x 8 x 8 voxels of 0.0156 ml are 12 ml; of 12 layers 2 are in bone, 2 are near, 8 are beyond.
    place = skeleton((Region.THORACIC_SPINE, slice(0, 10))).place(box(slice(8, 20), side=8))
    assert (place.region, place.kind) == (Region.THORACIC_SPINE, "paramedullary")


def test_a_lesion_10_mm_away_is_extramedullary_and_names_the_nearest_bone() -> None:
    place = skeleton((Region.SACRUM_PELVIS, slice(0, 10))).place(box(slice(13, 17)))
    assert (place.region, place.nearest, place.kind) == (None, Region.SACRUM_PELVIS, "extramedullary")
    assert place.distance_mm == 10.0


def test_without_any_skeleton_a_lesion_is_kept_at_an_infinite_distance() -> None:
    place = skeleton().place(box(slice(13, 17)))
    assert (place.region, place.nearest, place.kind) == (None, None, "extramedullary")
    assert math.isinf(place.distance_mm)
