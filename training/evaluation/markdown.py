"""The evaluation as Markdown for a model card: all figures, then subgroups and look-alikes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marrowmap.training.evaluation.evaluate import Evaluation
from marrowmap.training.evaluation.text import number, table

_COLUMNS = {
    "exams": "exams",
    "focal_lesions": "lesions of 5 mm or more",
    "sensitivity_10_mm": "of 10 mm or more found",
    "sensitivity_focal": "of 5 mm or more found",
    "false_positives_per_exam": "false positives an exam",
    "lesion_dice": "lesion Dice",
}


def markdown(evaluation: Evaluation) -> str:
    """Return every figure in a code block, a table for each kind of subgroup, and the look-alikes."""
    summary = evaluation.summary
    parts = [f"```\n{table(evaluation)}\n```"]
    parts += [_subgroups(kind, rows) for kind, rows in summary["subgroups"].items()]
    return "\n\n".join([*parts, _look_alikes(summary)]) + "\n"


def _subgroups(kind: str, rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        f"| {kind.replace('_', ' ')} | {' | '.join(_COLUMNS.values())} |",
        f"|---|{'---|' * len(_COLUMNS)}",
    ]
    for row in rows:
        cells = (str(row[key]) if isinstance(row[key], int) else number(row[key]) for key in _COLUMNS)
        lines.append(f"| {row['subgroup']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _look_alikes(summary: Mapping[str, Any]) -> str:
    called = (
        f"{_words(n)} {hit}/{there}" for n, (hit, there) in sorted(summary["mimics_called_lesion"].items())
    )
    by_mimic, by_region = (
        ", ".join(f"{_words(name)} {count}" for name, count in sorted(found.items(), key=lambda i: -i[1]))
        for found in (summary["false_positives_by_mimic"], summary["false_positives_by_region"])
    )
    return (
        f"Benign findings called lesion, of all that were there: {', '.join(called) or 'none there'}. "
        f"False positives: {by_mimic or 'none'}; by region: {by_region or 'none'}."
    )


def _words(name: str) -> str:
    return name.replace("_", " ")
