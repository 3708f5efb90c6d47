"""The ledger -> Parquet: exams, lesions and rules, sixteen files each, one key digit a file.

A row group holds some thousand rows and a file is written group by group, so that memory does not grow
with the cohort. DuckDB reads `OUT/tables/exams/*/*.parquet` and skips what a question does not need.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marrowmap.inference.cohort.columns import TABLES, Column

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

Row = Mapping[str, Any]
PREFIXES = "0123456789abcdef"
#: Exams read before their rows are written (with their lesions and rules some MB).
_CHUNK = 2000


def write_tables(out: Path, keys: Iterable[str], read: Callable[[str], Row]) -> dict[str, int]:
    """Write the three tables anew.

    Each file is written beside its place and then moved there: a reader finds the old or the new one, whole.

    Args:
        out: Folder of the cohort; the tables go to `tables/` in it.
        keys: Every exam, each once.
        read: Gives the ledger's row of a key: `exam`, `lesions`, `rules`.

    Returns:
        Number of rows by table.
    """
    import pyarrow.parquet as parquet

    counts, ordered = dict.fromkeys(TABLES, 0), sorted(set(keys))
    schemas = {name: schema_of(name) for name in TABLES}
    for prefix in PREFIXES:
        mine = [key for key in ordered if key.startswith(prefix)]
        with ExitStack() as stack:
            writers = {
                name: stack.enter_context(parquet.ParquetWriter(path, schemas[name], compression="zstd"))
                for name, path in _partial_files(out, prefix).items()
            }
            for rows in _chunks(mine, read):
                for name, found in rows.items():
                    counts[name] += len(found)
                    if found:
                        writers[name].write_table(_table(found, TABLES[name], schemas[name]))
        for name, path in _partial_files(out, prefix).items():
            _place(path, _final(out, name, prefix), is_empty=not mine)
    (out / "tables" / ".partial").rmdir()
    return counts


def schema_of(name: str) -> pa.Schema:
    """Return a table's schema; every field carries its meaning."""
    import pyarrow as pa

    kinds = {
        "text": pa.string(), "texts": pa.list_(pa.string()), "whole": pa.int64(), "number": pa.float64(),
        "date": pa.date32(),
    }  # fmt: skip
    fields = [
        pa.field(column.name, kinds[column.kind], metadata={"description": column.meaning})
        for column in TABLES[name]
    ]
    return pa.schema(fields, metadata={"marrowmap_table": f"{name}/1"})


def _chunks(keys: Sequence[str], read: Callable[[str], Row]) -> Iterator[dict[str, list[Row]]]:
    """Yield the rows of some exams at a time, by table."""
    for start in range(0, len(keys), _CHUNK):
        rows: dict[str, list[Row]] = {name: [] for name in TABLES}
        for key in keys[start : start + _CHUNK]:
            found = read(key)
            rows["exams"].append(found["exam"])
            for name in ("lesions", "rules"):
                rows[name] += [{**row, "exam": key} for row in found[name]]
        yield rows


def _table(rows: list[Row], columns: Sequence[Column], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    arrays = [
        pa.array([_value(row.get(column.name), column) for row in rows], schema.field(column.name).type)
        for column in columns
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _value(value: Any, column: Column) -> Any:
    if value is None:
        return None
    if column.kind == "date":
        return date.fromisoformat(value)
    return float(value) if column.kind == "number" else value


def _partial_files(out: Path, prefix: str) -> dict[str, Path]:
    folder = out / "tables" / ".partial"
    folder.mkdir(parents=True, exist_ok=True)
    return {name: folder / f"{name}-{prefix}.parquet" for name in TABLES}


def _final(out: Path, name: str, prefix: str) -> Path:
    return out / "tables" / name / f"prefix={prefix}" / "part-0.parquet"


def _place(partial: Path, final: Path, *, is_empty: bool) -> None:
    """Move a file to its place; a prefix without exams keeps none, but for the first: it holds the schema."""
    if is_empty and final.parent.name != f"prefix={PREFIXES[0]}":
        partial.unlink()
        shutil.rmtree(final.parent, ignore_errors=True)
        return
    final.parent.mkdir(parents=True, exist_ok=True)
    os.replace(partial, final)
