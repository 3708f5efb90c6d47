"""The node killed without warning at every step: nothing is lost, nothing is done twice.

`pytest -m long tests/inference/node/test_crash.py` kills it 24 times at random moments.
"""

from __future__ import annotations

import json
import random
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

Make = Callable[..., Any]
Until = Callable[..., Any]
PROGRAM = Path(__file__).parent / "stand_in.py"
QUIET_S = 1.5
#: Slices of the composed series: enough for a kill to fall between the first and the last object sent.
COMPOSED = 12
KINDS = ("DOC", *("MR",) * COMPOSED, "OT", "SEG", "SR")


class Victim:
    """The node as a process of its own."""

    def __init__(self, folder: Path, port: int, orthanc: Any, seconds: float) -> None:
        self.port, self._seconds = port, seconds
        self._queue = folder / "node" / "queue.sqlite"
        self._config, self._log = folder / "node.yaml", folder / "log"
        archive = {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": orthanc.dicom_port, "timeout_s": 5.0}
        settings = {
            "folder": str(folder / "node"),
            "receive": {"calling_ae_titles": ["SENDER"], "port": port, "quiet_s": QUIET_S},
            "archives": [
                {"name": "by-dimse", "dimse": archive},
                {"name": "by-web", "web": {"url": orthanc.web_url}},
            ],
            "send": {"retry_s": 0.1, "longest_retry_s": 0.3},
            "work": {"attempts": 1000},
            "limits": {"free_gb": 0.0, "connections_per_minute": 100_000},
            "status_port": 0,
        }
        self._config.write_text(json.dumps(settings))  # JSON is YAML
        self.start()

    def start(self) -> None:
        command = [sys.executable, str(PROGRAM), str(self._config), str(self._seconds), str(COMPOSED)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def is_up(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        assert self._process.poll() is None, self._log.read_text(errors="replace")[-3000:]
        self._process.kill()
        self._process.wait()

    def count(self, question: str) -> int:
        """Return what a question to its queue counts."""
        try:
            with closing(sqlite3.connect(f"file:{self._queue}?mode=ro", uri=True, timeout=5.0)) as connection:
                row = connection.execute(f"SELECT count(*) FROM {question}").fetchone()
        except sqlite3.OperationalError:  # not made yet
            return 0
        return int(row[0]) if row else 0


@pytest.fixture
def make_victim(tmp_path: Path, port: int, orthanc: Any) -> Iterator[Callable[[float], Victim]]:
    victims: list[Victim] = []

    def make(seconds: float) -> Victim:
        victims.append(Victim(tmp_path, port, orthanc, seconds))
        return victims[-1]

    yield make
    for victim in victims:
        victim.kill()


def send_until_acknowledged(send: Callable[..., list[int]], port: int, files: Sequence[Path]) -> None:
    """Send as an archive does: what was not acknowledged again, what was acknowledged never."""
    left = list(files)
    while left:
        try:
            statuses = send(port, left)
        except ConnectionError:
            time.sleep(0.05)
            continue
        assert set(statuses) <= {0}
        del left[: len(statuses)]


def start_senders(
    send: Callable[..., list[int]], port: int, studies: Sequence[Any]
) -> list[threading.Thread]:
    """Send each study from a thread of its own."""
    senders = [
        threading.Thread(target=send_until_acknowledged, args=(send, port, study.files), daemon=True)
        for study in studies
    ]
    for sender in senders:
        sender.start()
    return senders


def assert_done_once(victim: Victim, orthanc: Any, studies: Sequence[Any]) -> None:
    """Each study: one job, its results of all its images, each once in the archive."""
    assert victim.count("job") == len(studies)
    for study in studies:
        found = sorted((d.Modality, d.SeriesDescription) for d in orthanc.results(study.uid))
        assert found == [(m, f"marrowmap of {len(study.files)} images") for m in KINDS]


def test_killed_at_each_step_once(
    make_victim: Callable[[float], Victim], orthanc: Any, make_study: Make, send: Any, until: Until
) -> None:
    victim, study = make_victim(0.3), make_study(slices=30)
    (sender,) = start_senders(send, victim.port, [study])
    steps = {
        "receive": "instance HAVING count(*) >= 10",
        "queue": "job",
        "infer": "job WHERE state = 'running'",
        "send": "delivery WHERE sent IS NOT NULL",
    }
    for step, question in steps.items():
        until(lambda question=question: victim.count(question))
        victim.kill()
        if step == "send":
            assert victim.count("delivery WHERE sent IS NULL") > 0, "killed too late to mean anything"
        victim.start()
    sender.join(timeout=30)
    until(lambda: victim.count("job WHERE state = 'done'"))
    assert_done_once(victim, orthanc, [study])


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1))
def test_killed_24_times_at_random_while_five_studies_arrive_interleaved(
    seed: int, make_victim: Callable[[float], Victim], orthanc: Any, make_study: Make, send: Any, until: Until
) -> None:
    victim, chance = make_victim(1.0), random.Random(seed)
    studies = [make_study(slices=60 + 10 * number) for number in range(5)]
    senders = start_senders(send, victim.port, studies)
    for _ in range(24):
        until(victim.is_up)
        time.sleep(chance.uniform(0.0, 0.7))
        victim.kill()
        victim.start()
    for sender in senders:
        sender.join(timeout=120)
    until(lambda: victim.count("job WHERE state = 'done'") == 5, 120)
    assert_done_once(victim, orthanc, studies)
