"""The response against an earlier exam, as texts, tables and small curves over all known exams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from marrowmap.inference.report.page_words import DASH, volume_words
from marrowmap.inference.report.words import region_words, sentence
from marrowmap.inference.report.words_catalog import ENGLISH, Words

Report = Mapping[str, Any]
Texts = dict[str, Any]

#: Box of a curve: left, right, top and bottom of the points.
LEFT, RIGHT, TOP, BOTTOM = 30.0, 210.0, 24.0, 74.0
TRENDS = (
    ("tumour_volume_ml", "Tumour volume, ml", 1),
    ("adc_median_um2_per_s", "Median lesion ADC, µm²/s", 0),
    ("visible", "Visible lesions", 0),
    ("active", "Active lesions", 0),
)


def response_parts(report: Report, words: Words = ENGLISH) -> Texts | None:
    """Return what the page shows of the response; None where there was no earlier exam.

    Args:
        report: A report; `response` as `marrowmap compare` and `infer --prior` write it. A part of it
            that is not there is not shown.
        words: The language.
    """
    response = report["response"]
    if not response:
        return None
    points = [*response.get("history", ()), _point(report)]
    texts = [*response.get("warnings", ()), *response.get("notes", ()), response.get("limits")]
    said = [text["text"] if isinstance(text, Mapping) else text for text in texts if text]
    return {
        "dates": _days(response, words),
        "figures": _figures(response, words),
        "trends": [_trend(points, *trend, words) for trend in TRENDS if _known(points, trend[0]) > 1],
        "tables": [part for part in (_regions(response, words), _lesions(response, words)) if part["rows"]],
        "warnings": [sentence(text, words) for text in said],
        "source": response.get("source", ""),
    }


def _point(report: Report) -> dict[str, Any]:
    """Return this exam as one point of the curves."""
    return {
        "study_date": report["study"]["study_date"],
        "tumour_volume_ml": report["burden"]["tumour_volume_ml"],
        "adc_median_um2_per_s": report["burden"]["adc_um2_per_s"]["median"],
        "visible": report["counts"]["visible"],
        "active": report["counts"]["active"],
    }


def _days(response: Mapping[str, Any], words: Words) -> str:
    days = response.get("days")
    return "" if days is None else words.fill("after {days} days", days=days)


def _figures(response: Mapping[str, Any], words: Words) -> list[Texts]:
    """Return category, worst lesion, volume and ADC against the earlier exam."""
    patient, name = response.get("patient"), response.get("patient_name")
    category = words("nothing to judge") if patient is None else str(patient)
    found = [_figure("Category (1 to 5)", category, words(name or ""), words)]
    if response.get("direction"):
        found.append(_figure("Direction", words(response["direction"]), "", words))
    if response.get("worst") is not None:
        found.append(_figure("Worst", str(response["worst"]), words("of a lesion or region"), words))
    changes = (
        ("Tumour volume", "tumour_volume_change", "ml", 1),
        ("Median ADC", "adc_change", "um2_per_s", 0),
    )
    for label, key, unit, digits in changes:
        change = response.get(key)
        if isinstance(change, Mapping) and change.get(f"after_{unit}") is not None:
            found.append(_figure(label, _percent(change, words), _span(change, unit, digits, words), words))
    return found


def _figure(label: str, value: str, note: str, words: Words) -> Texts:
    return {"label": words(label), "value": value, "note": note}


def _percent(change: Mapping[str, Any], words: Words) -> str:
    percent = change.get("change_percent")
    return DASH if percent is None else words.number(f"{percent:+.0f} %")


def _span(change: Mapping[str, Any], unit: str, digits: int, words: Words) -> str:
    """Return before and after, and the interval of the change."""
    ends = [change.get(f"{name}_{unit}") for name in ("before", "after")]
    before, after = (DASH if end is None else words.number(f"{end:.{digits}f}") for end in ends)
    text = f"{before} \N{RIGHTWARDS ARROW} {after} {'ml' if unit == 'ml' else 'µm²/s'}"
    interval = change.get("interval_percent")
    if not interval:
        return text
    low, high = (words.number(f"{end:+.0f}") for end in interval)
    return f"{text}; {words.fill('90 % interval {low} to {high} %', low=low, high=high)}"


def _known(points: Sequence[Mapping[str, Any]], key: str) -> int:
    return sum(point.get(key) is not None for point in points)


def _trend(points: Sequence[Mapping[str, Any]], key: str, label: str, digits: int, words: Words) -> Texts:
    """Return one curve: a path, its points with their values, and the same in words."""
    values = [(n, point[key]) for n, point in enumerate(points) if point.get(key) is not None]
    across, days = _places(points)
    top = max(value for _, value in values) or 1.0
    marks = [
        {
            "x": round(across[n], 1),
            "y": round(BOTTOM - (BOTTOM - TOP) * value / top, 1),
            "value": words.number(f"{value:.{digits}f}"),
            "day": days[n],
        }
        for n, value in values
    ]
    said = ", ".join(f"{mark['day']}: {mark['value']}" for mark in marks)
    return {
        "label": words(label),
        "path": "M" + "L".join(f"{mark['x']} {mark['y']}" for mark in marks),
        "points": marks,
        "words": f"{words(label)}. {said}",
    }


def _places(points: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[str]]:
    """Return where the exams stand: at their dates where all have one, else one after the other."""
    days = [point.get("study_date") or "" for point in points]
    if all(days) and len(set(days)) == len(days):
        times = [float(date.fromisoformat(day).toordinal()) for day in days]
    else:
        times = [float(n) for n in range(len(days))]
    low, high = min(times), max(times)
    wide = (high - low) or 1.0
    across = [LEFT + (RIGHT - LEFT) * (time - low) / wide for time in times]
    return across, [day or str(n) for n, day in enumerate(days, 1)]


def _regions(response: Mapping[str, Any], words: Words) -> Texts:
    """Return the table of the regions."""
    rows = [
        [
            region_words(entry.get("region"), words),
            _or_dash(entry.get("category")),
            _or_dash(entry.get("worst")),
            _or_dash(entry.get("marrow")),
            str(entry.get("lesions", "")),
            _volumes(entry, words),
        ]
        for entry in response.get("regions", ())
    ]
    heads = ("Region", "Category", "Worst", "Marrow between", "Lesions", "Volume, ml")
    return {"title": words("Response by region"), "heads": [words(head) for head in heads], "rows": rows}


def _lesions(response: Mapping[str, Any], words: Words) -> Texts:
    """Return the table of the lesions."""
    rows = [
        [
            _or_dash(entry.get("id")),
            _or_dash(entry.get("baseline_id")),
            region_words(entry.get("region"), words),
            words(str(entry.get("fate", "")).replace("_", " ")),
            words("rejected") if entry.get("is_rejected") else _or_dash(entry.get("category")),
            _volumes(entry, words),
            "; ".join(sentence(reason, words) for reason in entry.get("reasons", ())),
        ]
        for entry in response.get("lesions", ())
    ]
    heads = ("Lesion", "Earlier", "Region", "Fate", "Category", "Volume, ml", "Why")
    return {"title": words("Response by lesion"), "heads": [words(head) for head in heads], "rows": rows}


def _or_dash(value: object) -> str:
    return DASH if value is None else str(value)


def _volumes(entry: Mapping[str, Any], words: Words) -> str:
    ends = [entry.get(f"volume_{name}_ml") for name in ("before", "after")]
    before, after = (DASH if end is None else volume_words(end, words) for end in ends)
    return f"{before} \N{RIGHTWARDS ARROW} {after}"
