"""Cohorts of studies that hold one small file each."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="cohorts need the extra [cohort]")

from marrowmap.inference.cohort.run import run_cohort
from marrowmap.inference.cohort.settings import CohortSettings

PROGRAM = Path(__file__).parent / "stand_in.py"


@pytest.fixture(scope="session")
def stand_in() -> ModuleType:
    """The module of the stand-in analysis, which is a program too."""
    spec = spec_from_file_location("cohort_stand_in", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def studies(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a folder of studies: `studies(a=2, b={"refusal": "no"})`."""

    def write(**said: int | dict[str, Any]) -> Path:
        for name, words in said.items():
            folder = tmp_path / "studies" / name
            folder.mkdir(parents=True, exist_ok=True)
            content = {"lesions": words} if isinstance(words, int) else words
            (folder / "exam.json").write_text(json.dumps({"name": name, **content}))
        return tmp_path / "studies"

    return write


@pytest.fixture
def run(stand_in: ModuleType, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A function that runs a cohort with the stand-in into `tmp_path / "out"`."""

    def go(
        where: Path | str, *, out: Path | None = None, model: Any = None, **settings: Any
    ) -> dict[str, Any]:
        return run_cohort(
            str(where),
            out or tmp_path / "out",
            CohortSettings(**settings),
            open_analysis=partial(stand_in.StandIn, 0.0),
            model=model or stand_in.MODEL,
        )

    return go


@pytest.fixture
def rows(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """A function that reads a table as a statistician does: with DuckDB."""
    duckdb = pytest.importorskip("duckdb")

    def read(table: str, out: Path | None = None) -> list[dict[str, Any]]:
        files = (out or tmp_path / "out") / "tables" / table / "*" / "*.parquet"
        with duckdb.connect() as connection:
            found = connection.execute(f"SELECT * FROM read_parquet('{files}') ORDER BY ALL")
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    return read
