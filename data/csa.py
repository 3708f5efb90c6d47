"""Siemens' CSA header: its elements by name, read as far as they are needed.

An element is its name padded to 64 bytes, then multiplicity, VR, syngo type, item count and a check word
(4 bytes each), then its items: four lengths (4 bytes each) and a text padded to 4 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

_NAME_BYTES = 64
_HEAD_BYTES = 84
_LENGTHS_BYTES = 16
#: No element that we read has more or longer items.
_MAXIMUM_ITEMS = 24
_MAXIMUM_ITEM_BYTES = 64


def csa_values(csa: bytes, name: str) -> tuple[str, ...]:
    """Return the items of one element as text.

    Args:
        csa: The whole CSA header, or what `compact` left of it.
        name: The element's name, such as `B_value`.

    Returns:
        Its items without the empty ones; nothing if the element is absent or damaged.
    """
    return _items(csa, _start(csa, name))[0]


def compact(csa: bytes, names: Iterable[str]) -> bytes:
    """Return only the named elements of a CSA header, tens of kilobytes shorter and read the same way."""
    parts = []
    for name in names:
        start = _start(csa, name)
        if start >= 0:
            parts.append(csa[start : _items(csa, start)[1]])
    return b"".join(parts)


def _start(csa: bytes, name: str) -> int:
    """Return where an element starts, -1 if it is absent."""
    return csa.find(name.encode("ascii") + b"\x00")


def _items(csa: bytes, start: int) -> tuple[tuple[str, ...], int]:
    """Return the items of the element at `start`, and where it ends."""
    if start < 0 or start + _HEAD_BYTES > len(csa):
        return (), len(csa)
    count = int.from_bytes(csa[start + 76 : start + 80], "little")
    found, at = [], start + _HEAD_BYTES
    for _ in range(min(count, _MAXIMUM_ITEMS)):
        length = int.from_bytes(csa[at : at + 4], "little")
        at += _LENGTHS_BYTES
        if length > _MAXIMUM_ITEM_BYTES or at > len(csa):
            break
        text = csa[at : at + length].split(b"\x00")[0].strip().decode("ascii", "ignore")
        found += [text] if text else []
        at += -(-length // 4) * 4
    return tuple(found), min(at, len(csa))
