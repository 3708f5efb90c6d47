"""The words of the report: what keys, codes and numbers say to a person.

Every function takes the language; texts are written in English here and looked up in its catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marrowmap.data.skeleton import REGION_LABELS
from marrowmap.inference.report.words_catalog import ENGLISH, Words

RESEARCH_USE = (
    "Research use only. Not a medical device. Every finding needs the review of a radiologist; "
    "this report never excludes myeloma."
)
SIMULATED_TRAINING = (
    "The network learned from simulated exams. Figures measured on simulated exams say little about "
    "patients. For scale, radiologist against radiologist on real myeloma diffusion: Dice 0.32."
)
REGION_WORDS = {region.key: label for region, label in REGION_LABELS.items()}

RULE_TITLES = {
    "durie_salmon_plus": "Durie-Salmon PLUS",
    "imwg_mri_mde": "IMWG myeloma-defining event on MRI",
    "imwg_2014": "IMWG 2014 diagnosis",
    "walker_7_lesions": "More than 7 focal lesions (Walker)",
    "rasche_large_lesions": "Three or more large lesions (Rasche)",
    "lecouvet_pattern": "Vertebral pattern (Lecouvet)",
    "my_rads": "MY-RADS response",
    "met_rads_p": "MET-RADS-P response",
    "durie_salmon": "Durie-Salmon 1975",
    "iss": "ISS",
    "r_iss": "R-ISS",
    "r2_iss": "R2-ISS",
    "smm_20_2_20": "Smouldering risk, 20-2-20",
    "smm_imwg_points": "Smouldering risk, IMWG points",
}
STATUS_WORDS = {
    "complete": "complete",
    "imaging_only": "imaging part only",
    "unknown": "unknown",
    "not_applicable": "does not apply",
}
VALUE_WORDS = {
    "imwg_2014": {
        "mgus": "MGUS",
        "light_chain_mgus": "light-chain MGUS",
        "igm_mgus": "IgM MGUS",
        "smouldering": "smouldering myeloma",
        "multiple_myeloma": "criteria of multiple myeloma met",
        "solitary_plasmacytoma_minimal_marrow": "solitary plasmacytoma, minimal marrow involvement",
        "none": "no category met by the inputs given",
        "inconsistent": "inconsistent inputs; biopsy advised by the rule",
    },
    "imwg_mri_mde": {
        "positive": "positive",
        "negative": "not shown on this MRI",
        "equivocal": "equivocal",
        "single_lesion": "single focal lesion",
    },
}
STAGED = frozenset({"durie_salmon", "durie_salmon_plus", "iss", "r_iss"})
SEQUENCE_WORDS = {
    "t1": "T1",
    "t2": "T2",
    "stir": "STIR",
    "dwi_low": "DWI low b",
    "dwi_high": "DWI high b",
    "adc": "ADC",
    "dixon_in": "Dixon in phase",
    "dixon_out": "Dixon opposed phase",
    "dixon_fat": "Dixon fat",
    "dixon_water": "Dixon water",
    "fat_fraction": "fat fraction",
    "t1_contrast": "T1 with contrast",
}
PATTERN_WORDS = {
    "normal": "none shown",
    "focal": "focal",
    "diffuse": "diffuse",
    "focal_on_diffuse": "focal on diffuse",
    "micronodular": "micronodular",
}
UNITS = {
    "_um2_per_s": "µm²/s",
    "_g_per_dl": "g/dL",
    "_mg_per_dl": "mg/dL",
    "_mg_per_l": "mg/L",
    "_u_per_l": "U/L",
    "_g_per_24h": "g/24 h",
    "_ml_per_min": "mL/min",
    "_mm2": "mm²",
    "_mm": "mm",
    "_ml": "ml",
    "_percent": "%",
    "_years": "years",
}
KEY_WORDS = {
    "r_disc": "T1, vertebrae over discs",
    "r_muscle": "T1, vertebrae over muscle",
    "adc_um2_per_s": "ADC of vertebrae (µm²/s)",
    "fat_fraction": "fat fraction of vertebrae",
    "dwi_to_muscle": "high-b signal, vertebrae over muscle",
    "t1_variation": "T1 variation within vertebrae",
    "vertebrae_t1_below_disc": "vertebrae darker than the disc on T1",
    "vertebral_lesion_share": "lesion share of the vertebrae",
    "vertebral_grade": "grade from the vertebrae",
    "label_if_equivocal_count": "pattern if equivocal lesions count",
    "imwg_mri_mde": "IMWG event on MRI",
    "fish.del17p": "del(17p)",
    "fish.t4_14": "t(4;14)",
    "fish.t14_16": "t(14;16)",
    "fish.gain_1q": "gain of 1q",
    "fish.del13q": "del(13q)",
}
CAPITALS = {
    word.lower(): word
    for word in (
        "ADC",
        "DWI",
        "T1",
        "T2",
        "STIR",
        "MRI",
        "CT",
        "FLC",
        "LDH",
        "FISH",
        "ISS",
        "FF",
        "PET",
        "PSA",
    )
} | {"m": "M", "um2": "µm²", "b900": "b900", "del17p": "del(17p)", "focal5mm": "focal 5 mm"}


NOTHING_FOUND = "No marrow lesion was found on this exam; this does not exclude myeloma."
NOTHING_FOCAL = "No focal marrow lesion was found; the marrow signal shows {kind}."
ONE_FOUND = "One marrow lesion was found: {size}."
MANY_FOUND = (
    "{count} marrow lesions were found; the staging rules count {focal} (certain, 5 mm or more). "
    "The largest: {size}."
)
ALSO_DIFFUSE = "Diffuse marrow change, grade {grade}."


def headline(report: Mapping[str, Any], words: Words = ENGLISH) -> str:
    """Return the one sentence that a reader must take away; it never excludes myeloma."""
    shown = [lesion for lesion in report["lesions"] if lesion["certainty"] != "rejected"]
    label, grade = report["pattern"]["label"], report["pattern"]["diffuse_grade"]
    if not shown:
        return nothing_sentence(label, grade, words)
    return " ".join(
        filter(None, (_lesions_sentence(report, shown, words), diffuse_sentence(label, grade, words)))
    )


def nothing_sentence(label: str, grade: str | None, words: Words = ENGLISH) -> str:
    """Return the headline without any lesion, for a pattern and a diffuse grade."""
    if not _is_diffuse(label, grade) and label == "normal":
        return words(NOTHING_FOUND)
    change = words.fill("a diffuse marrow change, grade {grade}", grade=grade_words(grade, words))
    kind = words("a micronodular pattern") if label == "micronodular" else change
    return words.fill(NOTHING_FOCAL, kind=kind)


def diffuse_sentence(label: str, grade: str | None, words: Words = ENGLISH) -> str:
    """Return what the headline adds for diffuse disease; nothing without it."""
    if not _is_diffuse(label, grade):
        return ""
    return words.fill(ALSO_DIFFUSE, grade=grade_words(grade, words))


def _is_diffuse(label: str, grade: str | None) -> bool:
    return label in {"diffuse", "focal_on_diffuse"} or grade in {"moderate", "severe"}


def _lesions_sentence(
    report: Mapping[str, Any], shown: Sequence[Mapping[str, Any]], words: Words = ENGLISH
) -> str:
    """Return how many lesions, how many of 5 mm or more, and the largest."""
    size = size_words(max(shown, key=lambda lesion: lesion["longest_diameter_mm"]), words)
    if len(shown) == 1:
        return words.fill(ONE_FOUND, size=size)
    return words.fill(MANY_FOUND, count=len(shown), focal=report["counts"]["focal_5mm"], size=size)


def size_words(lesion: Mapping[str, Any], words: Words = ENGLISH) -> str:
    """Return the size and place of a lesion: `40 mm, lumbar spine`."""
    return f"{lesion['longest_diameter_mm']:.0f} mm, {region_words(lesion['region'], words)}"


def grade_words(grade: str | None, words: Words = ENGLISH) -> str:
    """Return the diffuse grade; None could not be measured."""
    return words("not known" if grade is None else grade)


def pattern_words(label: str, words: Words = ENGLISH) -> str:
    """Return the words of a pattern label."""
    return words(PATTERN_WORDS[label])


def region_words(key: str | None, words: Words = ENGLISH) -> str:
    """Return the words of a region key; None is outside the skeleton."""
    return words(REGION_WORDS.get(key, key.replace("_", " ")) if key else "outside the skeleton")


def sequence_words(name: str, words: Words = ENGLISH) -> str:
    """Return the words of a sequence as it is named in files."""
    return words(SEQUENCE_WORDS.get(name, name.replace("_", " ")))


def value_words(rule: str, value: object, words: Words = ENGLISH) -> str:
    """Return what a stage value says, e.g. `II` of `iss` as `stage II`."""
    if value is None:
        return words("unknown")
    if isinstance(value, bool) or value in ("true", "false"):
        return words("yes" if value in (True, "true") else "no")
    if rule in STAGED:
        return words.fill("stage {stage}", stage=value)
    text = str(value)
    return words(VALUE_WORDS.get(rule, {}).get(text, text.replace("_", " ")))


def short_words(rule: str, value: object, words: Words = ENGLISH) -> str:
    """Return a stage value as in a list or beside a bar: `I`, `low intermediate`, `smouldering`."""
    if str(value).lower() in ("true", "false"):
        return words("yes" if str(value).lower() == "true" else "no")
    return plain(words(str(value).replace("_", " ")))


def key_words(key: str, words: Words = ENGLISH, *, with_unit: bool = True) -> str:
    """Return a key as words with its unit: `vertebral_adc_um2_per_s` as `vertebral ADC (µm²/s)`."""
    if key in KEY_WORDS:
        return words(KEY_WORDS[key])
    unit = next((suffix for suffix in UNITS if key.endswith(suffix)), "")
    stem = key.removesuffix(unit).strip("_")
    text = words(" ".join(CAPITALS.get(word, word) for word in stem.split("_")))
    return f"{text} ({words(UNITS[unit])})" if unit and with_unit else text


def plain(text: str) -> str:
    """Return a sentence of the report with its units as they are printed."""
    return text.replace("um2/s", "µm²/s").replace(">= ", "≥ ")


def sentence(text: str, words: Words = ENGLISH) -> str:
    """Return a sentence of the report in a language, its units as they are printed.

    A sentence about one sequence begins with its key: `dwi_high: stations differ ...`.
    """
    head, colon, rest = text.partition(": ")
    if colon and head in SEQUENCE_WORDS:
        return f"{sequence_words(head, words)}{words(': ')}{plain(words(rest))}"
    return plain(words(text))


def is_known(text: str, words: Words) -> bool:
    """Return whether a sentence can be said in a language; where not, it stays English."""
    head, _, rest = text.partition(": ")
    return words.knows(rest if head in SEQUENCE_WORDS else text)


def number_words(value: object, words: Words = ENGLISH) -> str:
    """Return any JSON value for a person: three significant digits, `not assessed` for None."""
    if value is None:
        return words("not assessed")
    if isinstance(value, bool):
        return words("yes" if value else "no")
    if isinstance(value, float):
        return words.number(f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}")
    if isinstance(value, Mapping):
        items = (f"{key_words(str(key), words)}: {number_words(item, words)}" for key, item in value.items())
        return "; ".join(items) or words("none")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(number_words(item, words) for item in value) or words("none")
    return plain(words(str(value).replace("_", " ")))
