"""Whether comparisons of simulated pairs are right: the direction, and which lesion is which.

**Direction.** The course that the pair was simulated with. A pair in which nothing could be judged says no
direction, and counts as wrong where there was disease. **Matched.** Of the true lesions that both exams
outline, those for which one entry of the response joins an outline of the first exam with one of the second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from marrowmap.data.errors import StudyError
from marrowmap.data.exam import LabelArray
from marrowmap.training.evaluation.pairs import read_json, read_pair

EXAMS = ("baseline", "follow_up")


@dataclass(frozen=True, kw_only=True)
class ScoredPair:
    """One comparison held against the truth.

    Attributes:
        name: Of the pair.
        course: As simulated.
        direction: As `compare` says; None with nothing to judge.
        matchable: True lesions outlined in both exams.
        matched: Those of them that one entry of the response joins.
    """

    name: str
    course: str
    direction: str | None
    matchable: int
    matched: int


def score_pairs(outputs: Path, pairs: Path) -> list[ScoredPair]:
    """Score every pair that was compared.

    Args:
        outputs: `NAME/baseline` and `NAME/follow_up` of each pair, from `infer` and `compare`.
        pairs: The same names, from `simulate --follow-up`.

    Raises:
        StudyError: If there is none, or a file is missing or damaged.
    """
    names = sorted(path.parent.parent.name for path in outputs.glob("*/follow_up/response.json"))
    if not names:
        raise StudyError(f"no NAME/follow_up/response.json in {outputs}; run infer and compare on the pairs")
    return [score_pair(outputs / name, pairs / name) for name in names]


def score_pair(output: Path, pair: Path) -> ScoredPair:
    """Score one pair."""
    response = read_json(output / "follow_up" / "response.json")
    exams = [read_pair(output / exam, pair / exam) for exam in EXAMS]
    truth = exams[1].truth.get("follow_up")
    if truth is None:
        raise StudyError(f"{pair.name} is no simulated pair: no follow_up in its truth.json")
    before, after = (_outlines(exam.reference, exam.predicted) for exam in exams)
    both = [
        (before[fate["baseline_id"]], after[fate["id"]])
        for fate in truth["lesions"]
        if fate["baseline_id"] in before and fate["id"] in after
    ]
    return ScoredPair(
        name=output.name,
        course=truth["course"],
        direction=response["direction"],
        matchable=len(both),
        matched=sum(_is_joined(first, second, response["lesions"]) for first, second in both),
    )


def table(scored: Sequence[ScoredPair]) -> str:
    """Return the figures as text."""
    matchable, matched = (sum(getattr(pair, name) for pair in scored) for name in ("matchable", "matched"))
    alarms = sum(pair.course == "stable" and pair.direction == "progressing" for pair in scored)
    wrong = [pair for pair in scored if pair.direction != pair.course]
    right = len(scored) - len(wrong)
    lines = [
        f"{len(scored)} simulated pairs",
        f"direction right            {right}/{len(scored)} ({100 * right / len(scored):.0f} %)",
        f"stable called progressing  {alarms}",
        f"lesions matched right      {matched}/{matchable} ({100 * matched / max(matchable, 1):.0f} %)",
    ]
    return (
        "\n".join([*lines, *(f"  {pair.name}: {pair.course}, said {pair.direction}" for pair in wrong)])
        + "\n"
    )


def _outlines(reference: LabelArray, predicted: LabelArray) -> dict[int, set[int]]:
    """Return the outlines that touch each true lesion; lesions without any are left out."""
    touching = (reference > 0) & (predicted > 0)
    found: dict[int, set[int]] = {}
    for label, outline in np.unique(np.stack([reference[touching], predicted[touching]]), axis=1).T.tolist():
        found.setdefault(label, set()).add(outline)
    return found


def _is_joined(first: set[int], second: set[int], entries: Sequence[Mapping[str, Any]]) -> bool:
    return any(first & set(entry["baseline_ids"]) and second & set(entry["ids"]) for entry in entries)
