from __future__ import annotations

import numpy as np
import pytest

from marrowmap.data.errors import MaskError, SettingsError
from marrowmap.data.exam import Exam, Sequence, Volume
from marrowmap.data.grid import Grid
from marrowmap.data.model_input import CHANNELS, ModelInput
from marrowmap.data.skeleton import Region
from marrowmap.inference.describe import FindingSettings, describe
from marrowmap.inference.findings import Findings
from marrowmap.inference.findings_json import findings_to_json, lesion_from_json
from marrowmap.inference.instances import outline_lesions, parts_between_necks, voxels_by_id
from marrowmap.inference.lesions import LesionSettings
from marrowmap.inference.segment import Segmentation
from marrowmap.models.calibration import lesion_score

SHAPE = (60, 60, 60)
Box = tuple[slice, slice, slice]


def grid(spacing_mm: tuple[float, float, float] = (2.5, 2.5, 2.5)) -> Grid:
    return Grid(shape=SHAPE, affine_ras_mm=np.diag([*spacing_mm, 1.0]))


def box(corner: tuple[int, int, int], sides: tuple[int, int, int]) -> Box:
    i, j, k = (slice(low, low + side) for low, side in zip(corner, sides, strict=True))
    return i, j, k


def findings(
    *lesions: Box,
    probability: float = 0.95,
    adc: float = 0.8,
    dwi: float = 1.0,
    spacing_mm: tuple[float, float, float] = (2.5, 2.5, 2.5),
    missing: tuple[Sequence, ...] = (),
    settings: FindingSettings | None = None,
) -> Findings:
    """A pelvis fills the middle of a body of muscle; lesions are boxes of their own ADC and diffusion."""
    regions = np.zeros(SHAPE, dtype=np.uint8)
    regions[15:45, 15:45, 15:45] = Region.SACRUM_PELVIS
    bone = regions > 0
    values = {
        Sequence.DWI_HIGH: np.where(bone, 0.4, 0.16),
        Sequence.ADC: np.where(bone, 0.4, 1.5),
        Sequence.T1: np.where(bone, 0.6, 0.4),
        Sequence.STIR: np.full(SHAPE, 0.3),
        Sequence.FAT_FRACTION: np.where(bone, 0.6, 0.05),
    }
    probabilities = np.zeros(SHAPE, dtype=np.float32)
    for lesion in lesions:
        probabilities[lesion] = probability
        values[Sequence.ADC][lesion] = adc
        values[Sequence.DWI_HIGH][lesion] = dwi
        values[Sequence.T1][lesion] = 0.42
        values[Sequence.FAT_FRACTION][lesion] = 0.05
    array = np.stack([values[s] if s not in missing else np.zeros(SHAPE) for s in CHANNELS]).astype(
        np.float32
    )
    model_input = ModelInput(
        array=array,
        grid=grid(spacing_mm),
        present=tuple(sequence not in missing for sequence in CHANNELS),
        body=np.ones(SHAPE, dtype=bool),
        references={},
    )
    volume = Volume(array=array[0], affine_ras_mm=np.eye(4), b_value_s_per_mm2=900.0)
    exam = Exam(volumes={Sequence.DWI_HIGH: volume, Sequence.STIR: volume})
    segmentation = Segmentation(lesion_probability=probabilities, regions=regions, grid=grid(spacing_mm))
    return describe(segmentation, model_input, exam, lesion_threshold=0.5, settings=settings)


def test_nothing_found_is_a_result_with_every_part() -> None:
    found = findings()
    assert found.lesions == ()
    assert found.counts.visible == 0
    assert found.burden.tumour_volume_ml == 0.0
    assert found.pattern.label == "normal"
    assert not found.lesion_labels.any()
    assert found.biopsy_candidates == ()


def test_one_lesion_of_8_by_4_by_4_voxels_is_measured() -> None:
    (lesion,) = findings(box((20, 20, 20), (8, 4, 4))).lesions
    assert (lesion.id, lesion.region, lesion.kind) == (1, "sacrum_pelvis", "focal")
    assert lesion.volume_ml == pytest.approx(2.0)  # 128 voxels of 0.015625 ml
    assert lesion.centroid_ras_mm == pytest.approx((58.75, 53.75, 53.75))
    # Corner to corner 7, 3, 3 voxels of 2.5 mm: 20.5 mm, and one voxel.
    assert lesion.longest_diameter_mm == pytest.approx(23.0, abs=0.05)
    assert lesion.diameter_uncertainty_mm == 2.5
    assert lesion.perpendicular_diameter_mm < lesion.longest_diameter_mm
    assert lesion.adc_um2_per_s.median == pytest.approx(800.0)
    assert lesion.dwi_to_muscle == pytest.approx(1.0 / 0.16)
    assert lesion.fat_fraction == pytest.approx(0.05)
    assert lesion.probability == pytest.approx(0.95)
    assert (lesion.status, lesion.certainty, lesion.suspected_benign) == ("active", "certain", None)
    assert lesion.reasons == ()


def test_two_that_touch_at_a_corner_are_one() -> None:
    found = findings(box((20, 20, 20), (4, 4, 4)), box((24, 24, 24), (4, 4, 4)))
    assert found.counts.visible == 1
    assert found.lesions[0].volume_ml == pytest.approx(2.0)


def test_two_with_a_voxel_between_them_are_two_and_the_larger_is_first() -> None:
    found = findings(box((20, 20, 20), (4, 4, 4)), box((25, 20, 20), (5, 4, 4)))
    assert [lesion.volume_ml for lesion in found.lesions] == pytest.approx([1.25, 1.0])
    assert found.lesion_labels[26, 21, 21] == 1
    assert found.lesion_labels[21, 21, 21] == 2


def test_anisotropic_voxels_count_in_mm() -> None:
    along_i, along_k = box((20, 20, 20), (10, 2, 2)), box((20, 30, 20), (2, 2, 10))
    found = findings(along_i, along_k, spacing_mm=(2.0, 2.0, 5.0))
    longest = sorted(lesion.longest_diameter_mm for lesion in found.lesions)
    # 9 steps of 2 mm and one voxel against 9 steps of 5 mm and one voxel.
    assert longest[0] == pytest.approx(20.9, abs=0.5)
    assert longest[1] == pytest.approx(50.0, abs=0.5)
    assert [lesion.volume_ml for lesion in found.lesions] == pytest.approx([0.8, 0.8])
    assert found.lesions[0].diameter_uncertainty_mm == 5.0


def test_without_adc_the_status_is_indeterminate_and_nothing_is_invented() -> None:
    found = findings(box((20, 20, 20), (8, 4, 4)), missing=(Sequence.ADC,))
    (lesion,) = found.lesions
    assert lesion.status == "indeterminate"
    assert lesion.adc_um2_per_s.median is None
    assert lesion.dwi_to_muscle is None  # muscle cannot be told from fat without ADC
    assert found.adc is None
    assert found.burden.adc_um2_per_s.median is None


def test_without_dixon_the_fat_fraction_is_unknown() -> None:
    found = findings(box((20, 20, 20), (8, 4, 4)), missing=(Sequence.FAT_FRACTION,))
    assert found.lesions[0].fat_fraction is None
    assert found.lesions[0].certainty == "certain"


def test_a_treated_lesion_is_visible_but_not_active() -> None:
    found = findings(box((20, 20, 20), (8, 4, 4)), adc=1.6)
    assert found.lesions[0].status == "treated"
    assert (found.counts.visible, found.counts.active) == (1, 0)


def test_a_lesion_away_from_bone_is_kept_equivocal_with_its_distance() -> None:
    found = findings(box((55, 20, 20), (4, 4, 4)))  # bone ends at index 44, 11 voxels before
    (lesion,) = found.lesions
    assert (lesion.region, lesion.kind, lesion.certainty) == (None, "extramedullary", "equivocal")
    assert lesion.reasons[0].startswith("28 mm from the skeleton")
    assert found.counts.focal_5mm == 0
    assert found.pattern.label == "normal"
    assert [alert.code for alert in found.alerts if alert.code == "away_from_bone"]


def test_a_lesion_as_dark_as_marrow_on_diffusion_is_equivocal() -> None:
    (lesion,) = findings(box((20, 20, 20), (8, 4, 4)), dwi=0.4).lesions
    assert lesion.certainty == "equivocal"
    assert "1.0 times as bright" in lesion.reasons[0]


def test_an_improbable_lesion_is_equivocal_not_dropped() -> None:
    (lesion,) = findings(box((20, 20, 20), (8, 4, 4)), probability=0.6).lesions
    assert (lesion.certainty, lesion.reasons) == ("equivocal", ("probability 0.60 is below 0.70",))


def test_a_5_mm_lesion_is_equivocal_because_of_its_size() -> None:
    (lesion,) = findings(box((20, 20, 20), (2, 2, 1))).lesions
    assert lesion.certainty == "equivocal"
    assert "of the 5 mm limit" in lesion.reasons[0]


def test_two_balls_that_a_thin_neck_joins_are_two_parts() -> None:
    i, j, k = np.ogrid[:40, :20, :20]
    balls = ((i - 10) ** 2 + (j - 10) ** 2 + (k - 10) ** 2 <= 36) | (
        (i - 26) ** 2 + (j - 10) ** 2 + (k - 10) ** 2 <= 36
    )
    joined = balls.copy()
    joined[10:26, 10, 10] = True
    assert parts_between_necks(np.argwhere(joined)) == 2
    assert parts_between_necks(np.argwhere(joined & (np.arange(40)[:, None, None] < 16))) == 1


def test_a_block_has_one_part() -> None:
    assert parts_between_necks(np.argwhere(np.ones((8, 4, 4), dtype=bool))) == 1
    assert parts_between_necks(np.array([[0, 0, 0]])) == 1


def test_specks_are_counted_in_a_warning_not_lost() -> None:
    found = findings(box((20, 20, 20), (1, 1, 1)), box((30, 30, 30), (1, 1, 1)))
    assert found.lesions == ()
    (warning,) = [warning for warning in found.warnings if warning.code == "specks_not_listed"]
    assert warning.text.startswith("2 specks below 0.03 ml (0.03 ml together)")


def test_the_setting_takes_precedence_over_the_threshold_of_the_weights() -> None:
    strict = FindingSettings(lesions=LesionSettings(threshold=0.97))
    assert findings(box((20, 20, 20), (8, 4, 4)), settings=strict).lesions == ()


def test_a_lesion_that_reaches_the_threshold_is_drawn_to_the_outline_and_others_are_not() -> None:
    probability = np.zeros((12, 5, 5), dtype=np.float32)
    probability[1:4, 2, 2] = (0.6, 0.95, 0.4)
    probability[7:10, 2, 2] = 0.8
    found = outline_lesions(probability, threshold=0.9, outline=0.5, minimum_volume_ml=0.0, voxel_ml=1.0)
    assert np.argwhere(found.mask).tolist() == [[1, 2, 2], [2, 2, 2]]
    assert found.specks == 0
    # An outline above the threshold has no effect.
    same = outline_lesions(probability, threshold=0.7, outline=0.9, minimum_volume_ml=0.0, voxel_ml=1.0)
    assert same.mask.sum() == 4


def test_a_voxel_of_exactly_the_threshold_is_lesion() -> None:
    probability = np.zeros((4, 4, 4), dtype=np.float32)
    probability[1, 1, 1] = 0.5
    found = outline_lesions(probability, threshold=0.5, minimum_volume_ml=0.0, voxel_ml=1.0)
    assert found.labels.sum() == 1


def test_voxels_are_yielded_by_id() -> None:
    labels = np.zeros((3, 3, 3), dtype=np.uint16)
    labels[0, 0, 0], labels[2, 2, 1:] = 2, 1
    found = {number: voxels.tolist() for number, voxels in voxels_by_id(labels)}
    assert found == {1: [[2, 2, 1], [2, 2, 2]], 2: [[0, 0, 0]]}


def test_the_score_is_half_way_between_mean_and_maximum() -> None:
    assert lesion_score(np.array([0.6, 0.8, 1.0], dtype=np.float32)) == pytest.approx(0.9)


def test_a_lesion_read_back_from_json_is_the_same() -> None:
    found = findings(box((20, 20, 20), (8, 4, 4)))
    entry = findings_to_json(found)["lesions"][0]
    again = lesion_from_json(entry)
    assert again.volume_ml == pytest.approx(found.lesions[0].volume_ml)
    assert (again.id, again.region, again.reasons) == (1, "sacrum_pelvis", ())


def test_a_threshold_of_one_is_refused() -> None:
    with pytest.raises(SettingsError, match="threshold between 0 and 1, found 1"):
        LesionSettings(threshold=1.0)


def test_maps_of_another_grid_are_refused() -> None:
    found = findings()
    with pytest.raises(MaskError, match=r"need maps of shape \(60, 60, 60\), found \(4, 4, 4\)"):
        describe(
            Segmentation(
                lesion_probability=np.zeros((4, 4, 4), dtype=np.float32),
                regions=np.zeros((4, 4, 4), dtype=np.uint8),
                grid=grid(),
            ),
            ModelInput(
                array=np.zeros((5, *SHAPE), dtype=np.float32),
                grid=found.grid,
                present=(True,) * 5,
                body=np.ones(SHAPE, dtype=bool),
                references={},
            ),
            exam=None,  # type: ignore[arg-type]
            lesion_threshold=0.5,
        )
