"""Workers and the driver killed without warning: every exam has one row, and it says the same.

`pytest -m long tests/inference/cohort/test_crash.py` works 200 exams on two workers and kills 20 times.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parent / "stand_in.py"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes to kill in /proc")
#: What an exam costs and how long ago: differs from run to run.
COSTS = (
    "wall_seconds",
    "cpu_seconds",
    "peak_memory_bytes",
)


class Driver:
    """`marrowmap cohort` with the stand-in, as a process of its own."""

    def __init__(self, studies: Path, out: Path, workers: int, seconds: float) -> None:
        self.out = out
        self._words = [str(studies), str(out), str(workers), str(seconds)]
        self._log = out.with_name(f"{out.name}.log")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(PROGRAM), *self._words], stdout=log, stderr=log
            )

    def is_over(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None

    def finish(self, seconds: float = 120.0) -> None:
        assert self._process is not None
        assert self._process.wait(seconds) == 0, self._log.read_text()[-3000:]

    def kill(self) -> None:
        assert self._process is not None
        if not self.is_over():
            self._process.kill()
        self._process.wait()

    def workers(self) -> list[int]:
        """Return the processes of Ray's workers below this driver."""
        assert self._process is not None
        return [pid for pid in below(self._process.pid) if "Worker" in title(pid) and "ray::" in title(pid)]

    def done(self) -> int:
        return sum(1 for _ in self.out.glob("ledger/*/exams/*/*.json"))


def below(root: int) -> list[int]:
    """Return all processes that descend from one."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # ended meanwhile
                continue
    found, new = [], [root]
    while new:
        new = [pid for pid, parent in parents.items() if parent in new]
        found += new
    return found


def title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


@pytest.fixture
def make_driver(tmp_path: Path) -> Iterator[Callable[..., Driver]]:
    drivers: list[Driver] = []

    def make(studies: Path, *, workers: int, seconds: float) -> Driver:
        drivers.append(Driver(studies, tmp_path / "out", workers, seconds))
        drivers[-1].start()
        return drivers[-1]

    yield make
    for driver in drivers:
        driver.kill()


def comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(
        ({name: value for name, value in row.items() if name not in COSTS} for row in rows),
        key=lambda row: json.dumps(row, default=str),
    )


def assert_as_if_nothing_had_happened(
    studies: Path, out: Path, run: Callable[..., Any], rows: Callable[..., Any], exams: int
) -> None:
    """Each exam once, and all tables equal to those of one quiet process with the same key."""
    quiet = out.with_name("quiet")
    found = run(studies, out=quiet, key_file=out / "pseudonym.key")
    assert found["exams"] == exams
    for table in ("exams", "lesions", "rules"):
        assert comparable(rows(table, out)) == comparable(rows(table, quiet))
    assert len({row["exam"] for row in rows("exams", out)}) == len(rows("exams", out)) == exams


def test_a_driver_killed_three_times_goes_on_where_it_was(
    studies: Any, make_driver: Any, run: Any, rows: Any, tmp_path: Path
) -> None:
    where = studies(**{f"exam{number:02d}": number % 4 for number in range(40)})
    driver = make_driver(where, workers=1, seconds=0.05)
    for until in (3, 12, 25):
        while driver.done() < until:
            assert not driver.is_over()
            time.sleep(0.01)
        driver.kill()
        driver.start()
    driver.finish()
    assert_as_if_nothing_had_happened(where, tmp_path / "out", run, rows, exams=40)
    calls = [len(path.read_text()) for path in (tmp_path / "out").glob("outputs/*/*.calls")]
    # At most the exam at work at each kill was read twice.
    assert len(calls) == 40
    assert sum(calls) <= 43


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1))
def test_two_hundred_exams_on_two_workers_through_twenty_kills(
    seed: int, studies: Any, make_driver: Any, run: Any, rows: Any, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="more than one worker needs the extra [cohort]")
    where, chance = studies(**{f"exam{number:03d}": number % 9 for number in range(200)}), random.Random(seed)
    driver, kills = make_driver(where, workers=2, seconds=0.7), {"driver": 0, "worker": 0}
    while sum(kills.values()) < 20 and not driver.is_over():
        before = driver.done()
        deadline = time.monotonic() + 60.0
        while driver.done() < before + 1 and time.monotonic() < deadline and not driver.is_over():
            time.sleep(0.05)
        time.sleep(chance.uniform(0.0, 1.5))
        workers = driver.workers()
        if kills["driver"] < 6 and chance.random() < 0.3:
            driver.kill()
            driver.start()
            kills["driver"] += 1
        elif workers:
            os.kill(chance.choice(workers), signal.SIGKILL)
            kills["worker"] += 1
    assert sum(kills.values()) == 20, f"over too early: {kills}"
    driver.finish(300.0)
    print(kills)
    assert_as_if_nothing_had_happened(where, tmp_path / "out", run, rows, exams=200)
