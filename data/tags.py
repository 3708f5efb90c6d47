"""Values of DICOM elements as plain numbers and words, and private elements by their creator."""

from __future__ import annotations

import math
from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from marrowmap.data.errors import StudyError

_INSTANCE_UID, _INSTANCE_NUMBER, _POSITION = 0x00080018, 0x00200013, 0x00200032


def private(dataset: Dataset, group: int, creator: str, element: int) -> Any:
    """Return a private value by its creator, None if absent.

    Where an anonymiser took the creator away, the customary first block is trusted if nobody else claims it.
    """
    for block in range(0x10, 0x18):
        owner = dataset.get((group, block))
        if owner is not None and str(owner.value).strip() == creator:
            found = dataset.get((group, block << 8 | element))
            if found is not None:
                return found.value
    if dataset.get((group, 0x10)) is None:
        found = dataset.get((group, 0x10 << 8 | element))
        return None if found is None else found.value
    return None


def first_item(dataset: Dataset, keyword: str) -> Dataset | None:
    """Return the first item of a sequence, None if absent or empty."""
    items = dataset.get(keyword)
    return items[0] if items else None


def tokens_of(value: Any) -> tuple[str, ...]:
    """Return Image Type as upper-case words."""
    if value is None:
        return ()
    words = value.split("\\") if isinstance(value, str) else value
    return tuple(str(word).strip().upper() for word in words)


def whole(dataset: Dataset, keyword: str) -> int:
    """Return a whole number, 0 where absent or unreadable."""
    try:
        return int(dataset.get(keyword) or 0)
    except (TypeError, ValueError):
        return 0


def number(dataset: Dataset, keyword: str, default: float) -> float:
    """Return a number, the default where the tag is absent or empty."""
    value = dataset.get(keyword)
    if value is None or value == "":
        return default
    if hasattr(value, "__iter__") and not isinstance(value, str):
        value = value[0]
    return float(value)


def numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    """Return exactly `count` numbers.

    Raises:
        StudyError: If the tag is absent, of another length or not finite.
    """
    value = dataset.get(keyword)
    if value is None or isinstance(value, str) or not hasattr(value, "__len__") or len(value) != count:
        raise StudyError(f"no {keyword}: not an image with a place in the patient, or cut short")
    try:
        found = tuple(float(v) for v in value)
    except (TypeError, ValueError):
        found = (math.nan,)
    if not all(map(math.isfinite, found)):
        raise StudyError(f"{keyword} holds {', '.join(map(str, value))}, need numbers; export it again")
    return found


def plain_bytes(dataset: Dataset, tag: int, vr: str) -> bytes | None:
    """Return the bytes of a text value that was not converted yet, None for any other: it must be asked for.

    What every file has its own of (UID, position, number) is cheaper to read from bytes than to convert.
    """
    raw = dataset.get_item(tag) if tag in dataset else None
    if isinstance(raw, RawDataElement) and vr == raw.VR and isinstance(raw.value, bytes):
        return raw.value.rstrip(b" \x00")
    return None


def position_of(dataset: Dataset) -> tuple[float, ...]:
    """Return the Image Position (Patient) of a file, LPS mm.

    Raises:
        StudyError: As `numbers`.
    """
    plain = plain_bytes(dataset, _POSITION, "DS")
    if plain is not None:
        try:
            x, y, z = (float(word) for word in plain.split(b"\\"))
        except ValueError:
            pass
        else:
            if math.isfinite(x) and math.isfinite(y) and math.isfinite(z):
                return x, y, z
    return numbers(dataset, "ImagePositionPatient", 3)


def instance_number_of(dataset: Dataset) -> int:
    """Return the Instance Number of a file, 0 where absent or unreadable."""
    plain = plain_bytes(dataset, _INSTANCE_NUMBER, "IS")
    if plain is not None and plain.isdigit():
        return int(plain)
    return whole(dataset, "InstanceNumber")


def instance_uid_of(dataset: Dataset) -> str:
    """Return the SOP Instance UID of a file, empty where absent."""
    plain = plain_bytes(dataset, _INSTANCE_UID, "UI")
    if plain is not None and plain.isascii():
        return plain.decode("ascii")
    return str(dataset.get("SOPInstanceUID") or "")


def positive(dataset: Dataset, keyword: str) -> int:
    """Return a positive whole number.

    Raises:
        StudyError: If absent or not positive.
    """
    value = int(dataset.get(keyword) or 0)
    if value <= 0:
        raise StudyError(f"no {keyword}: not an image, or a file cut short; copy it again")
    return value


def number_or(dataset: Dataset, keyword: str, default: float) -> float:
    """Return a number, the default where it is absent, empty or unreadable."""
    try:
        return number(dataset, keyword, default)
    except (TypeError, ValueError, IndexError):
        return default


def whole_or(value: Any, default: int) -> int:
    """Return a private value as a whole number however an archive left it; the default if it is none."""
    if isinstance(value, bytes):
        # Archives that do not know the tag leave its bytes: text, or a little-endian number.
        text = value.strip(b" \x00")
        value = text if text.isdigit() else int.from_bytes(value[:2], "little")
    try:
        return int(value)
    except (TypeError, ValueError):
        return default
