"""The earlier exam of the same person, and its results: from our own folder, or fetched and inferred."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pydicom

from marrowmap.data.errors import MarrowmapError
from marrowmap.data.headers import tolerant
from marrowmap.inference.node.analysis import Analysis, Inference, StoppedError
from marrowmap.inference.node.archive import Archive, RemoteStudy
from marrowmap.inference.node.config import PriorSettings
from marrowmap.inference.node.intake import InstanceError, Intake, read_arrival
from marrowmap.inference.node.limits import QuotaError
from marrowmap.inference.node.loop import describe_defect
from marrowmap.inference.node.queue import DONE, REFUSED, SENDING, Job, Queue

logger = logging.getLogger(__name__)

#: In a query these would match other patients.
_WILDCARDS = frozenset("*?\\")
_DAYS_A_YEAR = 365.25


@dataclass(frozen=True, kw_only=True)
class ThisExam:
    """Whose exam it is and of when; never logged.

    Attributes:
        uid: Study Instance UID.
        when: Study date and time, `YYYYMMDDhhmmss`.
        patient_id: Patient ID.
        birth_date: `YYYYMMDD` or empty.
    """

    uid: str
    when: str
    patient_id: str
    birth_date: str


@dataclass(frozen=True, kw_only=True)
class Prior:
    """What was found.

    Attributes:
        out: Results of the earlier exam; None where there is none.
        note: For the status page: why there is none, or what hindered.
    """

    out: Path | None = None
    note: str = ""


class PriorFinder:
    """Finds the earlier exam in one archive."""

    def __init__(
        self, archive: Archive, settings: PriorSettings, queue: Queue, intake: Intake, analysis: Analysis
    ) -> None:
        """Ask nobody yet."""
        self._archive, self._settings = archive, settings
        self._queue, self._intake, self._analysis = queue, intake, analysis

    def find(self, job: Job, inference: Inference) -> Prior:
        """Return the results of the latest earlier exam that can be read.

        A comparison is worth much, but never the results themselves: whatever fails here becomes a note.

        Raises:
            StoppedError: If the node is being stopped.
        """
        exam = read_exam_header(self._intake.files_of(job.study)[0])
        if not exam.patient_id or not exam.when or _WILDCARDS & set(exam.patient_id):
            return Prior(note="no comparison: no usable patient identifier or study date")
        try:
            studies = self._archive.find(exam.patient_id)
            candidates = earlier_studies(studies, exam, self._settings)
            for study in candidates:
                out = self._results(study, inference)
                if out is not None:
                    logger.info("study %s: compared with %s", job.alias, self._intake.alias(study.uid))
                    return Prior(out=out)
        except (MarrowmapError, QuotaError, InstanceError) as error:
            logger.warning("study %s: no comparison: %s", job.alias, error)
            return Prior(note=f"no comparison: {error}")
        except StoppedError:
            raise
        except Exception as error:
            logger.error("study %s: no comparison: %s", job.alias, describe_defect(error))
            return Prior(note=f"no comparison: {describe_defect(error)}")
        return Prior(note="no earlier whole-body exam found")

    def _results(self, study: RemoteStudy, inference: Inference) -> Path | None:
        """Return the results of an earlier study, None if it is no exam of ours."""
        known = self._queue.last_job(study.uid)
        if known is not None and known.state == REFUSED:
            return None
        if known is not None and known.state in (DONE, SENDING):
            found = self._analysis.existing(known.job.id)
            if found is not None:
                return found
        self._archive.fetch(study.uid, lambda encoded: self._accept(study.uid, encoded))
        number = self._intake.study(study.uid)
        if not self._intake.files_of(number):
            return None
        job = self._queue.add_prior(number)
        try:
            out = self._analysis.results(job, inference)
        except MarrowmapError as error:
            logger.info("study %s: no exam to compare with: %s", job.alias, error)
            self._queue.refuse_prior(job.id, str(error))
            return None
        self._queue.finish_prior(job.id, self._analysis.length(job.id))
        return out

    def _accept(self, study_uid: str, encoded: bytes) -> None:
        arrival = read_arrival(encoded)
        if arrival.study_uid == study_uid:
            self._intake.accept(arrival, opens=False)


def read_exam_header(path: Path) -> ThisExam:
    """Return whose exam a file belongs to and of when."""
    words = ["StudyInstanceUID", "StudyDate", "StudyTime", "PatientID", "PatientBirthDate"]
    with tolerant():
        header = pydicom.dcmread(path, specific_tags=words, stop_before_pixels=True)
        uid, date, time, patient_id, birth_date = (str(header.get(word) or "").strip() for word in words)
    when = date + time.partition(".")[0] if _is_date(date) else ""
    return ThisExam(uid=uid, when=when, patient_id=patient_id, birth_date=birth_date)


def _is_date(text: str) -> bool:
    try:
        datetime.strptime(text, "%Y%m%d")
    except ValueError:
        return False
    return len(text) == 8


def earlier_studies(studies: list[RemoteStudy], exam: ThisExam, settings: PriorSettings) -> list[RemoteStudy]:
    """Return the studies that may be an earlier exam of the same person, newest first."""
    first = datetime.strptime(exam.when[:8], "%Y%m%d") - timedelta(days=settings.years * _DAYS_A_YEAR)
    may_be = [
        study
        for study in studies
        if study.uid != exam.uid
        and first.strftime("%Y%m%d") <= study.when[:8] <= exam.when[:8]
        and _is_before(study.when, exam.when)
        # One identifier with two birth dates is two people, or an error that somebody must look at.
        and (not study.birth_date or not exam.birth_date or study.birth_date == exam.birth_date)
        and (not study.modalities or "MR" in study.modalities)
        and (study.instances is None or study.instances >= settings.instances)
    ]
    return sorted(may_be, key=lambda study: study.when, reverse=True)[: settings.candidates]


def _is_before(when: str, other: str) -> bool:
    """Compare dates, and times only where both are known."""
    if when[:8] != other[:8]:
        return when[:8] < other[:8]
    return len(when) > 8 and len(other) > 8 and when < other
