"""A body of boxes in the scanner: stations, noise, ratios, and the same exam from the same seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from marrowmap.data.errors import SequenceMissingError, SettingsError
from marrowmap.data.exam import Sequence, Volume
from marrowmap.data.simulate.exam import SimulatedExam, SimulationSettings, simulate_exam, to_exam
from marrowmap.data.simulate.labels import Tissue
from marrowmap.data.simulate.lesions import DiseaseSettings
from marrowmap.data.simulate.noise import NoisePool, smooth_gain
from marrowmap.data.simulate.protocol import FULL_PROTOCOL, ScannerSettings
from marrowmap.data.simulate.signal import SignalSettings
from marrowmap.data.skeleton import Region

QUIET = ScannerSettings(
    coronal_snr=1000.0,
    diffusion_snr=500.0,
    gain_spread=0.0,
    bias_spread=0.0,
    diffusion_shift_mm=0.0,
    diffusion_stretch=0.0,
)


@pytest.fixture(scope="module")
def quiet(toy_body: Any) -> SimulatedExam:
    settings = SimulationSettings(
        scanner=QUIET, signal=SignalSettings(), disease=DiseaseSettings(mimics_mean=0.0)
    )
    return simulate_exam(1, pattern="normal", settings=settings, anatomy=toy_body)


def at(volume: Volume, toy_body: Any, tissue: Tissue) -> float:
    """Return the median over the voxels whose middle lies well inside a tissue."""
    centres = np.stack(np.meshgrid(*(np.arange(n) for n in volume.shape), indexing="ij")).reshape(3, -1)
    ras = volume.affine_ras_mm[:3, :3] @ centres + volume.affine_ras_mm[:3, 3:]
    index = np.rint((ras - toy_body.affine_ras_mm[:3, 3:]) / 2).astype(int)
    inside = np.all((index >= 3) & (index < np.array(toy_body.tissue.shape)[:, None] - 3), axis=0)
    index, values = index[:, inside], volume.array.ravel()[inside]
    pure = np.ones(index.shape[1], dtype=bool)
    for axis in range(3):
        for step in (-2, 2):
            moved = index.copy()
            moved[axis] += step
            pure &= toy_body.tissue[tuple(moved)] == tissue
    return float(np.median(values[pure]))


def test_composed_volumes_show_marrow_and_spleen_against_muscle_as_published(
    quiet: SimulatedExam, toy_body: Any
) -> None:
    exam = to_exam(quiet)
    high = exam[Sequence.DWI_HIGH]
    muscle = at(high, toy_body, Tissue.MUSCLE)
    assert 2.0 < at(high, toy_body, Tissue.MARROW) / muscle < 4.6
    assert 4.0 < at(high, toy_body, Tissue.SPLEEN) / muscle < 7.5
    assert at(exam[Sequence.T1], toy_body, Tissue.MARROW) > 1.2 * at(
        exam[Sequence.T1], toy_body, Tissue.MUSCLE
    )


def test_the_adc_map_holds_the_tissues_adc(quiet: SimulatedExam, toy_body: Any) -> None:
    adc = to_exam(quiet)[Sequence.ADC]
    assert at(adc, toy_body, Tissue.MUSCLE) == pytest.approx(1400, rel=0.12)
    assert 330 < at(adc, toy_body, Tissue.MARROW) < 600


def test_dixon_images_give_the_fat_fraction(quiet: SimulatedExam, toy_body: Any) -> None:
    exam = to_exam(quiet)
    fat, water = exam[Sequence.DIXON_FAT].array, exam[Sequence.DIXON_WATER].array
    ratio = Volume(
        array=(fat / (fat + water)).astype(np.float32), affine_ras_mm=exam[Sequence.DIXON_FAT].affine_ras_mm
    )
    assert at(ratio, toy_body, Tissue.SUBCUTANEOUS_FAT) > 0.9
    assert at(ratio, toy_body, Tissue.MUSCLE) < 0.12
    assert at(ratio, toy_body, Tissue.MARROW) == pytest.approx(quiet.truth.marrow_fat_fraction, abs=0.17)


def test_lesions_are_where_the_truth_says_on_the_diffusion_volume(toy_body: Any) -> None:
    settings = SimulationSettings(
        scanner=QUIET,
        signal=SignalSettings(),
        disease=DiseaseSettings(focal_count=(6, 6), treated_patients=0.0),
    )
    simulated = simulate_exam(3, pattern="focal", settings=settings, anatomy=toy_body)
    high = to_exam(simulated)[Sequence.DWI_HIGH]
    large = [
        lesion for lesion in simulated.truth.lesions if lesion.volume_ml > 0.3 and lesion.kind == "active"
    ]
    assert large
    muscle = at(high, toy_body, Tissue.MUSCLE)
    for lesion in large:
        place = (np.array(lesion.centroid_ras_mm) - high.affine_ras_mm[:3, 3]) / high.spacing_mm
        assert high.array[tuple(np.rint(place).astype(int))] > 3.2 * muscle


def test_stations_count_overlap_and_carry_their_b_value(quiet: SimulatedExam) -> None:
    high = [a for a in quiet.acquisitions if a.sequence is Sequence.DWI_HIGH]
    assert [a.station for a in high] == [0, 1, 2, 3]
    assert {a.volume.b_value_s_per_mm2 for a in high} == {900.0}
    tops = [a.volume.affine_ras_mm[2, 3] + 5 * a.volume.shape[2] for a in high]
    bottoms = [a.volume.affine_ras_mm[2, 3] for a in high]
    assert tops == sorted(tops, reverse=True)
    overlaps = [top - bottom for top, bottom in zip(tops[1:], bottoms, strict=False)]
    assert overlaps == pytest.approx([25.0, 25.0, 30.0])  # the last station ends where the body does


def test_the_same_seed_gives_the_same_voxels(toy_body: Any) -> None:
    first, again = (simulate_exam(5, anatomy=toy_body) for _ in range(2))
    assert first.truth.lesions == again.truth.lesions
    for one, other in zip(first.acquisitions, again.acquisitions, strict=True):
        assert np.array_equal(one.volume.array, other.volume.array)


def test_a_sequence_left_out_does_not_change_the_disease(toy_body: Any) -> None:
    whole = simulate_exam(6, pattern="focal", anatomy=toy_body)
    settings = SimulationSettings(missing=frozenset({Sequence.STIR}))
    partial = simulate_exam(6, pattern="focal", settings=settings, anatomy=toy_body)
    assert Sequence.STIR not in {a.sequence for a in partial.acquisitions}
    assert partial.truth.lesions == whole.truth.lesions


def test_an_exam_without_high_b_diffusion_cannot_be_composed(toy_body: Any) -> None:
    settings = SimulationSettings(scanner=QUIET, missing=frozenset({Sequence.DWI_HIGH}))
    with pytest.raises(SequenceMissingError, match="no high-b diffusion"):
        to_exam(simulate_exam(7, settings=settings, anatomy=toy_body))


def test_truth_regions_cover_the_bones_of_the_body(quiet: SimulatedExam, toy_body: Any) -> None:
    assert np.array_equal(quiet.truth.regions > 0, toy_body.bone > 0)
    assert Region.LUMBAR_SPINE in quiet.truth.regions


def test_opposed_phase_is_dark_where_fat_and_water_are_equal(toy_body: Any) -> None:
    scanner = replace(QUIET, sequences=FULL_PROTOCOL | {Sequence.DIXON_OUT})
    exam = to_exam(simulate_exam(8, settings=SimulationSettings(scanner=scanner), anatomy=toy_body))
    fat, water, difference = (
        at(exam[sequence], toy_body, Tissue.MARROW)
        for sequence in (Sequence.DIXON_FAT, Sequence.DIXON_WATER, Sequence.DIXON_OUT)
    )
    assert difference == pytest.approx(abs(fat - water), rel=0.1)
    assert difference < 0.8 * at(exam[Sequence.DIXON_IN], toy_body, Tissue.MARROW)


def test_noise_in_air_is_rayleigh() -> None:
    generator = np.random.default_rng(0)
    air = NoisePool.drawn(generator).rician(np.zeros((8, 64, 64), dtype=np.float32), 4.0, generator)
    assert air.mean() == pytest.approx(4.0 * 1.2533, rel=0.02)
    assert air.min() >= 0


def test_a_plane_larger_than_the_pool_still_gets_noise() -> None:
    small = NoisePool(deviates=np.random.default_rng(0).standard_normal(100, dtype=np.float32))
    assert small.rician(np.zeros((2, 20, 20), np.float32), 1.0, np.random.default_rng(1)).std() > 0.3


def test_a_station_without_spread_has_gain_one() -> None:
    gain = smooth_gain((5, 6, 7), np.random.default_rng(0), gain_spread=0.0, bias_spread=0.0)
    assert gain.shape == (5, 6, 7)
    assert gain == pytest.approx(1.0)


def test_coil_bias_is_smooth() -> None:
    gain = smooth_gain((60, 60, 60), np.random.default_rng(0), gain_spread=0.1, bias_spread=0.15)
    assert abs(np.diff(gain, axis=0)).max() < 0.05


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"axial_spacing_mm": 0.1}, "0.8 mm or more"),
        ({"coronal_stations": 0}, "at least one station"),
        ({"b_values_s_per_mm2": (900.0, 50.0)}, "found 900 and 50"),
    ],
)
def test_a_protocol_that_cannot_be_run_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        ScannerSettings(**settings)
