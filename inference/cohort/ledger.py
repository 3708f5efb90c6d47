"""The ledger: what is done, one small file an exam, each whole or not at all.

```
OUT/cohort.json                      format, and which key made the pseudonyms
OUT/ledger/RUN/exams/ab/KEY.json     the row of an exam; RUN is model and settings
OUT/ledger/RUN/index/ab/STAMP        "KEY STATE": what became of a study that looks so from outside
OUT/ledger/RUN/comparisons/ab/KEY.json
OUT/outputs/ab/KEY/                  what infer wrote
```
Written by whoever did the work, so that the work outlives the process that asked for it. Two who do the
same exam write the same name: the later replaces the earlier, and there is one row.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from marrowmap.data.whole_file import write_whole

DONE, REFUSED, FAILED = "done", "refused", "failed"
#: `refused`: the exam's own fault, final. `failed`: a lost worker, an archive, a defect; tried again.
State = Literal["done", "refused", "failed"]
Row = dict[str, Any]


class Ledger:
    """The ledger of one run (model and settings) of a cohort."""

    def __init__(self, out: Path, run: str) -> None:
        """Use a folder; nothing is made yet."""
        self.out, self.run = out, run
        self._folder = out / "ledger" / run

    def read(self, key: str) -> Row | None:
        """Return the row of an exam, None where there is none."""
        return _read_json(_spread(self._folder / "exams", f"{key}.json"))

    def write(self, row: Row) -> None:
        """Put the row of an exam down."""
        write_whole(_spread(self._folder / "exams", f"{row['key']}.json"), json.dumps(row, allow_nan=False))

    def known(self, stamp: str) -> tuple[str, str] | None:
        """Return key and state of a study by its stamp, None where it is not known."""
        try:
            words = _spread(self._folder / "index", stamp).read_text(encoding="ascii").split()
        except OSError:
            return None
        return (words[0], words[1]) if len(words) == 2 else None

    def remember(self, stamp: str, key: str, state: str) -> None:
        """Note what became of a study; after its row, never before."""
        write_whole(_spread(self._folder / "index", stamp), f"{key} {state}\n")

    def read_comparison(self, key: str) -> Row | None:
        """Return what a follow-up's comparison said, None where there was none."""
        return _read_json(_spread(self._folder / "comparisons", f"{key}.json"))

    def write_comparison(self, row: Row) -> None:
        """Put a comparison down."""
        path = _spread(self._folder / "comparisons", f"{row['key']}.json")
        write_whole(path, json.dumps(row, allow_nan=False))

    def outputs(self, key: str) -> Path:
        """Return the folder for what `infer` writes."""
        return _spread(self.out / "outputs", key)

    def begun(self, stamp: str) -> int:
        """Return how often a process ended while it was at a study."""
        try:
            return len(self._begun(stamp).read_bytes())
        except OSError:
            return 0

    def begin(self, stamp: str) -> None:
        """Note that a process is at a study: one byte each time."""
        path = self._begun(stamp)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            stream.write(b".")

    def end(self, stamp: str) -> None:
        """Note that it came through."""
        self._begun(stamp).unlink(missing_ok=True)

    def _begun(self, stamp: str) -> Path:
        return self._folder / "begun" / stamp


def _spread(folder: Path, name: str) -> Path:
    """Return a path with 256 sub-folders: a folder with a million files is slow everywhere."""
    return folder / name[:2] / name


def _read_json(path: Path) -> Row | None:
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return row if isinstance(row, dict) else None
