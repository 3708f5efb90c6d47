from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from marrowmap.data.errors import MaskError
from marrowmap.data.grid import Grid
from marrowmap.data.skeleton import Region
from marrowmap.inference.burden import burden_adc, marrow_fat_fraction, measure_burden, tumour_volume_ml
from marrowmap.inference.findings import NO_ADC, Burden, Certainty, Kind, Lesion

GRID_5_MM = Grid(shape=(10, 10, 10), affine_ras_mm=np.diag([5.0, 5.0, 5.0, 1.0]))  # 0.125 ml a voxel


def box_mask(side: int) -> np.ndarray:
    mask = np.zeros((10, 10, 10), dtype=bool)
    mask[2 : 2 + side, 2 : 2 + side, 2 : 2 + side] = True
    return mask


def lesion(
    number: int = 1,
    *,
    kind: Kind = "focal",
    certainty: Certainty = "certain",
    region: str | None = "lumbar_spine",
) -> Lesion:
    return Lesion(
        id=number,
        region=region,
        kind=kind,
        status="active",
        certainty=certainty,
        suspected_benign=None,
        probability=0.9,
        volume_ml=1.0,
        longest_diameter_mm=12.0,
        diameter_uncertainty_mm=2.5,
        perpendicular_diameter_mm=10.0,
        centroid_ras_mm=(0.0, 0.0, 0.0),
        adc_um2_per_s=NO_ADC,
        dwi_to_muscle=None,
        fat_fraction=None,
    )


def burden_of(
    lesions: list[Lesion], labels: np.ndarray, regions: np.ndarray, adc: np.ndarray | None = None
) -> Burden:
    return measure_burden(lesions, labels.astype(np.uint16), regions.astype(np.uint8), adc, GRID_5_MM)


def test_volume_of_a_10_mm_cube_is_1_ml() -> None:
    assert tumour_volume_ml(box_mask(side=2), spacing_mm=(5.0, 5.0, 5.0)) == 1.0


def test_volume_of_anisotropic_voxels_is_the_product_of_their_sides() -> None:
    assert tumour_volume_ml(box_mask(side=1), spacing_mm=(3.0, 3.0, 5.0)) == pytest.approx(0.045)


def test_no_lesion_has_no_volume() -> None:
    assert tumour_volume_ml(box_mask(side=0), spacing_mm=(5.0, 5.0, 5.0)) == 0.0


def test_a_probability_is_not_a_mask() -> None:
    with pytest.raises(MaskError, match=r"boolean mask .* found float64 with 3 axes; compare"):
        tumour_volume_ml(np.zeros((2, 2, 2)), spacing_mm=(1.0, 1.0, 1.0))  # type: ignore[arg-type]


def test_eight_lesion_voxels_of_a_hundred_bone_voxels_are_eight_percent() -> None:
    regions = np.zeros((10, 10, 10))
    regions[2:7, 2:7, 2:6] = Region.LUMBAR_SPINE  # 100 voxels
    labels = box_mask(side=2).astype(int)
    found = burden_of([lesion()], labels, regions)
    assert found.tumour_volume_ml == pytest.approx(1.0)
    assert found.marrow_volume_ml == pytest.approx(12.5)
    assert found.marrow_fraction == pytest.approx(0.08)
    assert found.by_region["lumbar_spine"].tumour_volume_ml == pytest.approx(1.0)
    assert found.by_region["thoracic_spine"].marrow_fraction is None


def test_a_hole_in_the_region_map_where_a_lesion_sits_counts_as_bone() -> None:
    regions = np.zeros((10, 10, 10))
    regions[2:7, 2:7, 2:6] = Region.LUMBAR_SPINE
    labels = box_mask(side=2).astype(int)
    regions[labels > 0] = 0
    found = burden_of([lesion()], labels, regions)
    assert found.marrow_volume_ml == pytest.approx(12.5)
    assert found.marrow_fraction == pytest.approx(0.08)


def test_no_lesions_in_a_skeleton_is_a_burden_of_zero() -> None:
    regions = np.full((10, 10, 10), Region.FEMORA)
    found = burden_of([], np.zeros((10, 10, 10)), regions)
    assert (found.tumour_volume_ml, found.marrow_fraction) == (0.0, 0.0)
    assert found.adc_um2_per_s.median is None
    assert found.adc_um2_per_s.histogram is None


def test_without_a_skeleton_the_fraction_is_unknown_not_zero() -> None:
    found = burden_of([], np.zeros((10, 10, 10)), np.zeros((10, 10, 10)))
    assert found.marrow_fraction is None


def test_a_rejected_lesion_has_no_burden_but_stays_bone() -> None:
    regions = np.full((10, 10, 10), Region.LUMBAR_SPINE)
    found = burden_of([lesion(certainty="rejected")], box_mask(side=2).astype(int), regions)
    assert found.tumour_volume_ml == 0.0
    assert found.marrow_volume_ml == pytest.approx(125.0)


def test_what_lies_away_from_bone_is_counted_apart() -> None:
    away = lesion(kind="extramedullary", region=None)
    regions = np.zeros((10, 10, 10))
    regions[9] = Region.SACRUM_PELVIS
    found = burden_of([away], box_mask(side=2).astype(int), regions)
    assert (found.tumour_volume_ml, found.extramedullary_volume_ml) == pytest.approx((0.0, 1.0))
    assert found.marrow_fraction == 0.0


def test_soft_tissue_beside_bone_is_tumour_but_not_marrow() -> None:
    regions = np.zeros((10, 10, 10))
    regions[2, 2:4, 2:4] = Region.LUMBAR_SPINE  # 4 of the 8 lesion voxels
    found = burden_of([lesion(kind="paramedullary")], box_mask(side=2).astype(int), regions)
    assert found.tumour_volume_ml == pytest.approx(1.0)
    assert found.marrow_volume_ml == pytest.approx(0.5)
    assert found.marrow_fraction == 1.0
    assert found.by_region["lumbar_spine"].tumour_volume_ml == pytest.approx(1.0)


def test_global_adc_is_that_of_lesion_voxels_only() -> None:
    adc = np.full((10, 10, 10), 400.0, dtype=np.float32)
    adc[box_mask(side=2)] = 850.0
    regions = np.full((10, 10, 10), Region.LUMBAR_SPINE)
    found = burden_of([lesion()], box_mask(side=2).astype(int), regions, adc)
    assert found.adc_um2_per_s.median == 850.0
    assert found.marrow_adc_um2_per_s.median == 400.0


def test_histogram_counts_every_voxel_once_and_free_water_in_the_last_bin() -> None:
    found = burden_adc(np.array([650.0, 699.0, 700.0, 3200.0], dtype=np.float32))
    assert found.histogram is not None
    counts = dict(zip(found.histogram.edges_um2_per_s, found.histogram.counts, strict=False))
    assert (counts[600.0], counts[700.0], counts[2900.0]) == (2, 1, 1)
    assert sum(found.histogram.counts) == 4


def test_voxels_without_adc_do_not_pull_it_down() -> None:
    assert burden_adc(np.array([0.0, 0.0, 800.0], dtype=np.float32)).mean == 800.0


def test_each_region_has_the_adc_of_its_own_lesions() -> None:
    regions = np.full((10, 10, 10), Region.LUMBAR_SPINE)
    regions[5:] = Region.SACRUM_PELVIS
    labels = np.zeros((10, 10, 10), dtype=int)
    labels[2:4, 2:4, 2:4], labels[7:9, 2:4, 2:4] = 1, 2
    adc = np.full((10, 10, 10), 400.0, dtype=np.float32)
    adc[labels == 1], adc[labels == 2] = 700.0, 900.0
    found = burden_of([lesion(1), lesion(2, region="sacrum_pelvis")], labels, regions, adc).by_region
    assert found["lumbar_spine"].adc_median_um2_per_s == 700.0
    assert found["sacrum_pelvis"].adc_median_um2_per_s == 900.0
    assert found["skull"].adc_median_um2_per_s is None


def test_fat_is_that_of_marrow_outside_lesions_and_of_lesions_by_volume() -> None:
    regions = np.full((10, 10, 10), Region.LUMBAR_SPINE)
    fat = np.full((10, 10, 10), 0.6, dtype=np.float32)
    fat[box_mask(side=2)] = 0.05
    assert marrow_fat_fraction(fat, regions.astype(np.uint8), box_mask(side=2)) == pytest.approx(0.6)
    assert marrow_fat_fraction(None, regions.astype(np.uint8), box_mask(side=2)) is None
    lesions = [
        replace(lesion(1), fat_fraction=0.1, volume_ml=3.0),
        replace(lesion(2), fat_fraction=0.5, volume_ml=1.0),
        replace(lesion(3, certainty="rejected"), fat_fraction=0.9, volume_ml=9.0),
    ]
    # (0.1 x 3 + 0.5 x 1) / 4
    found = burden_of(lesions, box_mask(side=2).astype(int), regions).fat_fraction
    assert found.tumour == pytest.approx(0.2)
    assert found.marrow is None
