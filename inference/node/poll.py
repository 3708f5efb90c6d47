"""Studies fetched by DICOMweb: what has stopped growing in the archive and is not here yet."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from marrowmap.data.errors import ArchiveError
from marrowmap.inference.node.archive import RemoteStudy
from marrowmap.inference.node.config import PollSettings
from marrowmap.inference.node.database import Database
from marrowmap.inference.node.dicomweb import WebArchive
from marrowmap.inference.node.intake import InstanceError, Intake, read_arrival
from marrowmap.inference.node.limits import QuotaError
from marrowmap.inference.node.metrics import Metrics

logger = logging.getLogger(__name__)

#: A server that never ends its pages is not asked for more than this.
_MOST_PAGES = 50


class Poller:
    """Looks at one archive."""

    def __init__(
        self, settings: PollSettings, quiet_s: float, database: Database, intake: Intake, metrics: Metrics
    ) -> None:
        """Ask nobody yet.

        Args:
            settings: What is looked for.
            quiet_s: A study that has not grown for so long is complete.
            database: Remembers what was seen.
            intake: Where the instances go.
            metrics: Counts the looks.
        """
        self._settings, self._quiet_s = settings, quiet_s
        self._database, self._intake, self._metrics = database, intake, metrics
        self._archive = WebArchive(settings.web)

    def step(self) -> bool:
        """Look once; False, so that the next look waits its time."""
        try:
            for study in self._studies():
                if self._is_due(study):
                    self._fetch(study)
            self._metrics.count("polls", outcome="done")
        except (ArchiveError, QuotaError) as error:
            self._metrics.count("polls", outcome="failed")
            logger.warning("the archive was not read: %s", error)
        return False

    def _studies(self) -> list[RemoteStudy]:
        """Return the MR studies of the last days, page by page."""
        first = datetime.now() - timedelta(days=self._settings.days)
        filters = {"ModalitiesInStudy": "MR", "StudyDate": f"{first:%Y%m%d}-"}
        studies: dict[str, RemoteStudy] = {}
        for page in range(_MOST_PAGES):
            offset = page * self._settings.page
            found = self._archive.studies(filters, limit=self._settings.page, offset=offset)
            fresh = [study for study in found if study.uid not in studies]
            studies |= {study.uid: study for study in fresh}
            # An archive that ignores the offset sends the same page for ever.
            if len(found) < self._settings.page or not fresh:
                break
        # Matched here: Orthanc does not take the wildcard that an HTTP client writes as %2A.
        wanted = (self._settings.study_description or "*").upper()
        return [study for study in studies.values() if fnmatchcase(study.description.upper(), wanted)]

    def _is_due(self, study: RemoteStudy) -> bool:
        """Return whether a study has rested long enough since it last grew, and was not fetched since."""
        now, count = time.time(), -1 if study.instances is None else study.instances
        rows = self._database.read("SELECT * FROM seen WHERE study_uid = ?", study.uid)
        if rows and rows[0]["instances"] == count:
            return not rows[0]["is_fetched"] and now - rows[0]["since"] >= self._quiet_s
        with self._database.change() as connection:
            connection.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, 0)", (study.uid, count, now))
        return False

    def _fetch(self, study: RemoteStudy) -> None:
        alias = self._intake.alias(study.uid)
        count = self._archive.count_mr(study.uid)
        # Our own results make a study grow, too: only images that we do not know are a reason to fetch it.
        if count is None or count > self._intake.known(study.uid):
            logger.info("study %s: fetching it from the archive", alias)
            self._archive.fetch(study.uid, self._accept)
        # Always, as the last process may have died just here; without new images there is no new job.
        self._intake.open(study.uid, time.time() - self._quiet_s)
        with self._database.change() as connection:
            connection.execute("UPDATE seen SET is_fetched = 1 WHERE study_uid = ?", (study.uid,))

    def _accept(self, encoded: bytes) -> None:
        try:
            outcome = self._intake.accept(read_arrival(encoded), opens=False)
        except InstanceError as error:
            logger.warning("an instance of the archive was left out: %s", error)
        else:
            self._metrics.count("instances_received", outcome=outcome.value)
