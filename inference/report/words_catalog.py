"""The languages of the report: every text is written in English and looked up in a catalogue.

A catalogue (`words.fr.json`, `words.de.json`) maps English texts to another language. A text may hold
places, as in `lesion {id} measures {size} mm`: the same places stand in the translation, and what is found
there is looked up again. A text that no catalogue knows stays English; the page marks it so, for screen
readers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

from marrowmap.data.errors import SettingsError

Language = Literal["en", "fr", "de"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
LANGUAGE_NAMES: Mapping[Language, str] = {"en": "English", "fr": "français", "de": "Deutsch"}

_PLACE = re.compile(r"\{(\w+)\}")
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")
#: Places where only a number can stand: else a sentence that nobody knows would be half translated.
_NUMERIC = frozenset({"id", "count", "size", "volume", "times", "share", "distance", "probability", "limit"})
_MOST_NESTED = 4


@dataclass(frozen=True, kw_only=True)
class Words:
    """One language.

    Attributes:
        language: Its code, as in `<html lang>`.
        exact: Translation by English text without places.
        patterns: English texts with places as expressions, the most specific first, and translations.
        found: What was looked up so far; a page says many texts many times.
    """

    language: Language = "en"
    exact: Mapping[str, str] = field(default_factory=dict)
    patterns: tuple[tuple[re.Pattern[str], str], ...] = ()
    found: dict[str, str | None] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, text: str) -> str:
        """Return a text in this language, or as it is where no translation is known."""
        found = self._look_up_once(text)
        return text if found is None else found

    def knows(self, text: str) -> bool:
        """Return whether a text can be said in this language."""
        return self._look_up_once(text) is not None

    def fill(self, text: str, **values: object) -> str:
        """Return a text in this language with its places filled; the values are as they shall stand."""
        return _filled(self.exact.get(text, text), values)

    def number(self, text: str) -> str:
        """Return a number as it is written in this language: `0.5` as `0,5`."""
        return text if self.language == "en" else text.replace(".", ",")

    def _look_up_once(self, text: str) -> str | None:
        if self.language != "en" and text not in self.found:
            self.found[text] = self._look_up(text, 0)
        return text if self.language == "en" else self.found[text]

    def _look_up(self, text: str, depth: int) -> str | None:
        if text in self.exact:
            return self.exact[text]
        for pattern, translation in self.patterns if depth < _MOST_NESTED else ():
            match = pattern.fullmatch(text)
            if match:
                values = {name: self._value(found, depth) for name, found in match.groupdict().items()}
                return _filled(translation, values)
        return None

    def _value(self, text: str, depth: int) -> str:
        """Return what stands in a place: a number, a list of texts that are known, or one such text."""
        if _NUMBER.fullmatch(text):
            return self.number(text)
        for joint in ("; ", ", ", " or "):
            parts = [self._look_up(part, depth + 1) for part in text.split(joint)]
            if len(parts) > 1 and None not in parts:
                return self.exact.get(joint, joint).join(map(str, parts))
        found = self._look_up(text, depth + 1)
        return text if found is None else found


ENGLISH = Words()


@cache
def words_of(language: str) -> Words:
    """Return a language by its code.

    Raises:
        SettingsError: If the report is not written in it.
    """
    if language not in LANGUAGES:
        raise SettingsError(f"need a language of {', '.join(LANGUAGES)}, found {language!r}")
    if language == "en":
        return ENGLISH
    catalogue = read_catalogue(language)
    with_places = [text for text in catalogue if _PLACE.search(text)]
    with_places.sort(key=_specific, reverse=True)
    return Words(
        language=language,
        exact=catalogue,
        patterns=tuple((_pattern(text), catalogue[text]) for text in with_places),
    )


def read_catalogue(language: str) -> dict[str, str]:
    """Return the catalogue of a language other than English, as it ships with the package."""
    file = files("marrowmap.inference.report") / f"words.{language}.json"
    return json.loads(file.read_text(encoding="utf-8"))


def _specific(text: str) -> tuple[int, int]:
    """Return how specific a text with places is: what it begins with counts before how long it is."""
    return text.index("{"), len(_PLACE.sub("", text))


def _filled(template: str, values: Mapping[str, object]) -> str:
    """Return a text with its places filled; a place without a value stays."""
    return _PLACE.sub(lambda place: str(values.get(place[1], place[0])), template)


def _pattern(text: str) -> re.Pattern[str]:
    """Return an expression that finds a text whatever stands in its places."""
    parts = _PLACE.split(text)  # literal, name, literal, name ... literal
    found = ""
    for place, part in enumerate(parts):
        anything = r"[-+]?\d+(?:\.\d+)?" if part in _NUMERIC else ".+?"
        found += re.escape(part) if place % 2 == 0 else f"(?P<{part}>{anything})"
    return re.compile(found, re.DOTALL)
