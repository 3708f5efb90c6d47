import numpy as np
import pytest
from numpy.testing import assert_allclose

from marrowmap.data.body import otsu_threshold
from marrowmap.data.errors import SettingsError
from marrowmap.data.exam import Exam, Sequence, Volume
from marrowmap.data.model_input import CHANNELS, ModelInput, ModelInputSettings, to_model_input

AFFINE = np.diag([5.0, 5.0, 5.0, 1.0])
SHAPE = (60, 40, 48)
LESION = (slice(28, 32), slice(18, 22), slice(10, 14))


def phantom(*, muscle: float, fat: float, lesion: float, top: int = SHAPE[2], noise: float = 1.0) -> Volume:
    """An elliptic cylinder of muscle in a shell of fat, in air, with one lesion; cut at slice `top`."""
    i, j = np.ogrid[: SHAPE[0], : SHAPE[1]]
    radius = np.sqrt(((i - 29.5) / 24) ** 2 + ((j - 19.5) / 16) ** 2)
    section = np.where(radius < 0.8, muscle, np.where(radius < 1.0, fat, 0.0))
    array = np.repeat(section[:, :, None], SHAPE[2], axis=2).astype(np.float32)
    array[LESION] = lesion
    array += np.abs(np.random.default_rng(3).normal(0, noise, SHAPE)).astype(np.float32)
    return Volume(array=array[:, :, :top], affine_ras_mm=AFFINE)


def high_b(*, lesion: float = 300.0, top: int = SHAPE[2]) -> Volume:
    return phantom(muscle=50.0, fat=5.0, lesion=lesion, top=top)


def exam_with(**volumes: Volume) -> Exam:
    named = {Sequence(name): volume for name, volume in volumes.items()}
    return Exam(volumes={Sequence.DWI_HIGH: high_b(), Sequence.STIR: high_b(lesion=150.0)} | named)


def lesion_value(model_input: ModelInput, sequence: Sequence) -> float:
    # The middle of the lesion is 29.5, 19.5, 11.5 voxels of 5 mm; the 2.5 mm grid starts at -1.25 mm.
    i, j, k = np.rint((np.array([29.5, 19.5, 11.5]) * 5.0 + 1.25) / 2.5).astype(int)
    return float(model_input.channel(sequence)[i, j, k])


def test_channels_share_one_grid_and_missing_ones_are_exact_zeros() -> None:
    result = to_model_input(exam_with())
    assert result.array.shape == (5, 120, 80, 96)
    assert result.array.dtype == np.float32
    assert result.present == (True, False, False, True, False)
    assert not result.channel(Sequence.ADC).any()
    assert not result.channel(Sequence.T1).any()
    assert not result.channel(Sequence.FAT_FRACTION).any()


def test_a_lesion_six_times_as_bright_as_muscle_is_one_in_diffusion() -> None:
    result = to_model_input(exam_with())
    assert result.references["dwi_high"] == pytest.approx(50.8, abs=1.0)
    assert lesion_value(result, Sequence.DWI_HIGH) == pytest.approx(1.0, abs=0.03)
    assert lesion_value(result, Sequence.STIR) == pytest.approx(1.0, abs=0.03)


def test_a_scanner_gain_changes_nothing() -> None:
    exam = exam_with(t1=phantom(muscle=100, fat=300, lesion=90))
    louder = Exam(
        volumes={
            name: Volume(array=volume.array * np.float32(7.5), affine_ras_mm=volume.affine_ras_mm)
            for name, volume in exam.volumes.items()
        }
    )
    assert_allclose(to_model_input(louder).array, to_model_input(exam).array, atol=1e-4)


def test_half_the_coverage_has_the_same_reference() -> None:
    whole = to_model_input(exam_with())
    half = to_model_input(Exam(volumes={Sequence.DWI_HIGH: high_b(top=24), Sequence.STIR: high_b(top=24)}))
    assert half.references["dwi_high"] == pytest.approx(whole.references["dwi_high"], rel=0.02)


def test_the_reference_is_muscle_and_not_the_fat_of_a_fat_person() -> None:
    t1 = phantom(muscle=100, fat=300, lesion=90)
    assert to_model_input(exam_with(t1=t1)).references["t1"] == pytest.approx(100.8, abs=2.0)


def test_the_body_is_the_phantom_with_its_fat_when_t1_shows_it() -> None:
    body = to_model_input(exam_with(t1=phantom(muscle=100, fat=300, lesion=90))).body
    # The ellipse of 24 x 16 voxels of 5 mm fills pi * 24 * 16 / (60 * 40) = 50 % of the field of view;
    # a body that reaches one coarse voxel (7.5 mm) further fills 57 %.
    assert 0.49 < body.mean() < 0.57
    assert body[60, 40].all()
    assert not body[:6].any()


def test_lungs_belong_to_the_body() -> None:
    t1 = phantom(muscle=100, fat=300, lesion=90)
    t1.array[15:25, 14:26, 20:40] = 0.5
    high = high_b()
    high.array[15:25, 14:26, 20:40] = 0.5
    body = to_model_input(exam_with(t1=t1, dwi_high=high, stir=high)).body
    assert body[30:50, 28:52, 40:80].all()


def test_adc_is_in_thousands_and_clipped_at_3_5() -> None:
    adc = phantom(muscle=1500, fat=200, lesion=700, noise=0.0)
    adc.array[20:24, 18:22, 30:34] = 9000.0
    result = to_model_input(exam_with(adc=adc))
    assert result.present[1]
    assert lesion_value(result, Sequence.ADC) == pytest.approx(0.7, abs=1e-3)
    assert result.channel(Sequence.ADC).max() == 3.5


def test_adc_is_computed_from_two_b_values_when_the_scanner_gives_none() -> None:
    # ln(300 / 123) / 850 s/mm2 = 1.049e-3 mm2/s = 1049 um2/s
    low = Volume(array=np.full(SHAPE, 300, np.float32), affine_ras_mm=AFFINE, b_value_s_per_mm2=50.0)
    high = Volume(array=np.full(SHAPE, 123, np.float32), affine_ras_mm=AFFINE, b_value_s_per_mm2=900.0)
    result = to_model_input(exam_with(dwi_low=low, dwi_high=high))
    assert_allclose(result.channel(Sequence.ADC), np.log(300 / 123) / 0.85, rtol=1e-4)


def test_b_values_that_nobody_knows_give_no_adc() -> None:
    assert to_model_input(exam_with(dwi_low=high_b())).present[1] is False


def test_dixon_stands_in_for_t1_and_gives_the_fat_fraction() -> None:
    fat = phantom(muscle=5, fat=270, lesion=0, noise=0.0)
    water = phantom(muscle=95, fat=30, lesion=90, noise=0.0)
    result = to_model_input(exam_with(dixon_fat=fat, dixon_water=water))
    assert result.present == (True, False, True, True, True)
    assert result.channel(Sequence.FAT_FRACTION)[60, 40, 60] == pytest.approx(0.05, abs=1e-4)
    assert result.channel(Sequence.FAT_FRACTION)[2, 2].max() == 0.0
    assert result.references["t1"] == pytest.approx(100.0, abs=1.0)


def test_the_fat_fraction_of_noisy_air_is_zero() -> None:
    fat = phantom(muscle=5, fat=270, lesion=0, noise=6.0)
    water = phantom(muscle=95, fat=30, lesion=90, noise=6.0)
    air = to_model_input(exam_with(dixon_fat=fat, dixon_water=water)).channel(Sequence.FAT_FRACTION)[:8, :8]
    assert (air > 0).mean() < 0.01


def test_a_tilted_t1_lands_on_the_same_tissue() -> None:
    t1 = phantom(muscle=100, fat=300, lesion=90)
    c, s = np.cos(np.radians(8)), np.sin(np.radians(8))
    about_middle = np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1.0]])
    tilted = to_model_input(exam_with(t1=Volume(array=t1.array, affine_ras_mm=about_middle @ AFFINE)))
    # The middle of the phantom at slice 4 (20 mm) is turned by a few mm only: muscle is still there.
    assert tilted.channel(Sequence.T1)[60, 36, 8] == pytest.approx(0.4, abs=0.05)
    assert tilted.references["t1"] == pytest.approx(100.8, abs=4.0)


def test_t2_stands_in_for_stir() -> None:
    t1 = phantom(muscle=100, fat=300, lesion=90)
    volumes = {Sequence.DWI_HIGH: high_b(), Sequence.T1: t1, Sequence.T2: high_b()}
    assert to_model_input(Exam(volumes=volumes)).present == (True, False, True, True, False)


def test_a_volume_that_ends_early_is_zero_beyond() -> None:
    short = phantom(muscle=100, fat=300, lesion=90, top=24)
    t1 = to_model_input(exam_with(t1=short)).channel(Sequence.T1)
    assert t1[60, 40, :48].min() > 0.3
    assert not t1[:, :, 48:].any()


def test_voxels_that_are_not_numbers_do_not_spread() -> None:
    adc = phantom(muscle=1500, fat=200, lesion=700, noise=0.0)
    adc.array[0, 0, 0] = np.nan
    assert np.isfinite(to_model_input(exam_with(adc=adc)).array).all()


def test_nothing_exceeds_the_clips_and_nothing_is_negative() -> None:
    bright = high_b(lesion=1e6)
    result = to_model_input(exam_with(dwi_high=bright))
    assert result.channel(Sequence.DWI_HIGH).max() == 2.0
    assert result.array.min() >= 0.0


def test_the_same_exam_gives_the_same_bytes() -> None:
    assert to_model_input(exam_with()).array.tobytes() == to_model_input(exam_with()).array.tobytes()


def test_an_exam_without_any_contrast_is_all_body() -> None:
    flat = Volume(array=np.full((12, 12, 12), 5, np.float32), affine_ras_mm=AFFINE)
    result = to_model_input(Exam(volumes={Sequence.DWI_HIGH: flat, Sequence.STIR: flat}))
    assert result.references["dwi_high"] == pytest.approx(5.0)
    assert result.body[6:-6, 6:-6, 6:-6].all()


def test_an_exam_of_zeros_is_answered_without_a_division_by_zero() -> None:
    empty = Volume(array=np.zeros((12, 12, 12), np.float32), affine_ras_mm=AFFINE)
    result = to_model_input(Exam(volumes={Sequence.DWI_HIGH: empty, Sequence.STIR: empty}))
    assert not result.body.any()
    assert not result.array.any()


def test_the_order_of_channels_is_fixed() -> None:
    assert [channel.value for channel in CHANNELS] == ["dwi_high", "adc", "t1", "stir", "fat_fraction"]


def test_a_spacing_of_20_mm_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"spacing of 0\.5 to 10 mm, found 20"):
        ModelInputSettings(spacing_mm=20.0)


def test_a_scale_of_zero_is_refused() -> None:
    with pytest.raises(SettingsError, match="positive dwi_scale, found 0"):
        ModelInputSettings(dwi_scale=0.0)


def test_two_heaps_of_values_are_split_between_them() -> None:
    assert 1.0 < otsu_threshold(np.array([0.9, 1.0, 1.0, 5.0, 5.0, 5.1])) < 5.0
