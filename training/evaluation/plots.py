"""The plots of the evaluation page, each one SVG that stands in the page itself."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from marrowmap.training.evaluation.exam_score import ExamScore

_BLUE, _GREY = "#1f5fa8", "0.55"
_SIZE_INCHES = (4.6, 3.4)


def plots(exams: Sequence[ExamScore], summary: Mapping[str, Any]) -> dict[str, str]:
    """Return SVG text by name: those for which there is something to draw."""
    drawn = {"size": _svg("size", lambda axes: _by_size(axes, summary))}
    if summary["froc"]:
        drawn["froc"] = _svg("froc", lambda axes: _froc(axes, summary["froc"]))
    if summary["calibration"]:
        drawn["reliability"] = _svg("reliability", lambda axes: _reliability(axes, summary["calibration"]))
    drawn["volume"] = _svg("volume", lambda axes: _volume(axes, exams, summary["volume"]))
    drawn["count"] = _svg("count", lambda axes: _count(axes, exams))
    return drawn


def _svg(name: str, draw: Any) -> str:
    """Return one drawing as an `<svg>` element; the same values give the same bytes."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    draw(axes)
    buffer = io.StringIO()
    # A salt of its own: drawings of one page must not share the names of their clip paths.
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # Names such as axes_1 would stand in the page once a drawing.
    return re.sub(r'(\bid=")(?=[\w.]+_\d+")', rf"\g<1>{name}_", text)


def _froc(axes: Any, froc: Mapping[str, Any]) -> None:
    points = np.array([[0.0, 0.0], *[[rate, found] for _, rate, found in froc["points"]]])
    axes.step(points[:, 0], points[:, 1], where="post", color=_BLUE)
    at = froc["sensitivity_at"]
    known = [row for row in at if row["interval"] is not None]
    rates = [row["false_positives_per_exam"] for row in known]
    bounds = np.array([row["interval"] for row in known]).reshape(-1, 2)
    axes.vlines(rates, bounds[:, 0], bounds[:, 1], color=_BLUE, alpha=0.5, linewidth=3)
    axes.set_xscale("symlog", linthresh=0.125)
    axes.set_xlim(0, max(9.0, float(points[:, 0].max()) * 1.05))
    ticks = [0, *(row["false_positives_per_exam"] for row in at)]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=8)
    axes.minorticks_off()
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("false positives an exam")
    axes.set_ylabel("lesions of 5 mm or more found")


def _by_size(axes: Any, summary: Mapping[str, Any]) -> None:
    names = list(summary["lesions_by_size"])
    shares = [found / total if total else 0.0 for found, total in summary["lesions_by_size"].values()]
    axes.bar(names, shares, color=_BLUE)
    for place, (found, total) in enumerate(summary["lesions_by_size"].values()):
        axes.annotate(
            f"{found}/{total}", (place, shares[place]), xytext=(0, 3), textcoords="offset points",
            ha="center", fontsize=8,
        )  # fmt: skip
    axes.set_ylim(0, 1.12)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_ylabel("lesions found")


def _reliability(axes: Any, calibration: Mapping[str, Any]) -> None:
    bins = calibration["bins"]
    said = [row["mean_probability"] for row in bins]
    true = [row["share_lesions"] for row in bins]
    axes.plot([0, 1], [0, 1], "--", color=_GREY, linewidth=1)
    axes.plot(said, true, "o-", color=_BLUE)
    for row, x, y in zip(bins, said, true, strict=True):
        axes.annotate(str(row["findings"]), (x, y), xytext=(4, -9), textcoords="offset points", fontsize=7)
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.05))
    axes.set_xlabel("reported probability")
    axes.set_ylabel("share that are lesions")


def _volume(axes: Any, exams: Sequence[ExamScore], volume: Mapping[str, Any]) -> None:
    """Draw the ratio of volumes against their geometric mean, with bias and limits."""
    offset = volume["log_offset_ml"]
    pairs = np.array([[exam.reference_ml, exam.predicted_ml] for exam in exams]) + offset
    axes.plot(np.sqrt(pairs.prod(axis=1)), pairs[:, 1] / pairs[:, 0], "o", color=_BLUE, alpha=0.7)
    axes.axhline(1.0, color=_GREY, linewidth=1)
    for name, style in (("bias", "-"), ("lower_limit", "--"), ("upper_limit", "--")):
        if volume["ratio"][name] is not None:
            axes.axhline(volume["ratio"][name], color=_BLUE, linestyle=style, linewidth=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("geometric mean volume (ml)")
    axes.set_ylabel("predicted / reference volume")


def _count(axes: Any, exams: Sequence[ExamScore]) -> None:
    reference = [exam.reference_focal for exam in exams]
    predicted = [exam.predicted_focal for exam in exams]
    top = max([*reference, *predicted, 1]) * 1.05
    axes.plot([0, top], [0, top], "--", color=_GREY, linewidth=1)
    axes.plot(reference, predicted, "o", color=_BLUE, alpha=0.6)
    axes.set_xlabel("focal lesions, reference")
    axes.set_ylabel("focal lesions, predicted")
