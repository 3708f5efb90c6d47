"""Hyper-parameter search: draws that can be repeated, trials that can be taken up again, a ranking."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from marrowmap.data.errors import SettingsError
from marrowmap.scripts.train import main
from marrowmap.training.config import TrainSettings, as_plain
from marrowmap.training.prepare import open_cache, prepare
from marrowmap.training.search import DONE, Trial, plan_trials, search
from marrowmap.training.search_space import Range, read_space
from marrowmap.training.toy import toy_exam

RATE, WEIGHT = "optimiser.learning_rate", "loss.lesion_voxel_weight"
SPACE = {RATE: Range(low=1e-4, high=1e-2, log=True), WEIGHT: Range(choices=(10.0, 30.0))}


def rebuilt(settings: TrainSettings, plain: Mapping[str, Any]) -> TrainSettings:
    optimiser = replace(settings.optimiser, learning_rate=plain["optimiser"]["learning_rate"])
    loss = replace(settings.loss, lesion_voxel_weight=plain["loss"]["lesion_voxel_weight"])
    return replace(settings, run=Path(plain["run"]), optimiser=optimiser, loss=loss)


def planned(settings: TrainSettings, trials: int = 4) -> list[Trial]:
    return plan_trials(settings, SPACE, trials, lambda plain: rebuilt(settings, plain))


class Workers:
    """Trials that write the figure they were told to, or end with an exit code."""

    def __init__(self, values: Sequence[float | int]) -> None:
        self.values, self.done = values, list[int]()

    def __call__(self, trials: Sequence[Trial]) -> Iterator[tuple[Trial, int]]:
        for trial in trials:
            value = self.values[trial.number]
            self.done.append(trial.number)
            trial.settings.run.mkdir(parents=True, exist_ok=True)
            if isinstance(value, int):
                (trial.settings.run / "train.log").write_text("began\nmarrowmap: no room\n")
                yield trial, value
                continue
            rows = [["step", "name", "value"], [3, "validation_loss", 9.0], [6, "validation_loss", value]]
            with (trial.settings.run / "metrics.csv").open("w", newline="") as file:
                csv.writer(file).writerows(rows)
            (trial.settings.run / DONE).touch()
            yield trial, 0


def test_draws_lie_in_their_ranges_and_do_not_depend_on_how_many_there_are(small_run: TrainSettings) -> None:
    few, many = planned(small_run, 3), planned(small_run, 40)
    assert [trial.drawn for trial in few] == [trial.drawn for trial in many[:3]]
    rates = [trial.drawn[RATE] for trial in many]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    assert 10 <= sum(rate < 1e-3 for rate in rates) <= 30
    assert {trial.drawn[WEIGHT] for trial in many} == {10.0, 30.0}
    assert all(trial.settings.optimiser.learning_rate == trial.drawn[RATE] for trial in many)
    other = planned(replace(small_run, seed=1), 3)
    assert [trial.drawn for trial in other] != [trial.drawn for trial in few]


def test_the_best_comes_first_and_its_settings_are_kept(small_run: TrainSettings) -> None:
    results = search(planned(small_run), Workers([0.9, 0.4, 3, 0.6]))
    assert [result.trial.number for result in results] == [1, 3, 0, 2]
    assert results[-1].problem == "marrowmap: no room"
    best = yaml.safe_load((small_run.run / "best.yaml").read_text())
    assert best == as_plain(results[0].trial.settings)
    with (small_run.run / "search.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["trial_001", "trial_003", "trial_000", "trial_002"]
    assert rows[0]["loss"] == "0.4"


def test_of_a_figure_that_should_be_high_the_highest_is_best(small_run: TrainSettings) -> None:
    trials = planned(replace(small_run, watch="lesion_dice"))
    workers = Workers([0.1, 0.8, 0.3, 0.2])
    for trial, _ in workers(trials):
        table = trial.settings.run / "metrics.csv"
        table.write_text(table.read_text().replace("validation_loss", "validation_lesion_dice"))
    assert search(trials, Workers([]))[0].trial.number == 1


def test_a_search_goes_on_where_it_was_cut_off(small_run: TrainSettings) -> None:
    first, second = Workers([0.9, 5, 0.5, 0.6]), Workers([0.1, 0.2, 0.3, 0.4])
    search(planned(small_run), first)
    results = search(planned(small_run, 4), second)
    assert second.done == [1]
    assert [result.trial.number for result in results] == [1, 2, 3, 0]


def test_another_search_in_its_folder_is_refused(small_run: TrainSettings) -> None:
    search(planned(small_run), Workers([0.9, 0.4, 0.5, 0.6]))
    with pytest.raises(SettingsError, match="holds a search with other settings"):
        search(planned(replace(small_run, batch_size=3)), Workers([0.1] * 4))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs one line a setting"),
        ("a: [", "is no YAML"),
        ("a: 3", "needs {choices"),
        ("a: {low: 1}", "needs {choices"),
        ("a: {choices: []}", "one choice or more"),
        ("a: {low: 2, high: 1}", "low below high"),
        ("a: {low: 0, high: 1, log: true}", "above 0 with log"),
    ],
)
def test_a_space_that_is_none_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_space(tmp_path / "space.yaml")


@pytest.mark.parametrize("name", ["optimiser", "optimiser.speed", "run", "a.b.c"])
def test_a_name_that_is_no_setting_is_refused(name: str, small_run: TrainSettings) -> None:
    with pytest.raises(SettingsError, match="no setting that can be searched"):
        plan_trials(small_run, {name: Range(low=0, high=1)}, 1, lambda plain: small_run)


def configured(settings: TrainSettings, space: str) -> list[str]:
    """Return the command line of a search on toy exams that lie in the cache already."""
    prepare(
        open_cache(settings),
        [*settings.stream.training_seeds, *settings.stream.validation_seeds],
        settings.model_input,
        make=toy_exam,
    )
    base, file = settings.run.parent / "base.yaml", settings.run.parent / "space.yaml"
    base.write_text(yaml.safe_dump(as_plain(settings)))
    file.write_text(space)
    return ["--config", str(base), "--search", str(file), "--trials", "2", "--quiet"]


def test_drawn_whole_numbers_stay_whole_and_a_value_that_does_not_fit_trains_nothing(
    small_run: TrainSettings,
) -> None:
    words = configured(small_run, "batch_size: {choices: [many]}")
    with pytest.raises(SettingsError, match="a drawn setting does not fit"):
        main(words)
    assert not small_run.run.exists()
    assert {Range(low=1, high=3).draw(np.random.default_rng(n)) for n in range(40)} == {1, 2, 3}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_search_trains_its_trials(
    workers: int, small_run: TrainSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    if workers > 1:
        pytest.importorskip("ray", reason="more than one worker needs the extra [cohort]")
    words = configured(small_run, f"{RATE}: {{low: 1.0e-4, high: 1.0e-2, log: true}}")
    assert main([*words, "--search_on.workers", str(workers)]) == 0
    said = capsys.readouterr().out
    assert "trial_000" in said
    assert "best: " in said
    for number in (0, 1):
        assert (small_run.run / f"trial_00{number}" / "last.ckpt").is_file()
