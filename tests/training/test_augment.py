"""What augmentation may change, and what it must leave."""

import numpy as np
import pytest

from marrowmap.training.augment import (
    add_noise,
    augment,
    bias_field,
    drop_channels,
    shifted_crops,
    vary_intensity,
)
from marrowmap.training.config import AugmentSettings
from marrowmap.training.patches import Patch


def patch_of_ones() -> Patch:
    lesions = np.zeros((8, 8, 8), dtype=np.uint16)
    lesions[0, 0, 0] = 1
    image = np.ones((5, 8, 8, 8), dtype=np.float32)
    image[0, 0, 0, 0] = 2.0
    return Patch(image=image, lesions=lesions, regions=lesions.astype(np.uint8))


def test_a_flip_moves_image_and_labels_to_the_other_side() -> None:
    settings = AugmentSettings(flip=1.0, intensity=0.0, noise=0.0, drop_channel=0.0)
    flipped = augment(patch_of_ones(), settings, np.random.default_rng(0))
    assert flipped.image[0, 7, 0, 0] == 2.0
    assert flipped.lesions[7, 0, 0] == 1
    assert flipped.regions[7, 0, 0] == 1


def test_the_fat_fraction_keeps_its_units() -> None:
    image = patch_of_ones().image
    vary_intensity(image, AugmentSettings(), np.random.default_rng(0))
    assert (image[4] == 1.0).all()
    assert not np.allclose(image[2], 1.0)


def test_the_adc_changes_by_a_few_percent_at_most() -> None:
    for seed in range(20):
        image = patch_of_ones().image
        vary_intensity(image, AugmentSettings(), np.random.default_rng(seed))
        assert image[1] == pytest.approx(np.ones((8, 8, 8)), abs=0.15)


def test_diffusion_is_never_dropped_and_one_anatomical_channel_stays() -> None:
    for seed in range(30):
        image = patch_of_ones().image
        drop_channels(image, 1.0, np.random.default_rng(seed))
        assert image[0].all()
        assert sum(bool(image[channel].any()) for channel in (2, 3, 4)) == 1


def test_a_missing_channel_stays_zero_under_noise() -> None:
    image = patch_of_ones().image
    image[3] = 0.0
    add_noise(image, 0.1, np.random.default_rng(0))
    assert not image[3].any()
    assert float(image[0].std()) == pytest.approx(0.1, rel=0.3)


def test_a_bias_field_is_smooth_and_within_its_strength() -> None:
    field = bias_field((20, 20, 20), 0.3, np.random.default_rng(0))
    assert np.abs(np.log(field)).max() <= 0.3 + 1e-6
    assert np.abs(np.diff(field, axis=0)).max() < 0.1


def test_diffusion_and_adc_follow_the_labels() -> None:
    shifts = shifted_crops(5, AugmentSettings(shift=1.0), np.random.default_rng(1))
    assert not shifts[:2].any()
    assert np.abs(shifts).max() == 1
