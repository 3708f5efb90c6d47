"""The estimate: right where the speed is even, honest where it is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from marrowmap.inference.cohort.progress import Progress, duration


class Clock:
    """Seconds that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def progress_of(tmp_path: Path, clock: Clock, pauses: list[float], total: int) -> Progress:
    progress = Progress(tmp_path / "progress.json", clock=clock)
    progress.start("read", total)
    for pause in pauses:
        clock.now += pause
        progress.end("done")
    return progress


def test_an_even_speed_gives_the_exact_time_and_no_doubt(tmp_path: Path, clock: Clock) -> None:
    estimate = progress_of(tmp_path, clock, [10.0] * 20, total=50).estimate()
    assert estimate is not None
    assert (estimate.low, estimate.seconds, estimate.high) == (300.0, 300.0, 300.0)


def test_an_uneven_speed_gives_an_interval_that_holds_it(tmp_path: Path, clock: Clock) -> None:
    estimate = progress_of(tmp_path, clock, [5.0, 15.0] * 10, total=50).estimate()
    assert estimate is not None
    assert estimate.seconds == 300.0
    assert estimate.low < 260.0 < 340.0 < estimate.high


def test_what_was_done_before_does_not_make_it_look_faster(tmp_path: Path, clock: Clock) -> None:
    progress = Progress(tmp_path / "progress.json", clock=clock)
    progress.start("read", total=1000, skipped=900)
    for _ in range(10):
        clock.now += 2.0
        progress.end("done")
    assert progress.left == 90
    assert (estimate := progress.estimate())
    assert estimate.seconds == 180.0


def test_one_exam_gives_no_estimate_yet(tmp_path: Path, clock: Clock) -> None:
    assert progress_of(tmp_path, clock, [10.0], total=5).estimate() is None


def test_a_slower_archive_shows_after_the_window(tmp_path: Path, clock: Clock) -> None:
    estimate = progress_of(tmp_path, clock, [1.0] * 50 + [10.0] * 200, total=350).estimate()
    assert estimate is not None
    assert estimate.seconds == 1000.0


def test_the_file_can_be_read_by_a_program(tmp_path: Path, clock: Clock) -> None:
    progress_of(tmp_path, clock, [10.0] * 3, total=5).write(running=2)
    found = json.loads((tmp_path / "progress.json").read_text())
    assert found["ended"] == 3
    assert found["left"] == found["running"] == 2
    assert found["per_hour"] == 360.0
    assert found["seconds_left"] == 20.0
    assert found["by_state"] == {"done": 3}


@pytest.mark.parametrize(
    ("seconds", "words"), [(40, "40 s"), (600, "10 min"), (7200, "2.0 h"), (864_000, "10.0 days")]
)
def test_durations_are_said_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
