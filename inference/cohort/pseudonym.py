"""Pseudonyms: keyed hashes, so that nobody without the key can find a person by trying identifiers.

A plain hash of a Patient ID is none: all IDs of a hospital are tried in seconds. So there is always a key:
from a file that the user keeps, or a random one that is made once and stays in OUT.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from datetime import date, timedelta
from pathlib import Path

from marrowmap.data.errors import CohortError

KEY_FILE = "pseudonym.key"
#: A shorter key could be found by trying (bytes).
_SHORTEST_KEY = 16
#: Dates of one person move together by up to so many days, back.
_MOST_SHIFT_DAYS = 364


class Pseudonyms:
    """Turns identifiers into names that only the holder of the key can make again."""

    def __init__(self, key: bytes) -> None:
        """Use a key."""
        self.key = key

    def of(self, kind: str, *words: str) -> str:
        """Return 32 hexadecimal digits for an identifier; another kind gives others."""
        message = "\0".join((kind, *words)).encode()
        return hmac.new(self.key, message, hashlib.sha256).hexdigest()[:32]

    def shifted(self, day: date, person: str) -> date:
        """Return a date moved back by 1 to 364 days, by the same for all dates of a person.

        Intervals between exams stay true; the day itself cannot be looked up in a hospital's calendar.
        """
        days = int(self.of("shift", person), 16) % _MOST_SHIFT_DAYS + 1
        return day - timedelta(days=days)


def read_key(out: Path, key_file: Path | None) -> bytes:
    """Return the key: of the file that the user names, or the one in OUT, made at the first run.

    Raises:
        CohortError: If the file cannot be read or holds too little.
    """
    if key_file is None:
        return _own_key(out / KEY_FILE)
    try:
        key = key_file.read_bytes().strip()
    except OSError as error:
        raise CohortError(f"cannot read the key file {key_file.name}: {error.strerror}") from None
    if len(key) < _SHORTEST_KEY:
        raise CohortError(
            f"need a key of {_SHORTEST_KEY} bytes or more in {key_file.name}, found {len(key)}; "
            "make one with: openssl rand -hex 32"
        )
    return key


def _own_key(path: Path) -> bytes:
    if not path.exists():
        beside = path.with_name(f".{path.name}.partial")
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(secrets.token_hex(32) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(beside, path)
    return path.read_bytes().strip()
