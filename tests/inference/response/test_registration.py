from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from marrowmap.data.errors import GeometryError, SettingsError
from marrowmap.inference.response import start
from marrowmap.inference.response.exam import ComparedExam
from marrowmap.inference.response.motion import Motion
from marrowmap.inference.response.registration import Registration, RegistrationSettings, register
from marrowmap.inference.response.signals import pair_of

MakeExam = Callable[..., ComparedExam]
#: Places in the spine and the pelvis, RAS+ mm.
PLACES_MM = np.array([[160.0, 64.0, 440.0], [160.0, 64.0, 300.0], [100.0, 70.0, 100.0], [220.0, 70.0, 60.0]])


def test_an_exam_laid_on_itself_is_not_moved(make_exam: MakeExam) -> None:
    exam = make_exam()
    registration = register(exam, exam)
    assert registration.moved(PLACES_MM) == pytest.approx(PLACES_MM, abs=0.5)
    assert registration.similarity > 0.95
    assert registration.residual_mm < 0.5


def test_a_shift_of_36_mm_is_found_to_a_quarter_of_a_voxel(make_exam: MakeExam) -> None:
    # What lies at voxel v of the body lies at v + (5, -4, 9) in the later exam.
    later = make_exam(moved=lambda voxels: voxels - (5.0, -4.0, 9.0))
    registration = register(make_exam(), later)
    assert registration.moved(PLACES_MM[1:]) - PLACES_MM[1:] == pytest.approx(
        np.tile([20.0, -16.0, 36.0], (3, 1)), abs=1.0
    )


def test_the_regions_put_right_a_start_that_the_images_got_wrong(
    make_exam: MakeExam, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "_shift_of_images", lambda before, after: np.array([0.0, 0.0, -90.0]))
    exam = make_exam()
    assert register(exam, exam).moved(PLACES_MM) == pytest.approx(PLACES_MM, abs=0.5)


def test_regions_agree_wholly_where_nothing_moved_and_less_where_it_did(make_exam: MakeExam) -> None:
    exam = make_exam()
    shares = [
        start.region_agreement(exam, exam, Motion.shift(np.array([0.0, 0.0, z]))) for z in (0.0, 30.0, 5000.0)
    ]
    assert shares[0] == 1.0
    assert shares[2] == 0.0
    assert 0.0 < shares[1] < 0.9


def bent(voxels: np.ndarray) -> np.ndarray:
    """A body whose upper end leans 20 mm to the side, its pelvis lying still, as a bending spine does."""
    lean = 5.0 * np.clip((voxels[:, 2] - 40.0) / 80.0, 0.0, 1.0) ** 2
    return voxels - np.stack([lean, 0 * lean, 0 * lean], axis=1)


@pytest.fixture(scope="module")
def of_bent(make_exam: MakeExam) -> Registration:
    return register(make_exam(), make_exam(moved=bent))


def test_a_bent_spine_is_followed_where_one_rigid_motion_cannot(of_bent: Registration) -> None:
    moved = of_bent.moved(PLACES_MM) - PLACES_MM
    # At z = 440 mm (voxel 110) the lean is 5 x (70 / 80)^2 = 3.8 voxels = 15.3 mm, at 300 mm 4.8 mm.
    assert moved[:, 0] == pytest.approx([15.3, 4.8, 0.0, 0.0], abs=1.5)


def test_the_way_back_undoes_the_way_there(of_bent: Registration) -> None:
    assert of_bent.moved_back(of_bent.moved(PLACES_MM)) == pytest.approx(PLACES_MM, abs=0.05)


def test_an_exam_without_a_skeleton_is_refused(make_exam: MakeExam) -> None:
    exam = make_exam()
    exam.regions[:] = 0
    with pytest.raises(GeometryError, match="no skeleton in the earlier exam to register by"):
        register(exam, make_exam())


def test_a_registration_without_a_stage_is_refused() -> None:
    with pytest.raises(SettingsError, match="need at least one stage"):
        RegistrationSettings(stages=())


def test_other_bodies_are_hardly_alike(make_exam: MakeExam, texture: np.ndarray) -> None:
    first = make_exam()
    texture[:] = texture[::-1, ::-1].copy()
    try:
        other = make_exam()
    finally:
        texture[:] = texture[::-1, ::-1].copy()
    assert register(first, other).similarity < 0.8 * register(first, first).similarity


def test_a_coil_that_shows_everything_half_as_bright_again_is_evened_out(make_exam: MakeExam) -> None:
    before, after = make_exam(), make_exam(gain=1.5)
    pair = pair_of(before, after, register(before, after))
    then, now = pair.before_at(PLACES_MM), pair.after_at(PLACES_MM)
    assert then.dwi is not None
    assert now.dwi == pytest.approx(then.dwi, rel=0.08)


def test_a_coil_that_fades_from_side_to_side_is_evened_out(make_exam: MakeExam) -> None:
    before = make_exam()
    fading = np.linspace(0.7, 1.3, 80)[:, None, None]
    pair = pair_of(before, after := make_exam(gain=fading), register(before, after))
    for place in PLACES_MM:
        around = place + np.random.default_rng(0).uniform(-12, 12, (200, 3))
        then, now = pair.before_at(around), pair.after_at(around)
        assert then.dwi is not None
        assert now.dwi == pytest.approx(then.dwi, rel=0.12)
