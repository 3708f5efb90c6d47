"""What the body's outline tells of its ends."""

from __future__ import annotations

import numpy as np
import pytest

from marrowmap.data.exam import Volume
from marrowmap.data.silhouette import coverage_warnings, silhouette_of

STEP_MM = 6.0


def ellipse(half_x_mm: float, half_y_mm: float) -> np.ndarray:
    x, y = np.meshgrid(np.arange(80) * STEP_MM - 237, np.arange(50) * STEP_MM - 147, indexing="ij")
    return (x / half_x_mm) ** 2 + (y / half_y_mm) ** 2 <= 1


def person(stature_m: float = 1.70, arms_up: bool = False) -> np.ndarray:
    """A head of 220 mm with a crown, a neck of 80 mm, then a trunk to the middle of the thighs, upward."""
    crown = [ellipse(20 + 12 * n, 25 + 15 * n) for n in range(5)]
    parts = [crown, [ellipse(78, 95)] * 32, [ellipse(60, 60)] * 13]
    planes = [plane for part in parts for plane in part]
    planes += [ellipse(200, 120)] * (round(0.61 * stature_m * 1000 / STEP_MM) - len(planes))
    if arms_up:
        arm = np.roll(ellipse(45, 45), 25, axis=0)
        planes = [plane | arm for plane in planes]
    empty = np.zeros_like(planes[0])
    return np.stack([empty, *planes][::-1], axis=-1).astype(np.float32) * 100


def volume(array: np.ndarray, down: bool = False) -> Volume:
    affine = np.diag([STEP_MM, STEP_MM, -STEP_MM if down else STEP_MM, 1.0])
    return Volume(array=array[..., ::-1] if down else array, affine_ras_mm=affine)


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("arms_up", [False, True])
def test_a_person_from_crown_to_mid_thigh_is_complete(down: bool, arms_up: bool) -> None:
    found = silhouette_of(volume(person(arms_up=arms_up), down), stature_m=1.70)
    assert (found.head, found.thighs) == ("complete", "complete")
    assert coverage_warnings(found) == []


def test_a_cut_head_is_partial_and_the_thighs_are_then_unknown() -> None:
    found = silhouette_of(volume(person()[..., :-12]))
    assert (found.head, found.thighs) == ("partial", None)
    (warning,) = coverage_warnings(found)
    assert (warning.code, warning.text) == (
        "coverage_head",
        "the head is cut: what is not imaged is not known",
    )


def test_a_trunk_alone_has_no_head() -> None:
    found = silhouette_of(volume(person()[..., :-60]))
    assert found.head == "absent"
    assert coverage_warnings(found)[0].text.startswith("the head is not imaged")


def test_thighs_are_judged_by_stature_where_it_is_known() -> None:
    body = volume(person(1.60))
    assert silhouette_of(body, stature_m=1.60).thighs == "complete"
    tall = silhouette_of(body, stature_m=1.80)
    assert tall.thighs == "partial"
    assert coverage_warnings(tall)[0].text == (
        "the thighs may end above their middle: the exam ends 978 mm below the crown"
    )
    assert silhouette_of(volume(person(1.60)[..., 40:]), stature_m=1.80).thighs == "absent"


def test_nothing_in_the_volume_is_nobody() -> None:
    nobody = silhouette_of(volume(np.zeros((20, 20, 20), np.float32)))
    assert (nobody.head, nobody.thighs, nobody.length_mm) == ("absent", None, 0.0)
