"""One worker for every device: takes the oldest study, finds its prior exam, infers, hands the results on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from marrowmap.data.errors import BundleError, EngineError, MarrowmapError, StudyError
from marrowmap.inference.node.analysis import Analysis, Inference, StoppedError
from marrowmap.inference.node.config import WorkSettings
from marrowmap.inference.node.limits import DiskQuota
from marrowmap.inference.node.loop import describe_defect
from marrowmap.inference.node.metrics import Metrics
from marrowmap.inference.node.prior import Prior, PriorFinder
from marrowmap.inference.node.queue import Job, Queue
from marrowmap.inference.node.send import pause_after

logger = logging.getLogger(__name__)

_LONGEST_RETRY_S = 3600.0


class Worker:
    """Works through the queue on one device."""

    def __init__(
        self,
        device: str,
        inference: Inference,
        queue: Queue,
        analysis: Analysis,
        prior: PriorFinder | None,
        settings: WorkSettings,
        quota: DiskQuota,
        metrics: Metrics,
        on_results: Callable[[], None],
    ) -> None:
        """Use an inference of its own; `on_results` is called when there is something to send."""
        self.device, self.inference = device, inference
        self._queue, self._analysis, self._prior = queue, analysis, prior
        self._settings, self._quota, self._metrics, self._on_results = settings, quota, metrics, on_results

    def step(self) -> bool:
        """Work one study through; False if none waits."""
        job = self._queue.claim(self.device)
        if job is None:
            return False
        if job.attempts > self._settings.attempts:
            self._give_up(job, f"given up after {self._settings.attempts} attempts")
            return True
        try:
            self._work(job)
        except StoppedError:
            self._queue.postpone(job.id, "the node was stopped", 0.0, is_counted=False)
        except StudyError as error:
            self._give_up(job, str(error))
        except (EngineError, BundleError) as error:  # not the fault of the study
            logger.error("worker %s: %s", self.device, error)
            self._queue.postpone(job.id, str(error), self._settings.retry_s, is_counted=False)
        except Exception as error:
            self._try_again(job, error)
        return True

    def _work(self, job: Job) -> None:
        started = time.monotonic()
        prior = self._prior.find(job, self.inference) if self._prior else Prior()
        try:
            self._analysis.results(job, self.inference, prior.out)
        except StudyError as error:
            if prior.out is None:
                raise
            # An earlier exam that cannot be compared with must not cost this one its results.
            prior = Prior(note=f"no comparison: {error}")
            self._analysis.results(job, self.inference)
        seconds = time.monotonic() - started
        length = self._analysis.length(job.id)
        if not self._queue.finish(job.id, self._analysis.objects(job.id), length, prior.note):
            logger.info("study %s: more of it has come, these results are not sent", job.alias)
            self._analysis.clear(job.id)
            return
        self._quota.give_back(-length)
        self._metrics.count("studies_inferred", outcome="done")
        self._metrics.count("infer_seconds", by=seconds)
        logger.info("study %s: inferred in %.1f s on %s", job.alias, seconds, self.device)
        self._on_results()

    def _give_up(self, job: Job, reason: str) -> None:
        self._metrics.count("studies_inferred", outcome="refused")
        logger.error("study %s: refused: %s", job.alias, reason)
        self._queue.refuse(job.id, reason)

    def _try_again(self, job: Job, error: Exception) -> None:
        reason = str(error) if isinstance(error, MarrowmapError) else describe_defect(error)
        self._metrics.count("studies_inferred", outcome="failed")
        if job.attempts >= self._settings.attempts:
            self._give_up(job, f"given up after {job.attempts} attempts: {reason}")
            return
        pause_s = pause_after(job.attempts - 1, self._settings.retry_s, _LONGEST_RETRY_S)
        logger.warning("study %s: failed, again in %.0f s: %s", job.alias, pause_s, reason)
        self._queue.postpone(job.id, reason, pause_s)
