"""What the headers of a stack say that its role depends on, from classic and enhanced files alike."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from pydicom.dataset import Dataset

from marrowmap.data.b_values import private
from marrowmap.data.series import Series
from marrowmap.data.stacks import Stack
from marrowmap.data.tags import first_item, number_or

_NO_CONTRAST = frozenset({"", "no", "none", "nein", "non", "n", "0", "ohne", "without"})


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of one stack.

    Attributes:
        text: Description and protocol in lower case, no accents, words apart by single blanks.
        image_type: Tokens of Image Type.
        component: magnitude, phase, real or imaginary.
        scanning: Tokens of Scanning Sequence: SE, GR, EP, IR.
        options: Tokens of Scan Options: FS and others.
        sequence_name: Siemens' sequence name, lower case.
        dixon_kind: Philips' private mDIXON kind: W, F, IP, OP or empty.
        repetition_time_ms: TR, 0 where unknown.
        echo_time_ms: TE, 0 where unknown.
        inversion_time_ms: TI, 0 where unknown.
        field_strength_t: Tesla, 0 where unknown.
        has_contrast: A contrast agent is named in its tag.
        b_value_s_per_mm2: b of the stack, 0 for an untagged stack of a series that has tagged ones.
        b_source: Where it was found.
        is_diffusion_series: Some b of the series is above 0, or its tags say diffusion.
        slices: Number of slices.
        orientations: Number of orientations in the series.
        echoes: Number of echo times of magnitude images in the series.
    """

    text: str
    image_type: frozenset[str]
    component: str = "magnitude"
    scanning: frozenset[str] = frozenset()
    options: frozenset[str] = frozenset()
    sequence_name: str = ""
    dixon_kind: str = ""
    repetition_time_ms: float = 0.0
    echo_time_ms: float = 0.0
    inversion_time_ms: float = 0.0
    field_strength_t: float = 0.0
    has_contrast: bool = False
    b_value_s_per_mm2: float | None = None
    b_source: str = ""
    is_diffusion_series: bool = False
    slices: int = 1
    orientations: int = 1
    echoes: int = 1


def facts_of(stack: Stack, series: Series) -> Facts:
    """Return what the headers say of one stack of a series.

    Args:
        stack: The stack.
        series: The series that it belongs to.

    Returns:
        The facts; what is absent is empty or 0.
    """
    dataset, first = stack.dataset, stack.slices[0]
    tagged = [s.b_value_s_per_mm2 for s in series.stacks if s.b_value_s_per_mm2 is not None]
    says_diffusion = "DIFFUSION" in first.image_type or dataset.get("AcquisitionContrast") == "DIFFUSION"
    is_weighted = any(b > 0 for b in tagged)
    b_value = stack.b_value_s_per_mm2
    return Facts(
        text=plain_text(f"{series.description} {dataset.get('ProtocolName') or ''}"),
        image_type=frozenset(first.image_type),
        component=first.component,
        scanning=_scanning(dataset),
        options=_words(dataset, "ScanOptions"),
        sequence_name=str(dataset.get("SequenceName") or "").lower(),
        dixon_kind=str(private(dataset, 0x2005, "Philips MR Imaging DD 001", 0x11) or "").strip(),
        repetition_time_ms=_timing(dataset, "RepetitionTime"),
        echo_time_ms=first.echo_time_ms,
        inversion_time_ms=_inversion_time(dataset),
        field_strength_t=number_or(dataset, "MagneticFieldStrength", 0.0),
        has_contrast=str(dataset.get("ContrastBolusAgent") or "").strip().lower() not in _NO_CONTRAST,
        b_value_s_per_mm2=0.0 if b_value is None and is_weighted else b_value,
        b_source=first.b_value.source if first.b_value else "absent, so 0",
        is_diffusion_series=is_weighted or says_diffusion,
        slices=len(stack.slices),
        orientations=len({tuple((abs(s.normal) > 0.7).tolist()) for s in series.stacks}),
        echoes=len({round(s.slices[0].echo_time_ms, 1) for s in series.stacks}),
    )


def plain_text(text: str) -> str:
    """Return a description in lower case, without accents, its words apart by single blanks."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join(re.split(r"[^a-z0-9+:]+", ascii_text.lower())).strip()


def _words(dataset: Dataset, keyword: str) -> frozenset[str]:
    """Return the upper-case tokens of a multi-valued tag."""
    value = dataset.get(keyword)
    if not value:
        return frozenset()
    return frozenset(str(v).strip().upper() for v in ([value] if isinstance(value, str) else value))


def _scanning(dataset: Dataset) -> frozenset[str]:
    """Return SE, GR, EP, IR, whichever way the file says so."""
    words = set(_words(dataset, "ScanningSequence"))
    pulse = str(dataset.get("EchoPulseSequence") or "")
    words |= {"SE"} if pulse in ("SPIN", "BOTH") else {"GR"} if pulse == "GRADIENT" else set()
    if dataset.get("EchoPlanarPulseSequence") == "YES":
        words.add("EP")
    return frozenset(words)


def _shared(dataset: Dataset, group: str) -> Dataset:
    """Return the first item of a shared functional group, empty without one."""
    shared = first_item(dataset, "SharedFunctionalGroupsSequence")
    return (first_item(shared, group) if shared else None) or Dataset()


def _timing(dataset: Dataset, keyword: str) -> float:
    """Return a time in ms from the classic tag or the shared timing group, 0 without either."""
    classic = number_or(dataset, keyword, 0.0)
    return classic or number_or(_shared(dataset, "MRTimingAndRelatedParametersSequence"), keyword, 0.0)


def _inversion_time(dataset: Dataset) -> float:
    """Return the inversion time in ms, 0 without one."""
    classic = number_or(dataset, "InversionTime", 0.0)
    return classic or number_or(_shared(dataset, "MRModifierSequence"), "InversionTimes", 0.0)
