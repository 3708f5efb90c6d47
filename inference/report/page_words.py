"""The report's values as the texts, bars and rows that the page prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marrowmap.data.skeleton import Region
from marrowmap.inference.report.words import (
    PATTERN_WORDS,
    RULE_TITLES,
    STATUS_WORDS,
    grade_words,
    key_words,
    number_words,
    plain,
    region_words,
    sequence_words,
    short_words,
    value_words,
)

Report = Mapping[str, Any]
Texts = dict[str, Any]

#: What an exam is expected to have; absence is named at the top of the page.
WANTED_SEQUENCES = (
    (frozenset({"t1", "dixon_in", "dixon_fat"}), "T1 or Dixon"),
    (frozenset({"stir", "t2"}), "STIR or fat-suppressed T2"),
    (frozenset({"dwi_low"}), "low-b diffusion"),
    (frozenset({"adc"}), "ADC"),
    (frozenset({"fat_fraction", "dixon_fat"}), "fat fraction (Dixon)"),
)
STAGE_EXTRAS = ("points", "events", "factors")
DASH = "\N{EN DASH}"
COVERAGE_WORDS = {"partial": "imaged in part", "absent": "not imaged or not found"}
#: Alerts that say what is unknown, not what is there: amber, not red. Coverage has a line of its own.
MILD_ALERTS = frozenset({"diffuse_grade_unknown"})


def key_figures(report: Report) -> list[Texts]:
    """Return the few numbers at the top of the page: label, value, unit and a note."""
    counts, burden, pattern = report["counts"], report["burden"], report["pattern"]
    fraction = burden["marrow_fraction"]
    adc = burden["adc_um2_per_s"]["median"]
    share = "marrow not measured" if fraction is None else f"{100 * fraction:.2g} % of the marrow imaged"
    visible = f"{counts['active']} active, {counts['equivocal']} equivocal"
    adc_figure = ("none", "") if adc is None else (f"{adc:.0f}", "µm²/s")
    grade = f"diffuse grade: {grade_words(pattern['diffuse_grade'])}"
    return [
        _figure("Focal lesions", counts["focal_5mm"], "", "certain, 5 mm or more"),
        _figure("Visible lesions", counts["visible"], "", visible),
        _figure("Tumour volume", f"{burden['tumour_volume_ml']:.1f}", "ml", share),
        _figure("Median lesion ADC", *adc_figure, "all lesion tissue"),
        _figure(
            "Pattern",
            PATTERN_WORDS[pattern["label"]],
            "",
            grade,
        ),
    ]


def lesion_texts(lesion: Mapping[str, Any]) -> Texts:
    """Return the cells of one lesion."""
    benign = lesion["suspected_benign"]
    fat = lesion["fat_fraction"]
    adc = lesion["adc_um2_per_s"]
    texts: Texts = {
        "region": region_words(lesion["region"]),
        "kind": lesion["kind"],
        "diameter": f"{lesion['longest_diameter_mm']:.1f} ± {lesion['diameter_uncertainty_mm']:.1f}",
        "perpendicular": f"{lesion['perpendicular_diameter_mm']:.1f}",
        "volume": _volume(lesion["volume_ml"]),
        "adc": DASH if adc["median"] is None else f"{adc['median']:.0f}",
        "adc_range": "" if adc["p10"] is None else f"{adc['p10']:.0f} to {adc['p90']:.0f}",
        "fat": DASH if fat is None else f"{100 * fat:.0f} %",
        "probability": f"{100 * lesion['probability']:.0f} %",
        "certainty": lesion["certainty"],
        "status": lesion["status"],
        "benign": f"suspected {benign.replace('_', ' ')}" if benign else "",
        "reasons": "; ".join(plain(text) for text in lesion.get("reasons", ())),
    }
    texts["summary"] = (
        f"Lesion {lesion['id']}: {texts['region']}\n{texts['diameter']} mm, {texts['volume']} ml\n"
        f"ADC {texts['adc']} µm²/s, probability {texts['probability']}\n"
        + ", ".join(filter(None, (texts["certainty"], texts["status"], texts["benign"])))
    )
    return texts


def region_rows(report: Report) -> list[Texts]:
    """Return the burden by region from head to thigh, with a bar of 0 to 100 by volume."""
    counts, burdens = report["counts"]["by_region"], report["burden"]["by_region"]
    volumes = {region: burdens.get(region.key, {}).get("tumour_volume_ml", 0.0) for region in Region}
    top = max(volumes.values(), default=0.0) or 1.0
    return [
        {
            "label": region.label,
            "coverage": COVERAGE_WORDS.get(report["study"]["coverage"].get(region.key, ""), ""),
            "count": counts.get(region.key, 0),
            "volume": _volume(volumes[region]),
            "fraction": _percent(burdens.get(region.key, {}).get("marrow_fraction")),
            "bar": round(100 * volumes[region] / top, 1),
        }
        for region in Region
    ]


def stage_cards(report: Report) -> list[Texts]:
    """Return one card a rule: those with a value first, in the order of `RULE_TITLES`."""
    order = {name: position for position, name in enumerate(RULE_TITLES)}
    names = sorted(report["staging"], key=lambda name: order.get(name, len(order)))
    cards = [_stage_card(name, report["staging"][name]) for name in names]
    return sorted(cards, key=lambda card: ("known", "unknown", "not_applicable").index(card["class"]))


def notices(report: Report) -> list[Texts]:
    """Return what a reader must see first: alerts, then what is missing, then image quality."""
    study = report["study"]
    alerts = [_alert(alert) for alert in report["alerts"] if alert["code"] != "coverage_gap"]
    missing = _missing_sequences(study)
    gaps = [
        f"{region_words(key)} {COVERAGE_WORDS[state]}"
        for key, state in study["coverage"].items()
        if state in COVERAGE_WORDS
    ]
    named = [_notice("Missing sequences", ", ".join(missing))] if missing else []
    gone = [_notice("Coverage", "; ".join(gaps) + ": unknown there, not normal")] if gaps else []
    return (
        alerts + named + gone + [_notice("Image quality", warning["text"]) for warning in study["warnings"]]
    )


def histogram_bars(report: Report) -> Texts | None:
    """Return the ADC histogram as bar heights of 0 to 100 with its range; None without one."""
    histogram = report["burden"]["adc_um2_per_s"].get("histogram")
    if not histogram or not any(histogram["counts"]):
        return None
    edges, counts = histogram["edges_um2_per_s"], histogram["counts"]
    top = max(counts)
    return {
        "bars": [round(100 * count / top, 1) for count in counts],
        "low": f"{edges[0]:.0f}",
        "middle": f"{(edges[0] + edges[-1]) / 2:.0f}",
        "high": f"{edges[-1]:.0f}",
    }


def pairs(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return keys and values as words, for a description list; empty lists say nothing."""
    return [(key_words(key), number_words(value)) for key, value in values.items() if value not in ([], {})]


def sequence_list(report: Report) -> str:
    """Return the sequences found, in words."""
    return ", ".join(sequence_words(name) for name in report["study"]["sequences"])


def _known(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs that were there; the others stand under what is missing."""
    return {key: value for key, value in inputs.items() if value not in (None, [], {})}


def _stage_card(name: str, stage: Mapping[str, Any]) -> Texts:
    """Return the texts of one rule."""
    value, status = stage["value"], stage["status"]
    state = status if status in ("unknown", "not_applicable") else "known" if value is not None else "unknown"
    suffix = f" {stage['suffix']}" if stage.get("suffix") and value is not None else ""
    extras = {key: stage[key] for key in STAGE_EXTRAS if stage.get(key) not in (None, [], {})}
    return {
        "class": state,
        "title": RULE_TITLES.get(name, key_words(name)),
        "value": "does not apply" if state == "not_applicable" else value_words(name, value) + suffix,
        "candidates": _candidates(name, stage),
        "status": STATUS_WORDS[status],
        "bars": [_bar(name, *item) for item in stage["probabilities"].items()],
        "inputs": pairs(_known(stage["inputs"]) | extras),
        "missing": ", ".join(key_words(key, with_unit=False) for key in stage["missing"]),
        "rule": stage["rule"],
        "source": stage["source"],
        "warnings": [plain(text) for text in stage["warnings"]],
    }


def _candidates(name: str, stage: Mapping[str, Any]) -> str:
    """Return the values still possible; nothing where the value is known."""
    left = stage.get("candidates", ()) if stage["value"] is None else ()
    return ", ".join(short_words(name, item) for item in left)


def _bar(rule: str, value: str, probability: float) -> Texts:
    """Return one probability bar: words, percent, and a length of 0 to 100."""
    percent = 100 * probability
    return {"label": short_words(rule, value), "percent": f"{percent:.0f} %", "length": round(percent, 1)}


def _figure(label: str, value: object, unit: str, note: str) -> Texts:
    """Return one number at the top of the page."""
    return {"label": label, "value": value, "unit": unit, "note": note}


def _notice(title: str, text: str) -> Texts:
    """Return one amber line."""
    return {"level": "notice", "title": title, "text": text}


def _alert(alert: Mapping[str, Any]) -> Texts:
    """Return one alert, red unless it only says that something is unknown."""
    is_mild = alert["code"] in MILD_ALERTS
    level, title = ("notice", "Not known") if is_mild else ("alert", "Please check")
    return {"level": level, "title": title, "text": plain(alert["text"])}


def _is_mild(notice: Texts) -> bool:
    return notice["level"] != "alert"


def _missing_sequences(study: Mapping[str, Any]) -> list[str]:
    """Return the sequences that the report names as missing, or those that an exam should have."""
    if "missing_sequences" in study:
        return [sequence_words(name) for name in study["missing_sequences"]]
    return [text for wanted, text in WANTED_SEQUENCES if not wanted & set(study["sequences"])]


def _volume(volume_ml: float) -> str:
    """Return a volume in ml with the decimals that it deserves."""
    return f"{volume_ml:.2f}" if volume_ml < 10 else f"{volume_ml:.1f}"


def _percent(fraction: float | None) -> str:
    """Return a fraction in percent, a dash when it is unknown."""
    return DASH if fraction is None else f"{100 * fraction:.1f} %"
