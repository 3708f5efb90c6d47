"""Who does a search's trials: this process one after another, or workers of a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from marrowmap.data.errors import SettingsError
from marrowmap.data.ray_cluster import start_ray
from marrowmap.training.search import Trial, run_trial


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """Where trials run.

    Attributes:
        workers: Trials at a time; more than 1 needs Ray (the extra [cohort]).
        ray: Address of a running Ray cluster that sees `run` and the cache, or None for this machine.
        cpus_per_trial: CPUs that a trial takes.
        gpus_per_trial: GPUs that a trial takes.
    """

    workers: int = 1
    ray: str | None = None
    cpus_per_trial: float = 1.0
    gpus_per_trial: float = 0.0

    def __post_init__(self) -> None:
        """Refuse counts that could not work.

        Raises:
            SettingsError: Names the count.
        """
        if self.workers < 1 or self.cpus_per_trial < 0 or self.gpus_per_trial < 0:
            raise SettingsError("workers needs 1 or more, CPUs and GPUs of a trial 0 or more; found less")


def do_trials(trials: Sequence[Trial], settings: WorkerSettings) -> Iterator[tuple[Trial, int]]:
    """Yield every trial with the exit code of its run, in the order in which they end.

    Raises:
        CohortError: If Ray cannot start, or its cluster is not there.
    """
    if settings.workers == 1 and settings.ray is None:
        for trial in trials:
            yield trial, run_trial(trial.configuration.absolute(), trial.settings.run.absolute())
    elif trials:
        yield from _through_ray(trials, settings)


def _through_ray(trials: Sequence[Trial], settings: WorkerSettings) -> Iterator[tuple[Trial, int]]:
    cpus = max(1, round(settings.workers * settings.cpus_per_trial))
    ray: Any = start_ray(settings.ray, cpus)
    try:
        # A lost worker's trial goes on from its last checkpoint elsewhere.
        options = {"num_cpus": settings.cpus_per_trial, "num_gpus": settings.gpus_per_trial, "max_retries": 2}
        start = partial(_start, ray.remote(run_trial).options(**options))
        waiting, running = list(trials), {}
        while waiting or running:
            while waiting and len(running) < settings.workers:
                trial = waiting.pop(0)
                running[start(trial)] = trial
            (done, *_), _ = ray.wait(list(running), num_returns=1)
            yield running.pop(done), _code(ray, done)
    finally:
        ray.shutdown()


def _start(remote: Any, trial: Trial) -> Any:
    return remote.remote(trial.configuration.absolute(), trial.settings.run.absolute())


def _code(ray: Any, reference: Any) -> int:
    """Return a trial's exit code, 1 where its worker was lost for good."""
    try:
        return int(ray.get(reference))
    except ray.exceptions.RayError:
        return 1
