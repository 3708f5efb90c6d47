"""What the names of NIfTI files say: our own words, BIDS entities, the channels of nnU-Net raw data.

Ours: `t1.nii.gz`, `t2`, `stir`, `dixon_in`, `dixon_out`, `dixon_fat`, `dixon_water`, `fat_fraction`,
`t1_contrast`, `adc`, `dwi_b50`, `dwi_b900` (any b; also `dwi_low`, `dwi_high`), each optionally with
`_station1`, `_station2` ...; `dwi.nii.gz` with four axes and `dwi.bval` beside it.

BIDS: `sub-1[_ses-2][_acq-stir][_ce-gd][_chunk-1]_T2w.nii.gz`. The acquisition label tells what the suffix
does not: `stir`, `dixonfat`, `dixonwater`, `dixonin`, `dixonout`, `dixonfraction`, `b900`; `ce` is contrast,
`chunk` the station, `param-adc_dwimap` or the suffix `ADC` the ADC map.

nnU-Net: `case_0000.nii.gz`, what `0000` shows stands in `channel_names` of `dataset.json`, in our words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from marrowmap.data.errors import StudyError
from marrowmap.data.exam import Sequence

_ENDINGS = (".nii.gz", ".nii")
_STATION = re.compile(r"[_-]?station[_-]?(\d+)$")
_CHANNEL = re.compile(r"^(.*)_(\d{4})$")
_B_VALUE = re.compile(r"^(?:dwi|trace)?[_-]?b(\d+)$")
#: What an annotator drew, beside the images or among derivatives; it is no volume of the exam.
ANNOTATION = re.compile(r"(?:^truth_|(?:label|desc)-)(?P<what>lesion|region)s?(?:_(?:mask|dseg))?$")
_SYNONYMS = {
    "t1w": "t1",
    "t2w": "t2",
    "t1_gd": "t1_contrast",
    "t1c": "t1_contrast",
    "fat": "dixon_fat",
    "water": "dixon_water",
    "in_phase": "dixon_in",
    "out_phase": "dixon_out",
    "opp_phase": "dixon_out",
    "ff": "fat_fraction",
    "pdff": "fat_fraction",
}
#: BIDS acquisition labels by what they begin with.
_ACQUISITIONS = (
    ("stir", "stir"),
    ("tirm", "stir"),
    ("t2fs", "stir"),
    ("fs", "stir"),
    ("dixonfraction", "fat_fraction"),
    ("dixonfat", "dixon_fat"),
    ("dixonwater", "dixon_water"),
    ("dixonin", "dixon_in"),
    ("dixonout", "dixon_out"),
)


@dataclass(frozen=True, kw_only=True)
class NamedFile:
    """A NIfTI file and what its name says.

    Attributes:
        path: The file.
        sequence: What it shows; None for diffusion with the b-value still to come from a `.bval` file.
        b_value_s_per_mm2: b from the name, if any.
        station: Station number, 0 without one.
        case: Whose it is: a BIDS subject and session, an nnU-Net case; empty in a folder of one exam.
    """

    path: Path
    sequence: Sequence | None
    b_value_s_per_mm2: float | None = None
    station: int = 0
    case: str = ""


def named_files(path: Path) -> tuple[list[NamedFile], list[str]]:
    """Return the files of a folder, at any depth, that have a known name, and the names of the others.

    Args:
        path: The folder.

    Returns:
        Files by case and station; the names of NIfTI files that say nothing known.

    Raises:
        StudyError: If a `dataset.json` cannot be read.
    """
    channels = _nnunet_channels(path)
    named, unknown = [], []
    for file in sorted(p for p in path.rglob("*") if p.name.lower().endswith(_ENDINGS)):
        known = _named(file, channels)
        if known:
            named.append(known)
        elif not ANNOTATION.search(stem_of(file).lower()):
            unknown.append(file.name)
    return sorted(named, key=lambda f: (f.case, f.station)), unknown


def stem_of(file: Path) -> str:
    """Return a file's name without `.nii` or `.nii.gz`, as written."""
    return next(file.name[: -len(e)] for e in _ENDINGS if file.name.lower().endswith(e))


def _nnunet_channels(path: Path) -> Mapping[str, str]:
    """Return nnU-Net's channel words by their four digits, empty without a `dataset.json`.

    Raises:
        StudyError: If there is one without channel names.
    """
    for folder in (path, path.parent):
        description = folder / "dataset.json"
        if description.is_file():
            try:
                names = json.loads(description.read_text())["channel_names"]
                return {f"{int(number):04d}": str(name).lower() for number, name in names.items()}
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise StudyError(
                    f"{description.name} has no readable channel_names; repair or remove it"
                ) from error
    return {}


def _named(file: Path, channels: Mapping[str, str]) -> NamedFile | None:
    """Return what a file's name says, None if it says nothing known."""
    stem = stem_of(file).lower()
    channel = _CHANNEL.match(stem)
    if channel and channel.group(2) in channels:
        return _by_word(file, channels[channel.group(2)], station=0, case=channel.group(1))
    if stem.startswith("sub-"):
        return _bids(file, stem)
    station = _STATION.search(stem)
    return _by_word(file, _STATION.sub("", stem), station=int(station.group(1)) if station else 0, case="")


def _bids(file: Path, stem: str) -> NamedFile | None:
    """Return what a BIDS name says."""
    *pairs, suffix = stem.split("_")
    entities = dict(pair.split("-", 1) for pair in pairs if "-" in pair)
    case = "_".join(f"{key}-{entities[key]}" for key in ("sub", "ses") if key in entities)
    chunk = entities.get("chunk", "")
    station = int(chunk) if chunk.isdigit() else 0
    acquisition = entities.get("acq", "")
    by_acquisition = next((word for start, word in _ACQUISITIONS if acquisition.startswith(start)), "")
    if suffix == "dwimap":
        word = entities.get("param", "") or entities.get("desc", "")
    elif suffix == "dwi":
        word = acquisition if _B_VALUE.match(acquisition) else "dwi"
    elif "ce" in entities and suffix == "t1w":
        word = "t1_contrast"
    else:
        word = by_acquisition if suffix in ("t1w", "t2w") and by_acquisition else suffix
    return _by_word(file, word, station=station, case=case)


def _by_word(file: Path, word: str, *, station: int, case: str) -> NamedFile | None:
    """Return a file under one of our words, None for any other word."""
    word = _SYNONYMS.get(word, word)
    b_value = _B_VALUE.match(word)
    if b_value:
        b = float(b_value.group(1))
        return NamedFile(path=file, sequence=None, b_value_s_per_mm2=b, station=station, case=case)
    if word == "dwi":
        return NamedFile(path=file, sequence=None, station=station, case=case)
    if word in set(Sequence):
        return NamedFile(path=file, sequence=Sequence(word), station=station, case=case)
    return None
