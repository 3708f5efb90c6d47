"""How fast and how much a peer may."""

from __future__ import annotations

from pathlib import Path

import pytest

from marrowmap.inference.node.config import LimitSettings
from marrowmap.inference.node.limits import DiskQuota, QuotaError, RateLimit
from marrowmap.inference.node.send import pause_after


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_free_then_one_a_second() -> None:
    clock = Clock()
    limit = RateLimit(1.0, burst=3, clock=clock)
    assert [limit.allows("a") for _ in range(4)] == [True, True, True, False]
    clock.now = 1.0
    assert [limit.allows("a") for _ in range(2)] == [True, False]


def test_peers_do_not_pay_for_each_other() -> None:
    limit = RateLimit(1.0, burst=1, clock=Clock())
    assert [limit.allows("a"), limit.allows("a"), limit.allows("b")] == [True, False, True]


def test_a_fast_peer_waits_longer_the_more_it_owes() -> None:
    limit = RateLimit(2.0, burst=1, clock=Clock())
    assert [limit.wait_s("a") for _ in range(3)] == [0.0, 0.5, 1.0]


def test_a_flood_of_addresses_does_not_fill_the_memory() -> None:
    limit = RateLimit(1.0, burst=1, clock=Clock())
    for number in range(10_000):
        limit.allows(str(number))
    assert len(limit._buckets) <= 4096


def test_what_would_leave_the_disk_too_little_is_refused(tmp_path: Path) -> None:
    quota = DiskQuota(tmp_path, LimitSettings(free_gb=1e9))
    with pytest.raises(QuotaError, match=r"less than 1e\+09 GB left"):
        quota.take(1)
    assert quota.used_bytes == 0


def test_pauses_double_up_to_the_longest() -> None:
    pauses = [pause_after(failures, 5.0, 60.0) for failures in range(6)]
    for pause, most in zip(pauses, (5.0, 10.0, 20.0, 40.0, 60.0, 60.0), strict=True):
        assert 0.75 * most <= pause <= most
    assert pause_after(10_000, 5.0, 60.0) <= 60.0
