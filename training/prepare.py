"""Simulated exams into the cache: in this process, in others, before the training or beside it."""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib import metadata
from pathlib import Path
from typing import Any

from marrowmap import data
from marrowmap.data.errors import SettingsError
from marrowmap.data.grid import resample_nearest
from marrowmap.data.model_input import ModelInputSettings, to_model_input
from marrowmap.data.seeds import TRAINING_SEEDS
from marrowmap.training.cache import ExamCache, PreparedExam
from marrowmap.training.config import TrainSettings, as_plain

_log = logging.getLogger(__name__)

#: Turns a seed into an exam. Crosses to worker processes, so it is a function or partial of a module.
ExamMaker = Callable[[int, ModelInputSettings], PreparedExam]


def simulated_exam(seed: int, settings: ModelInputSettings) -> PreparedExam:
    """Simulate a seed's exam and bring it with its truth to the working grid.

    Exams to learn from have many lesions (see `simulate.enriched`); others are as in a clinic.
    """
    from marrowmap.data.simulate.enriched import simulate_enriched  # needs the extra [simulate]
    from marrowmap.data.simulate.exam import simulate_exam, to_exam

    simulated = simulate_enriched(seed) if seed in TRAINING_SEEDS else simulate_exam(seed)
    model_input = to_model_input(to_exam(simulated), settings)
    truth = simulated.truth
    return PreparedExam(
        image=model_input.array,
        lesions=resample_nearest(truth.lesion_labels, truth.affine_ras_mm, model_input.grid),
        regions=resample_nearest(truth.regions, truth.affine_ras_mm, model_input.grid),
        affine_ras_mm=model_input.grid.affine_ras_mm,
        present=model_input.present,
        body=model_input.body,
        facts={
            "is_simulated": True,
            "pattern": str(truth.pattern),
            "lesions": [as_plain(lesion) for lesion in truth.lesions],
        },
    )


def open_cache(settings: TrainSettings) -> ExamCache:
    """Return the cache of the run's simulator and input settings.

    A new release or other settings make another cache. Edits to the simulator's source between
    releases do not: they are noticed and logged, and deleting the cache is the user's choice.
    """
    key = {
        "version": metadata.version("marrowmap"),
        "model_input": as_plain(settings.model_input),
        "training_exams": "enriched",
    }
    cache = ExamCache(settings.stream.cache, key)
    mark, source = cache.folder / "source.sha256", _source_hash()
    if not mark.exists():
        mark.write_text(source)
    elif mark.read_text() != source:
        _log.warning(
            "the simulator's source changed since %s was begun; delete it to start anew", cache.folder
        )
    return cache


def prepare(
    cache: ExamCache,
    seeds: Iterable[int],
    settings: ModelInputSettings,
    *,
    workers: int = 0,
    make: ExamMaker = simulated_exam,
) -> None:
    """Prepare every seed that the cache lacks and wait for it.

    Args:
        cache: Where to.
        seeds: Which exams.
        settings: The working grid and scaling.
        workers: Processes; 0 works in this one.
        make: Turns a seed into an exam.
    """
    missing = [seed for seed in seeds if seed not in cache]
    started = time.monotonic()
    for done, seed in enumerate(_made(cache, missing, settings, workers, make), start=1):
        left = (time.monotonic() - started) / done * (len(missing) - done) / 60
        _log.info("prepared exam %d (%d of %d, %.0f min left)", seed, done, len(missing), left)


class Producer:
    """Processes that fill the cache beside the training."""

    def __init__(
        self,
        cache: ExamCache,
        seeds: Sequence[int],
        settings: ModelInputSettings,
        *,
        workers: int,
        make: ExamMaker = simulated_exam,
    ) -> None:
        """Start the processes.

        Args:
            cache: Where to.
            seeds: Which exams, first ones first.
            settings: The working grid and scaling.
            workers: Processes, 1 or more.
            make: Turns a seed into an exam.
        """
        self._cache = cache
        context = multiprocessing.get_context("spawn")
        missing = [seed for seed in seeds if seed not in cache]
        self._processes = [
            context.Process(target=_make_all, args=(cache, missing[n::workers], settings, make), daemon=True)
            for n in range(workers)
        ]
        for process in self._processes:
            process.start()

    def wait_for(self, exams: int, seeds: Sequence[int]) -> None:
        """Wait until so many of these seeds are prepared.

        Raises:
            SettingsError: If the processes ended before.
        """
        while sum(seed in self._cache for seed in seeds) < exams:
            is_running = any(process.is_alive() for process in self._processes)
            if not is_running and sum(seed in self._cache for seed in seeds) < exams:
                raise SettingsError(
                    f"the simulating processes ended before {exams} exams were there; "
                    "run marrowmap train --prepare_only true --stream.workers 0 to see why"
                )
            time.sleep(0.2)

    def stop(self) -> None:
        """End the processes; an exam half made is lost, none is damaged."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()


def _made(
    cache: ExamCache, seeds: list[int], settings: ModelInputSettings, workers: int, make: ExamMaker
) -> Iterable[int]:
    if workers == 0 or len(seeds) < 2:
        for seed in seeds:
            yield _make_one(cache, seed, settings, make)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(seeds)), mp_context=context) as pool:
        jobs = [pool.submit(_make_one, cache, seed, settings, make) for seed in seeds]
        try:
            for job in as_completed(jobs):
                yield job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _make_one(cache: ExamCache, seed: int, settings: ModelInputSettings, make: ExamMaker) -> int:
    if seed not in cache:
        cache.save(seed, make(seed, settings))
    return seed


def _make_all(cache: ExamCache, seeds: list[int], settings: ModelInputSettings, make: ExamMaker) -> None:
    if hasattr(os, "nice"):
        os.nice(5)  # the network goes first
    for seed in seeds:
        _make_one(cache, seed, settings, make)


def _source_hash() -> str:
    """Return the hash of everything that turns a seed into a model input."""
    digest = hashlib.sha256()
    for folder in data.__path__:
        for path in sorted(Path(folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def describe(exam: PreparedExam) -> dict[str, Any]:
    """Return what a log line says of an exam: size, lesions, channels."""
    return {
        "shape": list(exam.lesions.shape),
        "lesions": len({int(label) for label in exam.lesion_points[:, 0]}),
        "channels": sum(exam.present),
    }
