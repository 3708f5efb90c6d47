"""What is done is cleared away: images first, results much later, sooner where the disk is full."""

from __future__ import annotations

import logging
import time

from marrowmap.inference.node.analysis import Analysis
from marrowmap.inference.node.config import KeepSettings
from marrowmap.inference.node.database import Database
from marrowmap.inference.node.intake import Intake
from marrowmap.inference.node.limits import DiskQuota
from marrowmap.inference.node.queue import FINISHED

logger = logging.getLogger(__name__)

_DAY_S = 86_400.0
#: Fetching a study takes less.
_FETCH_S = 3 * 3600.0
_FINISHED = ", ".join(f"'{state}'" for state in FINISHED)
_IMAGES = f"""
SELECT study.id, sum(instance.bytes) AS bytes FROM study JOIN instance ON instance.study = study.id
WHERE instance.is_kept AND NOT study.is_open AND study.arrived < ? AND NOT EXISTS (
    SELECT 1 FROM job WHERE job.study = study.id AND (job.state NOT IN ({_FINISHED}) OR job.finished >= ?))
AND (study.arrived < ? OR EXISTS (SELECT 1 FROM job WHERE job.study = study.id))
GROUP BY study.id ORDER BY study.arrived
"""
_RESULTS = (
    f"SELECT id, bytes FROM job WHERE bytes > 0 AND state IN ({_FINISHED}) AND finished < ? ORDER BY finished"
)


class Keeper:
    """Clears away."""

    def __init__(
        self, settings: KeepSettings, database: Database, intake: Intake, analysis: Analysis, quota: DiskQuota
    ) -> None:
        """Clear nothing yet."""
        self._settings, self._database = settings, database
        self._intake, self._analysis, self._quota = intake, analysis, quota

    def step(self) -> bool:
        """Clear away what is old; where the disk is nearly full, what is done, oldest first."""
        now = time.time()
        self._clear_images(now - self._settings.images_days * _DAY_S, always=True)
        self._clear_results(now - self._settings.results_days * _DAY_S, always=True)
        self._clear_images(now, always=False)
        self._clear_results(now, always=False)
        return False

    def _clear_images(self, before: float, *, always: bool) -> None:
        # A study without a job may be one that is being fetched.
        for row in self._database.read(_IMAGES, before, before, time.time() - _FETCH_S):
            if not always and not self._quota.is_tight:
                return
            self._intake.clear(row["id"])
            self._quota.give_back(row["bytes"])
            logger.info("images of study number %d cleared away", row["id"])

    def _clear_results(self, before: float, *, always: bool) -> None:
        for row in self._database.read(_RESULTS, before):
            if not always and not self._quota.is_tight:
                return
            self._analysis.clear(row["id"])
            with self._database.change() as connection:
                connection.execute("UPDATE job SET bytes = 0 WHERE id = ?", (row["id"],))
            self._quota.give_back(row["bytes"])
            logger.info("results of job %d cleared away", row["id"])


def used_bytes(database: Database) -> int:
    """Return what images and results take on the disk."""
    sql = (
        "SELECT (SELECT coalesce(sum(bytes), 0) FROM instance WHERE is_kept) + "
        "(SELECT coalesce(sum(bytes), 0) FROM job) AS n"
    )
    return int(database.read(sql)[0]["n"])
