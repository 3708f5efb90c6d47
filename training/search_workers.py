"""Who does a search's trials: this process one after another, or workers of a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from marrowmap.data.ray_cluster import start_ray
from marrowmap.training.search import Trial, run_trial
from marrowmap.training.search_settings import WorkerSettings


def do_trials(trials: Sequence[Trial], settings: WorkerSettings) -> Iterator[tuple[Trial, int]]:
    """Yield every trial with the exit code of its run, in the order in which they end.

    Raises:
        CohortError: If Ray cannot start, or its cluster is not there.
    """
    if settings.workers == 1 and settings.ray is None:
        for trial in trials:
            yield trial, run_trial(*_paths(trial))
    elif trials:
        yield from _through_ray(trials, settings)


def _through_ray(trials: Sequence[Trial], settings: WorkerSettings) -> Iterator[tuple[Trial, int]]:
    cpus = max(1, round(settings.workers * settings.cpus_per_trial))
    ray: Any = start_ray(settings.ray, cpus)
    try:
        # A lost worker's trial goes on from its last checkpoint elsewhere.
        options = {"num_cpus": settings.cpus_per_trial, "num_gpus": settings.gpus_per_trial, "max_retries": 2}
        remote = ray.remote(run_trial).options(**options)
        waiting, running = list(trials), {}
        while waiting or running:
            while waiting and len(running) < settings.workers:
                trial = waiting.pop(0)
                running[remote.remote(*_paths(trial))] = trial
            (done, *_), _ = ray.wait(list(running), num_returns=1)
            yield running.pop(done), _code(ray, done)
    finally:
        ray.shutdown()


def _paths(trial: Trial) -> tuple[Path, Path]:
    """Return configuration and run folder as a process that starts elsewhere finds them."""
    return trial.configuration.absolute(), trial.settings.run.absolute()


def _code(ray: Any, reference: Any) -> int:
    """Return a trial's exit code, 1 where its worker was lost for good."""
    try:
        return int(ray.get(reference))
    except ray.exceptions.RayError:
        return 1
