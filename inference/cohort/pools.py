"""Who does the work: this process, or workers of a Ray cluster. Both take a task when they have room."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from marrowmap.data.errors import CohortError, EngineError
from marrowmap.data.ray_cluster import start_ray
from marrowmap.inference.cohort.ledger import Ledger
from marrowmap.inference.cohort.settings import CohortSettings
from marrowmap.inference.cohort.work import OpenAnalysis, Outcome, Task, Worker, WorkPlan

logger = logging.getLogger(__name__)

#: An exam over which this process itself ended so often is given up: more than chance would kill it.
_MOST_ENDS = 5
#: Workers lost one after another without one exam done: then it is not the exams.
_MOST_LOSSES = 12
#: Looks for results, and for exams that take too long, so often (s).
_LOOK_S = 1.0


class Pool(Protocol):
    """Does tasks."""

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Outcome]]:
        """Yield every task exactly once with what became of it, in the order in which they end.

        Raises:
            EngineError, BundleError, CohortError: If nothing can be done here at all.
        """
        ...

    @property
    def running(self) -> int:
        """Tasks being done now."""
        ...

    def close(self) -> None:
        """Let the workers go."""
        ...


class SerialPool:
    """One exam after another in this process."""

    running = 1

    def __init__(self, plan: WorkPlan, open_analysis: OpenAnalysis) -> None:
        """Open the network."""
        self._worker, self._ledger = Worker(plan, open_analysis), Ledger(plan.out, plan.run)

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Outcome]]:
        """Do the tasks; those over which an earlier process ended come last, so that they block nobody."""
        tasks = list(tasks)
        ends = {task.stamp: self._ledger.begun(task.stamp) for task in tasks}
        for task in sorted(tasks, key=lambda task: ends[task.stamp]):
            if ends[task.stamp] >= _MOST_ENDS:
                outcome = self._worker.give_up(
                    task, f"the program ended {ends[task.stamp]} times at this exam"
                )
            else:
                self._ledger.begin(task.stamp)
                outcome = self._worker.do(task)
            self._ledger.end(task.stamp)
            yield task, outcome

    def close(self) -> None:
        """Nothing to do."""


@dataclass(kw_only=True)
class _Job:
    """A task at a worker of Ray."""

    actor: Any
    task: Task
    since: float = field(default_factory=time.monotonic)


class RayPool:
    """Workers of a Ray cluster, each with a warm network, one exam at a time.

    Only names of files and outcomes travel through Ray, never an image: its object store stays empty, and
    memory is workers times what one exam needs. `gb_in_flight` bounds the exams at work together by their
    bytes as well, so that two giants are not read at once.
    """

    def __init__(self, plan: WorkPlan, open_analysis: OpenAnalysis, settings: CohortSettings) -> None:
        """Join or start a cluster and wait until the first worker's network is open.

        Raises:
            CohortError: If the cluster cannot be reached.
            EngineError: If no worker can open its network.
        """
        self._settings, self._plan, self._open = settings, plan, open_analysis
        self._giver_up = Worker(plan)
        cpus = max(1, round((settings.workers or 1) * settings.cpus_per_worker))
        self._ray = start_ray(settings.ray, cpus)
        self._jobs: dict[Any, _Job] = {}
        self._idle = [self._new_actor() for _ in range(self._workers())]
        self._await_first()

    @property
    def running(self) -> int:
        """Tasks being done now."""
        return len(self._jobs)

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Outcome]]:
        """Do the tasks; what a lost worker had is taken again, after all others."""
        waiting, losses, in_a_row = deque(tasks), Counter[str](), 0
        while waiting or self._jobs:
            self._hand_out(waiting)
            for job, outcome in self._ended():
                if outcome is not None:
                    in_a_row = 0
                    yield job.task, outcome
                    continue
                losses[job.task.stamp] += 1
                in_a_row += 1
                if in_a_row >= _MOST_LOSSES:
                    raise CohortError(
                        f"{in_a_row} workers were lost one after another; look at Ray's logs, memory and disk"
                    )
                if losses[job.task.stamp] < self._settings.attempts:
                    waiting.append(job.task)
                    continue
                reason = f"its worker was lost {losses[job.task.stamp]} times: it died, or took too long"
                yield job.task, self._giver_up.give_up(job.task, reason)

    def close(self) -> None:
        """Let the workers go; a cluster that was there before stays."""
        for job in self._jobs.values():
            self._ray.kill(job.actor)
        for actor in self._idle:
            self._ray.kill(actor)
        self._ray.shutdown()

    def _hand_out(self, waiting: deque[Task]) -> None:
        """Give tasks to idle workers, as long as their bytes have room; one task always has."""
        limit = self._settings.gb_in_flight * 1e9
        used = sum(job.task.length for job in self._jobs.values())
        while self._idle and waiting and (not self._jobs or used + waiting[0].length <= limit):
            task, actor = waiting.popleft(), self._idle.pop()
            self._jobs[actor.do.remote(task)] = _Job(actor=actor, task=task)
            used += task.length

    def _ended(self) -> Iterator[tuple[_Job, Outcome | None]]:
        """Yield the jobs that have ended; with no outcome where the worker was lost."""
        ready, _ = self._ray.wait(list(self._jobs), num_returns=1, timeout=_LOOK_S)
        for reference in ready:
            job = self._jobs.pop(reference)
            outcome = self._outcome(reference)
            self._idle.append(self._new_actor() if outcome is None else job.actor)
            yield job, outcome
        latest = time.monotonic() - self._settings.timeout_s
        for reference in [ref for ref, job in self._jobs.items() if job.since < latest]:
            job = self._jobs.pop(reference)
            self._ray.kill(job.actor)
            self._idle.append(self._new_actor())
            yield job, None

    def _outcome(self, reference: Any) -> Outcome | None:
        """Return what a worker says, None if it is no more.

        Raises:
            EngineError, BundleError: What the worker raised.
        """
        errors = self._ray.exceptions
        try:
            outcome: Outcome = self._ray.get(reference)
        except errors.RayTaskError as error:
            raise error.cause from None
        except errors.RayError as error:  # its process, its machine or its answer is gone
            logger.warning("a worker was lost (%s); its exam is taken again", type(error).__name__)
            return None
        return outcome

    def _new_actor(self) -> Any:
        options = {"num_cpus": self._settings.cpus_per_worker, "num_gpus": self._settings.gpus_per_worker}
        return self._ray.remote(Worker).options(**options).remote(self._plan, self._open)

    def _await_first(self) -> None:
        """Fail at once where no worker can start, instead of at every exam."""
        errors = self._ray.exceptions
        try:
            self._ray.get(self._idle[0].ready.remote(), timeout=self._settings.timeout_s)
        except (errors.RayError, TimeoutError) as error:
            first = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            raise EngineError(f"no worker of Ray can open its network: {first}") from None

    def _workers(self) -> int:
        """Return how many workers to start: as asked, or as many as the cluster has room for."""
        if self._settings.workers:
            return self._settings.workers
        room = self._ray.cluster_resources()
        cpus = (
            room.get("CPU", 1.0) / self._settings.cpus_per_worker if self._settings.cpus_per_worker else 1.0
        )
        gpus = self._settings.gpus_per_worker
        return max(1, int(min(cpus, room.get("GPU", 0.0) / gpus) if gpus else cpus))


def open_pool(plan: WorkPlan, open_analysis: OpenAnalysis, settings: CohortSettings) -> Pool:
    """Return who does the work."""
    if settings.uses_ray:
        return RayPool(plan, open_analysis, settings)
    return SerialPool(plan, open_analysis)
