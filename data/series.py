"""Headers -> series: grouped by UID, split by what differs, each part piled up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from marrowmap.data.errors import GeometryError, StudyError
from marrowmap.data.headers import Header
from marrowmap.data.slices import Prototypes, Slice, slices_of
from marrowmap.data.stacks import Stack, stacks_of
from marrowmap.data.tags import instance_uid_of

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
#: Tokens of Image Type that make two images of one series different things.
_KINDS = """
ADC TRACEW FA TENSOR TENSOR_B0 COLFA EXP WATER FAT IN_PHASE OPP_PHASE OUT_PHASE W F IP OP FAT_FRACTION FF
T2_STAR R2_STAR T2STAR R2STAR B0 MIP
"""
_KIND_TOKENS = frozenset(_KINDS.split())


@dataclass(frozen=True, kw_only=True)
class Series:
    """One DICOM series, split.

    Attributes:
        uid: Series Instance UID.
        number: Series Number, 0 where absent.
        description: Series Description, else Protocol Name.
        stacks: Its regular piles.
        problems: Why parts of it, or all, could not be piled up.
        files: Number of files.
        modality: MR, or what else it is.
    """

    uid: str
    number: int
    description: str
    stacks: tuple[Stack, ...]
    problems: tuple[str, ...]
    files: int
    modality: str = "MR"

    @property
    def name(self) -> str:
        """Words for messages."""
        return f"series {self.number} ({self.description})" if self.description else f"series {self.number}"


def group_series(headers: Iterable[Header]) -> list[Series]:
    """Group headers into series and split every series into stacks.

    Args:
        headers: All headers of one study.

    Returns:
        Series by number; what cannot be piled up is told in `problems`, never dropped silently.
    """
    by_uid: dict[str, list[Header]] = defaultdict(list)
    for header in headers:
        by_uid[str(header.dataset.get("SeriesInstanceUID", ""))].append(header)
    series = [_split_series(uid, members) for uid, members in by_uid.items()]
    return sorted(series, key=lambda s: (s.number, s.uid))


def _split_series(uid: str, headers: list[Header]) -> Series:
    """Return one series with its stacks."""
    slices: list[Slice] = []
    prototypes: Prototypes = {}
    problems: list[str] = []
    modality = _modality(headers[0].dataset)
    if modality != "MR":
        problems.append(f"{modality}, not MR images")
    for header in headers if modality == "MR" else []:
        try:
            slices += slices_of(header, prototypes)
        except StudyError as error:
            problems.append(str(error))
    slices = _without_copies(slices)
    stacks: list[Stack] = []
    for part in _parts(slices):
        try:
            stacks += stacks_of(part)
        except GeometryError as error:
            problems.append(str(error))
    first = headers[0].dataset
    text = str(first.get("SeriesDescription") or first.get("ProtocolName") or "").strip()
    return Series(
        uid=uid,
        number=_series_number(first),
        description=text,
        stacks=tuple(stacks),
        problems=tuple(dict.fromkeys(problems)),
        files=len(headers),
        modality=modality,
    )


def _modality(dataset: Dataset) -> str:
    """Return MR, `a secondary capture`, or whatever modality the series says it is."""
    if str(dataset.get("SOPClassUID", "")).startswith(_SECONDARY_CAPTURE):
        return "a secondary capture"
    return str(dataset.get("Modality") or "MR")


def _series_number(dataset: Dataset) -> int:
    """Return the series number, 0 where absent or unreadable."""
    try:
        return int(dataset.get("SeriesNumber") or 0)
    except (TypeError, ValueError):
        return 0


def _without_copies(slices: list[Slice]) -> list[Slice]:
    """Return the slices without second files of one SOP instance (the same image stored twice)."""
    seen: dict[tuple[str, int, tuple[int, int]], Slice] = {}
    for position, one in enumerate(slices):
        uid = instance_uid_of(one.header.dataset) or f"without-uid-{position}"
        seen.setdefault((uid, one.frame, one.corner), one)
    return list(seen.values())


def _parts(slices: list[Slice]) -> list[list[Slice]]:
    """Return the slices of a series apart by size, orientation, echo, component, kind and b-value."""
    parts: dict[tuple[object, ...], list[Slice]] = defaultdict(list)
    diffusion = any(s.b_value and s.b_value.s_per_mm2 > 0 for s in slices)
    rounded: dict[tuple[float, ...], tuple[float, ...]] = {}
    for one in slices:
        b_value = one.b_value.s_per_mm2 if one.b_value else (0.0 if diffusion else None)
        plane = (*one.pixel_spacing, *one.orientation)
        if plane not in rounded:
            rounded[plane] = (*np.round(one.pixel_spacing, 3), *(np.round(one.orientation, 2) + 0.0))
        key = (
            (one.rows, one.columns),
            rounded[plane],
            round(one.echo_time_ms, 1),
            one.component,
            tuple(sorted(_KIND_TOKENS & set(one.image_type[2:]))),
            b_value,
            one.direction if b_value else "",
        )
        parts[key].append(one)
    return list(parts.values())
