"""A header reader for the usual encoding, five times as fast as the general one, which takes the rest."""

from __future__ import annotations

import logging
import struct
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import BinaryIO

from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from marrowmap.data.header_pattern import Pattern, pattern_of
from marrowmap.data.header_walk import WORTH_KEEPING, UnusualError, Walk, walk

_log = logging.getLogger(__name__)

#: Every file has its own: SOP Instance UID, Image Position, Instance Number.
_OWN = frozenset({0x00080018, 0x00200032, 0x00200013})
#: Tag, VR, character set (and private creator), value.
_Key = tuple[int, str, bytes, bytes]
#: So much of a file is read first (bytes); less where the header before was short; the rest when needed.
_FIRST_READ, _LEAST_READ = 1 << 16, 4096


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
    """What was seen in the files before: the files of a series share nearly all of their elements.

    Attributes:
        elements: Converted, by tag, VR, character set and bytes; None for a value that cannot be converted.
        encodings: Python's names for a Specific Character Set, by its bytes.
        last: The last file that was walked element by element.
        pattern: What the files of the current series share.
        first_read: How much of the next file is read first (bytes).
    """

    elements: dict[_Key, DataElement | None] = field(default_factory=dict)
    encodings: dict[bytes, list[str]] = field(default_factory=dict)
    last: Walk | None = None
    pattern: Pattern | None = None
    first_read: int = _FIRST_READ


def read_quick_header(stream: BinaryIO, wanted: Container[int], cache: ElementCache) -> QuickHeader | None:
    """Read the wanted elements of an explicit little-endian file up to its pixels.

    Args:
        stream: The file, at its start.
        wanted: Tags to keep, the same for one cache. A wanted sequence that is there makes the file unusual.
        cache: What was seen in the files read before; filled here.

    Returns:
        The header, or None for any file that is unusual: the general reader must take it.
    """
    data = stream.read(cache.first_read)
    if data[128:132] != b"DICM":
        return None
    if cache.pattern is not None and (matched := cache.pattern.matched(data)) is not None:
        values, pixel_offset = matched
        return _patterned(cache.pattern, values, pixel_offset, cache)
    for attempt in range(2):
        try:
            found = walk(data, wanted)
        except UnusualError:
            return None
        except (struct.error, IndexError):
            if attempt == 0:
                data += stream.read()
            continue
        return _walked(found, wanted, cache)
    return None


def _walked(found: Walk, wanted: Container[int], cache: ElementCache) -> QuickHeader:
    """Return the header of a file that was walked; learn from it what its series shares."""
    header = _Header(found.encoding)
    for tag, raw in found.kept.items():
        header.take(tag, raw, _cache_key(raw, found.kept, found.encoding), cache)
    dataset, is_shared = header.dataset(cache)
    new = {tag for tag, key in header.new if key is None}
    shareable = {
        tag: element
        for tag, element in header.elements.items()
        if isinstance(element, DataElement) and tag not in new
    }
    known = cache.pattern.differing if cache.pattern is not None else frozenset[int]()
    last, cache.last = cache.last, found
    cache.pattern = pattern_of(last, found, shareable, known, wanted) if last is not None else None
    if found.pixel_offset is not None:
        cache.first_read = min(max(found.pixel_offset + _LEAST_READ // 4, _LEAST_READ), _FIRST_READ)
    # The cache keeps its elements alive, so that their identities stay theirs.
    signature = tuple(id(element) for tag, element in header.elements.items() if tag not in _OWN)
    return QuickHeader(
        dataset=dataset,
        transfer_syntax=found.syntax,
        pixel_offset=found.pixel_offset,
        signature=signature if is_shared else None,
    )


def _patterned(
    pattern: Pattern, values: Iterable[RawDataElement | None], pixel_offset: int, cache: ElementCache
) -> QuickHeader:
    """Return the header of a file that differs from the ones before it in known elements alone."""
    header = _Header(pattern.encoding)
    for run, raw in zip(pattern.runs, values, strict=True):
        header.elements.update(run.elements)
        if raw is not None:
            header.take(raw.tag, raw, _cache_key(raw, {}, pattern.encoding), cache)
    dataset, is_shared = header.dataset(cache)
    signature: list[int] = []
    for run in pattern.runs:
        signature += run.identities
        if run.tag is not None and run.tag in header.elements and run.tag not in _OWN:
            signature.append(id(header.elements[run.tag]))
    return QuickHeader(
        dataset=dataset,
        transfer_syntax=pattern.syntax,
        pixel_offset=pixel_offset,
        signature=tuple(signature) if is_shared else None,
    )


class _Header:
    """The elements of one file on their way into a data set."""

    def __init__(self, encoding: bytes) -> None:
        """Start without elements, in a Specific Character Set."""
        self.elements: dict[BaseTag, RawDataElement | DataElement] = {}
        self.new: list[tuple[BaseTag, _Key | None]] = []
        self._encoding = encoding

    def take(self, tag: BaseTag, raw: RawDataElement, key: _Key | None, cache: ElementCache) -> None:
        """Take an element, converted if it was seen before; one that could not be converted is left out."""
        if key is None or key not in cache.elements:
            self.elements[tag] = raw
            self.new.append((tag, key))
        elif (known := cache.elements[key]) is not None:
            self.elements[tag] = known

    def dataset(self, cache: ElementCache) -> tuple[Dataset, bool]:
        """Return the elements as a data set, new ones converted, and whether all of them can be shared."""
        if self._encoding not in cache.encodings:
            words = self._encoding.decode("ascii", "replace").strip().split("\\")
            cache.encodings[self._encoding] = convert_encodings(words)
        dataset = Dataset(self.elements)  # pyright: ignore[reportArgumentType]
        dataset.set_original_encoding(False, True, cache.encodings[self._encoding])
        is_shared = True
        for tag, key in self.new:
            # What is a file's own is converted when it is asked for.
            if tag in _OWN:
                continue
            converted = convert(dataset, tag)
            if key is not None:
                cache.elements[key] = converted
            else:
                is_shared = False
        return dataset, is_shared


def _cache_key(raw: RawDataElement, kept: dict[BaseTag, RawDataElement], encoding: bytes) -> _Key | None:
    """Return what a converted value depends on; None for what is a file's own or too long to keep."""
    value = raw.value
    if value is None or len(value) > WORTH_KEEPING or raw.tag in _OWN:
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
