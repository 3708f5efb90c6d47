"""b-values: where each vendor really writes them.

| vendor  | place | trap |
|---------|-------|------|
| public  | (0018,9087), enhanced: MR Diffusion Sequence | 0.0 on all Philips series; absent at b = 0 on GE |
| Siemens | (0019,xx0C), the CSA header, the sequence name `ep_b900t` | an ADC map carries one too |
| GE      | (0043,xx39), first number modulo 1e9 | 0 on every series without diffusion |
| Philips | (2001,xx03) | repeats of b = 0 coded 0.001, 0.002 ... |
| UIH     | (0065,xx0A), what the user asked for | (0065,xx09) is what the gradients gave |
| Canon   | public, or Image Comments `b=1500(0.445,0.000,0.895)` | nothing at all at b = 0 |
| Hitachi | public | nothing at all at b = 0 |
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from marrowmap.data.csa import csa_values
from marrowmap.data.tags import first_item, private

_GE_OFFSET = 1_000_000_000
_SEQUENCE_NAME = re.compile(r"ep_?b(\d+)[a-z#]*(?:\d+)?$", re.IGNORECASE)
_TEXT = re.compile(
    r"(?:^|[^a-z0-9])b(?:[ _=-]|val(?:ue)?[ _=-]?|wert[ _=-]?)?(\d{1,4})(?![0-9])", re.IGNORECASE
)
_CANON_COMMENT = re.compile(r"\bb=(\d+(?:\.\d+)?)\s*(\([^)]*\))?")
_DIRECTIONALITY = {"ISOTROPIC": "trace", "DIRECTIONAL": "directional", "BMATRIX": "directional"}


@dataclass(frozen=True, kw_only=True)
class BValue:
    """A diffusion weighting and where it was found.

    Attributes:
        s_per_mm2: The b-value, snapped to what a protocol says.
        source: Words for the report, such as `Siemens private tag`.
    """

    s_per_mm2: float
    source: str


def find_b_value(dataset: Dataset, frame: Dataset | None = None) -> BValue | None:
    """Return the b-value of an instance or of one frame.

    Args:
        dataset: The instance's header.
        frame: The frame's functional groups merged with the shared ones, for an enhanced instance.

    Returns:
        The b-value from tags (never from a description), None if there is none. A series whose every b is 0
        may be no diffusion at all: that is decided by the series, not here.
    """
    if frame is not None:
        return _enhanced(frame)
    for value, source in _candidates(dataset):
        number = _number(value)
        if number is not None:
            return BValue(s_per_mm2=snap(number % _GE_OFFSET), source=source)
    return None


def _candidates(dataset: Dataset) -> Iterator[tuple[Any, str]]:
    """Yield the places of a b-value, most trustworthy first; only those of the file's own vendor."""
    vendor = str(dataset.get("Manufacturer") or "").upper()
    if "UIH" in vendor or "UNITED" in vendor or not vendor:
        yield private(dataset, 0x0065, "Image Private Header", 0x0A), "UIH user b-value"
    yield dataset.get("DiffusionBValue"), "public tag"
    if "SIEMENS" in vendor or not vendor:
        yield private(dataset, 0x0019, "SIEMENS MR HEADER", 0x0C), "Siemens private tag"
        yield _csa_b_value(private(dataset, 0x0029, "SIEMENS CSA HEADER", 0x10)), "Siemens CSA header"
    if vendor.startswith("GE") or not vendor:
        yield private(dataset, 0x0043, "GEMS_PARM_01", 0x39), "GE private tag"
    if "PHILIPS" in vendor or not vendor:
        yield private(dataset, 0x2001, "Philips Imaging DD 001", 0x03), "Philips private tag"
    if "UIH" in vendor or "UNITED" in vendor:
        yield private(dataset, 0x0065, "Image Private Header", 0x09), "UIH actual b-value"
    if "CANON" in vendor or "TOSHIBA" in vendor:
        comment = _canon_comment(dataset)
        yield comment.group(1) if comment else None, "Canon image comment"
    yield _sequence_name_b(dataset), "sequence name"


def find_directionality(dataset: Dataset, frame: Dataset | None = None) -> str:
    """Return `trace`, `directional` or an empty string where nothing is said."""
    if frame is not None:
        item = first_item(frame, "MRDiffusionSequence")
        return _DIRECTIONALITY.get(str(item.get("DiffusionDirectionality", "")), "") if item else ""
    public = _DIRECTIONALITY.get(str(dataset.get("DiffusionDirectionality", "")), "")
    vendor = str(dataset.get("Manufacturer") or "").upper()
    if "CANON" in vendor or "TOSHIBA" in vendor:
        comment = _canon_comment(dataset)
        return public or ("directional" if comment and comment.group(2) else "")
    if public or not ("PHILIPS" in vendor or "SIEMENS" in vendor):
        return public
    if "PHILIPS" in vendor:
        letter = _text(private(dataset, 0x2001, "Philips Imaging DD 001", 0x04))[:1]
        return "trace" if letter == "I" else "directional" if letter in {"P", "M", "S", "O"} else ""
    return _DIRECTIONALITY.get(_text(private(dataset, 0x0019, "SIEMENS MR HEADER", 0x0D)).upper(), "")


def b_value_in_text(description: str) -> float | None:
    """Return the b-value that a description names (`DWI b900`), None without exactly one."""
    found = {float(match) for match in _TEXT.findall(description)}
    return snap(found.pop()) if len(found) == 1 else None


def snap(b_value: float) -> float:
    """Return a b-value as protocols say it: below 5 is 0, then the nearest 5, from 100 the nearest 10."""
    if b_value < 5:
        return 0.0
    step = 5 if b_value < 100 else 10
    # Whole numbers are what somebody typed: 273 is a protocol's choice, 273.4 is a gradient's.
    return float(b_value) if float(b_value).is_integer() else float(step * round(b_value / step))


def _enhanced(frame: Dataset) -> BValue | None:
    """Return the b-value of a frame's functional groups; a diffusion item of direction NONE is b = 0."""
    item = first_item(frame, "MRDiffusionSequence")
    if item is None:
        return None
    number = _number(item.get("DiffusionBValue"))
    if number is not None:
        return BValue(s_per_mm2=snap(number % _GE_OFFSET), source="MR Diffusion Sequence")
    if item.get("DiffusionDirectionality") == "NONE":
        return BValue(s_per_mm2=0.0, source="MR Diffusion Sequence, no direction")
    return None


def _number(value: Any) -> float | None:
    """Return the first finite number of whatever a tag holds, None if it holds none."""
    if isinstance(value, bytes):
        value = value.split(b"\\")[0].split(b"\x00")[0].strip().decode("ascii", "ignore")
    elif not isinstance(value, str) and hasattr(value, "__iter__"):
        value = next(iter(value), None)
    if isinstance(value, str):
        value = value.split("\\")[0]
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number < 1e11 else None


def _text(value: Any) -> str:
    """Return a private value as stripped text."""
    if isinstance(value, bytes):
        return value.decode("ascii", "ignore").strip(" \x00")
    return "" if value is None else str(value).strip()


def _sequence_name_b(dataset: Dataset) -> str | None:
    """Return the b-value in a Siemens sequence name such as `*ep_b900t` or `ep_b50#1`."""
    match = _SEQUENCE_NAME.search(str(dataset.get("SequenceName", "") or "").split("_tra")[0])
    return match.group(1) if match else None


def _canon_comment(dataset: Dataset) -> re.Match[str] | None:
    """Return what Canon writes into Image Comments: the b-value, and a direction in brackets."""
    return _CANON_COMMENT.search(str(dataset.get("ImageComments") or ""))


def _csa_b_value(csa: Any) -> str | None:
    """Return `B_value` of a Siemens CSA header."""
    values = csa_values(csa, "B_value") if isinstance(csa, bytes) else ()
    return values[0] if values else None
