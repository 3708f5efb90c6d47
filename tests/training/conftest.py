"""A run small enough to train in seconds, on toy exams."""

from pathlib import Path

import pytest

from marrowmap.data.model_input import ModelInputSettings
from marrowmap.models.unet import UNetSettings
from marrowmap.training.config import StreamSettings, TrainSettings


@pytest.fixture
def small_run(tmp_path: Path) -> TrainSettings:
    stream = StreamSettings(
        exams=2, validation_exams=1, cache=tmp_path / "cache", workers=0, patch_size=(16, 16, 24)
    )
    return TrainSettings(
        run=tmp_path / "run",
        max_steps=6,
        threads=1,
        device="cpu",
        log_every_s=0.0,
        validate_every=3,
        validation_patches=2,
        network=UNetSettings(features=(8, 16, 16)),
        model_input=ModelInputSettings(spacing_mm=8.0),
        stream=stream,
    )
