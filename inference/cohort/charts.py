"""Small pictures for the cohort's page, as SVG: bars and nothing that needs a script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _ROW, _LABEL, _NUMBER = 460, 22, 170, 70
_COLOURS = ("#0e5a70", "#3d8ba3", "#86bccb", "#d79a1c", "#c01a2a", "#7a4a9c", "#55636f")
_UNKNOWN = "#dbe2e8"


def bars(counts: Mapping[str, int]) -> str:
    """Return horizontal bars in the order given, each with its number; nothing for no count."""
    if not counts:
        return ""
    most = max(1, *counts.values())
    height = _ROW * len(counts)
    parts = [f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{_told(counts)}">']
    for number, (label, count) in enumerate(counts.items()):
        top, width = number * _ROW, (_WIDTH - _LABEL - _NUMBER) * count / most
        parts.append(
            f'<text x="{_LABEL - 8}" y="{top + 15}" text-anchor="end">{escape(label)}</text>'
            f'<rect x="{_LABEL}" y="{top + 3}" width="{width:.1f}" height="{_ROW - 6}" fill="{_COLOURS[0]}"/>'
            f'<text x="{_LABEL + width + 6:.1f}" y="{top + 15}">{count}</text>'
        )
    return "".join([*parts, "</svg>"])


def shares(counts: Mapping[str, int]) -> str:
    """Return one bar cut into shares, with its legend; `unknown` is pale and last."""
    total = sum(counts.values())
    if not total:
        return ""
    known = [label for label in counts if label != "unknown"]
    order = [*known, *(label for label in counts if label == "unknown")]
    left, parts, legend = 0.0, [], []
    for number, label in enumerate(order):
        colour = _UNKNOWN if label == "unknown" else _COLOURS[number % len(_COLOURS)]
        width = _WIDTH * counts[label] / total
        parts.append(f'<rect x="{left:.1f}" y="0" width="{width:.1f}" height="16" fill="{colour}"/>')
        legend.append(f'<span><i style="background:{colour}"></i>{escape(label)} {counts[label]}</span>')
        left += width
    svg = f'<svg viewBox="0 0 {_WIDTH} 16" role="img" aria-label="{_told(counts)}">{"".join(parts)}</svg>'
    return f'{svg}<p class="legend">{" ".join(legend)}</p>'


def binned(values: Sequence[float], edges: Sequence[float]) -> list[int]:
    """Return how many values lie in `[edge, next edge)`, the last bin open to the right."""
    ends = [*edges[1:], math.inf]
    return [sum(edge <= value < end for value in values) for edge, end in zip(edges, ends, strict=True)]


def _told(counts: Mapping[str, int]) -> str:
    return escape(", ".join(f"{label}: {count}" for label, count in counts.items()), quote=True)
