from __future__ import annotations

import re
from typing import Any

import pytest

from marrowmap.data.errors import SettingsError
from marrowmap.inference.alerts import REGION_LABELS
from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.report.words import (
    RULE_TITLES,
    SEQUENCE_WORDS,
    headline,
    is_known,
    key_words,
    sentence,
    value_words,
)
from marrowmap.inference.report.words_catalog import ENGLISH, read_catalogue, words_of
from marrowmap.inference.staging.all_rules import stage_all
from marrowmap.inference.staging.imaging import FocalLesion, ImagingFindings

OTHERS = ("fr", "de")


@pytest.mark.parametrize("language", OTHERS)
def test_every_translation_keeps_the_places_of_its_text(language: str) -> None:
    for text, translation in read_catalogue(language).items():
        places = [sorted(re.findall(r"\{(\w+)\}", said)) for said in (text, translation)]
        assert places[0] == places[1], text


def test_both_catalogues_know_the_same_texts() -> None:
    assert set(read_catalogue("fr")) == set(read_catalogue("de"))


@pytest.mark.parametrize("language", OTHERS)
def test_every_word_of_the_page_is_known(language: str) -> None:
    words = words_of(language)
    template = page_texts()
    names = {"ISS", "R-ISS", "R2-ISS", "Durie-Salmon PLUS", "T1", "T2", "STIR", "ADC"}
    named = [*RULE_TITLES.values(), *SEQUENCE_WORDS.values(), *REGION_LABELS.values()]
    assert len(template) > 80
    assert [text for text in [*template, *named] if not words.knows(text) and text not in names] == []


def page_texts() -> list[str]:
    """Return every text of the page's template."""
    from importlib.resources import files

    page = (files("marrowmap.inference.report") / "report.html.j2").read_text(encoding="utf-8")
    return list(dict.fromkeys(re.findall(r'\bt(?:\.fill)?\("([^"]+)"', page)))


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("count", [0, 1, 3, 10, 25])
def test_everything_that_the_rules_warn_of_is_known(language: str, count: int) -> None:
    words = words_of(language)
    lesion = FocalLesion(diameter_mm=30.0, perpendicular_diameter_mm=20.0, probability=0.8)
    doubtful = FocalLesion(diameter_mm=30.0, perpendicular_diameter_mm=20.0, certainty="equivocal")
    imaging = ImagingFindings(lesions=(*[lesion] * count, doubtful), diffuse_grade="mild")
    for clinical in (ClinicalInput(), ClinicalInput(primary_cancer="breast", plasma_cells_percent=5.0)):
        for result in stage_all(imaging, clinical).values():
            assert [text for text in result.warnings if not words.knows(text)] == []
            missing = [key_words(key, with_unit=False) for key in result.missing]
            assert [text for text in missing if not words.knows(text) and "(" not in text] == []


def test_numbers_and_lists_within_a_sentence_are_said_too() -> None:
    french = words_of("fr")
    assert sentence("dwi_high: stations differ by 12 % in their overlap at z = 3.5 mm", french) == (
        "DWI à b élevé\u00a0: les stations diffèrent de 12\u00a0% dans leur recouvrement à z = 3,5 mm"
    )
    assert french("not imaged as a whole: skull; humeri; more lesions may lie there") == (
        "pas entièrement imagé\u00a0: crâne; humérus\u00a0; d'autres lésions peuvent s'y trouver"
    )


def test_a_text_that_nobody_translated_stays_english_and_is_told() -> None:
    german = words_of("de")
    assert german("a text of tomorrow") == "a text of tomorrow"
    assert not is_known("a text of tomorrow", german)
    assert is_known("a text of tomorrow", ENGLISH)


def test_a_sentence_that_only_begins_like_a_known_one_is_not_half_translated() -> None:
    text = "Lesion 1 reaches the canal: possible cord compression."  # not `Lesion {id}: {reasons}`
    assert words_of("fr")(text) == text
    assert words_of("fr")("Lesion 1: 40 mm, 12.5 ml") == "Lésion 1\u00a0: 40 mm, 12,5 ml"


def test_a_place_without_a_value_stays() -> None:
    assert words_of("de").fill("stage {stage}") == "Stadium {stage}"
    assert words_of("de").fill("stage {stage}", stage="II") == "Stadium II"


def test_a_language_that_is_not_there_is_refused() -> None:
    with pytest.raises(SettingsError, match="need a language of en, fr, de, found 'it'"):
        words_of("it")


@pytest.mark.parametrize("language", OTHERS)
def test_no_headline_ever_excludes_myeloma(language: str, clean_report: dict[str, Any]) -> None:
    said = headline(clean_report, words_of(language))
    assert {"fr": "n'exclut pas un myélome", "de": "schließt ein Myelom nicht aus"}[language] in said


def test_a_stage_is_said_in_the_language() -> None:
    assert value_words("iss", "II", words_of("fr")) == "stade II"
    assert value_words("walker_7_lesions", True, words_of("de")) == "ja"
