"""Two workers of Ray: the rows of one process, and an exam that kills its worker fails alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="more than one worker needs the extra [cohort]")

PROGRAM = Path(__file__).parent / "stand_in.py"
COSTS = {"wall_seconds", "cpu_seconds", "peak_memory_bytes"}


def without_costs(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in COSTS} for row in rows]


def test_two_workers_say_what_one_process_says_and_outlive_a_poison_exam(
    studies: Callable[..., Path], run: Callable[..., Any], rows: Callable[..., Any], tmp_path: Path
) -> None:
    healthy = {f"exam{number:02d}": number % 5 for number in range(12)}
    where = studies(**healthy, refused={"refusal": "no"}, deadly={"kills": True})
    words = [sys.executable, str(PROGRAM), str(where), str(tmp_path / "out"), "2", "0.01", "2"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["by_state"] == {"done": 12, "failed": 1, "refused": 1}
    lost = [row for row in rows("exams") if row["state"] == "failed"]
    assert [row["reason"] for row in lost] == ["its worker was lost 2 times: it died, or took too long"]

    # The deadly one would end this very process.
    (where / "list.txt").write_text("\n".join([*healthy, "refused"]))
    run(where / "list.txt", out=tmp_path / "quiet", key_file=tmp_path / "out" / "pseudonym.key")
    others = [row for row in rows("exams") if row["state"] != "failed"]
    assert without_costs(others) == without_costs(rows("exams", tmp_path / "quiet"))
    for table in ("lesions", "rules"):
        assert rows(table) == rows(table, tmp_path / "quiet")


def test_a_cluster_that_is_not_there_is_one_clear_line(studies: Callable[..., Path], tmp_path: Path) -> None:
    code = (
        "import sys; from marrowmap.scripts import main as m; import marrowmap.inference.cohort.run as r; "
        "r.model_of = lambda s: r.Model(name='x'); sys.exit(m.main(sys.argv[1:]))"
    )
    words = [str(studies(a=1)), str(tmp_path / "out"), "--ray", "127.0.0.1:1", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", code, "cohort", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 3, done.stderr[-2000:]
    assert "cannot use Ray at 127.0.0.1:1" in done.stderr.splitlines()[-1]
