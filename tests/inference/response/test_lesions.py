"""What became of a lesion, on exams that lie on each other already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from marrowmap.inference.response.compare import side_of
from marrowmap.inference.response.exam import ComparedExam
from marrowmap.inference.response.lesions import judge_match
from marrowmap.inference.response.matching import match_lesions
from marrowmap.inference.response.registration import Registration
from marrowmap.inference.response.signals import ExamPair, Measures, fat_change
from marrowmap.inference.response.values import JudgeSettings, LesionResponse

Make = Callable[..., Any]
SPINE = (38, 14, 80)


def judged(before: ComparedExam, after: ComparedExam, **more: Any) -> list[LesionResponse]:
    still = Registration(
        grid=before.grid,
        shift_mm=np.zeros((3, *before.grid.shape), dtype=np.float32),
        blocks=100,
        similarity=1.0,
        residual_mm=0.0,
    )
    pair = ExamPair(before=before, after=after, registration=still, gains={})
    first, second = side_of(before), side_of(after)
    matches = match_lesions(first.points_mm, second.points_mm)
    return [judge_match(match, pair, first, second, JudgeSettings(), **more) for match in matches]


def only(before: ComparedExam, after: ComparedExam, **more: Any) -> LesionResponse:
    (found,) = judged(before, after, **more)
    return found


def test_an_unchanged_lesion_is_the_same_and_category_3(make_exam: Make, make_cube: Make) -> None:
    found = only(make_exam([make_cube(SPINE)]), make_exam([make_cube(SPINE, adc=850.0)]))
    assert (found.fate, found.category, found.is_counted, found.is_assessable) == ("same", 3, True, True)


def test_adc_up_by_60_percent_with_falling_signal_responds(make_exam: Make, make_cube: Make) -> None:
    after = make_exam([make_cube(SPINE, adc=1280.0, dwi=70)])
    found = only(make_exam([make_cube(SPINE)]), after)
    assert (found.fate, found.category) == ("same", 1)
    assert found.change.signal_change == pytest.approx(-0.36, abs=0.01)


def test_fat_that_returns_is_a_response_though_adc_falls(make_exam: Make, make_cube: Make) -> None:
    after = make_exam([make_cube(SPINE, adc=450.0, dwi=45, fat=0.6)])
    assert only(make_exam([make_cube(SPINE)]), after).category == 1


def test_the_same_fall_of_adc_without_known_fat_is_no_response(make_exam: Make, make_cube: Make) -> None:
    before, after = (
        make_exam([make_cube(SPINE)], fat=None),
        make_exam([make_cube(SPINE, adc=450.0, dwi=105)], fat=None),
    )
    assert only(before, after).category == 3


def test_a_change_of_adc_in_fewer_than_10_diffusion_voxels_says_nothing(
    make_exam: Make, make_cube: Make
) -> None:
    # 2 x 2 x 1.5 voxels would be less; a cube of 2 voxels of 4 mm has 0.5 ml, 11 voxels of 45 mm3: assessed.
    # One voxel of 4 mm has 0.064 ml.
    before, after = (make_exam([make_cube(SPINE, 1, adc)]) for adc in (800.0, 1600.0))
    found = only(before, after)
    assert (found.category, found.is_assessable) == (3, False)


def test_a_lesion_that_grew_from_16_to_28_mm_progresses(make_exam: Make, make_cube: Make) -> None:
    found = only(make_exam([make_cube(SPINE)]), make_exam([make_cube((36, 12, 78), 7)]))
    assert (found.fate, found.category) == ("grown", 5)


def test_an_equivocal_lesion_that_grew_only_likely_progresses(make_exam: Make, make_cube: Make) -> None:
    after = make_exam([make_cube((36, 12, 78), 7, certainty="equivocal")])
    assert only(make_exam([make_cube(SPINE)]), after).category == 4


def test_a_wider_outline_of_the_same_images_is_no_growth(make_exam: Make, make_cube: Make) -> None:
    before = make_exam([make_cube(SPINE)])
    after = make_exam([make_cube(SPINE)])
    after.lesion_labels[36:43, 12:19, 78:85] = 1  # drawn 7 voxels wide around the same bright 4
    after.report["lesions"][0] |= {"longest_diameter_mm": 48.5, "volume_ml": 343 * 0.064}
    found = only(before, after)
    assert (found.fate, found.category) == ("same", 3)
    assert any("the images hardly" in reason for reason in found.reasons)


def test_a_longer_diameter_of_the_same_volume_is_no_growth(make_exam: Make, make_cube: Make) -> None:
    before, after = make_exam([make_cube(SPINE, diameter=20.0)]), make_exam([make_cube(SPINE, diameter=30.0)])
    found = only(before, after)
    assert (found.fate, found.category) == ("same", 3)


def test_a_lesion_that_shrank_from_28_to_16_mm_responds(make_exam: Make, make_cube: Make) -> None:
    found = only(make_exam([make_cube((36, 12, 78), 7)]), make_exam([make_cube(SPINE)]))
    assert (found.fate, found.category) == ("shrunk", 1)


def test_a_new_lesion_of_16_mm_is_category_5_an_equivocal_one_4(make_exam: Make, make_cube: Make) -> None:
    found = only(make_exam(), make_exam([make_cube(SPINE)]))
    assert (found.fate, found.category, found.baseline_id, found.id) == ("new", 5, None, 1)
    found = only(make_exam(), make_exam([make_cube(SPINE, certainty="equivocal")]))
    assert found.category == 4


def test_what_an_equivocal_lesion_of_one_exam_alone_shows_does_not_decide(
    make_exam: Make, make_cube: Make
) -> None:
    equivocal = make_cube(SPINE, certainty="equivocal")
    appeared, gone = only(make_exam(), make_exam([equivocal])), only(make_exam([equivocal]), make_exam())
    assert (appeared.category, appeared.is_counted, appeared.is_assessable) == (4, True, False)
    assert (gone.fate, gone.category, gone.is_counted, gone.is_assessable) == ("vanished", 1, True, False)
    assert only(make_exam(), make_exam([make_cube(SPINE)])).is_assessable
    assert only(make_exam([make_cube(SPINE)]), make_exam()).is_assessable
    likes = make_exam([make_cube(SPINE, outlined=False)]), make_exam([equivocal])
    assert only(*likes).is_assessable  # the images are alike: that is seen, whatever it is


def test_what_was_as_bright_before_but_not_outlined_is_not_new(make_exam: Make, make_cube: Make) -> None:
    found = only(make_exam([make_cube(SPINE, outlined=False)]), make_exam([make_cube(SPINE)]))
    assert (found.fate, found.category) == ("seen_before", 3)


def test_a_nodule_of_one_voxel_that_was_half_seen_before_is_not_called_progressing(
    make_exam: Make, make_cube: Make
) -> None:
    before = make_exam()
    before.lesion_probability[SPINE] = 0.4
    found = only(before, make_exam([make_cube(SPINE, 1)]))
    assert (found.fate, found.category, found.is_assessable) == ("seen_before", 3, False)
    before.lesion_probability[38:42, 14:18, 80:84] = 0.4
    assert only(before, make_exam([make_cube(SPINE)])).category == 4  # 16 mm: its signal counts


def test_a_lesion_where_the_earlier_exam_did_not_look_is_not_called_new(
    make_exam: Make, make_cube: Make
) -> None:
    before = make_exam()
    before.images["dwi_high"][:, :, 75:] = 0
    found = only(before, make_exam([make_cube(SPINE)]))
    assert (found.fate, found.category, found.is_counted) == ("not_imaged", None, False)


def test_a_lesion_of_which_nothing_is_left_has_vanished(make_exam: Make, make_cube: Make) -> None:
    found = only(make_exam([make_cube(SPINE)]), make_exam())
    assert (found.fate, found.category, found.id) == ("vanished", 1, None)


def test_a_lesion_that_only_its_outline_lost_is_still_there(make_exam: Make, make_cube: Make) -> None:
    found = only(make_exam([make_cube(SPINE)]), make_exam([make_cube(SPINE, outlined=False)]))
    assert (found.fate, found.category) == ("still_seen", 3)


def test_a_lesion_that_comes_back_where_one_had_vanished_is_category_4(
    make_exam: Make, make_cube: Make
) -> None:
    place = [4.0 * (start + 1.5) for start in SPINE]
    found = only(make_exam(), make_exam([make_cube(SPINE)]), gone_mm=[place])
    assert (found.fate, found.category) == ("returned", 4)


def test_two_lesions_that_merge_are_compared_by_their_common_volume(make_exam: Make, make_cube: Make) -> None:
    before = make_exam([make_cube((38, 14, 70)), make_cube((38, 14, 75))])
    after = make_exam([make_cube((38, 14, 70)), make_cube((38, 14, 75))])
    after.lesion_labels[after.lesion_labels == 2] = 1
    after.lesion_labels[38:42, 14:18, 74] = 1
    after.report["lesions"] = [{**after.report["lesions"][0], "volume_ml": 144 * 0.064}]
    found = only(before, after)
    assert (found.fate, found.category, found.baseline_ids, found.ids) == ("merged", 3, (1, 2), (1,))


def test_a_lesion_that_a_reader_rejected_has_no_say(make_exam: Make, make_cube: Make) -> None:
    found = only(make_exam(), make_exam([make_cube(SPINE, certainty="rejected")]))
    assert (found.is_rejected, found.category, found.is_counted) == (True, None, False)


def test_a_spot_away_from_bone_has_no_say_until_it_is_certain(make_exam: Make, make_cube: Make) -> None:
    for certainty, has_a_say in (("equivocal", False), ("certain", True)):
        after = make_exam([make_cube(SPINE, kind="extramedullary", certainty=certainty)])
        assert only(make_exam(), after).is_counted is has_a_say


def measures(t1: float | None, fat: float | None) -> Measures:
    return Measures(adc_um2_per_s=800.0, dwi=100.0, t1=t1, fat_fraction=fat, probability=0.9, covered=1.0)


def test_fat_is_taken_from_dixon_and_without_it_from_a_clear_change_of_t1() -> None:
    assert fat_change(measures(100, 0.1), measures(200, 0.3)) == pytest.approx(0.2)
    assert fat_change(measures(100, None), measures(145, 0.3)) == pytest.approx(0.5)  # 45 % / 0.9
    assert fat_change(measures(100, None), measures(120, None)) == 0.0  # 0.22 is within the doubt of T1
    assert fat_change(measures(None, None), measures(120, None)) is None
