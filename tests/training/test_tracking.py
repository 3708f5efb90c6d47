"""Curves and pictures of runs, where a program shows them."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from marrowmap.data.errors import SettingsError
from marrowmap.training.config import TrainSettings
from marrowmap.training.picture import GREEN, RED, ZOOM, draw
from marrowmap.training.toy import toy_exam
from marrowmap.training.train import train


def test_a_picture_shows_the_reference_left_and_the_prediction_right() -> None:
    image = np.ones((8, 8, 10), dtype=np.float32)
    reference, predicted = np.zeros((2, 8, 8, 10), dtype=bool)
    reference[2:5, 3, 2:5] = True
    picture = draw(image, reference, predicted)
    assert picture.shape == (10 * ZOOM, 2 * 8 * ZOOM, 3)
    left, right = np.split(picture, 2, axis=1)
    assert (left == GREEN).all(axis=2).any()
    assert not (right == RED).all(axis=2).any()
    # k = 4 is the lesion's upper end: six voxels lie above it.
    assert np.flatnonzero((left == GREEN).all(axis=2).any(axis=1))[0] == 5 * ZOOM


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="needs the extra [train]'s tensorboard")
def test_tensorboard_gets_the_curves_and_the_validation_picture(small_run: TrainSettings) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(replace(small_run, tracking="tensorboard"), make=toy_exam)
    events = EventAccumulator(str(small_run.run / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("total")] == [1, 2, 3, 4, 5, 6]
    assert [event.step for event in events.Scalars("validation_sensitivity")] == [3, 6]
    assert [event.step for event in events.Images("validation")] == [3, 6]
    with Image.open(small_run.run / "validation.png") as picture:
        assert picture.size == (2 * 16 * ZOOM, 24 * ZOOM)
    guide = (small_run.run / "run.md").read_text()
    assert all(f"`{path.name}`" in guide for path in small_run.run.iterdir())


@pytest.mark.skipif(find_spec("mlflow") is None, reason="needs the extra [mlflow]")
@pytest.mark.filterwarnings("ignore::FutureWarning:mlflow")  # it would rather have a database
def test_mlflow_gets_the_curves_in_a_folder_beside_the_run(small_run: TrainSettings) -> None:
    settings = replace(small_run, tracking="mlflow")
    train(settings, make=toy_exam)
    train(replace(settings, resume=True, max_steps=8), make=toy_exam)
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=(small_run.run.parent / "mlruns").resolve().as_uri())
    (run,) = client.search_runs([client.get_experiment_by_name("marrowmap").experiment_id])  # type: ignore[union-attr]
    assert run.info.run_name == "run"
    assert run.data.params["optimiser.learning_rate"] == "0.001"
    steps = [metric.step for metric in client.get_metric_history(run.info.run_id, "total")]
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8]
    assert len(client.list_artifacts(run.info.run_id, "validation")) == 2


def test_tracking_that_is_not_installed_is_refused_before_anything_is_prepared(
    small_run: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marrowmap.training.tracking.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"needs the package mlflow, found none; run: pip install"):
        train(replace(small_run, tracking="mlflow"), make=toy_exam)
    assert not small_run.stream.cache.exists()
