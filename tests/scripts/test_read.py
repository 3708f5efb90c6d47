"""What `marrowmap read` prints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from marrowmap.data.levels import LEVELS
from marrowmap.data.nifti import write_nifti
from marrowmap.scripts.read import main


def write_trunk(folder: Path) -> Path:
    """A cylinder as T1 and high-b diffusion."""
    x, y = np.meshgrid(np.arange(60) - 29.5, np.arange(40) - 19.5, indexing="ij")
    plane = np.where((x / 25) ** 2 + (y / 15) ** 2 < 1, 200.0, 3.0).astype(np.float32)
    array = np.repeat(plane[..., None], 60, axis=2)
    for name in ("t1", "dwi_b900"):
        write_nifti(folder / f"{name}.nii.gz", array, np.diag([6.0, 6.0, 6.0, 1.0]))
    return folder


def test_coverage_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = write_trunk(tmp_path)
    assert main([str(study)]) == 0
    printed = capsys.readouterr().out
    assert "coverage: head absent, neck unknown, chest unknown" in printed
    assert main([str(study), "--json"]) == 0
    written = json.loads(capsys.readouterr().out)["coverage"]
    assert written == dict.fromkeys(LEVELS, "unknown") | {"head": "absent"}


def test_a_refused_study_has_no_coverage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_trunk(tmp_path)
    (tmp_path / "dwi_b900.nii.gz").unlink()
    assert main([str(tmp_path), "--json"]) == 3
    assert capsys.readouterr().out == ""
