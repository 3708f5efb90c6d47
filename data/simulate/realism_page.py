"""The realism report as one page that opens offline."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from marrowmap.data.simulate.realism_figures import TOLERANCE
from marrowmap.data.simulate.realism_measure import MeasuredExam
from marrowmap.data.simulate.realism_pictures import Picture, as_data_uri

if TYPE_CHECKING:
    from marrowmap.data.simulate.realism import Row

Sizes = Mapping[str, npt.NDArray[np.float64]]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1300px; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 }
td, th { padding: .25rem .6rem; text-align: left; border-bottom: 1px solid #ddd; vertical-align: top }
td.number { text-align: right; white-space: nowrap }
.pass { color: #13692c } .fail { color: #a3180e; font-weight: 600 } .not { color: #666 }
figure { display: inline-block; margin: .2rem }
figcaption { font-size: 11px; text-align: center; color: #555 }
img { height: 260px; background: #000 } .note, small { color: #555 }
"""
_DIAMETER_EDGES_MM = (0, 5, 7, 10, 15, 20, 30, 200)


@dataclass(frozen=True, kw_only=True)
class Montage:
    """Pictures of one exam.

    Attributes:
        exam: What was measured in it.
        pictures: By caption.
    """

    exam: MeasuredExam
    pictures: Mapping[str, Picture]


def write_page(
    path: Path,
    signals: Sequence[Row],
    volumes: Sequence[Row],
    sizes: Sizes,
    montages: Sequence[Montage],
    *,
    pattern_share: Mapping[str, float],
) -> None:
    """Write the page.

    Args:
        path: The HTML file.
        signals: ADC, fat and signals beside published figures.
        volumes: Organs and bones beside measured ones.
        sizes: Lesion diameters by pattern, and `count`.
        montages: Pictures by exam.
        pattern_share: How often each pattern is drawn when nobody asks.
    """
    body = [
        "<h1>Simulated exams beside published figures</h1>",
        f"<p>{len(montages)} simulated exams, measured on the composed images with all noise and artefacts. "
        "Every number here is of simulated exams: it says how the simulator compares with the literature, "
        "nothing about patients.</p>",
        f"<p>{_summary(signals, volumes)}</p>",
        "<h2>Tissues and lesions</h2>",
        "<p class='note'>A figure with a published standard deviation passes within one of it; one without "
        f"within {TOLERANCE:.0%}. Findings of 10 mm or more count.</p>",
        _table(signals),
        "<h2>Organs and bones</h2>",
        _table(volumes),
        "<h2>Lesions</h2>",
        _lesions(sizes),
        f"<p>Patterns when none is asked for: {_shares(pattern_share)}.</p>",
        "<h2>Montages</h2>",
        *(_montage(montage) for montage in montages),
    ]
    head = f"<meta charset='utf-8'><title>Simulated exams: realism</title><style>{_STYLE}</style>"
    page = f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(body)}</body></html>\n"
    path.write_text(page, encoding="utf-8")


def _summary(signals: Iterable[Row], volumes: Iterable[Row]) -> str:
    words = []
    for name, rows in (("figures of tissues and lesions", signals), ("volumes", volumes)):
        verdicts = [row.verdict for row in rows]
        seen = len(verdicts) - verdicts.count("not seen")
        words.append(f"{verdicts.count('pass')} of {seen} {name} are met")
    return "; ".join(words) + "."


def _table(rows: Iterable[Row]) -> str:
    heads = ("What", "Quantity", "Published", "Simulated", "n", "", "Source")
    cells = [f"<tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>"]
    for row in rows:
        spread = "&plusmn;" if row.has_sd else "allowed &plusmn;"
        published = f"{_number(row.published)} {spread} {_number(row.allowed)}"
        simulated = f"{_number(row.simulated)} &plusmn; {_number(row.spread)}" if row.count else "none"
        why = f"<br><small>Why: {html.escape(row.why)}.</small>" if row.why else ""
        cells.append(
            f"<tr><td>{html.escape(row.name)}</td><td>{row.quantity}</td><td class='number'>{published}</td>"
            f"<td class='number'>{simulated}</td><td class='number'>{row.count}</td>"
            f"<td class='{row.verdict.split()[0]}'>{row.verdict}</td>"
            f"<td>{html.escape(row.source)}{why}</td></tr>"
        )
    return f"<table>{''.join(cells)}</table>"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 20 else f"{value:.2f}"


def _lesions(sizes: Sizes) -> str:
    """Return numbers and sizes of lesions as a table, in the size bins that sensitivity is reported in."""
    edges = _DIAMETER_EDGES_MM
    heads = [f"{low} to {high} mm" for low, high in pairwise(edges[:-1])]
    rows = [
        f"<tr><th>Pattern</th><th>Median, mm</th>{''.join(f'<th>{h}</th>' for h in heads)}<th>above</th></tr>"
    ]
    for pattern, diameters in sizes.items():
        if pattern == "count":
            continue
        bins = np.histogram(diameters, bins=edges)[0]
        numbers = "".join(f"<td class='number'>{count}</td>" for count in bins)
        rows.append(f"<tr><td>{pattern}</td><td class='number'>{np.median(diameters):.1f}</td>{numbers}</tr>")
    counts = sizes.get("count", np.array([]))
    words = (
        f"Focal lesions of an exam that has any: mean {counts.mean():.1f}, from {counts.min():.0f} to "
        f"{counts.max():.0f}; published: mean 13.4 in the axial skeleton (Blood 2006;108:3515)."
        if counts.size
        else "No exam with focal lesions."
    )
    return f"<table>{''.join(rows)}</table><p>{words} Sizes follow a median of 11 mm.</p>"


def _shares(pattern_share: Mapping[str, float]) -> str:
    return ", ".join(f"{pattern} {share:.0%}" for pattern, share in pattern_share.items())


def _montage(montage: Montage) -> str:
    exam = montage.exam
    effects = ", ".join(effect.replace("_", " ") for effect in exam.effects) or "none"
    figures = "".join(_figure(caption, picture) for caption, picture in montage.pictures.items())
    title = f"<h3>Simulated exam {exam.seed}: {exam.pattern}, {exam.sex}</h3>"
    return f"{title}<p class='note'>Effects: {effects}.</p>{figures}"


def _figure(caption: str, picture: Picture) -> str:
    image = f"<img alt='{caption}' src='{as_data_uri(picture)}'>"
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"
