"""One program a folder: a lock that ends with its process, however that ends."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO


class FolderInUse(OSError):
    """Another process holds the folder."""


def hold_folder(folder: Path) -> IO[str]:
    """Return the open lock of a folder, which is made if there is none; closing it gives it up.

    Raises:
        FolderInUse: If another process holds it.
        OSError: If it cannot be made or written to.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stream = (folder / "lock").open("a+", encoding="ascii")
    try:
        lock(stream)
    except OSError as error:
        stream.close()
        raise FolderInUse(*error.args) from None
    return stream


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
