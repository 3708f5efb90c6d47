"""What each rule says, as the texts of a card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marrowmap.inference.report.words import (
    RULE_TITLES,
    STATUS_WORDS,
    key_words,
    number_words,
    sentence,
    short_words,
    value_words,
)
from marrowmap.inference.report.words_catalog import ENGLISH, Words

Report = Mapping[str, Any]
Texts = dict[str, Any]

STAGE_EXTRAS = ("points", "events", "factors")


def stage_cards(report: Report, words: Words = ENGLISH) -> list[Texts]:
    """Return one card a rule: those with a value first, in the order of `RULE_TITLES`."""
    order = {name: position for position, name in enumerate(RULE_TITLES)}
    names = sorted(report["staging"], key=lambda name: order.get(name, len(order)))
    cards = [stage_card(name, report["staging"][name], words) for name in names]
    return sorted(cards, key=lambda card: ("known", "unknown", "not_applicable").index(card["class"]))


def stage_card(name: str, stage: Mapping[str, Any], words: Words = ENGLISH) -> Texts:
    """Return the texts of one rule."""
    value, status = stage["value"], stage["status"]
    state = status if status in ("unknown", "not_applicable") else "known" if value is not None else "unknown"
    suffix = f" {stage['suffix']}" if stage.get("suffix") and value is not None else ""
    extras = {key: stage[key] for key in STAGE_EXTRAS if stage.get(key) not in (None, [], {})}
    inputs = _known(stage["inputs"]) | extras
    said = words("does not apply") if state == "not_applicable" else value_words(name, value, words) + suffix
    return {
        "name": name,
        "class": state,
        "title": words(RULE_TITLES.get(name, key_words(name))),
        "value": said,
        "candidates": _candidates(name, stage, words),
        "status": words(STATUS_WORDS[status]),
        "bars": [_bar(name, key, share, words) for key, share in stage["probabilities"].items()],
        "inputs": pairs(inputs, words),
        "input_keys": list(inputs),
        "missing": ", ".join(key_words(key, words, with_unit=False) for key in stage["missing"]),
        "rule": words(stage["rule"]),
        "source": stage["source"],
        "warnings": [sentence(text, words) for text in stage["warnings"]],
    }


def _known(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs that were there; the others stand under what is missing."""
    return {key: value for key, value in inputs.items() if value not in (None, [], {})}


def _candidates(name: str, stage: Mapping[str, Any], words: Words) -> str:
    """Return the values still possible; nothing where the value is known."""
    left = stage.get("candidates", ()) if stage["value"] is None else ()
    return ", ".join(short_words(name, item, words) for item in left)


def _bar(rule: str, value: str, probability: float, words: Words) -> Texts:
    """Return one probability bar: words, percent, and a length of 0 to 100."""
    percent = 100 * probability
    label = short_words(rule, value, words)
    return {"label": label, "percent": f"{percent:.0f} %", "length": round(percent, 1)}


def pairs(values: Mapping[str, Any], words: Words = ENGLISH) -> list[tuple[str, str]]:
    """Return keys and values as words, for a description list; empty lists say nothing."""
    kept = {key: value for key, value in values.items() if value not in ([], {})}
    return [(key_words(key, words), number_words(value, words)) for key, value in kept.items()]
