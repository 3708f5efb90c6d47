"""Which subgroups an exam belongs to, from `truth.json` and, where that says nothing, from the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNKNOWN = "unknown"
#: Lower edges of the age bands, years.
AGE_EDGES = (50, 60, 70, 80)
#: Sequences beside high-b diffusion, by the words of `truth.json`; either of two fills a channel.
WANTED = {"t1": ("t1",), "stir": ("stir", "t2"), "adc": ("adc", "dwi_low"), "dixon": ("dixon_fat",)}


def subgroups_of(truth: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, str]:
    """Return the exam's subgroup of each kind, `unknown` where nobody says.

    Args:
        truth: `truth.json`, empty for an annotated exam without one.
        report: `report.json`, empty without one.
    """
    person, study = truth.get("person", {}), report.get("study", {})
    acquisition = truth.get("acquisition", {})
    field_strength_t = acquisition.get("field_strength_t") or study.get("field_strength_t")
    age = person.get("age_years", study.get("patient_age_years"))
    return {
        "sex": str(person.get("sex") or study.get("patient_sex") or UNKNOWN),
        "age": age_band(age),
        "vendor": str(truth.get("vendor") or study.get("vendor") or UNKNOWN),
        "field_strength": f"{field_strength_t:g} T" if field_strength_t else UNKNOWN,
        "pattern": str(truth.get("pattern") or UNKNOWN),
        "missing_sequence": _missing(acquisition, study),
    }


def age_band(age_years: float | None) -> str:
    """Return the band of an age.

    Example:
        >>> age_band(49.9), age_band(50), age_band(85), age_band(None)
        ('below 50', '50-59', '80 or more', 'unknown')
    """
    if age_years is None:
        return UNKNOWN
    passed = [edge for edge in AGE_EDGES if age_years >= edge]
    if not passed:
        return f"below {AGE_EDGES[0]}"
    return f"{passed[-1]} or more" if passed[-1] == AGE_EDGES[-1] else f"{passed[-1]}-{passed[-1] + 9}"


def _missing(acquisition: Mapping[str, Any], study: Mapping[str, Any]) -> str:
    """Return the sequences that were not acquired, as words: `none`, `stir`, `adc and t1`."""
    if "stations" in acquisition:
        had = set(acquisition["stations"])
        missing = [name for name, words in WANTED.items() if not had & set(words)]
    elif "missing_sequences" in study:
        missing = list(study["missing_sequences"])
    else:
        return UNKNOWN
    return " and ".join(sorted(missing)) or "none"
