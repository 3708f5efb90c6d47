"""Runs that are ended by SIGTERM or cut off, and go on as if nothing had been."""

import csv
import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from marrowmap.scripts.train import main
from marrowmap.training.config import TrainSettings
from marrowmap.training.module import MarrowModule
from marrowmap.training.stop import RunStopped
from marrowmap.training.toy import toy_exam
from marrowmap.training.train import train

BY_THE_CLOCK = ("patches_per_s", "waiting")


def curve(run: Path) -> list[list[str]]:
    with (run / "metrics.csv").open() as file:
        return [row for row in csv.reader(file) if row[1] not in BY_THE_CLOCK]


def steps_of(checkpoint: Path) -> int:
    return torch.load(checkpoint, weights_only=True)["global_step"]


def assert_same_end(first: Path, second: Path) -> None:
    one, other = (torch.load(run / "last.ckpt", weights_only=True) for run in (first, second))
    for part in ("state_dict", "current_model_state"):
        assert all(torch.equal(value, other[part][name]) for name, value in one[part].items())
    assert curve(first) == curve(second)


def send_sigterm_in(patch: pytest.MonkeyPatch, batch: int) -> None:
    """The signal comes while a batch is computed."""
    step = MarrowModule.training_step

    def asked(self: MarrowModule, data: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        if batch_idx == batch:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, data, batch_idx)

    patch.setattr(MarrowModule, "training_step", asked)


@pytest.fixture
def whole_run(small_run: TrainSettings) -> TrainSettings:
    train(small_run, make=toy_exam)
    return small_run


@pytest.mark.parametrize("step", [1, 3, 4])  # 3 is followed by a validation
def test_a_run_ended_by_sigterm_and_resumed_has_the_curve_of_one_that_never_stopped(
    whole_run: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    stopped = replace(whole_run, run=tmp_path / "stopped")
    with monkeypatch.context() as patch:
        send_sigterm_in(patch, batch=step - 1)
        with pytest.raises(RunStopped, match=rf"stopped by SIGTERM at step {step} of 6; .* --resume true"):
            train(stopped, make=toy_exam)
    assert steps_of(stopped.run / "last.ckpt") == step
    train(replace(stopped, resume=True), make=toy_exam)
    assert_same_end(whole_run.run, stopped.run)


def test_sigterm_between_two_added_batches_finishes_the_step(
    small_run: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = replace(small_run, accumulate=2)
    train(whole, make=toy_exam)
    stopped = replace(whole, run=tmp_path / "stopped")
    with monkeypatch.context() as patch:
        send_sigterm_in(patch, batch=4)  # the first of the third step's two
        with pytest.raises(RunStopped, match="at step 3 of 6"):
            train(stopped, make=toy_exam)
    train(replace(stopped, resume=True), make=toy_exam)
    assert_same_end(whole.run, stopped.run)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_cut_off_goes_on_from_its_last_checkpoint_without_writing_a_step_twice(
    small_run: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accumulate: int
) -> None:
    whole = replace(small_run, accumulate=accumulate)
    train(whole, make=toy_exam)
    cut = replace(whole, run=tmp_path / "cut", checkpoint_every_minutes=0.0)
    step = MarrowModule.training_step

    def cut_off(self: MarrowModule, data: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        if self.global_step == 3:
            raise RuntimeError("power cut")
        return step(self, data, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(MarrowModule, "training_step", cut_off)
        with pytest.raises(RuntimeError, match="power cut"):
            train(cut, make=toy_exam)
    # The third step is followed by a validation, so the second is the last that was kept.
    assert steps_of(cut.run / "last.ckpt") == 2
    train(replace(cut, resume=True), make=toy_exam)
    assert_same_end(whole.run, cut.run)


def test_the_command_says_in_one_line_where_it_stopped_and_exits_143(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("marrowmap.training.train.train", partial(train, make=toy_exam))
    send_sigterm_in(monkeypatch, batch=1)
    words = "--quiet --threads 1 --device cpu --max_steps 6 --network.features [8,16,16]"
    words += " --model_input.spacing_mm 8 --stream.exams 2 --stream.validation_exams 1 --stream.workers 0"
    words += f" --stream.patch_size [16,16,24] --stream.cache {tmp_path / 'cache'} --run {tmp_path / 'run'}"
    assert main(words.split()) == 143
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "marrowmap: stopped by SIGTERM at step 2 of 6" in said
