"""The page of a cohort: counts, burden, stages, what failed and why, run time, exams to look at."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from heapq import nlargest
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marrowmap.data.whole_file import write_whole
from marrowmap.inference.cohort.charts import bars, binned, shares
from marrowmap.inference.cohort.ledger import DONE
from marrowmap.inference.cohort.progress import duration
from marrowmap.inference.staging.rac import RAC_NAMES

if TYPE_CHECKING:
    from jinja2 import Template

PAGE_FILE = "cohort.html"
#: Bins by their lower end (ml).
_VOLUMES = {
    "none": 0.0, "under 1 ml": 1e-9, "1 to 10 ml": 1.0, "10 to 100 ml": 10.0, "100 to 500 ml": 100.0,
    "500 ml and more": 500.0,
}  # fmt: skip
#: The limits of Durie and Salmon PLUS: up to 4, 5 to 20, more.
_FOCAL = {"none": 0, "1": 1, "2 to 4": 2, "5 to 20": 5, "more than 20": 21}
_STAGES = ("read_seconds", "prepare_seconds", "network_seconds", "describe_seconds", "write_seconds")
_LOOK_AT = 5
_MOST_REASONS = 20
#: A marrow volume so many median deviations away from the middle is more likely an error than a person.
_ODD = 5.0

Row = Mapping[str, Any]
Exam = Mapping[str, Any]


class _Tally:
    """What the page needs of all rows, collected in one pass: numbers, never the rows themselves."""

    def __init__(self) -> None:
        self.states, self.reasons, self.patterns = Counter[str](), Counter[str](), Counter[str]()
        self.warnings, self.missing, self.absent = Counter[str](), Counter[str](), Counter[str]()
        self.responses, self.not_compared = Counter[str](), Counter[str]()
        self.rules: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.numbers: defaultdict[str, list[float]] = defaultdict(list)
        self.ranked: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
        self.marrow: list[tuple[float, str]] = []
        self.persons: set[str] = set()
        self.lesions = 0

    def add(self, row: Row) -> None:
        exam = row["exam"]
        self.states[row["state"]] += 1
        if exam.get("person"):
            self.persons.add(exam["person"])
        if exam.get("reason"):
            self.reasons[exam["reason"]] += 1
        for name in ("wall_seconds", "cpu_seconds", "gpu_seconds", "bytes_read", "bytes_written", *_STAGES):
            if exam.get(name) is not None and row["state"] == DONE:
                self.numbers[name].append(exam[name])
        if exam.get("peak_memory_bytes"):
            self.numbers["peak_memory_bytes"].append(exam["peak_memory_bytes"])
        if row["state"] == DONE:
            self._add_findings(row, exam)

    def _add_findings(self, row: Row, exam: Exam) -> None:
        self.lesions += len(row["lesions"])
        self.patterns[exam["pattern"].replace("_", " ")] += 1
        for counter, name in ((self.warnings, "warnings"), (self.missing, "missing_sequences")):
            counter.update(word.replace("_", " ") for word in exam[name])
        self.absent.update(word.replace("_", " ") for word in exam["regions_absent"])
        for name in ("tumour_volume_ml", "lesions_focal_5mm"):
            self.numbers[name].append(exam[name])
        for rule in row["rules"]:
            value = rule["value"] if rule["status"] != "not_applicable" else "not applicable"
            self.rules[rule["rule"]][(value or "unknown").replace("_", " ")] += 1
        if exam.get("response_category"):
            number = exam["response_category"]
            self.responses[f"{number} {RAC_NAMES[number]}"] += 1
        if exam.get("not_compared"):
            self.not_compared[exam["not_compared"]] += 1
        self.marrow.append((exam["marrow_volume_ml"], row["key"]))
        self._rank("Largest tumour volume (ml)", exam["tumour_volume_ml"], row["key"])
        self._rank("Most focal lesions", exam["lesions_focal_5mm"], row["key"])
        low, high = exam.get("focal_low"), exam.get("focal_high")
        if low is not None and high is not None:
            self._rank("Least certain count (width of its interval)", high - low, row["key"])
        self._rank("Longest run (s)", exam.get("wall_seconds") or 0.0, row["key"])
        change = exam.get("tumour_volume_change_percent")
        self._rank("Largest growth since the prior exam (%)", change or 0.0, row["key"])

    def _rank(self, title: str, value: float, key: str) -> None:
        if value > 0:
            self.ranked[title] = nlargest(_LOOK_AT, [*self.ranked[title], (float(value), key)])

    def odd_marrow(self) -> list[tuple[float, str]]:
        """Return exams whose marrow volume is far from the others': coverage or bones may be wrong."""
        volumes = [volume for volume, _ in self.marrow]
        if len(volumes) < 8:
            return []
        middle = statistics.median(volumes)
        deviation = statistics.median(abs(volume - middle) for volume in volumes)
        odd = [found for found in self.marrow if abs(found[0] - middle) > _ODD * deviation > 0]
        return nlargest(_LOOK_AT, odd, key=lambda found: abs(found[0] - middle))


def write_page(
    out: Path, rows: Iterable[Row], model: str, notes: Sequence[str], *, are_outputs_kept: bool
) -> None:
    """Write `cohort.html`: one file that opens offline, without a script.

    Args:
        out: Folder of the cohort.
        rows: Of the ledger, one an exam.
        model: The weights in words.
        notes: What they learnt from, what they are for.
        are_outputs_kept: Whether an exam's own page is there to link to.
    """
    tally = _Tally()
    for row in rows:
        tally.add(row)
    write_whole(out / PAGE_FILE, render(tally, model, notes, are_outputs_kept=are_outputs_kept))


def render(tally: _Tally, model: str, notes: Sequence[str], *, are_outputs_kept: bool) -> str:
    """Return the page."""
    numbers = tally.numbers
    odd = {"Marrow volume far from the others' (ml)": tally.odd_marrow()}
    return _template().render(
        tally=tally,
        total=sum(tally.states.values()),
        model=model,
        notes=notes,
        volumes=_named_bars(_VOLUMES, numbers["tumour_volume_ml"]),
        focal=_named_bars(_FOCAL, numbers["lesions_focal_5mm"]),
        patterns=bars(dict(tally.patterns.most_common())),
        rules={key: shares(dict(sorted(values.items()))) for key, values in tally.rules.items()},
        responses=bars(dict(sorted(tally.responses.items()))),
        not_compared=tally.not_compared.most_common(),
        quality={
            "Warnings": bars(dict(tally.warnings.most_common())),
            "Sequences that were missing": bars(dict(tally.missing.most_common())),
            "Regions that were not imaged": bars(dict(tally.absent.most_common())),
        },
        reasons=tally.reasons.most_common(_MOST_REASONS),
        more_reasons=max(0, len(tally.reasons) - _MOST_REASONS),
        costs=_costs(numbers),
        look_at={title: found for title, found in {**tally.ranked, **odd}.items() if found},
        are_outputs_kept=are_outputs_kept,
    )


def _named_bars(bins: Mapping[str, float], values: Sequence[float]) -> str:
    """Return bars of values by bins, which are named and begin where they say."""
    return bars(dict(zip(bins, binned(values, list(bins.values())), strict=True)))


def _costs(numbers: Mapping[str, list[float]]) -> list[tuple[str, str, str, str]]:
    """Return name, median, 95th percentile and sum of what an exam takes."""
    seconds = [(name, duration) for name in ("wall_seconds", "cpu_seconds", "gpu_seconds", *_STAGES)]
    lengths = [(name, _megabytes) for name in ("bytes_read", "bytes_written", "peak_memory_bytes")]
    rows = []
    for name, said in (*seconds, *lengths):
        values = sorted(numbers.get(name, ()))
        if values:
            late = values[min(len(values) - 1, int(0.95 * len(values)))]
            total = "" if name == "peak_memory_bytes" else said(sum(values))
            title = name.replace("_", " ").removesuffix(" seconds").removesuffix(" bytes")
            rows.append((title, _short(said, statistics.median(values)), _short(said, late), total))
    return rows


def _short(said: Any, value: float) -> str:
    return f"{value:.2g} s" if said is duration and value < 10 else str(said(value))


def _megabytes(length: float) -> str:
    return f"{length / 1e6:.3g} MB" if length < 1e9 else f"{length / 1e9:.3g} GB"


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    text = (files("marrowmap.inference.cohort") / "cohort.html.j2").read_text(encoding="utf-8")
    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(text)
