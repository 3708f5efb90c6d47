"""Workers and the driver killed without warning: every exam has one row, and it says the same.

`pytest -s -m long tests/inference/cohort/test_crash.py` works 200 exams on two workers and kills 20 times:
once with the stand-in for the analysis, once as `marrowmap cohort` does it, on slabs of simulated exams.
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
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from marrowmap.data.exam import Volume
from marrowmap.data.nifti import write_exam_nifti
from marrowmap.inference.cohort import columns

PROGRAM = Path(__file__).parent / "stand_in.py"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes to kill in /proc")
#: What an exam costs, and how many digits that has in its report: differs from run to run.
COSTS = {column.name for column in columns.EXAMS if column.name.endswith("_seconds")} | {
    "peak_memory_bytes",
    "bytes_written",
}
#: Simulated exams, and the slabs that each is cut into.
BODIES, SLABS = 20, 10


class Driver:
    """A cohort at work, as a process of its own."""

    def __init__(self, words: list[str], out: Path) -> None:
        self.out = out
        self._words = words
        self._log = out.with_name(f"{out.name}.log")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([sys.executable, *self._words], stdout=log, stderr=log)

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


def stand_in_words(studies: Path, out: Path, *, workers: int, seconds: float) -> list[str]:
    return [str(PROGRAM), str(studies), str(out), str(workers), str(seconds)]


def command_words(studies: Path, out: Path, *, workers: int, key_file: Path | None = None) -> list[str]:
    """`marrowmap cohort` with the shipped weights."""
    start = "import sys; from marrowmap.scripts.main import main; sys.exit(main())"
    words = ["-c", start, "cohort", str(studies), str(out), "--workers", str(workers), "--attempts", "50"]
    words += ["--device", "cpu", "--threads", "1", "--quiet"]
    return words + (["--key_file", str(key_file)] if key_file else [])


@pytest.fixture
def make_driver() -> Iterator[Callable[[list[str], Path], Driver]]:
    drivers: list[Driver] = []

    def make(words: list[str], out: Path) -> Driver:
        drivers.append(Driver(words, out))
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


def assert_same_rows(out: Path, quiet: Path, rows: Callable[..., Any], exams: int) -> None:
    """Each exam once, and all tables equal to those of the quiet run."""
    for table in ("exams", "lesions", "rules"):
        assert comparable(rows(table, out)) == comparable(rows(table, quiet))
    assert len({row["exam"] for row in rows("exams", out)}) == len(rows("exams", out)) == exams


def assert_as_if_nothing_had_happened(
    studies: Path, out: Path, run: Callable[..., Any], rows: Callable[..., Any], exams: int
) -> None:
    """As one quiet process of the stand-in with the same key."""
    quiet = out.with_name("quiet")
    found = run(studies, out=quiet, key_file=out / "pseudonym.key")
    assert found["exams"] == exams
    assert_same_rows(out, quiet, rows, exams)


def test_a_driver_killed_three_times_goes_on_where_it_was(
    studies: Any, make_driver: Any, run: Any, rows: Any, tmp_path: Path
) -> None:
    where = studies(**{f"exam{number:02d}": number % 4 for number in range(40)})
    out = tmp_path / "out"
    driver = make_driver(stand_in_words(where, out, workers=1, seconds=0.05), out)
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


def kill_twenty_times(driver: Driver, chance: random.Random, pause_s: float) -> None:
    """Kill six drivers at most and for the rest workers, with an exam or more done between two of them."""
    kills = {"driver": 0, "worker": 0}
    while sum(kills.values()) < 20 and not driver.is_over():
        before = driver.done()
        deadline = time.monotonic() + 120.0
        while driver.done() < before + 1 and time.monotonic() < deadline and not driver.is_over():
            time.sleep(0.05)
        time.sleep(chance.uniform(0.0, pause_s))
        workers = driver.workers()
        if kills["driver"] < 6 and chance.random() < 0.3:
            driver.kill()
            driver.start()
            kills["driver"] += 1
        elif workers:
            os.kill(chance.choice(workers), signal.SIGKILL)
            kills["worker"] += 1
    assert sum(kills.values()) == 20, f"over too early: {kills}"
    print(kills)


@pytest.mark.long
def test_two_hundred_exams_on_two_workers_through_twenty_kills(
    studies: Any, make_driver: Any, run: Any, rows: Any, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="more than one worker needs the extra [cohort]")
    where, out = studies(**{f"exam{number:03d}": number % 9 for number in range(200)}), tmp_path / "out"
    driver = make_driver(stand_in_words(where, out, workers=2, seconds=0.7), out)
    kill_twenty_times(driver, random.Random(0), pause_s=1.5)
    driver.finish(300.0)
    assert_as_if_nothing_had_happened(where, out, run, rows, exams=200)


def slab_of(volume: Volume, slab: int) -> Volume:
    height = volume.array.shape[2]
    first, last = height * slab // SLABS, height * (slab + 1) // SLABS
    affine = volume.affine_ras_mm.copy()
    affine[:3, 3] += affine[:3, 2] * first
    return replace(volume, array=volume.array[:, :, first:last], affine_ras_mm=affine)


@pytest.fixture
def slabs(tmp_path: Path) -> Path:
    """Two hundred small studies: simulated bodies, each cut from head to thigh."""
    pytest.importorskip("myo_sim", reason="the simulator needs the extra [simulate]")
    from marrowmap.data.simulate.exam import simulate_exam, to_exam

    for seed in range(10200, 10200 + BODIES):
        exam = to_exam(simulate_exam(seed))
        for slab in range(SLABS):
            cut = {sequence: slab_of(volume, slab) for sequence, volume in exam.volumes.items()}
            write_exam_nifti(replace(exam, volumes=cut), tmp_path / "slabs" / f"{seed}_{slab}")
    return tmp_path / "slabs"


@pytest.mark.long
def test_two_hundred_simulated_exams_through_the_whole_pipeline_and_twenty_kills(
    slabs: Path, make_driver: Any, rows: Any, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="more than one worker needs the extra [cohort]")
    out, quiet = tmp_path / "out", tmp_path / "quiet"
    driver = make_driver(command_words(slabs, out, workers=2), out)
    kill_twenty_times(driver, random.Random(1), pause_s=4.0)
    driver.finish(3600.0)
    key_file = out / "pseudonym.key"
    make_driver(command_words(slabs, quiet, workers=1, key_file=key_file), quiet).finish(3600.0)
    print({table: len(rows(table, out)) for table in ("exams", "lesions", "rules")})
    assert_same_rows(out, quiet, rows, exams=BODIES * SLABS)
