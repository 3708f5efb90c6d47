"""`marrowmap cohort` with the real pipeline and a stand-in network: NIfTI exams of two people."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marrowmap.data.nifti import write_nifti
from marrowmap.inference import pipeline
from marrowmap.inference.cohort import run as run_module
from marrowmap.inference.cohort.columns import TABLES
from marrowmap.scripts import cohort as command
from marrowmap.scripts.main import main


@pytest.fixture(autouse=True)
def weights(
    use_bright_diffusion: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_bright_diffusion(monkeypatch, tmp_path)
    monkeypatch.setattr(run_module, "load_bundle", lambda folder: pipeline.load_bundle(folder))


def write_study(folder: Path, lesions: int) -> None:
    """A body of 160 x 120 x 240 mm with a pelvis, and cubes of 16 mm in it."""
    shape = (44, 34, 60)
    body, bone, lesion = (np.zeros(shape, dtype=bool) for _ in range(3))
    body[2:42, 2:32, :] = True
    bone[10:34, 8:26, 15:45] = True
    for number in range(lesions):
        lesion[14 + 8 * number : 18 + 8 * number, 14:18, 20:24] = True
    where, noise = [lesion, bone, body], np.random.default_rng(0).normal(0.0, 1.0, shape)
    maps = {
        "dwi_b50": np.select(where, [700.0, 200.0, 330.0], 2.0),
        "dwi_b900": np.select(where, [600.0, 140.0, 90.0], 2.0),
        "t1": np.select(where, [110.0, 170.0, 100.0], 2.0),
        "stir": np.select(where, [250.0, 80.0, 120.0], 2.0),
    }
    for name, values in maps.items():
        affine = np.diag([4.0, 4.0, 4.0, 1.0])
        write_nifti(folder / f"{name}.nii.gz", (values + noise).astype(np.float32), affine)


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """P1 with one lesion, then two; P2 with none; and a folder without an exam."""
    for name, lesions in (("first", 1), ("second", 2), ("other", 0)):
        write_study(tmp_path / name, lesions)
    (tmp_path / "empty").mkdir()
    rows = ["first,P1,2021-01-01", "second,P1,2021-04-01", "other,P2,2021-01-01", "empty,,"]
    (tmp_path / "list.csv").write_text("\n".join(["study,person,date", *rows]))
    return tmp_path / "list.csv"


def test_a_cohort_of_four_from_list_to_tables(
    listed: Path,
    tmp_path: Path,
    rows: Callable[..., list[dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command.main([str(listed), str(tmp_path / "out"), "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("4 exams (3 done, 1 refused), 3 lesions; ")
    assert printed.count("\n") == 1
    exams = rows("exams")
    assert [set(row) - {"prefix"} for row in exams[:1]] == [{column.name for column in TABLES["exams"]}]
    refused = next(row for row in exams if row["state"] == "refused")
    assert refused["reason"].startswith("no DICOM image in (name): found 0 other files")
    second = next(row for row in exams if row["exam_of_person"] == 2)
    assert second["days_since_prior"] == 90
    assert second["lesions_visible"] == 2
    assert second["response_category"] is not None or second["not_compared"]
    done = [row for row in exams if row["state"] == "done"]
    assert all(
        row["cpu_seconds"] > 0 and row["bytes_written"] > 0 and row["network_seconds"] > 0 for row in done
    )
    assert {row["rule"] for row in rows("rules")} >= {"durie_salmon_plus", "iss", "my_rads"}
    assert len(rows("rules")) == 3 * 14
    page = (tmp_path / "out" / "cohort.html").read_text()
    assert "Cohort of 4 exams" in page
    assert "no DICOM image in (name)" in page
    assert "<script" not in page
    report = tmp_path / "out" / "outputs" / second["exam"][:2] / second["exam"] / "report.json"
    assert json.loads(report.read_text())["counts"]["visible"] == 2


def test_the_columns_carry_their_meaning_in_the_file(listed: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as parquet

    assert command.main([str(listed), str(tmp_path / "out"), "--quiet"]) == 0
    for name, columns in TABLES.items():
        file = next((tmp_path / "out" / "tables" / name).rglob("*.parquet"))
        schema = parquet.read_schema(file)
        assert schema.names == [column.name for column in columns]
        meanings = [schema.field(column.name).metadata[b"description"].decode() for column in columns]
        assert meanings == [column.meaning for column in columns]


def test_an_exam_in_the_place_of_a_cohort_is_one_clear_line(
    listed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cohort", str(tmp_path / "first"), str(tmp_path / "out"), "--quiet"]) == 3
    assert capsys.readouterr().err == (
        "marrowmap: first is one exam; name the folder above it, or use marrowmap infer\n"
    )


def test_a_folder_of_nifti_exams_is_a_cohort(tmp_path: Path) -> None:
    for name, lesions in (("first", 1), ("second", 2)):
        write_study(tmp_path / "all" / name, lesions)
    assert main(["cohort", str(tmp_path / "all"), str(tmp_path / "out"), "--quiet"]) == 0
    assert len(list((tmp_path / "out").rglob("report.json"))) == 2
