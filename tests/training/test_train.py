"""Runs on toy exams: that they start, stop, resume and refuse."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from marrowmap.data.errors import SettingsError
from marrowmap.training.config import TrainSettings
from marrowmap.training.module import MarrowModule
from marrowmap.training.prepare import open_cache
from marrowmap.training.toy import toy_exam
from marrowmap.training.train import train
from marrowmap.training.trainer import lightning_precision


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return torch.load(checkpoint, weights_only=True)["state_dict"]


def assert_same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_leaves_its_settings_its_curve_and_a_checkpoint(small_run: TrainSettings) -> None:
    checkpoint = train(small_run, make=toy_exam)
    assert checkpoint == small_run.run / "last.ckpt"
    assert yaml.safe_load((small_run.run / "settings.yaml").read_text())["max_steps"] == 6
    with (small_run.run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    losses = [float(row["value"]) for row in rows if row["name"] == "total"]
    assert len(losses) == 6
    assert all(0 < loss < 100 for loss in losses)
    assert [row["step"] for row in rows if row["name"] == "validation_sensitivity"] == ["3", "6"]


def test_the_same_seed_gives_the_same_weights(small_run: TrainSettings, tmp_path: Path) -> None:
    train(small_run, make=toy_exam)
    train(replace(small_run, run=tmp_path / "again"), make=toy_exam)
    assert_same(weights(small_run.run / "last.ckpt"), weights(tmp_path / "again" / "last.ckpt"))


def test_a_resumed_run_ends_with_the_weights_of_one_that_never_stopped(
    small_run: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(small_run, make=toy_exam)
    stopped = replace(small_run, run=tmp_path / "stopped")
    with monkeypatch.context() as patch:
        patch.setattr("marrowmap.training.module.MarrowModule.is_stopped", lambda self: self.global_step >= 4)
        train(stopped, make=toy_exam)
    assert torch.load(tmp_path / "stopped" / "last.ckpt", weights_only=True)["global_step"] == 4
    train(replace(stopped, resume=True), make=toy_exam)
    assert_same(weights(small_run.run / "last.ckpt"), weights(tmp_path / "stopped" / "last.ckpt"))


def test_a_run_stops_when_its_minutes_are_over(small_run: TrainSettings) -> None:
    checkpoint = train(replace(small_run, max_steps=100_000, max_minutes=0.02), make=toy_exam)
    assert checkpoint is not None
    assert 0 < torch.load(checkpoint, weights_only=True)["global_step"] < 100_000


def test_prepare_only_fills_the_cache_and_trains_nothing(small_run: TrainSettings) -> None:
    assert train(replace(small_run, prepare_only=True), make=toy_exam) is None
    assert open_cache(small_run).seeds() == [0, 1, 10_000]
    assert not small_run.run.exists()


def test_a_growing_stream_trains_while_processes_simulate(small_run: TrainSettings) -> None:
    stream = replace(small_run.stream, mode="growing", workers=1, start_exams=1)
    checkpoint = train(replace(small_run, stream=stream), make=toy_exam)
    assert checkpoint is not None
    assert checkpoint.is_file()


def test_a_run_is_not_written_over(small_run: TrainSettings) -> None:
    train(small_run, make=toy_exam)
    with pytest.raises(SettingsError, match="holds a run; add --resume"):
        train(small_run, make=toy_exam)


def test_resuming_nothing_is_refused(small_run: TrainSettings) -> None:
    with pytest.raises(SettingsError, match="nothing to resume"):
        train(replace(small_run, resume=True), make=toy_exam)


def test_a_gradient_that_is_not_finite_is_passed_over_and_said(
    small_run: TrainSettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    step = MarrowModule.training_step

    def spoilt(self: MarrowModule, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        return step(self, batch, batch_idx) * (float("nan") if batch_idx == 2 else 1.0)

    monkeypatch.setattr(MarrowModule, "training_step", spoilt)
    checkpoint = train(small_run, make=toy_exam)
    assert checkpoint is not None
    assert all(torch.isfinite(value.float()).all() for value in weights(checkpoint).values())
    assert "step 2 had a gradient that is not finite" in caplog.text


@pytest.mark.parametrize(("precision", "name"), [("float32", "32-true"), ("bfloat16", "bf16-mixed")])
def test_a_run_is_computed_in_the_precision_that_is_asked_for(
    small_run: TrainSettings, precision: Any, name: str
) -> None:
    assert lightning_precision(replace(small_run, device="cpu", precision=precision)) == name


def test_float16_without_a_gpu_is_refused(small_run: TrainSettings) -> None:
    with pytest.raises(SettingsError, match="needs a GPU; choose bfloat16 or float32"):
        lightning_precision(replace(small_run, device="cpu", precision="float16"))


def test_batches_are_added_up_to_one_step(small_run: TrainSettings) -> None:
    train(replace(small_run, accumulate=2), make=toy_exam)
    assert torch.load(small_run.run / "last.ckpt", weights_only=True)["global_step"] == 6
    with (small_run.run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows if row["name"] == "total"] == ["1", "2", "3", "4", "5", "6"]
    assert [row["step"] for row in rows if row["name"] == "validation_loss"] == ["3", "6"]


def test_a_run_that_gets_no_better_ends_after_its_patience(small_run: TrainSettings) -> None:
    # Nothing is found at first, so the sensitivity stays at 0: one look to compare with, two in vain.
    settings = replace(small_run, max_steps=50, validate_every=1, patience=2, watch="sensitivity")
    train(settings, make=toy_exam)
    assert torch.load(small_run.run / "last.ckpt", weights_only=True)["global_step"] == 3


def test_patience_without_validation_patches_is_refused(small_run: TrainSettings) -> None:
    with pytest.raises(SettingsError, match="patience needs validation patches"):
        replace(small_run, patience=3, validation_patches=0)


def test_patience_looks_at_held_out_exams_of_ones_own_as_at_simulated_ones(small_run: TrainSettings) -> None:
    own = replace(small_run.stream, annotated=Path("data"), simulated_weight=0.0, validation_exams=0)
    assert replace(small_run, patience=3, stream=own).patience == 3
    with pytest.raises(SettingsError, match=r"patience needs validation patches, found none; .*stream\.fold"):
        replace(small_run, patience=3, stream=replace(own, fold=None))
    # Simulated exams that are not learned from are not validated on either.
    with pytest.raises(SettingsError, match="patience needs validation patches"):
        replace(small_run, patience=3, stream=replace(own, fold=None, validation_exams=6))


def test_every_file_of_a_run_is_explained_in_it(small_run: TrainSettings) -> None:
    train(small_run, make=toy_exam)
    guide = (small_run.run / "run.md").read_text()
    assert "6 steps of 2 patches" in guide
    assert all(f"`{path.name}`" in guide for path in small_run.run.iterdir())
