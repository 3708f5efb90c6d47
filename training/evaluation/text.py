"""The evaluation as lines for a person; says `simulated` where the references are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marrowmap.training.evaluation.evaluate import Evaluation
from marrowmap.training.evaluation.settings import HUMAN_LESION_DICE


def table(evaluation: Evaluation) -> str:
    """Return the summary, and the comparison if there is one, as lines."""
    summary = evaluation.summary
    rows = [*_detection_rows(summary), *_outline_rows(summary), *_agreement_rows(summary)]
    rows += [(f"region Dice, {key}", number(value)) for key, value in summary["region_dice"].items()]
    lines = [f"{summary['exams']} {kind(summary)} exams", *(f"{name:<42}{value}" for name, value in rows)]
    if evaluation.comparison:
        lines += ["", *_comparison(evaluation.comparison)]
    return "\n".join([*lines, *notices(summary)])


def kind(summary: Mapping[str, Any]) -> str:
    """Return what the references are: simulated, annotated, or both."""
    if summary["is_simulated"]:
        return "simulated"
    return "simulated and annotated" if summary["simulated_exams"] else "annotated"


def notices(summary: Mapping[str, Any]) -> list[str]:
    """Return what a reader must know of these exams."""
    if summary["is_simulated"]:
        return ["All exams are simulated: these numbers say nothing yet of real people."]
    if summary["simulated_exams"]:
        return [f"{summary['simulated_exams']} of them are simulated: evaluate the others alone too."]
    return []


def _detection_rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [
        (f"lesions found, {name}", f"{found}/{total}{_percent(found, total)}")
        for name, (found, total) in summary["lesions_by_size"].items()
    ]
    rows += [
        ("lesions found, 5 mm or more", with_interval(summary, "sensitivity_focal")),
        ("lesions found, 10 mm or more", with_interval(summary, "sensitivity_10_mm")),
        ("precision", with_interval(summary, "precision")),
        ("false positives an exam", with_interval(summary, "false_positives_per_exam")),
        ("exams without lesions left empty", number(summary["without_lesions_left_empty"])),
    ]
    curve = summary["froc"]
    if curve:
        rows += [
            ("mean sensitivity (FROC)", _bounded(curve, "mean_sensitivity")),
            ("average precision", _bounded(curve, "average_precision")),
        ]
    if summary["calibration"]:
        rows.append(
            ("expected calibration error", number(summary["calibration"]["expected_calibration_error"]))
        )
    return rows


def _outline_rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    of = "exams with lesions" if summary["settings"]["empty_case"] == "leave_out" else "all exams"
    tolerance = summary["settings"]["surface_tolerance_mm"]
    return [
        ("lesion Dice", f"{with_interval(summary, 'lesion_dice')} ({kind(summary)}; {of})"),
        ("  radiologist against radiologist", f"{HUMAN_LESION_DICE} (real myeloma diffusion MRI)"),
        (f"surface Dice at {tolerance:g} mm", with_interval(summary, "surface_dice")),
        ("Dice of lesions found", with_interval(summary, "dice_of_found_lesions")),
        ("panoptic quality", with_interval(summary, "panoptic_quality")),
    ]


def _agreement_rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    volume, count = summary["volume"], summary["count"]
    rows = [
        ("volume error, ml", with_interval(summary, "volume_error_ml")),
        ("absolute volume error, ml", with_interval(summary, "absolute_volume_error_ml")),
        ("volume ICC (log scale)", f"{number(volume['icc'])} ({number(volume['icc_log'])})"),
        ("count error", with_interval(summary, "count_error")),
        ("count band right", with_interval(summary, "count_band_right")),
        ("count band kappa (quadratic)", number(count["bands"]["kappa_quadratic"])),
    ]
    rows += [
        (f"{rule} kappa (agreement)", f"{number(stages['kappa_quadratic'])} ({number(stages['agreement'])})")
        for rule, stages in summary["stages"].items()
    ]
    return rows


def _comparison(comparison: Mapping[str, Any]) -> list[str]:
    """Return the lines of the paired comparison."""
    lines = [
        f"{comparison['first_name']} minus {comparison['second_name']}, {comparison['exams']} exams",
        f"{'':<28}{'first':>8}{'second':>8}{'difference':>24}{'p (Holm)':>10}{'Wilcoxon':>10}",
    ]
    for name, row in comparison["figures"].items():
        difference = f"{number(row['difference'])}{_bounds(row['interval'])}"
        lines.append(
            f"{name:<28}{number(row['first']):>8}{number(row['second']):>8}{difference:>24}"
            f"{p_text(row['p_holm']):>10}{p_text(row['p_wilcoxon']):>10}"
        )
    return lines


def with_interval(summary: Mapping[str, Any], name: str) -> str:
    """Return a figure with its interval."""
    return f"{number(summary[name])}{_bounds(summary['intervals'].get(name))}"


def number(value: float | None) -> str:
    """Return two decimals, `none` over nothing."""
    return "none" if value is None else f"{value:.2f}"


def p_text(value: float | None) -> str:
    """Return a p-value as papers write it."""
    if value is None:
        return "-"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _bounded(values: Mapping[str, Any], name: str) -> str:
    return f"{number(values[name])}{_bounds(values[f'{name}_interval'])}"


def _bounds(bounds: Sequence[float] | None) -> str:
    return "" if bounds is None else f" [{bounds[0]:.2f}, {bounds[1]:.2f}]"


def _percent(found: int, total: int) -> str:
    return f" ({found / total:.0%})" if total else ""
