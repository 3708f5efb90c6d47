from __future__ import annotations

from dataclasses import replace

import numpy as np

from marrowmap.data.grid import Grid
from marrowmap.data.skeleton import Region
from marrowmap.inference.alerts import femur_top_mm, find_alerts
from marrowmap.inference.biopsy import BiopsySettings, propose_biopsy
from marrowmap.inference.collapse import SpineFindings
from marrowmap.inference.counts import count_lesions
from marrowmap.inference.coverage import coverage_of
from marrowmap.inference.findings import AdcStatistics, Coverage, Lesion, Pattern

COMPLETE: dict[str, Coverage] = {region.key: "complete" for region in Region}
NORMAL = Pattern(label="normal", diffuse_grade="none", evidence={})
ACTIVE = Lesion(
    id=1,
    region="lumbar_spine",
    kind="focal",
    status="active",
    certainty="certain",
    suspected_benign=None,
    probability=0.9,
    volume_ml=1.0,
    longest_diameter_mm=15.0,
    diameter_uncertainty_mm=2.5,
    perpendicular_diameter_mm=10.0,
    centroid_ras_mm=(0.0, 0.0, 0.0),
    adc_um2_per_s=AdcStatistics(mean=800.0, median=800.0, p10=700.0, p90=900.0),
    dwi_to_muscle=6.0,
    fat_fraction=0.05,
)


def test_nothing_found_counts_zero_in_every_region() -> None:
    counts = count_lesions([])
    assert (counts.visible, counts.active, counts.focal_5mm, counts.equivocal) == (0, 0, 0, 0)
    assert counts.by_region == {region.key: 0 for region in Region}


def test_visible_is_not_active() -> None:
    counts = count_lesions([ACTIVE, replace(ACTIVE, id=2, status="treated")])
    assert (counts.visible, counts.active) == (2, 1)


def test_only_certain_lesions_of_bone_of_5_mm_are_focal() -> None:
    lesions = [
        replace(ACTIVE, longest_diameter_mm=5.0),
        replace(ACTIVE, longest_diameter_mm=4.99),
        replace(ACTIVE, certainty="equivocal"),
        replace(ACTIVE, certainty="rejected"),
        replace(ACTIVE, kind="paramedullary"),
        replace(ACTIVE, kind="extramedullary", region=None),
    ]
    counts = count_lesions(lesions)
    assert counts.focal_5mm == 2
    assert counts.visible == 5
    assert counts.equivocal == 1
    assert counts.by_region["lumbar_spine"] == 4


def test_a_quiet_exam_raises_no_alert() -> None:
    assert find_alerts([ACTIVE], NORMAL, COMPLETE, femur_top_mm=0.0) == ()


def test_a_lesion_beside_the_spine_asks_to_look_at_the_canal() -> None:
    (alert,) = find_alerts([replace(ACTIVE, kind="paramedullary")], NORMAL, COMPLETE, femur_top_mm=None)
    assert (alert.code, alert.region) == ("possible_cord_compression", "lumbar_spine")


def test_a_large_lesion_alerts_in_the_proximal_femur_only() -> None:
    femur = replace(ACTIVE, region="femora", longest_diameter_mm=25.0, centroid_ras_mm=(90.0, 0.0, -100.0))
    distal = replace(femur, centroid_ras_mm=(90.0, 0.0, -150.0))
    small = replace(femur, longest_diameter_mm=24.9)
    found = [find_alerts([lesion], NORMAL, COMPLETE, femur_top_mm=10.0) for lesion in (femur, distal, small)]
    assert [len(alerts) for alerts in found] == [1, 0, 0]
    assert found[0][0].code == "large_proximal_femur_lesion"


def test_a_lesion_that_fills_half_of_a_femur_is_named_wherever_it_lies_there() -> None:
    half = replace(ACTIVE, region="femora", cross_section_share=0.5, centroid_ras_mm=(90.0, 0.0, -300.0))
    less = replace(half, cross_section_share=0.49)
    elsewhere = replace(half, region="humeri")
    found = [
        [alert.code for alert in find_alerts([lesion], NORMAL, COMPLETE, femur_top_mm=10.0)]
        for lesion in (half, less, elsewhere)
    ]
    assert found == [["weight_bearing_lesion"], [], []]


def test_a_lesion_beside_the_spine_is_told_once_where_its_level_is_known() -> None:
    beside = replace(ACTIVE, kind="paramedullary", level="L2")
    for levels, expected in ((("L2",), 1), (("L1",), 2), ((), 1)):
        spine = SpineFindings(canal_contacts=levels)
        alerts = find_alerts([beside], NORMAL, COMPLETE, femur_top_mm=None, spine=spine)
        assert [alert.code for alert in alerts] == ["possible_cord_compression"] * expected


def test_a_candidate_carries_its_place_in_the_scanner() -> None:
    (found,) = propose_biopsy([replace(ACTIVE, centroid_ras_mm=(12.4, -30.2, 101.0))])
    assert "its middle lies at R 12, A -30, S 101 mm of the scanner's frame" in found.reasons


def test_a_rejected_lesion_alerts_nobody() -> None:
    rejected = replace(ACTIVE, kind="paramedullary", certainty="rejected")
    assert find_alerts([rejected], NORMAL, COMPLETE, femur_top_mm=None) == ()


def test_what_was_not_imaged_is_called_unknown_not_normal() -> None:
    (alert,) = find_alerts([], NORMAL, {**COMPLETE, "skull": "absent"}, femur_top_mm=None)
    assert (alert.code, alert.region) == ("coverage_gap", "skull")
    assert "unknown, not normal" in alert.text


def test_an_unknown_diffuse_grade_is_said() -> None:
    unknown = Pattern(label="normal", diffuse_grade=None, evidence={"missing": ["3 vertebral bodies"]})
    (alert,) = find_alerts([], unknown, COMPLETE, femur_top_mm=None)
    assert "3 vertebral bodies" in alert.text


def test_the_top_of_the_femora_is_the_highest_plane_with_femur() -> None:
    regions = np.zeros((4, 4, 10), dtype=np.uint8)
    regions[1, 1, 2:6] = Region.FEMORA
    grid = Grid(shape=(4, 4, 10), affine_ras_mm=np.diag([2.0, 2.0, 2.0, 1.0]))
    assert femur_top_mm(regions, grid) == 10.0
    assert femur_top_mm(np.zeros_like(regions), grid) is None


def test_biopsy_prefers_the_pelvis_then_viable_then_large() -> None:
    spine = replace(ACTIVE, id=1, longest_diameter_mm=40.0)
    pelvis = replace(ACTIVE, id=2, region="sacrum_pelvis", longest_diameter_mm=12.0)
    larger = replace(ACTIVE, id=3, region="sacrum_pelvis", longest_diameter_mm=20.0)
    quiet = replace(larger, id=4, status="indeterminate", longest_diameter_mm=30.0)
    found = propose_biopsy([spine, pelvis, larger, quiet])
    assert [candidate.lesion_id for candidate in found] == [3, 2, 4]
    assert found[0].reasons[-1] == "the route is to be decided by the team"


def test_small_treated_and_doubtful_lesions_are_no_biopsy_targets() -> None:
    lesions = [
        replace(ACTIVE, longest_diameter_mm=9.9),
        replace(ACTIVE, status="treated"),
        replace(ACTIVE, certainty="equivocal"),
    ]
    assert propose_biopsy(lesions, BiopsySettings()) == ()


def test_an_empty_map_covers_nothing() -> None:
    grid = Grid(shape=(5, 5, 5), affine_ras_mm=np.diag([10.0, 10.0, 10.0, 1.0]))
    assert set(coverage_of(np.zeros((5, 5, 5), dtype=np.uint8), grid).values()) == {"absent"}


def test_a_region_cut_by_the_end_of_the_exam_is_partial_but_a_femur_is_not() -> None:
    grid = Grid(shape=(10, 10, 10), affine_ras_mm=np.diag([10.0, 10.0, 10.0, 1.0]))  # 1 ml a voxel
    regions = np.zeros((10, 10, 10), dtype=np.uint8)
    regions[:, :, 6:10] = Region.SKULL  # 400 ml, up to the top
    regions[:, :, 0:4] = Region.FEMORA
    found = coverage_of(regions, grid)
    assert (found["skull"], found["femora"]) == ("partial", "complete")
    regions[:, :, 9] = 0
    assert coverage_of(regions, grid)["skull"] == "complete"
