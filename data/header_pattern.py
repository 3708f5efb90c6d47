"""What the headers of one series share, byte for byte: compared in runs instead of walked by element.

Files of a series differ in a dozen of their hundred elements (UID, position, times ...). The bytes between
those are equal, and one comparison of a run stands for all elements in it.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Mapping
from dataclasses import dataclass

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import BaseTag

from marrowmap.data.header_walk import (
    CHARACTER_SET,
    PIXELS,
    START,
    SYNTAX,
    UNDEFINED,
    UnusualError,
    Walk,
    element_at,
    raw_element,
)

_SERIES_UID = 0x0020000E
#: Tag and value representation of the pixel element.
_PIXEL_BYTES = 6


@dataclass(frozen=True, kw_only=True)
class Run:
    """Bytes that files share, and the element after them, in which they differ.

    Attributes:
        data: The shared bytes.
        elements: The wanted elements in them, converted.
        identities: Of these elements, for the signature.
        tag: Of the element after the run, None after the last run, which ends at the pixels.
        vr: Its value representation.
        is_wanted: Whether it is to be kept.
    """

    data: bytes
    elements: tuple[tuple[BaseTag, DataElement], ...]
    identities: tuple[int, ...]
    tag: BaseTag | None
    vr: bytes
    is_wanted: bool


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """The headers of a series as far as they were seen.

    Attributes:
        runs: From the first element to the pixels.
        differing: Tags of the elements in which files differ.
        syntax: UID of the encoding.
        encoding: Specific Character Set, as it stands.
    """

    runs: tuple[Run, ...]
    differing: frozenset[int]
    syntax: str
    encoding: bytes

    def matched(self, data: bytes) -> tuple[list[RawDataElement | None], int] | None:
        """Return the wanted elements after each run and where the pixels start; None for any other file.

        Args:
            data: The file from its start.
        """
        at, found = START, []
        for run in self.runs:
            if not data.startswith(run.data, at):
                return None
            at += len(run.data)
            if run.tag is None:
                break
            try:
                tag, vr, start, length = element_at(data, at)
            except (UnusualError, struct.error):
                return None
            at = start + length
            if tag != run.tag or vr != run.vr or length == UNDEFINED or at > len(data):
                return None
            found.append(raw_element(run.tag, vr.decode(), data, start, at) if run.is_wanted else None)
        return [*found, None], at - _PIXEL_BYTES


def pattern_of(
    before: Walk,
    now: Walk,
    shareable: Mapping[BaseTag, DataElement],
    known: frozenset[int],
    wanted: Container[int],
) -> Pattern | None:
    """Return what two files of one series share, None where they are of different kinds.

    Args:
        before: A file.
        now: The file after it.
        shareable: The wanted elements of `now` that may be shared, converted.
        known: Tags in which the files before them differ.
        wanted: Tags to keep.
    """
    tags = [tag for tag, _, _ in now.places]
    if now.pixel_offset is None or tags != [tag for tag, _, _ in before.places]:
        return None
    differing = {
        tag
        for (tag, a, b), (_, c, d) in zip(now.places, before.places, strict=True)
        if now.data[a:b] != before.data[c:d]
    }
    if any(_decides_others(tag) for tag in differing):
        return None
    differing |= known & set(tags)
    differing |= {int(tag) for tag in now.kept if tag not in shareable}
    # The meaning of an unknown private value hangs on its creator: it is left to the walk.
    if any(now.kept[BaseTag(t)].VR == "UN" for t in differing if BaseTag(t) in now.kept):
        return None
    return Pattern(
        runs=tuple(_runs(now, differing, shareable, wanted)),
        differing=frozenset(differing),
        syntax=now.syntax,
        encoding=now.encoding,
    )


def _decides_others(tag: int) -> bool:
    """Say whether an element is of the series, or decides how others are read."""
    is_creator = tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF
    return tag in (_SERIES_UID, CHARACTER_SET, SYNTAX) or bool(is_creator)


def _runs(
    now: Walk, differing: set[int], shareable: Mapping[BaseTag, DataElement], wanted: Container[int]
) -> list[Run]:
    """Return the runs of a file between the elements in which files differ."""
    runs, first, elements = [], START, []
    end = (PIXELS, now.pixel_offset or 0, (now.pixel_offset or 0) + _PIXEL_BYTES)
    for tag, start, stop in [*now.places, end]:
        base = BaseTag(tag)
        if tag not in differing and tag != PIXELS:
            if base in shareable:
                elements.append((base, shareable[base]))
            continue
        is_end = tag == PIXELS
        runs.append(
            Run(
                data=now.data[first : stop if is_end else start],
                elements=tuple(elements),
                identities=tuple(id(element) for _, element in elements),
                tag=None if is_end else base,
                vr=now.data[start + 4 : start + 6],
                is_wanted=not is_end and tag in wanted,
            )
        )
        first, elements = stop, []
    return runs
