"""What waits, runs and is sent, before and after a restart."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from marrowmap.data.errors import NodeError
from marrowmap.inference.node.archive import Accept, RemoteStudy
from marrowmap.inference.node.config import LimitSettings, SendSettings
from marrowmap.inference.node.database import Database
from marrowmap.inference.node.intake import Arrival, Intake
from marrowmap.inference.node.limits import DiskQuota
from marrowmap.inference.node.metrics import Metrics
from marrowmap.inference.node.parcels import Parcels
from marrowmap.inference.node.queue import DONE, FAILED, REFUSED, Queue
from marrowmap.inference.node.send import Sender

MR = "1.2.840.10008.5.1.4.1.1.4"
FILES = [PurePosixPath("out/dicom/seg.dcm"), PurePosixPath("out/dicom/sr.dcm")]


class Desk:
    """A queue and its intake in a folder; opening the folder again is a restart."""

    def __init__(self, folder: Path, model: str = "m1", archives: tuple[str, ...] = ("pacs",)) -> None:
        self.database = Database(folder / "queue.sqlite", is_synced=False)
        quota = DiskQuota(folder, LimitSettings(free_gb=0.0))
        self.intake = Intake(self.database, folder / "studies", quota, 100, is_synced=False)
        self.queue, self.parcels = Queue(self.database, model, archives), Parcels(self.database)

    def arrive(self, study: str, *sop_uids: str, is_prior: bool = False) -> None:
        for uid in sop_uids:
            arrival = Arrival(encoded=uid.encode(), study_uid=study, sop_uid=uid, sop_class=MR)
            self.intake.accept(arrival, opens=not is_prior)

    def close(self) -> int:
        return self.queue.close_quiet_studies(0.0)

    def states(self) -> list[str]:
        return [row["state"] for row in self.database.read("SELECT state FROM job ORDER BY id")]


@pytest.fixture
def open_desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def open_one(**named: Any) -> Desk:
        desks.append(Desk(tmp_path, **named))
        return desks[-1]

    yield open_one
    for desk in desks:
        desk.database.close()


def test_a_study_is_queued_once_nothing_of_it_has_come_for_a_while(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk()
    desk.arrive("1.1", "1.1.1")
    assert desk.queue.close_quiet_studies(0.2) == 0
    time.sleep(0.2)
    assert desk.queue.close_quiet_studies(0.2) == 1
    assert desk.states() == ["queued"]


def test_the_same_images_sent_again_make_no_second_job(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk()
    for _ in range(3):
        desk.arrive("1.1", "1.1.1", "1.1.2")
        desk.close()
    assert desk.states() == ["queued"]


def test_another_model_makes_another_job_of_the_same_images(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk()
    desk.arrive("1.1", "1.1.1")
    desk.close()
    job = desk.queue.claim("cpu")
    assert job is not None
    assert desk.queue.finish(job.id, [], 0)
    newer = open_desk(model="m2")
    newer.arrive("1.1", "1.1.1")
    newer.close()
    assert newer.states() == ["done", "queued"]


def test_what_waits_for_an_old_model_waits_for_the_new_one_after_a_restart(
    open_desk: Callable[..., Desk],
) -> None:
    desk = open_desk()
    desk.arrive("1.1", "1.1.1")
    desk.close()
    newer = open_desk(model="m2")
    assert newer.states() == ["superseded", "queued"]
    assert newer.queue.claim("cpu") is not None


def test_a_late_series_replaces_the_job_of_which_nothing_was_sent(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk()
    desk.arrive("1.1", "1.1.1")
    desk.close()
    running = desk.queue.claim("cpu")
    assert running is not None
    desk.arrive("1.1", "1.1.2")
    desk.close()
    assert desk.states() == ["superseded", "queued"]
    assert not desk.queue.finish(running.id, FILES, 10)
    assert desk.parcels.next("pacs") is None


def test_a_late_series_leaves_results_alone_that_are_partly_sent(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk()
    desk.arrive("1.1", "1.1.1")
    desk.close()
    job = desk.queue.claim("cpu")
    assert job is not None
    desk.queue.finish(job.id, FILES, 10)
    desk.parcels.sent(job.id, "pacs", FILES[0])
    desk.arrive("1.1", "1.1.2")
    desk.close()
    assert desk.states() == ["sending", "queued"]


def test_a_job_that_ran_when_the_node_died_runs_again(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk()
    desk.arrive("1.1", "1.1.1")
    desk.close()
    assert desk.queue.claim("cpu") is not None
    assert desk.queue.claim("cpu") is None
    again = open_desk().queue.claim("cpu")
    assert again is not None
    assert again.attempts == 2


def test_a_stop_of_the_node_is_no_attempt(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk()
    desk.arrive("1.1", "1.1.1")
    desk.close()
    for _ in range(3):
        job = desk.queue.claim("cpu")
        assert job is not None
        assert job.attempts == 1
        desk.queue.postpone(job.id, "stopped", 0.0, is_counted=False)


def test_only_objects_that_were_not_sent_are_sent_after_a_restart(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk()
    desk.arrive("1.1", "1.1.1")
    desk.close()
    job = desk.queue.claim("cpu")
    assert job is not None
    desk.queue.finish(job.id, FILES, 10)
    desk.parcels.sent(job.id, "pacs", FILES[0])
    parcel = open_desk().parcels.next("pacs")
    assert parcel is not None
    assert parcel.files == (FILES[1],)


def test_a_job_is_done_when_every_archive_has_its_results(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(archives=("pacs", "research"))
    desk.arrive("1.1", "1.1.1")
    desk.close()
    job = desk.queue.claim("cpu")
    assert job is not None
    desk.queue.finish(job.id, FILES, 10)
    desk.parcels.end(job.id, "pacs", DONE)
    assert desk.states() == ["sending"]
    desk.parcels.end(job.id, "research", FAILED)
    assert desk.states() == ["failed"]


def test_a_study_that_was_coming_in_gets_its_time_again_after_a_restart(
    open_desk: Callable[..., Desk],
) -> None:
    desk = open_desk()
    desk.arrive("1.1", "1.1.1")
    time.sleep(0.3)
    assert open_desk().queue.close_quiet_studies(0.25) == 0


def test_a_prior_exam_is_not_queued_until_it_is_sent_for_its_own_sake(
    open_desk: Callable[..., Desk],
) -> None:
    desk = open_desk()
    desk.arrive("1.1", "1.1.1", is_prior=True)
    assert desk.close() == 0
    job = desk.queue.add_prior(desk.intake.study("1.1"))
    desk.queue.finish_prior(job.id, 10)
    assert desk.queue.claim("cpu") is None
    desk.arrive("1.1", "1.1.1")
    desk.close()
    claimed = desk.queue.claim("cpu")
    assert claimed is not None
    assert claimed.id == job.id


def test_an_archive_that_is_back_gets_everything_at_once(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk()
    for study in ("1.1", "1.2"):
        desk.arrive(study, f"{study}.1")
    desk.close()
    for _ in range(2):
        job = desk.queue.claim("cpu")
        assert job is not None
        desk.queue.finish(job.id, FILES, 10)
        desk.parcels.postpone(job.id, "pacs", "down", 900.0)
    assert desk.parcels.next("pacs") is None
    desk.parcels.archive_is_back("pacs")
    parcel = desk.parcels.next("pacs")
    assert parcel is not None
    assert parcel.tries == 1


class PickyArchive:
    """Takes everything but the results of job 1, at which it falls over."""

    def store(self, paths: Sequence[Path]) -> Iterator[Path]:
        for path in paths:
            if "00000001" in path.parts:
                raise ZeroDivisionError("SECRET^NAME")
            yield path

    def find(self, patient_id: str) -> list[RemoteStudy]:
        return []

    def fetch(self, study_uid: str, accept: Accept) -> None:
        pass


def test_results_that_cannot_be_sent_do_not_hold_up_all_others(
    open_desk: Callable[..., Desk], tmp_path: Path
) -> None:
    desk = open_desk()
    for study in ("1.1", "1.2"):
        desk.arrive(study, f"{study}.1")
    desk.close()
    for _ in range(2):
        job = desk.queue.claim("cpu")
        assert job is not None
        desk.queue.finish(job.id, FILES, 10)
    sender = Sender("pacs", PickyArchive(), desk.parcels, tmp_path, SendSettings(), Metrics())
    assert [sender.step() for _ in range(3)] == [True, True, False]
    assert desk.states() == ["sending", "done"]
    note = desk.database.read("SELECT note FROM parcel WHERE job = 1")[0]["note"]
    assert note.startswith("ZeroDivisionError in ")
    assert "SECRET" not in note


def test_a_refused_study_is_kept_with_its_reason(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk()
    desk.arrive("1.1", "1.1.1")
    desk.close()
    job = desk.queue.claim("cpu")
    assert job is not None
    desk.queue.refuse(job.id, "no high-b diffusion series")
    known = desk.queue.last_job("1.1")
    assert known is not None
    assert known.state == REFUSED


def test_a_damaged_queue_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "queue.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(NodeError, match=r"cannot use the queue .* restore it or name another folder"):
        Database(tmp_path / "queue.sqlite")


def test_a_queue_of_another_format_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "queue.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(NodeError, match="need a queue of format 1, found 99"):
        Database(tmp_path / "queue.sqlite")
