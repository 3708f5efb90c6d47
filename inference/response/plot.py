"""The trend over all exams that are known, as one picture: volume, ADC and number of lesions."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

TREND_FILE = "trend.svg"
_CAPTION = "research use only"


def trend_svg(points: Sequence[Mapping[str, Any]]) -> str:
    """Return tumour volume, median ADC and lesion counts over the exams, as an SVG picture.

    Exams stand at their dates where all have one, else one after the other.

    Args:
        points: What `response.trend_point` returned, oldest first.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 6.0), layout="constrained")
    FigureCanvasSVG(figure)
    places, labels = _places(points)
    rows = figure.subplots(3, 1, sharex=True)
    _draw(rows[0], places, [p["tumour_volume_ml"] for p in points], "tumour volume (ml)")
    _draw(
        rows[1], places, [p["adc_median_um2_per_s"] for p in points], "median ADC (um\N{SUPERSCRIPT TWO}/s)"
    )
    _draw(rows[2], places, [p["visible"] for p in points], "visible lesions")
    _draw(rows[2], places, [p["active"] for p in points], "lesions", name="active", style="o--")
    rows[2].lines[0].set_label("visible")
    rows[2].legend(frameon=False)
    for place, point in zip(places, points, strict=True):
        if point.get("patient"):
            rows[0].annotate(
                f"RAC {point['patient']}", (place, point["tumour_volume_ml"]), xytext=(0, 6),
                textcoords="offset points", ha="center", fontsize=8,
            )  # fmt: skip
    rows[2].set_xticks(places, labels)
    rows[2].yaxis.get_major_locator().set_params(integer=True)
    figure.supxlabel(_CAPTION, x=0.99, ha="right", fontsize=7, color="0.4")
    buffer = io.StringIO()
    # Without a date and with fixed names the same exams give the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": "marrowmap", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _places(points: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[str]]:
    """Return where each exam stands on the axis and what is written there."""
    from datetime import date

    dates = [point["study_date"] for point in points]
    if all(dates) and len(set(dates)) == len(dates):
        return [float(date.fromisoformat(day).toordinal()) for day in dates], dates
    return [float(n) for n in range(1, len(points) + 1)], [
        day or f"exam {n}" for n, day in enumerate(dates, 1)
    ]


def _draw(
    axes: Any,
    places: Sequence[float],
    values: Sequence[float | None],
    label: str,
    *,
    name: str = "",
    style: str = "o-",
) -> None:
    known = [(x, y) for x, y in zip(places, values, strict=True) if y is not None]
    axes.plot([x for x, _ in known], [y for _, y in known], style, label=name or None)
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0, top=1.2 * max([y for _, y in known], default=0) or 1.0)
    axes.spines[["top", "right"]].set_visible(False)
