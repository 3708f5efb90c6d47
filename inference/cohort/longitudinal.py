"""Exams of one person: put in order, and each compared with the one before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from marrowmap.inference.cohort.ledger import DONE, Ledger
from marrowmap.inference.cohort.work import CompareTask

SAME_DAY = "two exams of one day, and no time tells which came first"


@dataclass(frozen=True, kw_only=True, order=True)
class Dated:
    """A person's exam.

    Attributes:
        day: Shifted date, `YYYY-MM-DD`.
        time: `hhmmss` or empty.
        key: Of the exam.
        length: Bytes of its outputs.
    """

    day: str
    time: str
    key: str
    length: int = 0


def persons(ledger: Ledger, keys: Iterable[str]) -> list[list[Dated]]:
    """Return the exams of every person who has a dated one that is done, in order of time."""
    found: defaultdict[str, list[Dated]] = defaultdict(list)
    for key in keys:
        row = ledger.read(key)
        exam = row["exam"] if row and row["state"] == DONE else {}
        if row and exam.get("person") and exam.get("study_date_shifted"):
            length = exam.get("bytes_written") or 0
            dated = Dated(day=exam["study_date_shifted"], time=row["time"], key=key, length=length)
            found[exam["person"]].append(dated)
    return [sorted(exams) for _, exams in sorted(found.items())]


def comparisons(ledger: Ledger, people: Iterable[list[Dated]]) -> list[CompareTask]:
    """Return the comparisons that are still to be made."""
    tasks = []
    for exams in people:
        for number in range(1, len(exams)):
            before, this = exams[number - 1], exams[number]
            earlier = tuple(exam.key for exam in exams[: number - 1])
            if _is_told_apart(before, this) and not _is_made(ledger, this.key, before.key, earlier):
                length = before.length + this.length
                tasks.append(CompareTask(key=this.key, prior=before.key, earlier=earlier, length=length))
    return tasks


def linked_columns(ledger: Ledger, people: Iterable[list[Dated]], *, is_compared: bool) -> dict[str, Any]:
    """Return, by exam, the columns that only its person's other exams can fill."""
    columns: dict[str, Any] = {}
    for exams in people:
        columns[exams[0].key] = {"exam_of_person": 1}
        for number in range(1, len(exams)):
            before, this = exams[number - 1], exams[number]
            days = (date.fromisoformat(this.day) - date.fromisoformat(before.day)).days
            found: dict[str, Any] = {"not_compared": "comparing was switched off"}
            if is_compared:
                made = ledger.read_comparison(this.key)
                found = made["found"] if made and made["prior"] == before.key else {"not_compared": SAME_DAY}
            columns[this.key] = {
                "exam_of_person": number + 1, "prior_exam": before.key, "days_since_prior": days, **found,
            }  # fmt: skip
    return columns


def _is_told_apart(before: Dated, this: Dated) -> bool:
    """Return whether it is known which came first."""
    if before.day != this.day:
        return True
    return bool(before.time and this.time and before.time != this.time)


def _is_made(ledger: Ledger, key: str, prior: str, earlier: tuple[str, ...]) -> bool:
    made = ledger.read_comparison(key)
    return bool(made and made["prior"] == prior and tuple(made["earlier"]) == earlier)
