"""Which levels of the body were imaged."""

from __future__ import annotations

import numpy as np

from marrowmap.data.exam import Exam, Sequence, StudyInfo, Volume
from marrowmap.data.levels import LEVELS, coverage_by_level

STEP_MM = 6.0
ALL_COMPLETE = dict.fromkeys(LEVELS, "complete")


def ellipse(half_x_mm: float, half_y_mm: float) -> np.ndarray:
    x, y = np.meshgrid(np.arange(80) * STEP_MM - 237, np.arange(50) * STEP_MM - 147, indexing="ij")
    return (x / half_x_mm) ** 2 + (y / half_y_mm) ** 2 <= 1


def person(length_mm: float) -> Volume:
    """A head of 220 mm, a neck of 80 mm and a trunk, upward, the crown at z = 0; 1.70 m tall."""
    planes = [ellipse(20 + 12 * n, 25 + 15 * n) for n in range(5)]
    planes += [ellipse(78, 95)] * 32 + [ellipse(60, 60)] * 13
    planes += [ellipse(200, 120)] * (round(length_mm / STEP_MM) - len(planes))
    array = np.stack(planes[::-1], axis=-1).astype(np.float32) * 100
    affine = np.diag([STEP_MM] * 3 + [1.0])
    affine[2, 3] = -STEP_MM * (len(planes) - 0.5)
    return Volume(array=array, affine_ras_mm=affine)


def exam(t1: Volume, dwi: Volume) -> Exam:
    high = Volume(array=dwi.array, affine_ras_mm=dwi.affine_ras_mm, b_value_s_per_mm2=900)
    return Exam(volumes={Sequence.T1: t1, Sequence.DWI_HIGH: high}, study=StudyInfo(stature_m=1.70))


def test_a_person_to_mid_thigh_is_complete() -> None:
    whole = person(1040)
    assert coverage_by_level(exam(whole, whole)) == ALL_COMPLETE


def test_an_exam_that_ends_in_the_pelvis_has_part_of_it_and_no_thighs() -> None:
    # The pelvis lies 731 to 901 mm below the crown of a person of 1.70 m.
    short = person(816)
    expected = ALL_COMPLETE | {"pelvis": "partial", "thighs": "absent"}
    assert coverage_by_level(exam(short, short)) == expected


def test_what_diffusion_leaves_out_is_not_covered() -> None:
    whole = person(1040)
    # From 20 cm below the crown: no head, the neck (221 to 306 mm) whole.
    below = Volume(array=whole.array[..., :-33], affine_ras_mm=whole.affine_ras_mm)
    assert coverage_by_level(exam(whole, below)) == ALL_COMPLETE | {"head": "partial"}
    legs = Volume(array=whole.array[..., :30], affine_ras_mm=whole.affine_ras_mm)
    assert coverage_by_level(exam(whole, legs))["head"] == "absent"


def test_without_a_head_nobody_knows_the_levels() -> None:
    whole = person(1040)
    trunk = Volume(array=whole.array[..., :-60], affine_ras_mm=whole.affine_ras_mm)
    assert coverage_by_level(exam(trunk, trunk)) == dict.fromkeys(LEVELS, "unknown") | {"head": "absent"}
