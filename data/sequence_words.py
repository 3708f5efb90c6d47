"""Words by which scanners and people name sequences, in six languages.

Patterns are for plain text: lower case, no accents, words apart by single blanks.
"""

from __future__ import annotations

import re

from marrowmap.data.exam import Sequence


def matcher(pattern: str) -> re.Pattern[str]:
    """Return a pattern for whole words of a plain text (lower case, single blanks)."""
    return re.compile(rf"(?:^|\s)(?:{pattern})(?=\s|:|$)")


LOCALIZER = matcher(
    r"\S*loc(?:alizer|aliser|alise|alizador|alizzatore)?|scout\S*|survey\S*|surview|topogram\S*|lokali\S*|"
    r"localizz\S*|\S*reperage\S*|3 ?pl(?:ane)?|aahead\S*|aascout|"
    r"ubersicht\S*|planung\S*|overzicht\S*|scanogram\S*|centraje|centratura"
)
PROJECTION = matcher(r"\S*mip|minip|mpr\S*|projection\S*|inverted|invertiert\S*|\S*pjn")
CALCULATED = re.compile(
    r"calc ?b|\bcalc|computed|synthetic|\bcdwi|\bsdwi|berechnet|calcule|calcolat|calculad|berekend"
)
ADC = re.compile(
    r"adc(?:\s|$)|apparent diff|average dc|\bavdc\b|\bcda\b|difusion aparente|diffusion apparent|"
    r"diffusione apparente|schijnbare diffusie"
)
EXPONENTIAL = re.compile(r"\beadc|\bexp|exponential|\be adc")
DIXON = re.compile(r"dixon|ideal|\bflex\b|\bm?dix\w*|\bdx\b")
BALANCED = re.compile(r"trufi|fiesta|\bbtfe|\bbffe|true ?fisp|true ?ssfp|balanced")
MAP = re.compile(
    r"\b(?:t1|t2|t2s|t2star|r2|r2s|r2star|b0|b1|field) ?map|mapping|relaxometry|\bfa map|fraktion"
)
FAT_SUPPRESSED = matcher(
    r"\S*fs|fat ?sat\S*|fatsat\S*|fat sup\S*|fatsup\S*|spair\S*|spir|chess|fsat|"
    r"sat(?:uration)? (?:de )?graisse|"
    r"fettges\S*|fettsat\S*|fettunt\S*|(?:sat\S*|sup\S*) (?:de (?:la )?)?grasa|satgrasso|dixon w|"
    r"(?:sat\S*|sopp\S*) (?:del )?grasso|vet(?:sat|sup|verzad|onderdruk)\S*"
)
CONTRAST = matcher(
    r"gd|gado\S*|gad|post ?(?:gd|gad\S*|km|contrast\S*|contr\S*|inj\S*)|km|nach km|\+c|c\+|\+gd|\+km|"
    r"contrast\S*|"
    r"kontrast\S*|contraste|inject\S*|inj|mdc|dopo mdc|na contrast"
)
#: The same words after one that says the contrary: without, or before.
NO_CONTRAST = matcher(
    r"(?:without|w o|no|non|pre|unenhanced|ohne|vor|sans|avant|sin|antes|senza|prima|zonder|voor)"
    r"(?: (?:iv|i v|de|del|di|l))* ?(?:gd|gado\S*|gad|km|contrast\S*|kontrast\S*|inj\S*|iniez\S*|mdc|mezzo)"
)
STIR = matcher(r"\S*stir\S*|\S*tirm\S*")
T1 = matcher(r"\S*t1(?:w|tse|fse|fs|se|ffe)?|vibe\S*|lava\S*|thrive\S*|ethrive|flash\S*")
T2 = matcher(r"\S*t2(?:w|tse|fse|fs|se)?|haste\S*|ssfse\S*")
DIFFUSION = matcher(r"\S*dwi\S*|\S*diff\S*|dwibs\S*|\S*trace\S*|difus\S*|diffus\S*|revea\S*")

DIXON_TOKENS = {
    "W": "water",
    "WATER": "water",
    "F": "fat",
    "FAT": "fat",
    "IP": "in",
    "IN_PHASE": "in",
    "OP": "out",
    "OPP_PHASE": "out",
    "OUT_PHASE": "out",
    "FF": "fraction",
    "FAT_FRACTION": "fraction",
    "PDFF": "fraction",
}
DIXON_WORDS = (
    ("fraction", matcher(r"ff|pdff|fat ?fraction|fettanteil|fraction graisse\S*|fatfrac\S*")),
    (
        "out",
        matcher(
            r"out(?: of)? ?phase\S*|outphase\S*|opp\S*|op|out|gegenphase|fuori fase|uit fase|fase opuesta|"
            r"fase opposta|(?:in )?tegenfase"
        ),
    ),
    ("in", matcher(r"in ?phase\S*|ip|in|en phase|in fase|en fase")),
    ("water", matcher(r"w|water\S*|wasser\S*|eau|agua|acqua")),
    ("fat", matcher(r"f|fat|fett|graisse|grasa|grasso|vet|fatonly|fat only")),
)
DIXON_SEQUENCES = {
    "water": Sequence.DIXON_WATER,
    "fat": Sequence.DIXON_FAT,
    "in": Sequence.DIXON_IN,
    "out": Sequence.DIXON_OUT,
    "fraction": Sequence.FAT_FRACTION,
}
GE_PREFIX = re.compile(r"^(water|fat|inphase|outphase) ?:")
