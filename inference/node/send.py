"""Results go to an archive, object by object, until it has them all."""

from __future__ import annotations

import logging
import random
import time
from pathlib import Path

from marrowmap.data.errors import ArchiveError
from marrowmap.inference.node.archive import Archive
from marrowmap.inference.node.config import SendSettings
from marrowmap.inference.node.loop import describe_defect
from marrowmap.inference.node.metrics import Metrics
from marrowmap.inference.node.parcels import Parcel, Parcels
from marrowmap.inference.node.queue import DONE, FAILED

logger = logging.getLogger(__name__)


class Sender:
    """Sends to one archive."""

    def __init__(
        self,
        name: str,
        archive: Archive,
        parcels: Parcels,
        jobs: Path,
        settings: SendSettings,
        metrics: Metrics,
    ) -> None:
        """Use `jobs`, the folder of all jobs' folders; what waits is tried at once."""
        self.name = name
        self._archive, self._parcels, self._jobs = archive, parcels, jobs
        self._settings, self._metrics = settings, metrics
        self._is_down = False
        parcels.archive_is_back(name)

    def step(self) -> bool:
        """Send what has waited longest; False if nothing is due."""
        parcel = self._parcels.next(self.name)
        if parcel is None:
            return False
        try:
            self._send(parcel)
        except ArchiveError as error:
            self._is_down = True
            self._failed(parcel, str(error))
        except OSError as error:
            self._failed(parcel, f"a result cannot be read ({error.strerror})")
        except Exception as error:  # one object that cannot be sent must not hold up all others
            self._failed(parcel, describe_defect(error))
        return True

    def _send(self, parcel: Parcel) -> None:
        folder = job_folder(self._jobs, parcel.job)
        if parcel.files:
            names = {folder / file: file for file in parcel.files}
            for path in self._archive.store(list(names)):
                # Recorded one by one: after a crash only what was not recorded is sent again, and an
                # archive takes the same SOP Instance UID as the same object.
                self._parcels.sent(parcel.job, self.name, names[path])
                self._metrics.count("objects_sent", archive=self.name)
        self._parcels.end(parcel.job, self.name, DONE)
        self._metrics.count("results_delivered", archive=self.name)
        self._metrics.count(
            "results_delay_seconds", by=max(0.0, time.time() - parcel.arrived), archive=self.name
        )
        logger.info("study %s: results are in %s", parcel.alias, self.name)
        if self._is_down:
            self._is_down = False
            self._parcels.archive_is_back(self.name)

    def _failed(self, parcel: Parcel, reason: str) -> None:
        self._metrics.count("send_failures", archive=self.name)
        if time.time() - parcel.inferred > self._settings.give_up_h * 3600:
            logger.error("study %s: given up sending to %s: %s", parcel.alias, self.name, reason)
            self._parcels.postpone(parcel.job, self.name, reason, 0.0)
            self._parcels.end(parcel.job, self.name, FAILED)
            return
        pause_s = pause_after(parcel.tries, self._settings.retry_s, self._settings.longest_retry_s)
        self._parcels.postpone(parcel.job, self.name, reason, pause_s)
        logger.warning(
            "study %s: not sent to %s, again in %.0f s: %s", parcel.alias, self.name, pause_s, reason
        )


def pause_after(failures: int, first_s: float, longest_s: float) -> float:
    """Return the pause after so many failures before this one: doubled each time, spread by a quarter."""
    pause_s = min(longest_s, first_s * 2.0 ** min(failures, 30))
    # Nodes that lost one archive together should not all come back in the same second.
    return pause_s * random.uniform(0.75, 1.0)


def job_folder(jobs: Path, job: int) -> Path:
    """Return where a job's images and results are."""
    return jobs / f"{job:08d}"
