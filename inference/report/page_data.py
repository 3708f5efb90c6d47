"""What the script of the page is given: the images, the tables to count with, and its words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from marrowmap.data.skeleton import Region
from marrowmap.inference.decisions import DECISIONS_SCHEMA
from marrowmap.inference.report import page_words, words
from marrowmap.inference.report.page_words_rules import stage_card
from marrowmap.inference.report.pictures import ReportPictures
from marrowmap.inference.report.slices import INVERTED
from marrowmap.inference.report.words_catalog import Words

Report = Mapping[str, Any]
#: What a rule says that the page hands on besides its card.
OUTCOME_KEYS = ("value", "status", "candidates", "suffix", "probabilities")
#: Of the card itself; title and source never change.
CARD_KEYS = ("class", "value", "status", "candidates", "inputs", "input_keys", "missing", "warnings")

_AWAY = "away from bone: extramedullary disease, or an organ that shines on diffusion."
AWAY_ONE, AWAY_MANY = f"Lesion {{id}} lies {_AWAY}", f"{{count}} lesions lie {_AWAY}"
SENTENCES = {
    "one": words.ONE_FOUND,
    "many": words.MANY_FOUND,
    "share": page_words.SHARE_NOTE,
    "visible": page_words.VISIBLE_NOTE,
    "grade": page_words.GRADE_NOTE,
    "pattern_line": page_words.PATTERN_LINE,
    "no_marrow": "marrow not measured",
    "none": "none",
    "still": "Still possible: {candidates}",
    "missing": "Missing",
    "inputs": "Inputs used",
    "degrees": "{degrees} degrees",
    "decided": "{rejected} rejected, {accepted} accepted: not saved.",
    "decided_saved": "{rejected} rejected, {accepted} accepted: saved as decisions.json.",
}


def page_data(
    report: Report, pictures: ReportPictures, review: Mapping[str, Any], said: Words
) -> dict[str, Any]:
    """Return everything that the script needs, as plain JSON values.

    Args:
        report: A report that follows the schema.
        pictures: What `draw_pictures` made of it.
        review: What `review_data` made of it, empty where no decision is taken.
        said: The language.
    """
    return {
        "images": _image_data(report, pictures),
        "lesions": {lesion["id"]: _lesion(lesion, said) for lesion in report["lesions"]},
        "review": _spoken(review, said) if review else {},
        "said": {
            **_sentences(said),
            "sequences": sequence_labels(report, pictures.sprites.grey),
            "values": {
                rule: {value: words.short_words(rule, value, said) for value in _values(table, review)}
                for rule, table in review.get("outcomes", {}).items()
            },
        },
    }


def script_json(data: Mapping[str, Any]) -> str:
    """Return JSON that cannot end its own element."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def sequence_labels(report: Report, names: Iterable[str]) -> dict[str, str]:
    """Return the sequences of the viewer in words: diffusion by its b-value where that is known."""
    b_value = report["study"].get("b_values_s_per_mm2", {}).get("dwi_high")
    label = INVERTED if b_value is None else f"b{b_value:.0f}"
    return {name: label if name == INVERTED else name for name in names}


def _image_data(report: Report, pictures: ReportPictures) -> dict[str, Any]:
    sprites, spin = pictures.sprites, pictures.rotation
    surest_last = sorted(report["lesions"], key=lambda one: (one["certainty"] == "certain", one["id"]))
    return {
        "shape": sprites.shape,
        "tile": sprites.tile,
        "across": sprites.tiles_across,
        "mm": [round(step, 4) for step in sprites.spacing_mm],
        "lesions": {
            lesion_id: [*marker.place, round(marker.radius, 1)]
            for lesion_id, marker in pictures.markers.items()
        },
        "runs": sprites.lesion_runs,
        "order": [lesion["id"] for lesion in surest_last],
        "windows": {
            name: {
                "coded": window.coded,
                "low": 0.0,
                "high": window.shown,
                "is_inverted": window.is_inverted,
                "unit": words.plain(window.unit),
            }
            for name, window in sprites.windows.items()
        },
        "spin": {
            "views": spin.views,
            "rows": spin.rows,
            "columns": spin.columns,
            "step": round(spin.step_mm, 4),
        },
    }


def _lesion(lesion: Mapping[str, Any], said: Words) -> dict[str, Any]:
    return {
        "mm": lesion["longest_diameter_mm"],
        "size": words.size_words(lesion, said),
        "certainty": lesion["certainty"],
        "benign": lesion["suspected_benign"],
        "benign_words": page_words.benign_words(lesion["suspected_benign"], said),
    }


def _spoken(review: Mapping[str, Any], said: Words) -> dict[str, Any]:
    """Return the tables with their texts in a language; outcomes that say the same are kept once."""
    cards: dict[str, int] = {}
    outcomes = {
        rule: {key: _place(rule, outcome, cards, said) for key, outcome in table.items()}
        for rule, table in review["outcomes"].items()
    }
    return {
        **review,
        "outcomes": outcomes,
        "cards": [json.loads(card) for card in cards],
        "counting": [entry | {"text": words.sentence(entry["text"], said)} for entry in review["counting"]],
        "biopsy": [
            {"lesion": c["lesion"], "text": page_words.biopsy_line(c["lesion"], c["reasons"], said)}
            for c in review["biopsy"]
        ],
    }


def _place(rule: str, outcome: Mapping[str, Any], cards: dict[str, int], said: Words) -> int:
    """Return the place of an outcome among the cards, which grow."""
    card = stage_card(rule, outcome, said)
    kept = {key: card[key] for key in CARD_KEYS}
    # Numbers that the page counts itself do not make another card.
    kept["inputs"] = [
        [label, "" if key in page_words.COUNT_INPUTS else value]
        for (label, value), key in zip(card["inputs"], card["input_keys"], strict=True)
    ]
    core = {key: outcome.get(key) for key in OUTCOME_KEYS}
    core["probabilities"] = {value: share for value, share in outcome["probabilities"].items() if share}
    text = json.dumps({"outcome": core, "card": kept})
    return cards.setdefault(text, len(cards))


def _values(table: Mapping[str, Mapping[str, Any]], review: Mapping[str, Any]) -> list[str]:
    """Return every value that a rule gives a probability to."""
    return list(dict.fromkeys(value for outcome in table.values() for value in outcome["probabilities"]))


def _sentences(said: Words) -> dict[str, Any]:
    """Return the texts with places that the script fills."""
    patterns = {label: words.pattern_words(label, said) for label in words.PATTERN_WORDS}
    grades = ("none", "mild", "moderate", "severe", None)
    keys = {f"{label}|{grade or ''}": (label, grade) for label in patterns for grade in grades}
    return {
        "decimal": said.number("."),
        "decisions_schema": DECISIONS_SCHEMA,
        "certainty": {name: said(name) for name in ("certain", "equivocal", "rejected")},
        "patterns": patterns,
        "evidence_patterns": {label: words.number_words(label, said) for label in patterns},
        "grades": {grade or "": words.grade_words(grade, said) for grade in grades},
        "nothing": {key: words.nothing_sentence(*pair, said) for key, pair in keys.items()},
        "diffuse": {key: words.diffuse_sentence(*pair, said) for key, pair in keys.items()},
        "regions": {region.key: words.region_words(region.key, said) for region in Region},
        "bands": page_words.BAND_LIMITS,
        "away": {"one": said.fill(AWAY_ONE), "many": said.fill(AWAY_MANY)},
        **{name: said.fill(text) for name, text in SENTENCES.items()},
    }
