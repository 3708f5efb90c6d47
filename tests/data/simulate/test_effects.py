"""Effects of the acquisition: each asked for by name, each doing what its name says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from marrowmap.data.errors import SettingsError
from marrowmap.data.exam import Sequence
from marrowmap.data.simulate.artefacts import (
    Metal,
    breathing,
    breathing_steps,
    cross_talk,
    ghosted,
    noise_amplification,
    void_around,
    wrapped_around,
)
from marrowmap.data.simulate.effects import ON_REQUEST, SHARE, Effect, Effects, draw_effects
from marrowmap.data.simulate.exam import SimulatedExam, SimulationSettings, simulate_exam, to_exam
from marrowmap.data.simulate.noise import NoisePool
from marrowmap.data.simulate.protocol import FULL_PROTOCOL, ScannerSettings, draw_scanner_settings
from marrowmap.data.simulate.signal import SignalSettings


def volume(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(10, 20, shape).astype(np.float32)


@pytest.fixture(scope="module")
def scanned(make_toy_body: Callable[..., Any]) -> Callable[..., SimulatedExam]:
    body = make_toy_body(shape=(80, 60, 100))

    @cache
    def scan(*names: str, seed: int = 4) -> SimulatedExam:
        wanted = SimulationSettings(effects=frozenset(names))
        return simulate_exam(seed, pattern="focal", settings=wanted, anatomy=body)

    return scan


def test_every_effect_has_a_share_between_0_and_1() -> None:
    assert set(SHARE) == set(Effect) - ON_REQUEST
    assert all(0 < share < 1 for share in SHARE.values())


def test_effects_are_drawn_by_their_share_when_nobody_asks() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_effects(rng) for _ in range(2000)]
    assert np.mean([Effect.METAL in d for d in drawn]) == pytest.approx(SHARE[Effect.METAL], abs=0.02)
    assert np.mean([Effect.DISTORTION in d for d in drawn]) == pytest.approx(0.9, abs=0.03)
    assert all(0.1 <= s <= 1 for d in drawn for s in d.strengths.values())


def test_an_effect_on_request_draws_nothing_so_that_exams_stay_what_they_were() -> None:
    drawing, plain = np.random.default_rng(5), np.random.default_rng(5)
    drawn = draw_effects(drawing)
    plain.random(2 * len(SHARE))
    assert drawing.bit_generator.state == plain.bit_generator.state
    assert not ON_REQUEST & set(drawn.strengths)
    asked = draw_effects(np.random.default_rng(5), wanted=["breathing_steps"])
    assert list(asked.strengths) == [Effect.BREATHING_STEPS]
    assert 0.5 <= asked.of(Effect.BREATHING_STEPS) <= 1


def test_breathing_steps_move_the_front_of_odd_slices_alone() -> None:
    body = np.zeros((6, 4, 20), np.float32)
    body[..., 4:12] = 1.0
    follow = np.zeros((1, 1, 20), np.float32) + np.where(np.arange(20) >= 9, 1.0, 0.0).astype(np.float32)
    stepped = breathing_steps(body, np.repeat(follow, 6, axis=0), move=3.0)
    np.testing.assert_array_equal(stepped[::2], body[::2])
    # The back edge rests at 4, the front edge moves from 11 to 14.
    assert [np.flatnonzero(stepped[k, 0])[[0, -1]].tolist() for k in (1, 3, 5)] == [[4, 14]] * 3


def test_effects_asked_for_are_there_and_no_other() -> None:
    drawn = draw_effects(np.random.default_rng(0), wanted=["metal", "ghosts"])
    assert set(drawn.strengths) == {Effect.METAL, Effect.GHOSTS}
    assert min(drawn.strengths.values()) >= 0.5


def test_asking_for_effects_does_not_change_the_rest_of_the_protocol() -> None:
    free, asked = (
        draw_scanner_settings(np.random.default_rng(3), effects=e) for e in (None, frozenset({"metal"}))
    )
    plain = Effects()
    assert replace(free, effects=plain, sequences=frozenset(), middle_b_values_s_per_mm2=()) == replace(
        asked, effects=plain, sequences=frozenset(), middle_b_values_s_per_mm2=()
    )


def test_an_unknown_effect_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(SettingsError, match=r"unknown effect 'fog'; use some of cross_talk, distortion"):
        draw_effects(np.random.default_rng(0), wanted=["fog"])


def test_a_strength_above_1_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"need a strength of metal above 0 and up to 1, found 1\.5"):
        Effects(strengths={Effect.METAL: 1.5})


def test_cross_talk_keeps_an_even_body_even_but_for_every_other_slice() -> None:
    image = cross_talk(np.full((4, 2, 2), 100, dtype=np.float32), 0, 1.0)
    assert image[:, 0, 0] == pytest.approx([94, 100, 94, 100])


def test_cross_talk_brings_12_percent_of_each_neighbour() -> None:
    image = np.zeros((5, 1, 1), dtype=np.float32)
    image[1] = 100
    assert cross_talk(image, 0, 1.0)[:, 0, 0] == pytest.approx([12 * 0.94, 76, 12 * 0.94, 0, 0], abs=1e-4)


def test_a_ghost_is_a_faint_copy_half_a_field_of_view_away() -> None:
    image = np.zeros((1, 1, 8), dtype=np.float32)
    image[0, 0, 1] = 100
    assert ghosted(image, 2, shift=4, share=0.05)[0, 0] == pytest.approx([0, 100, 0, 0, 0, 5, 0, 0])


def test_what_the_field_of_view_cuts_off_appears_on_the_other_side() -> None:
    image = np.arange(1, 9, dtype=np.float32).reshape(1, 1, 8)
    assert list(wrapped_around(image, 2, 2)[0, 0]) == [3 + 7, 4 + 8, 5 + 1, 6 + 2]


def test_free_breathing_smears_and_a_breath_hold_moves() -> None:
    image = np.zeros((1, 1, 7), dtype=np.float32)
    image[0, 0, 3] = 100
    everywhere = np.ones((1, 1, 1), dtype=np.float32)
    assert list(breathing(image, 2, everywhere, shift=2, is_held=True)[0, 0]) == [0, 0, 0, 0, 0, 100, 0]
    assert list(breathing(image, 2, everywhere, shift=2, is_held=False)[0, 0]) == [0, 50, 0, 0, 0, 50, 0]


def test_what_rests_does_not_breathe() -> None:
    image = volume(2, 3, 9)
    nowhere = np.zeros((1, 1, 1), dtype=np.float32)
    assert np.array_equal(breathing(image, 2, nowhere, shift=2, is_held=False), image)


def test_noise_is_amplified_in_the_middle_only() -> None:
    factor = noise_amplification((3, 9, 9), 1.0)[0]
    assert factor[4, 4] == pytest.approx(1.9)
    assert factor[0] == pytest.approx(1.0)


def test_metal_leaves_a_hole_and_a_bright_rim() -> None:
    metal = Metal(centres_ras_mm=np.zeros((1, 3)), radius_mm=8.0)
    centres = np.arange(-40.0, 41.0, 2.0)
    found = void_around(metal, (centres, centres, centres), 1.0)
    assert found is not None
    _, factor = found
    middle = factor.shape[0] // 2
    line = factor[middle, middle]
    assert line[middle] < 0.01
    assert line.max() > 1.1
    assert line[0] == pytest.approx(1.0, abs=0.02)


def test_metal_out_of_reach_changes_nothing() -> None:
    metal = Metal(centres_ras_mm=np.full((1, 3), 500.0), radius_mm=8.0)
    centres = np.arange(-40.0, 41.0, 2.0)
    assert void_around(metal, (centres, centres, centres), 2.2) is None


def test_averaging_magnitudes_lowers_the_noise_but_raises_its_floor() -> None:
    rng = np.random.default_rng(0)
    pool = NoisePool.drawn(rng)
    once = pool.rician(np.zeros((8, 64, 64), np.float32), 4.0, rng)
    thrice = pool.rician(np.zeros((8, 64, 64), np.float32), 4.0, rng, averages=3)
    assert once.mean() == pytest.approx(4 * 1.2533, rel=0.02)
    assert thrice.mean() == pytest.approx(4 * 1.2533 * np.sqrt(3), rel=0.02)
    bright = pool.rician(np.full((8, 64, 64), 400, np.float32), 4.0, rng, averages=3)
    assert bright.std() == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize(
    # The toy body has no lungs.
    "effect",
    [e.value for e in Effect if e not in (Effect.BREATHING, Effect.BREATHING_STEPS)],
)
def test_every_effect_is_named_in_the_truth_and_changes_the_exam(
    scanned: Callable[..., SimulatedExam], effect: str
) -> None:
    plain, spoiled = scanned(), scanned(effect)
    assert list(spoiled.truth.effects) == [effect]
    assert plain.truth.effects == {}
    assert spoiled.truth.lesions == plain.truth.lesions
    pairs = list(zip(plain.acquisitions, spoiled.acquisitions, strict=False))
    is_as_many = len(plain.acquisitions) == len(spoiled.acquisitions)
    assert not is_as_many or any(
        a.volume.shape != b.volume.shape or not np.array_equal(a.volume.array, b.volume.array)
        for a, b in pairs
    )
    to_exam(spoiled)


def test_a_lost_station_is_missing_from_one_sequence_alone(scanned: Callable[..., SimulatedExam]) -> None:
    whole, part = (
        scanned().truth.acquisition["stations"],
        scanned("missing_station").truth.acquisition["stations"],
    )
    lost = {sequence for sequence in whole if whole[sequence] != part[sequence]}
    assert lost
    assert len(lost) < len(whole)
    assert all(len(part[sequence]) == len(whole[sequence]) - 1 for sequence in lost)


def test_a_lost_sequence_still_leaves_an_exam(scanned: Callable[..., SimulatedExam]) -> None:
    for seed in (1, 4):
        exam = to_exam(scanned("missing_sequence", seed=seed))
        assert Sequence.DWI_HIGH in exam
        assert {Sequence.STIR, Sequence.ADC, Sequence.DWI_LOW} - set(exam.volumes)


def test_several_b_values_are_all_acquired_and_named(scanned: Callable[..., SimulatedExam]) -> None:
    several = scanned("several_b")
    named = several.truth.acquisition["b_values_s_per_mm2"]
    acquired = {a.volume.b_value_s_per_mm2 for a in several.acquisitions} - {None}
    assert len(named) > 2
    assert acquired == set(named)
    assert to_exam(several)[Sequence.DWI_LOW].b_value_s_per_mm2 == 50


def test_after_contrast_a_lesion_is_brighter_and_fat_is_not(make_toy_body: Callable[..., Any]) -> None:
    scanner = ScannerSettings(
        sequences=FULL_PROTOCOL | {Sequence.T1_CONTRAST}, coronal_snr=500.0, gain_spread=0.0, bias_spread=0.0
    )
    settings = SimulationSettings(scanner=scanner, signal=SignalSettings())
    exam = to_exam(simulate_exam(3, pattern="focal", settings=settings, anatomy=make_toy_body()))
    before, after = exam[Sequence.T1].array, exam[Sequence.T1_CONTRAST].array
    fat = before > np.percentile(before, 97)
    assert np.median(after[fat] / before[fat]) == pytest.approx(1.0, abs=0.05)
    assert np.percentile(after / np.maximum(before, 20), 99.5) > 1.25


@pytest.mark.parametrize("orientation", ["sagittal", "coronal", "axial"])
def test_the_same_body_is_seen_in_any_orientation(
    make_toy_body: Callable[..., Any], orientation: Any
) -> None:
    quiet = ScannerSettings(
        coronal_snr=500.0, gain_spread=0.0, bias_spread=0.0, diffusion_shift_mm=0.0, diffusion_stretch=0.0,
        t1_orientation=orientation, stir_orientation=orientation, diffusion_orientation=orientation,
    )  # fmt: skip
    settings = SimulationSettings(scanner=quiet, signal=SignalSettings())
    exam = to_exam(simulate_exam(1, pattern="normal", settings=settings, anatomy=make_toy_body()))
    across = ("sagittal", "coronal", "axial").index(orientation)
    for sequence in (Sequence.T1, Sequence.STIR, Sequence.DWI_HIGH):
        volume = exam[sequence]
        assert int(np.argmax(volume.spacing_mm)) == across
        # The body's box is 216 x 144 mm of an ellipse: its middle is signal, its corner is air.
        inside = volume.array[tuple(n // 2 for n in volume.shape)]
        assert inside > 5 * volume.array[0, 0].mean()
