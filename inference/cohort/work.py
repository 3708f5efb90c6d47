"""One exam, start to row: what a worker does, in this process or in one of Ray's."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from marrowmap.data.errors import ArchiveError, BundleError, EngineError, MarrowmapError
from marrowmap.inference.clinical import clinical_from_mapping
from marrowmap.inference.cohort.clinical_table import ClinicalTable, Fields
from marrowmap.inference.cohort.content import Identity, content_sha256, identity_of, length_of
from marrowmap.inference.cohort.ledger import DONE, FAILED, REFUSED, Ledger, Row, State
from marrowmap.inference.cohort.listing import StudySource
from marrowmap.inference.cohort.pseudonym import Pseudonyms
from marrowmap.inference.cohort.summary import exam_row, lesion_rows, plain_reason, rule_rows
from marrowmap.inference.node.loop import describe_defect
from marrowmap.inference.node.peers import WebSettings
from marrowmap.inference.peak_memory import peak_bytes


class Analysis(Protocol):
    """What reads an exam and compares two; opened once for a worker and kept warm."""

    def infer(self, study: Path, out: Path, *, clinical: Path | None, study_uid: str) -> dict[str, Any]:
        """Write the findings of a study into a folder and return the report."""
        ...

    def compare(self, baseline: Path, follow_up: Path, earlier: list[Path]) -> dict[str, Any]:
        """Compare two such folders and return the response."""
        ...


OpenAnalysis = Callable[[], Analysis]


@dataclass(frozen=True, kw_only=True)
class WorkPlan:
    """What every worker must know.

    Attributes:
        out: Folder of the cohort; on a cluster, seen by every machine under this path.
        run: Model and settings, as a hash: another run shares no row with this one.
        model: The weights in words.
        key: Of the pseudonyms.
        clinical: What the clinic knows.
        keep_outputs: Keep what `infer` writes.
        web: How an archive is spoken to; None where the studies are files.
    """

    out: Path
    run: str
    model: str
    key: bytes
    clinical: ClinicalTable
    keep_outputs: bool = True
    web: WebSettings | None = None


@dataclass(frozen=True, kw_only=True)
class ExamTask:
    """An exam to read.

    Attributes:
        source: Where it is.
        stamp: How it looks from outside.
        length: Bytes of its files.
    """

    source: StudySource
    stamp: str
    length: int = 0


@dataclass(frozen=True, kw_only=True)
class CompareTask:
    """An exam to compare with the ones before it.

    Attributes:
        key: Of the exam.
        prior: Of the one before it.
        earlier: Of still earlier ones, oldest first, for the trend.
        length: Bytes that the comparison reads, about.
    """

    key: str
    prior: str
    earlier: tuple[str, ...] = ()
    length: int = 0

    @property
    def stamp(self) -> str:
        """Name of the task."""
        return self.key


Task = ExamTask | CompareTask


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a task.

    Attributes:
        key: The exam's.
        state: As in the ledger.
        is_known: The same content was done before, or lies elsewhere in the list too.
        seconds: Wall time.
    """

    key: str
    state: State
    is_known: bool = False
    seconds: float = 0.0


class Worker:
    """Does task after task with one open network."""

    def __init__(self, plan: WorkPlan, open_analysis: OpenAnalysis | None = None) -> None:
        """Open the network; without one, exams can only be given up."""
        self._plan, self._names = plan, Pseudonyms(plan.key)
        self._ledger = Ledger(plan.out, plan.run)
        self._analysis = open_analysis() if open_analysis else None

    def ready(self) -> bool:
        """Answer: the network is open."""
        return self._analysis is not None

    def do(self, task: Task) -> Outcome:
        """Do a task and put its row down.

        Raises:
            EngineError, BundleError: If the fault lies with the machine, not with the exam.
        """
        return self._read(task) if isinstance(task, ExamTask) else self._compare(task)

    def give_up(self, task: Task, reason: str) -> Outcome:
        """Put down that a task was lost again and again; the next start tries it once more."""
        if isinstance(task, CompareTask):
            return self._compared(task, {"not_compared": reason})
        identity, digest = Identity(), task.stamp
        if not task.source.is_remote:
            study = Path(task.source.place)
            identity, digest = identity_of(study, task.source), content_sha256(study, task.source)
        key = self._key(digest, self._clinical(task, identity))
        return self._put(task, key, FAILED, {"reason": reason}, identity)

    def _read(self, task: ExamTask) -> Outcome:
        cost = Cost()
        study, identity, length = Path(task.source.place), Identity(), task.length
        key = self._key(task.stamp, {})
        try:
            with self._study(task.source) as study:
                identity = identity_of(study, task.source)
                clinical, length = self._clinical(task, identity), length_of(study)
                key = self._key(content_sha256(study, task.source), clinical)
                done = self._ledger.read(key)
                if done is not None and done["state"] != FAILED:
                    self._ledger.remember(task.stamp, key, done["state"])
                    return Outcome(key=key, state=done["state"], is_known=True, seconds=cost.wall_seconds)
                found = self._infer(study, key, task, clinical)
            state: State = DONE
        except (EngineError, BundleError):
            raise
        except MarrowmapError as error:
            state = FAILED if isinstance(error, ArchiveError) else REFUSED
            found = {"reason": plain_reason(str(error), study, identity.name)}
        except Exception as error:
            state, found = FAILED, {"reason": f"a defect of ours: {describe_defect(error)}"}
        return self._put(task, key, state, found | {"cost": cost.so_far(length)}, identity)

    def _infer(self, study: Path, key: str, task: ExamTask, clinical: Fields) -> Row:
        assert self._analysis is not None
        clinical_from_mapping(clinical)  # refused here, with the name of the field
        with self._scratch() as scratch:
            file = scratch / "clinical.json" if clinical else None
            if file:
                file.write_text(json.dumps(clinical), encoding="utf-8")
            out = self._ledger.outputs(key)
            out.parent.mkdir(parents=True, exist_ok=True)
            report = self._analysis.infer(study, out, clinical=file, study_uid=task.source.study_uid)
        return {
            "exam": exam_row(report),
            "lesions": lesion_rows(report),
            "rules": rule_rows(report),
            "written": length_of(out),
        }

    def _put(self, task: ExamTask, key: str, state: State, found: Row, identity: Identity) -> Outcome:
        """Write the row, then the index that points to it."""
        cost = found.pop("cost", {})
        person = self._names.of("person", *identity.words) if any(identity.words) else None
        shifted = None
        if person and identity.date:
            shifted = self._names.shifted(date.fromisoformat(identity.date), person)
        exam = {
            **found.pop("exam", {}),
            "exam": key,
            "state": state,
            "reason": found.get("reason"),
            "person": person,
            "study_date_shifted": shifted.isoformat() if shifted else None,
            "model": self._plan.model,
            **cost,
            "bytes_written": found.get("written", 0),
        }
        self._ledger.write(
            {
                "format": 1,
                "key": key,
                "state": state,
                "time": identity.time if shifted else "",
                "exam": exam,
                "lesions": found.get("lesions", []),
                "rules": found.get("rules", []),
            }
        )
        self._ledger.remember(task.stamp, key, state)
        return Outcome(key=key, state=state, seconds=cost.get("wall_seconds", 0.0))

    def _compare(self, task: CompareTask) -> Outcome:
        assert self._analysis is not None
        outs = [self._ledger.outputs(key) for key in (task.prior, task.key, *task.earlier)]
        try:
            response = self._analysis.compare(outs[0], outs[1], outs[2:])
            found = {
                "response_category": response["patient"],
                "response_worst": response["worst"],
                "response_direction": response["direction"],
                "tumour_volume_change_percent": response["tumour_volume_change"]["change_percent"],
            }
        except MarrowmapError as error:
            found = {"not_compared": plain_reason(str(error), self._plan.out, "")}
        except Exception as error:
            found = {"not_compared": f"a defect of ours: {describe_defect(error)}"}
        return self._compared(task, found)

    def _compared(self, task: CompareTask, found: Row) -> Outcome:
        row = {"key": task.key, "prior": task.prior, "earlier": list(task.earlier), "found": found}
        self._ledger.write_comparison(row)
        return Outcome(key=task.key, state=FAILED if "not_compared" in found else DONE)

    def _key(self, content: str, clinical: Fields) -> str:
        return self._names.of("exam", content, self._plan.run, json.dumps(clinical, sort_keys=True))

    def _clinical(self, task: ExamTask, identity: Identity) -> Fields:
        source = task.source
        return self._plan.clinical.find(
            study_uid=source.study_uid or identity.study_uid,
            study=source.name,
            patient_id=identity.patient_id,
        )

    @contextmanager
    def _study(self, source: StudySource) -> Iterator[Path]:
        """Give the study as a folder; what is fetched for it is removed afterwards."""
        if not source.is_remote:
            yield Path(source.place)
            return
        from marrowmap.inference.node.dicomweb import WebArchive

        assert self._plan.web is not None
        with self._scratch() as scratch:
            WebArchive(self._plan.web).fetch(source.study_uid, _by_uid(scratch))
            yield scratch

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        folder = self._plan.out / "scratch" / uuid.uuid4().hex
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class Cost:
    """What one exam takes of this process."""

    def __init__(self) -> None:
        """Start the clocks."""
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def wall_seconds(self) -> float:
        """Seconds since the start."""
        return round(time.perf_counter() - self._wall, 4)

    def so_far(self, length: int) -> Row:
        """Return the columns; a worker does one exam at a time, so its CPU time is this exam's."""
        return {
            "wall_seconds": self.wall_seconds,
            "cpu_seconds": round(time.process_time() - self._cpu, 4),
            "bytes_read": length,
            "peak_memory_bytes": peak_bytes(),
        }


def _by_uid(folder: Path) -> Callable[[bytes], None]:
    """Return what writes instances under a name that does not depend on the order in which they come."""
    from marrowmap.inference.node.intake import read_arrival

    def accept(encoded: bytes) -> None:
        arrival = read_arrival(encoded)
        if not arrival.is_ours:
            (folder / f"{arrival.sop_uid}.dcm").write_bytes(encoded)

    return accept
