"""The evaluation as one HTML file that opens offline: tables and plots, nothing fetched, no script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from marrowmap.data.whole_file import write_whole
from marrowmap.training.evaluation.evaluate import Evaluation
from marrowmap.training.evaluation.plots import plots
from marrowmap.training.evaluation.text import kind, notices, number, p_text, with_interval

#: Figures of the first table, by their key and in a person's words.
FIGURES = {
    "sensitivity_focal": "lesions of 5 mm or more found",
    "sensitivity_10_mm": "lesions of 10 mm or more found",
    "precision": "precision",
    "f1": "F1",
    "false_positives_per_exam": "false positives an exam",
    "lesion_dice": "lesion Dice",
    "surface_dice": "surface Dice",
    "dice_of_found_lesions": "Dice of lesions found",
    "surface_dice_of_found_lesions": "surface Dice of lesions found",
    "panoptic_quality": "panoptic quality",
    "volume_error_ml": "volume error (ml)",
    "absolute_volume_error_ml": "absolute volume error (ml)",
    "count_error": "count error",
    "absolute_count_error": "absolute count error",
    "count_band_right": "count band right",
}


def page(evaluation: Evaluation) -> str:
    """Return the page as text."""
    environment = Environment(
        loader=PackageLoader("marrowmap.training.evaluation", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "p": p_text}
    summary = evaluation.summary
    drawn = {name: Markup(svg) for name, svg in plots(evaluation.exams, summary).items()}
    return environment.get_template("page.html.j2").render(
        summary=summary,
        kind=kind(summary),
        notices=notices(summary),
        figures=[(label, with_interval(summary, name)) for name, label in FIGURES.items()],
        plots=drawn,
        comparison=evaluation.comparison,
        labels=FIGURES,
        exams=[_exam_row(exam) for exam in evaluation.exams],
    )


def write_page(evaluation: Evaluation, path: Path) -> None:
    """Write the page; whole or not at all."""
    write_whole(path, page(evaluation))


def _exam_row(exam: Any) -> dict[str, Any]:
    return {
        "name": exam.name,
        "pattern": exam.pattern,
        "focal": exam.reference_focal,
        "predicted_focal": exam.predicted_focal,
        "found": sum(lesion.is_found for lesion in exam.lesions),
        "lesions": len(exam.lesions),
        "false_positives": len(exam.false_positives),
        "dice": exam.overlap.dice,
        "surface_dice": exam.overlap.surface_dice,
        "reference_ml": exam.reference_ml,
        "predicted_ml": exam.predicted_ml,
    }
