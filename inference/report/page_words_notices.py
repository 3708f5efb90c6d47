"""What a reader must see first, and what a reader should know: alerts, gaps, image quality, notes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from marrowmap.inference.report.words import is_known, region_words, sentence, sequence_words
from marrowmap.inference.report.words_catalog import ENGLISH, Words

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
COVERAGE_WORDS = {"partial": "imaged in part", "absent": "not imaged or not found"}
#: Alerts that say what is unknown, not what is there: amber, not red. Coverage has a line of its own.
MILD_ALERTS = frozenset({"diffuse_grade_unknown"})
#: Alerts whose text or presence follows from several lesions.
FOLLOWED_ALERTS = frozenset({"away_from_bone", "diffuse_grade_unknown"})
#: An alert that begins with a lesion is about this lesion alone.
LESION_NAMED = re.compile(r"Lesion (\d+)\b")


def notices(report: Report, words: Words = ENGLISH) -> list[Texts]:
    """Return what a reader must see first: alerts, then what is missing, then image quality."""
    study = report["study"]
    alerts = [_alert(alert, words) for alert in report["alerts"] if alert["code"] != "coverage_gap"]
    missing = _missing_sequences(study, words)
    gaps = [
        f"{region_words(key, words)} {words(COVERAGE_WORDS[state])}"
        for key, state in study["coverage"].items()
        if state in COVERAGE_WORDS
    ]
    named = [_notice(words("Missing sequences"), ", ".join(missing))] if missing else []
    unknown = words.fill("{regions}: unknown there, not normal", regions="; ".join(gaps))
    gone = [_notice(words("Coverage"), unknown)] if gaps else []
    quality = [_notice(words("Image quality"), sentence(w["text"], words)) for w in study["warnings"]]
    for notice, warning in zip(quality, study["warnings"], strict=True):
        notice["is_english"] = not is_known(warning["text"], words)
    return alerts + named + gone + quality


def note_lines(report: Report, words: Words = ENGLISH) -> list[Texts]:
    """Return what a reader should know of these findings: text and source."""
    return [
        {
            "text": sentence(note["text"], words),
            "source": note.get("source", ""),
            "is_english": not is_known(note["text"], words),
        }
        for note in report.get("notes", ())
    ]


def _notice(title: str, text: str) -> Texts:
    """Return one amber line."""
    return {
        "level": "notice",
        "title": title,
        "text": text,
        "is_english": False,
        "lesion": None,
        "code": None,
    }


def _alert(alert: Mapping[str, Any], words: Words) -> Texts:
    """Return one alert, red unless it only says that something is unknown."""
    is_mild = alert["code"] in MILD_ALERTS
    level, title = ("notice", "Not known") if is_mild else ("alert", "Please check")
    named = LESION_NAMED.match(alert["text"])
    return {
        "level": level,
        "title": words(title),
        "text": sentence(alert["text"], words),
        "is_english": not is_known(alert["text"], words),
        "lesion": int(named[1]) if named and alert["code"] != "away_from_bone" else None,
        "code": alert["code"] if alert["code"] in FOLLOWED_ALERTS else None,
    }


def _missing_sequences(study: Mapping[str, Any], words: Words) -> list[str]:
    """Return the sequences that the report names as missing, or those that an exam should have."""
    if "missing_sequences" in study:
        return [sequence_words(name, words) for name in study["missing_sequences"]]
    return [words(text) for wanted, text in WANTED_SEQUENCES if not wanted & set(study["sequences"])]
