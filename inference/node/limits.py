"""What a peer may ask of us: how fast, how often, how much disk."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from marrowmap.inference.node.config import LimitSettings

#: Addresses remembered at most: a flood from many must not fill the memory.
_MOST_PEERS = 4096


class QuotaError(Exception):
    """The disk, or what we may have of it, is full: the peer should try again later."""


class RateLimit:
    """A bucket of tokens for every peer: a burst of its size is free, then `per_s` a second."""

    def __init__(self, per_s: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with full buckets."""
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def wait_s(self, peer: str) -> float:
        """Take one token, as a debt where there is none, and return how long the peer should wait for it."""
        with self._lock:
            tokens = self._filled(peer) - 1.0
            self._remember(peer, tokens)
        return max(0.0, -tokens / self._per_s)

    def allows(self, peer: str) -> bool:
        """Take one token if there is one."""
        with self._lock:
            tokens = self._filled(peer)
            is_allowed = tokens >= 1.0
            self._remember(peer, tokens - 1.0 if is_allowed else tokens)
        return is_allowed

    def _filled(self, peer: str) -> float:
        now = self._clock()
        tokens, then = self._buckets.get(peer, (self._burst, now))
        return min(self._burst, tokens + (now - then) * self._per_s)

    def _remember(self, peer: str, tokens: float) -> None:
        self._buckets.pop(peer, None)
        if len(self._buckets) >= _MOST_PEERS:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[peer] = (tokens, self._clock())


class DiskQuota:
    """How much of the disk the node may use, and how much it does."""

    def __init__(self, folder: Path, limits: LimitSettings, used_bytes: int = 0) -> None:
        """Start with what is there already."""
        self._folder, self._limits = folder, limits
        self.used_bytes = used_bytes
        self._lock = threading.Lock()

    def take(self, more_bytes: int) -> None:
        """Use some of it.

        Raises:
            QuotaError: If the quota or the disk would be exceeded; nothing is taken then.
        """
        with self._lock:
            if self.used_bytes + more_bytes > self._limits.quota_gb * 1e9:
                raise QuotaError(f"the quota of {self._limits.quota_gb:g} GB is used up")
            if self.free_bytes() - more_bytes < self._limits.free_gb * 1e9:
                raise QuotaError(f"the disk has less than {self._limits.free_gb:g} GB left")
            self.used_bytes += more_bytes

    def give_back(self, fewer_bytes: int) -> None:
        """Use less; a negative number adds what was written already."""
        with self._lock:
            self.used_bytes -= fewer_bytes

    @property
    def is_tight(self) -> bool:
        """Whether it is time to clear away what is done."""
        return (
            self.used_bytes > 0.9 * self._limits.quota_gb * 1e9
            or self.free_bytes() < 1.5 * self._limits.free_gb * 1e9
        )

    def free_bytes(self) -> int:
        """Return what the disk has left."""
        return shutil.disk_usage(self._folder).free
