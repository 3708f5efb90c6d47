"""One study's images -> its results, once: what is on disk already is not computed again."""

from __future__ import annotations

import os
import shutil
import threading
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from marrowmap.data.errors import MarrowmapError
from marrowmap.inference.node.intake import Intake
from marrowmap.inference.node.queue import Job
from marrowmap.inference.node.send import job_folder

#: Made last of all: only a folder with it holds results that are whole and on the disk.
_MARK = "complete"


class WorkerError(MarrowmapError):
    """The process of the inference died, took too long or met a defect: the study may be tried again."""


class StoppedError(Exception):
    """The node is being stopped: nothing is wrong with the study."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One call of `infer`.

    Attributes:
        study: Folder of the images.
        out: Folder for the results; whole or not at all.
        prior: Results of an earlier exam to compare with, or None.
    """

    study: Path
    out: Path
    prior: Path | None = None


class Inference(Protocol):
    """Whatever does the inference for one worker."""

    def run(self, task: Task) -> None:
        """Write the results of a task.

        Raises:
            StudyError: If the study cannot be processed.
            WorkerError: If it may be tried again.
            StoppedError: If `stop` was called meanwhile.
        """
        ...

    def stop(self) -> None:
        """End, also in the middle of a task."""
        ...

    @property
    def is_alive(self) -> bool:
        """Whether a task could be run."""
        ...


class Analysis:
    """The folders of all jobs."""

    def __init__(self, jobs: Path, intake: Intake) -> None:
        """Use a folder; what an earlier process left half done is removed."""
        self._jobs, self._intake = jobs, intake
        self._locks: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)
        jobs.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in jobs.iterdir():
            if not (folder / _MARK).exists():
                shutil.rmtree(folder, ignore_errors=True)
            else:
                shutil.rmtree(folder / "study", ignore_errors=True)

    def results(self, job: Job, inference: Inference, prior: Path | None = None) -> Path:
        """Return the folder of a job's results, made now if it is not there.

        Raises:
            StudyError, WorkerError, StoppedError: As the inference does.
        """
        with self._locks[job.id]:  # an exam may be wanted as a prior and for its own sake at one time
            found = self.existing(job.id)
            if found is not None:
                return found
            folder = job_folder(self._jobs, job.id)
            shutil.rmtree(folder, ignore_errors=True)
            study, out = folder / "study", folder / "out"
            study.mkdir(mode=0o700, parents=True)
            for number, file in enumerate(self._intake.files_of(job.study)):
                _link(file, study / f"{number:06d}.dcm")
            inference.run(Task(study=study, out=out, prior=prior))
            _to_disk(out)
            (folder / _MARK).touch()
            _sync(folder / _MARK)
            shutil.rmtree(study, ignore_errors=True)
            return out

    def existing(self, job: int) -> Path | None:
        """Return the folder of a job's results if they are whole."""
        folder = job_folder(self._jobs, job)
        return folder / "out" if (folder / _MARK).exists() else None

    def objects(self, job: int) -> list[PurePosixPath]:
        """Return the DICOM objects among a job's results, relative to its folder."""
        folder = job_folder(self._jobs, job)
        files = (path for path in (folder / "out" / "dicom").rglob("*") if path.is_file())
        return sorted(PurePosixPath(path.relative_to(folder).as_posix()) for path in files)

    def length(self, job: int) -> int:
        """Return the bytes of a job's results."""
        folder = job_folder(self._jobs, job)
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    def clear(self, job: int) -> None:
        """Delete a job's results."""
        shutil.rmtree(job_folder(self._jobs, job), ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    """Give a file a second name; what arrives later in its folder is not part of this job."""
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def _to_disk(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            _sync(path)


def _sync(path: Path) -> None:
    with path.open("rb+") as stream:  # Windows only syncs what is open for writing
        os.fsync(stream.fileno())
