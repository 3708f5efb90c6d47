"""The elements of an explicit little-endian file, walked from its start to its pixels."""

from __future__ import annotations

import struct
from collections.abc import Container
from dataclasses import dataclass

from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from marrowmap.data.csa import compact

#: Encodings that are not explicit little-endian: implicit, big-endian, deflated.
_OTHER_SYNTAXES = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"})
#: Value representations whose length takes four bytes.
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_SHORT = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL"}
    | {b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
)
PIXELS = 0x7FE00010
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
UNDEFINED = 0xFFFFFFFF
CHARACTER_SET, SYNTAX = 0x00080005, 0x00020010
#: Byte at which the first element starts.
START = 132
#: What is read of Siemens' CSA headers, in group 0029.
CSA_NAMES = ("B_value", "DiffusionDirectionality", "NumberOfImagesInMosaic", "SliceNormalVector")
_CSA_GROUP = 0x0029
#: Values longer than this are not shared between files (bytes).
WORTH_KEEPING = 1024


class UnusualError(Exception):
    """The file is not of the usual kind."""


@dataclass(frozen=True, kw_only=True)
class Walk:
    """What lies in a file before its pixels.

    Attributes:
        data: The bytes up to the pixels and a little of these.
        places: Of every element its tag, first byte and the byte after its last.
        kept: The wanted elements, not converted.
        syntax: UID of the encoding.
        encoding: Specific Character Set, as it stands.
        pixel_offset: Byte at which the pixel element starts, None where there is none.
    """

    data: bytes
    places: list[tuple[int, int, int]]
    kept: dict[BaseTag, RawDataElement]
    syntax: str
    encoding: bytes
    pixel_offset: int | None


def walk(data: bytes, wanted: Container[int]) -> Walk:
    """Walk the elements of a file.

    Args:
        data: The file from its start, at least up to its pixels.
        wanted: Tags to keep.

    Raises:
        struct.error: If the data end before the pixels.
        UnusualError: If the general reader must take the file.
    """
    kept: dict[BaseTag, RawDataElement] = {}
    places: list[tuple[int, int, int]] = []
    syntax, encoding, pixel_offset, at = "", b"", None, START
    while at < len(data):
        first = at
        tag, vr, start, length = element_at(data, at)
        if tag >= PIXELS:
            pixel_offset = at if tag == PIXELS else None
            break
        if tag > 0x0002FFFF and not syntax:
            raise UnusualError
        if length == UNDEFINED:
            if vr != b"SQ" or tag in wanted:
                raise UnusualError
            at = _after_sequence(data, start)
            places.append((tag, first, at))
            continue
        at = start + length
        if at > len(data):
            raise struct.error
        places.append((tag, first, at))
        if tag == SYNTAX:
            syntax = data[start:at].rstrip(b"\x00 ").decode("ascii", "replace")
            if syntax in _OTHER_SYNTAXES:
                raise UnusualError
        elif tag in wanted:
            if vr == b"SQ" and length:
                raise UnusualError
            raw = raw_element(BaseTag(tag), vr.decode(), data, start, at)
            encoding = data[start:at] if tag == CHARACTER_SET else encoding
            kept[raw.tag] = raw
    return Walk(
        data=data, places=places, kept=kept, syntax=syntax, encoding=encoding, pixel_offset=pixel_offset
    )


def raw_element(tag: BaseTag, vr: str, data: bytes, start: int, stop: int) -> RawDataElement:
    """Return one element that is not converted; of a CSA header what is needed of it."""
    value = data[start:stop]
    if tag >> 16 == _CSA_GROUP and len(value) > WORTH_KEEPING:
        value = compact(value, CSA_NAMES)
    return RawDataElement(tag, vr, len(value), value, start, False, True)


def element_at(data: bytes, at: int) -> tuple[int, bytes, int, int]:
    """Return tag, value representation, start of the value and its length.

    Raises:
        UnusualError: If there is no known value representation.
    """
    group, element = struct.unpack_from("<HH", data, at)
    vr = data[at + 4 : at + 6]
    if vr in _SHORT:
        return group << 16 | element, vr, at + 8, struct.unpack_from("<H", data, at + 6)[0]
    if vr in _LONG:
        return group << 16 | element, vr, at + 12, struct.unpack_from("<L", data, at + 8)[0]
    if len(vr) < 2:
        raise struct.error
    raise UnusualError


def _after_sequence(data: bytes, at: int, depth: int = 0) -> int:
    """Return where a sequence of undefined length ends.

    Raises:
        UnusualError: If it is nested too deeply or holds what does not belong there.
    """
    if depth > 20:
        raise UnusualError
    while True:
        group, element, length = struct.unpack_from("<HHL", data, at)
        tag, at = group << 16 | element, at + 8
        if tag == _SEQUENCE_END:
            return at
        if tag != _ITEM:
            raise UnusualError
        at = _after_item(data, at, depth) if length == UNDEFINED else at + length


def _after_item(data: bytes, at: int, depth: int) -> int:
    """Return where an item of undefined length ends."""
    while True:
        group, element = struct.unpack_from("<HH", data, at)
        if group << 16 | element == _ITEM_END:
            return at + 8
        _, vr, start, length = element_at(data, at)
        if length != UNDEFINED:
            at = start + length
        elif vr == b"SQ":
            at = _after_sequence(data, start, depth + 1)
        else:
            raise UnusualError
