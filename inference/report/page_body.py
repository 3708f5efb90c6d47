"""A body seen from the front, its bones in the eight regions of the report, for the burden at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from marrowmap.inference.report.page_words import BAND_LIMITS
from marrowmap.inference.report.words_catalog import ENGLISH, Words

Texts = dict[str, Any]


def _blocks(top: float, bottom: float, count: int, width: float) -> str:
    """Return vertebral bodies one below the other around the middle line, as one path."""
    step = (bottom - top) / count
    height, left = round(step - 2.2, 1), 130 - width / 2
    return "".join(f"M{left} {top + n * step:.1f}h{width}v{height}h{-width}z" for n in range(count))


def _ribs() -> str:
    """Return five pairs of ribs, from the spine around to the breastbone."""
    ribs = []
    for n in range(6):
        top, wide = 112 + 13 * n, 26 + min(n, 3) * 5
        for side in (-1, 1):
            ribs.append(f"M{130 + side * 9} {top}q{side * wide} -4 {side * wide} 14t{-side * (wide - 8)} 12")
    return "".join(ribs)


#: Region, whether it is filled or drawn as a line, and its outline in a box of 260 by 440.
SHAPES: tuple[tuple[str, str, str], ...] = (
    ("thorax", "line", _ribs()),
    ("thorax", "line", "M128 102q-24 -10 -46 2M132 102q24 -10 46 2"),
    ("thorax", "fill", "M80 108l16 4l-9 34zM180 108l-16 4l9 34z"),
    (
        "skull",
        "fill",
        "M130 16c-20 0 -27 15 -25 30c1 8 5 12 6 19c1 8 8 15 19 15"
        "s18 -7 19 -15c1 -7 5 -11 6 -19c2 -15 -5 -30 -25 -30z",
    ),
    ("cervical_spine", "fill", _blocks(82, 101, 4, 13)),
    ("thoracic_spine", "fill", _blocks(102, 186, 10, 15)),
    ("lumbar_spine", "fill", _blocks(187, 242, 5, 20)),
    (
        "sacrum_pelvis",
        "fill",
        "M119 244h22l-4 26l-7 10l-7 -10z"
        "M116 246c-16 -14 -38 -6 -40 8c0 14 10 26 20 34c6 6 16 10 22 16c2 -8 -2 -14 -8 -20c4 -10 8 -20 6 -38z"
        "M144 246c16 -14 38 -6 40 8c0 14 -10 26 -20 34c-6 6 -16 10 -22 16c-2 -8 2 -14 8 -20"
        "c-4 -10 -8 -20 -6 -38z",
    ),
    (
        "humeri",
        "fill",
        "M66 106c-8 0 -10 8 -8 14l-5 72c0 6 10 6 11 0l8 -70c4 -6 2 -16 -6 -16zM194 106c8 0 10 8 8 14l5 72"
        "c0 6 -10 6 -11 0l-8 -70c-4 -6 -2 -16 6 -16z",
    ),
    (
        "femora",
        "fill",
        "M84 286c-9 0 -12 10 -9 16l15 114c2 8 14 8 14 0l-11 -104c6 -2 10 -8 8 -14c-3 -8 -10 -8 -17 -12z"
        "M176 286c9 0 12 10 9 16l-15 114c-2 8 -14 8 -14 0l11 -104c-6 -2 -10 -8 -8 -14c3 -8 10 -8 17 -12z",
    ),
)
#: Where the volume of a region is written: x, y, and to which side the text runs.
LABELS: Mapping[str, tuple[int, int, str]] = {
    "skull": (168, 44, "start"),
    "cervical_spine": (206, 78, "start"),
    "thoracic_spine": (216, 136, "start"),
    "lumbar_spine": (216, 216, "start"),
    "sacrum_pelvis": (206, 262, "start"),
    "thorax": (44, 136, "end"),
    "humeri": (44, 172, "end"),
    "femora": (66, 360, "end"),
}
#: Thin lines from a label to its bone where they lie apart.
LEADERS = "M203 75L140 92M213 133L140 140M213 213L144 216M47 133L92 136"


def body_figure(rows: Sequence[Mapping[str, Any]]) -> Texts:
    """Return the shapes with their bands, the labels and the legend.

    Args:
        rows: The lines of `page_words.region_rows`.
    """
    by_key = {row["key"]: row for row in rows}
    limits = [f"{100 * limit:.0f}" for limit in BAND_LIMITS]
    spans = [f"< {limits[0]}", *(f"{low}-{high}" for low, high in pairwise(limits))]
    return {
        "parts": [
            {
                "key": key,
                "kind": kind,
                "path": path,
                "band": by_key[key]["band"],
                "is_absent": by_key[key]["is_absent"],
            }
            for key, kind, path in SHAPES
        ],
        "labels": [
            {"key": key, "x": x, "y": y, "anchor": anchor, "text": _volume(by_key[key])}
            for key, (x, y, anchor) in LABELS.items()
        ],
        "leaders": LEADERS,
        "bands": [f"{span} %" for span in (*spans, f"≥ {limits[-1]}")],
        "has_absent": any(row["is_absent"] for row in rows),
    }


def body_words(rows: Sequence[Mapping[str, Any]], words: Words = ENGLISH) -> str:
    """Return what the figure shows, for those who cannot see it."""
    return "; ".join(f"{row['label']} {row['volume']} ml" for row in rows if row["band"]) or words("none")


def _volume(row: Mapping[str, Any]) -> str:
    return f"{row['volume']} ml" if row["band"] else ""
