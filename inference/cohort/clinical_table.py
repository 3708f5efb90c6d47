"""The clinical table: one row an exam or a person, the columns of the clinical file."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from marrowmap.data.errors import ClinicalInputError
from marrowmap.inference.clinical import clinical_from_mapping

#: How a row says whose it is, the most exact first.
KEYS = ("study_uid", "study", "patient_id")
_CLAIMS = {"true": True, "yes": True, "false": False, "no": False}

Fields = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ClinicalTable:
    """Clinical fields by what a row names.

    Attributes:
        by_key: For each of `KEYS`, the fields by its value.
    """

    by_key: dict[str, dict[str, Fields]] = field(default_factory=dict)

    def find(self, *, study_uid: str, study: str, patient_id: str) -> Fields:
        """Return the fields of an exam: of its study, else of its person; none is normal."""
        named = {"study_uid": study_uid, "study": study, "patient_id": patient_id}
        for key in KEYS:
            found = self.by_key.get(key, {}).get(named[key]) if named[key] else None
            if found is not None:
                return found
        return {}

    @property
    def digest_words(self) -> str:
        """All of it as text: changes when any value does."""
        return json.dumps(self.by_key, sort_keys=True)


def read_clinical_table(path: Path) -> ClinicalTable:
    """Read a CSV file with at least one of `study_uid`, `study`, `patient_id`, and clinical fields.

    Columns are named as in the clinical file, `fish.del17p` for what lies below `fish`. An empty cell is
    unknown. A value that is refused is the exam's own failure; a column that does not exist ends the run.

    Raises:
        ClinicalInputError: If the file cannot be read, a column is unknown, or a row names nobody or is there
            twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise ClinicalInputError(f"clinical table {path.name} cannot be read: {reason}") from None
    reader = csv.DictReader(lines)
    columns = list(reader.fieldnames or ())
    _check_columns(path, columns)
    by_key: dict[str, dict[str, Fields]] = {}
    for number, row in enumerate(reader, start=2):
        key = next((key for key in KEYS if (row.get(key) or "").strip()), None)
        if key is None:
            raise ClinicalInputError(f"{path.name}, row {number}: need one of {', '.join(KEYS)}")
        rows, value = by_key.setdefault(key, {}), row[key].strip()
        if value in rows:
            raise ClinicalInputError(f"{path.name}, row {number}: its {key} stands twice; keep one")
        rows[value] = _fields(row, columns)
    return ClinicalTable(by_key=by_key)


def _check_columns(path: Path, columns: Iterable[str]) -> None:
    names = set(columns)
    if not names & set(KEYS):
        raise ClinicalInputError(f"{path.name}: need a column {', '.join(KEYS)}")
    try:
        clinical_from_mapping(_nested({name: None for name in names - set(KEYS)}))
    except ClinicalInputError as error:
        raise ClinicalInputError(f"{path.name}: {error}") from None


def _fields(row: dict[str, str], columns: Iterable[str]) -> Fields:
    cells = {name: (row.get(name) or "").strip() for name in columns if name not in KEYS}
    return _nested({name: _value(cell) for name, cell in cells.items() if cell})


def _value(cell: str) -> Any:
    if cell.lower() in _CLAIMS:
        return _CLAIMS[cell.lower()]
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell


def _nested(flat: dict[str, Any]) -> Fields:
    fields: Fields = {}
    for name, value in flat.items():
        outer, _, inner = name.partition(".")
        if inner:
            fields.setdefault(outer, {})[inner] = value
        else:
            fields[name] = value
    return fields
