"""Hyper-parameter search: random draws of settings, each a run of its own, side by side through Ray.

Random search, not a model of the figure: with the handful of trials that a training run's hours allow, a
model has nothing to learn from, and trials that know nothing of each other can be added to, cut off and taken
up again. Each trial is an ordinary run folder that `marrowmap export` makes a bundle of.
"""

from __future__ import annotations

import csv
import math
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from marrowmap.data.errors import SettingsError
from marrowmap.training.config import LOWER_IS_BETTER, TrainSettings, as_plain
from marrowmap.training.run_folder import LAST_CHECKPOINT, TABLE
from marrowmap.training.search_space import Range, as_settings_key

#: What a search leaves beside its trials.
RESULTS, BEST = "search.csv", "best.yaml"
#: A trial that came to its end leaves this in its folder.
DONE = "trial_done"
#: Where the answer of a trial's process goes.
TRIAL_LOG = "train.log"

Build = Callable[[Mapping[str, Any]], TrainSettings]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One draw.

    Attributes:
        number: From 0; with the search's seed it decides the draw, whatever else is tried.
        drawn: Value of every searched setting.
        settings: The whole run.
    """

    number: int
    drawn: Mapping[str, Any]
    settings: TrainSettings

    @property
    def configuration(self) -> Path:
        """YAML that its process reads, beside its run folder."""
        return self.settings.run.with_suffix(".yaml")

    @property
    def is_done(self) -> bool:
        """Whether it came to its end."""
        return (self.settings.run / DONE).is_file()


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """What a trial gave.

    Attributes:
        trial: Which.
        value: The watched figure at its last validation, None where it has none or failed.
        problem: Why it failed, in one line; empty where it did not.
    """

    trial: Trial
    value: float | None
    problem: str = ""


def plan_trials(
    settings: TrainSettings, space: Mapping[str, Range], trials: int, build: Build
) -> list[Trial]:
    """Draw the trials; every drawn run is checked before the first is begun.

    Args:
        settings: What all share; `run` is the search's folder, `seed` decides the draws.
        space: Settings to draw, by dotted name.
        trials: How many.
        build: Makes settings of words and numbers, refusing what does not fit.

    Raises:
        SettingsError: If a name is none, or a drawn run could not work.
    """
    if trials < 1:
        raise SettingsError(f"trials needs 1 or more, found {trials}")
    planned = []
    for number in range(trials):
        rng = np.random.default_rng([settings.seed, number])
        drawn = {name: limits.draw(rng) for name, limits in space.items()}
        plain = as_plain(settings)
        for name, value in drawn.items():
            parent, key = as_settings_key(plain, name)
            parent[key] = value
        plain["run"] = str(settings.run / f"trial_{number:03d}")
        planned.append(Trial(number=number, drawn=drawn, settings=build(plain)))
    return planned


def run_trial(configuration: Path, run: Path) -> int:
    """Train one trial in a process of its own, from its last checkpoint where it has one.

    Returns:
        The exit code of `marrowmap train`.
    """
    words = [sys.executable, "-m", "marrowmap.scripts.main", "train", "--config", str(configuration)]
    resumes = ["--resume", "true"] if (run / LAST_CHECKPOINT).is_file() else []
    run.mkdir(parents=True, exist_ok=True)
    with (run / TRIAL_LOG).open("a", encoding="utf-8") as log:
        code = subprocess.run([*words, *resumes], stdin=subprocess.DEVNULL, stdout=log, stderr=log).returncode
    if code == 0:
        (run / DONE).touch()
    return code


def search(
    trials: Sequence[Trial], workers: Callable[[Sequence[Trial]], Iterator[tuple[Trial, int]]]
) -> list[TrialResult]:
    """Do the trials that are not done, and return all, the best first.

    Args:
        trials: From `plan_trials`.
        workers: Does trials and yields each with its exit code, in the order in which they end.

    Raises:
        SettingsError: If the folder holds a search with other settings.
    """
    folder = trials[0].settings.run.parent
    folder.mkdir(parents=True, exist_ok=True)
    for trial in trials:
        _write_configuration(trial)
    codes = dict.fromkeys((trial.number for trial in trials if trial.is_done), 0)
    for trial, code in workers([trial for trial in trials if not trial.is_done]):
        codes[trial.number] = code
        # After each, so that a search cut off has its table.
        _write_results(folder, ranked(trials, codes))
    results = ranked(trials, codes)
    _write_results(folder, results)
    if results[0].value is not None:
        shutil.copyfile(results[0].trial.configuration, folder / BEST)
    return results


def _write_configuration(trial: Trial) -> None:
    text = yaml.safe_dump(as_plain(trial.settings), sort_keys=False)
    path = trial.configuration
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise SettingsError(
            f"{path.parent} holds a search with other settings; name another --run, or repeat it as it was"
        )
    path.write_text(text, encoding="utf-8")


def ranked(trials: Sequence[Trial], codes: Mapping[int, int]) -> list[TrialResult]:
    """Return the results, best first and those without a figure last.

    Args:
        trials: All.
        codes: Exit codes by number of those that have ended; the others are left out.
    """
    results = [_result(trial, codes[trial.number]) for trial in trials if trial.number in codes]
    sign = 1.0 if trials[0].settings.watch in LOWER_IS_BETTER else -1.0
    return sorted(results, key=lambda r: (r.value is None, sign * (r.value or 0.0), r.trial.number))


def _result(trial: Trial, code: int) -> TrialResult:
    if code != 0:
        return TrialResult(trial=trial, value=None, problem=_last_line(trial.settings.run / TRIAL_LOG))
    return TrialResult(trial=trial, value=last_value(trial.settings.run / TABLE, trial.settings.watch))


def last_value(table: Path, watch: str) -> float | None:
    """Return a figure's value at the last validation, None where there was none or it is not a number."""
    found = None
    if table.is_file():
        with table.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["name"] == f"validation_{watch}":
                    found = float(row["value"])
    return found if found is not None and math.isfinite(found) else None


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.is_file() else []
    return lines[-1] if lines else "its process ended without a word"


def _write_results(folder: Path, results: Sequence[TrialResult]) -> None:
    names = list(results[0].trial.drawn)
    with (folder / RESULTS).open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["trial", results[0].trial.settings.watch, *names, "problem"])
        for result in results:
            value = "" if result.value is None else f"{result.value:.6g}"
            drawn = [result.trial.drawn[name] for name in names]
            rows.writerow([result.trial.settings.run.name, value, *drawn, result.problem])


def as_table(results: Sequence[TrialResult]) -> str:
    """Return the trials as text, the best first."""
    watch = results[0].trial.settings.watch
    lines = [f"{'trial':<10}  {f'validation {watch}':>26}  drawn"]
    for result in results:
        value = "failed" if result.problem else "none" if result.value is None else f"{result.value:.4f}"
        drawn = "  ".join(f"{name} {_short(drawn)}" for name, drawn in result.trial.drawn.items())
        lines.append(f"{result.trial.settings.run.name:<10}  {value:>26}  {drawn}")
        if result.problem:
            lines.append(f"            {result.problem}")
    folder = results[0].trial.settings.run.parent
    if results[0].value is not None:
        weights = results[0].trial.settings.run / LAST_CHECKPOINT
        lines.append(f"best: {folder / BEST}, for `marrowmap train --config`; its weights: {weights}")
    return "\n".join(lines) + "\n"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
