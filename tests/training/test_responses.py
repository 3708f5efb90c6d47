"""Comparisons of pairs held against what was simulated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marrowmap.data.errors import StudyError
from marrowmap.data.nifti import write_nifti
from marrowmap.training.evaluation.responses import score_pairs, table

AFFINE = np.diag([2.5, 2.5, 2.5, 1.0])


def cubes(*ids: int) -> np.ndarray:
    """Cubes in a row, one for each place; 0 leaves a place empty."""
    volume = np.zeros((4, 4, 40), dtype=np.uint16)
    for place, number in enumerate(ids):
        volume[1:3, 1:3, 4 * place + 1 : 4 * place + 3] = number
    return volume


def write_pair(root: Path, name: str, direction: str | None, entries: list[dict[str, Any]]) -> None:
    """Three true lesions, renumbered between the exams; the third is outlined in the first exam alone."""
    fates = [{"baseline_id": b, "id": i, "fate": "unchanged"} for b, i in ((1, 3), (2, 1), (3, 2))]
    for exam, truth, seen in (
        ("baseline", cubes(1, 2, 3), cubes(7, 8, 9)),
        ("follow_up", cubes(3, 1, 2), cubes(4, 5, 0)),
    ):
        out, reference = root / "out" / name / exam, root / "pairs" / name / exam
        write_nifti(out / "lesions.nii.gz", seen, AFFINE)
        write_nifti(reference / "truth_lesions.nii.gz", truth, AFFINE)
        (reference / "truth.json").write_text(
            json.dumps({"seed": 1, "follow_up": {"course": "stable", "lesions": fates}})
        )
    response = {"direction": direction, "lesions": entries}
    (root / "out" / name / "follow_up" / "response.json").write_text(json.dumps(response))


def test_a_lesion_is_matched_where_one_entry_joins_both_outlines(tmp_path: Path) -> None:
    joined, parted = (
        {"baseline_ids": [7], "ids": [4]},
        [{"baseline_ids": [8], "ids": []}, {"baseline_ids": [], "ids": [5]}],
    )
    write_pair(tmp_path, "pair", "stable", [joined, *parted])
    (pair,) = score_pairs(tmp_path / "out", tmp_path / "pairs")
    assert (pair.matchable, pair.matched) == (2, 1)


def test_a_lesion_joined_with_another_is_not_matched(tmp_path: Path) -> None:
    write_pair(tmp_path, "pair", "stable", [{"baseline_ids": [7], "ids": [5]}])
    assert score_pairs(tmp_path / "out", tmp_path / "pairs")[0].matched == 0


def test_the_table_counts_directions_and_names_the_wrong_ones(tmp_path: Path) -> None:
    for name, direction in (("a", "stable"), ("b", "progressing"), ("c", None)):
        write_pair(tmp_path, name, direction, [])
    text = table(score_pairs(tmp_path / "out", tmp_path / "pairs"))
    assert text.splitlines() == [
        "3 simulated pairs",
        "direction right            1/3 (33 %)",
        "stable called progressing  1",
        "lesions matched right      0/6 (0 %)",
        "  b: stable, said progressing",
        "  c: stable, said None",
    ]


def test_what_was_not_compared_or_not_simulated_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"no NAME/follow_up/response.json"):
        score_pairs(tmp_path, tmp_path)
    write_pair(tmp_path, "pair", "stable", [])
    (tmp_path / "pairs" / "pair" / "follow_up" / "truth.json").write_text('{"seed": 1}')
    with pytest.raises(StudyError, match="pair is no simulated pair"):
        score_pairs(tmp_path / "out", tmp_path / "pairs")
