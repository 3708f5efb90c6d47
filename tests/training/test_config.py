"""What a run's settings refuse."""

from pathlib import Path

import pytest

from marrowmap.data.errors import SeedError, SettingsError
from marrowmap.training.config import StreamSettings, TrainSettings, as_plain


def test_the_default_run_uses_only_training_and_validation_seeds() -> None:
    stream = TrainSettings().stream
    assert max(stream.training_seeds) < 10_000
    assert min(stream.validation_seeds) >= 10_000
    assert max(stream.validation_seeds) < 20_000


def test_a_test_seed_cannot_be_trained_on() -> None:
    with pytest.raises(SeedError, match="training needs seeds 0 to 9999, found 20000"):
        StreamSettings(first_seed=20_000)


def test_a_training_exam_cannot_be_validated_on() -> None:
    with pytest.raises(SeedError, match="validation needs seeds 10000 to 19999, found 5"):
        StreamSettings(first_validation_seed=5)


def test_seeds_that_run_over_the_end_of_their_set_are_refused() -> None:
    with pytest.raises(SeedError, match="found 10000"):
        StreamSettings(first_seed=9_999, exams=2)


def test_a_patch_that_does_not_halve_evenly_is_refused() -> None:
    with pytest.raises(SettingsError, match="multiples of 32"):
        TrainSettings(stream=StreamSettings(patch_size=(64, 64, 100)))


def test_fractions_above_one_are_refused() -> None:
    with pytest.raises(SettingsError, match="sum to 1 or less"):
        StreamSettings(near_lesion=0.7, on_skeleton=0.7)


def test_a_growing_stream_needs_a_worker() -> None:
    with pytest.raises(SettingsError, match="growing needs workers"):
        StreamSettings(mode="growing", workers=0)


def test_settings_become_plain_words_for_yaml() -> None:
    plain = as_plain(TrainSettings(run=Path("runs/a")))
    assert plain["run"] == "runs/a"
    assert plain["stream"]["patch_size"] == [64, 64, 96]
