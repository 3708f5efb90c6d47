"""A header reader for the usual encoding, five times as fast as the general one, which takes the rest."""

from __future__ import annotations

import logging
import struct
from collections.abc import Container
from dataclasses import dataclass, field
from typing import BinaryIO

from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from marrowmap.data.csa import compact

_log = logging.getLogger(__name__)

#: Encodings that are not explicit little-endian: implicit, big-endian, deflated.
_OTHER_SYNTAXES = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"})
#: Value representations whose length takes four bytes.
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_SHORT = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL"}
    | {b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
)
_PIXELS = 0x7FE00010
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_CHARACTER_SET, _SYNTAX = 0x00080005, 0x00020010
#: What is read of Siemens' CSA headers, in group 0029.
CSA_NAMES = ("B_value", "DiffusionDirectionality", "NumberOfImagesInMosaic", "SliceNormalVector")
_CSA_GROUP = 0x0029
#: Every file has its own: SOP Instance UID, Image Position, Instance Number.
_OWN = frozenset({0x00080018, 0x00200032, 0x00200013})
#: Values longer than this are not shared between files (bytes).
_WORTH_KEEPING = 1024
#: Tag, VR, character set (and private creator), value.
_Key = tuple[int, str, bytes, bytes]
#: Headers are mostly shorter than this; the rest is read when they are not (bytes).
_FIRST_READ = 1 << 16


@dataclass(frozen=True, kw_only=True)
class QuickHeader:
    """What was found.

    Attributes:
        dataset: The wanted elements.
        transfer_syntax: UID of the encoding.
        pixel_offset: Byte at which the pixel element starts, None where it was not found.
        signature: Equal for two files whose wanted elements are equal but for UID, position and number; None
            where that cannot be told.
    """

    dataset: Dataset
    transfer_syntax: str
    pixel_offset: int | None
    signature: tuple[int, ...] | None


@dataclass(kw_only=True)
class ElementCache:
    """Elements converted already: the files of a series share nearly all of theirs.

    Attributes:
        elements: By tag, VR, character set and bytes; None for a value that cannot be converted.
    """

    elements: dict[_Key, DataElement | None] = field(default_factory=dict)


class _UnusualError(Exception):
    """The file is not of the usual kind."""


def read_quick_header(stream: BinaryIO, wanted: Container[int], cache: ElementCache) -> QuickHeader | None:
    """Read the wanted elements of an explicit little-endian file up to its pixels.

    Args:
        stream: The file, at its start.
        wanted: Tags to keep. A wanted sequence that is there makes the file unusual.
        cache: Elements of the files read before; filled here.

    Returns:
        The header, or None for any file that is unusual: the general reader must take it.
    """
    data = stream.read(_FIRST_READ)
    if data[128:132] != b"DICM":
        return None
    for attempt in range(2):
        try:
            return _parse(data, wanted, cache)
        except _UnusualError:
            return None
        except (struct.error, IndexError):
            if attempt == 0:
                data += stream.read()
    return None


def _parse(data: bytes, wanted: Container[int], cache: ElementCache) -> QuickHeader:
    """Walk the elements of a file.

    Raises:
        struct.error: If the data end before the pixels.
        _UnusualError: If the general reader must take the file.
    """
    kept: dict[BaseTag, RawDataElement] = {}
    syntax, encoding, pixel_offset, at = "", b"", None, 132
    while at < len(data):
        tag, vr, start, length = _element(data, at)
        if tag >= _PIXELS:
            pixel_offset = at if tag == _PIXELS else None
            break
        if tag > 0x0002FFFF and not syntax:
            raise _UnusualError
        if length == _UNDEFINED:
            if vr != b"SQ" or tag in wanted:
                raise _UnusualError
            at = _after_sequence(data, start)
            continue
        at = start + length
        if at > len(data):
            raise struct.error
        if tag == _SYNTAX:
            syntax = data[start:at].rstrip(b"\x00 ").decode("ascii", "replace")
            if syntax in _OTHER_SYNTAXES:
                raise _UnusualError
        elif tag in wanted:
            if vr == b"SQ" and length:
                raise _UnusualError
            value = data[start:at]
            if tag >> 16 == _CSA_GROUP and length > _WORTH_KEEPING:
                value = compact(value, CSA_NAMES)
            encoding = value if tag == _CHARACTER_SET else encoding
            kept[BaseTag(tag)] = RawDataElement(
                BaseTag(tag), vr.decode(), len(value), value, start, False, True
            )
    dataset, signature = _dataset(kept, encoding, cache)
    return QuickHeader(
        dataset=dataset, transfer_syntax=syntax, pixel_offset=pixel_offset, signature=signature
    )


def _element(data: bytes, at: int) -> tuple[int, bytes, int, int]:
    """Return tag, value representation, start of the value and its length.

    Raises:
        _UnusualError: If there is no known value representation.
    """
    group, element = struct.unpack_from("<HH", data, at)
    vr = data[at + 4 : at + 6]
    if vr in _SHORT:
        return group << 16 | element, vr, at + 8, struct.unpack_from("<H", data, at + 6)[0]
    if vr in _LONG:
        return group << 16 | element, vr, at + 12, struct.unpack_from("<L", data, at + 8)[0]
    if len(vr) < 2:
        raise struct.error
    raise _UnusualError


def _after_sequence(data: bytes, at: int, depth: int = 0) -> int:
    """Return where a sequence of undefined length ends.

    Raises:
        _UnusualError: If it is nested too deeply or holds what does not belong there.
    """
    if depth > 20:
        raise _UnusualError
    while True:
        group, element, length = struct.unpack_from("<HHL", data, at)
        tag, at = group << 16 | element, at + 8
        if tag == _SEQUENCE_END:
            return at
        if tag != _ITEM:
            raise _UnusualError
        at = _after_item(data, at, depth) if length == _UNDEFINED else at + length


def _after_item(data: bytes, at: int, depth: int) -> int:
    """Return where an item of undefined length ends."""
    while True:
        group, element = struct.unpack_from("<HH", data, at)
        if group << 16 | element == _ITEM_END:
            return at + 8
        _, vr, start, length = _element(data, at)
        if length != _UNDEFINED:
            at = start + length
        elif vr == b"SQ":
            at = _after_sequence(data, start, depth + 1)
        else:
            raise _UnusualError


def _dataset(
    kept: dict[BaseTag, RawDataElement], encoding: bytes, cache: ElementCache
) -> tuple[Dataset, tuple[int, ...] | None]:
    """Return the elements as a data set, without those that cannot be converted, and its signature."""
    elements: dict[BaseTag, RawDataElement | DataElement] = {}
    new: list[tuple[BaseTag, _Key | None]] = []
    for tag, raw in kept.items():
        key = _cache_key(raw, kept, encoding)
        if key is None or key not in cache.elements:
            elements[tag] = raw
            new.append((tag, key))
        elif (known := cache.elements[key]) is not None:
            elements[tag] = known
    dataset = Dataset(elements)  # pyright: ignore[reportArgumentType]
    words = encoding.decode("ascii", "replace").strip().split("\\")
    dataset.set_original_encoding(False, True, convert_encodings(words))
    is_shared = True
    for tag, key in new:
        # What is a file's own is converted when it is asked for.
        if tag in _OWN:
            continue
        converted = convert(dataset, tag)
        if key is not None:
            cache.elements[key] = converted
        else:
            is_shared = False
    # The cache keeps its elements alive, so that their identities stay theirs.
    signature = tuple(id(element) for tag, element in elements.items() if tag not in _OWN)
    return dataset, signature if is_shared else None


def _cache_key(raw: RawDataElement, kept: dict[BaseTag, RawDataElement], encoding: bytes) -> _Key | None:
    """Return what a converted value depends on; None for what is a file's own or too long to keep."""
    value = raw.value
    if value is None or len(value) > _WORTH_KEEPING or raw.tag in _OWN:
        return None
    # The meaning of an unknown private value hangs on its creator.
    creator = kept.get(BaseTag((raw.tag & 0xFFFF0000) | (raw.tag >> 8 & 0xFF))) if raw.VR == "UN" else None
    return int(raw.tag), str(raw.VR), encoding + ((creator.value or b"") if creator else b""), value


def convert(dataset: Dataset, tag: BaseTag) -> DataElement | None:
    """Convert one value of a data set in place; one that cannot be converted is removed.

    Returns:
        The converted element, None where it was removed.
    """
    try:
        return dataset[tag]
    except Exception as error:
        # Damaged values make the converters raise almost anything.
        _log.warning("left out the damaged value of %s (%s)", tag, type(error).__name__)
        del dataset[tag]
        return None
