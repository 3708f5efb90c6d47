"""One program a folder: a lock that ends with its process, however that ends."""

from __future__ import annotations

import os
from typing import IO


def lock(stream: IO[str]) -> None:
    """Lock an open file.

    Raises:
        OSError: If another process holds the lock.
    """
    if os.name == "nt":
        import msvcrt

        stream.seek(0)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # Windows only
    else:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
