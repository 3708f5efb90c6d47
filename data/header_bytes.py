"""A header as the bytes of a DICOM file, without its values ever being looked at."""

from __future__ import annotations

import struct
from io import BytesIO

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_file_meta_info
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

_UNDEFINED_LENGTH = 0xFFFFFFFF


def header_bytes(dataset: Dataset) -> bytes:
    """Return a header as a DICOM file, explicit little-endian; values not asked for so far stay as read.

    pydicom looks at every element of every file again, which for the 240 slices of a whole body takes
    longer than their pixels; what was read as bytes of this very encoding needs no look.

    Args:
        dataset: With SOP class and instance UID; a file meta group of its own is made.
    """
    if any(not _is_writable(dataset.get_item(tag)) for tag in dataset.keys()):  # noqa: SIM118
        return _slow_bytes(dataset)
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    buffer.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(buffer, _file_meta(dataset), enforce_standard=True)
    encoding = dataset._character_set
    for tag in sorted(dataset.keys()):
        element = dataset.get_item(tag)
        if isinstance(element, RawDataElement):
            buffer.write(_raw_bytes(element))
        elif element is not None:
            write_data_element(buffer, element, encoding)
    return buffer.getvalue()


def _is_writable(element: object) -> bool:
    """Say whether an element is decoded, or bytes of the encoding that is written."""
    if not isinstance(element, RawDataElement):
        return True
    is_same = element.is_little_endian and not element.is_implicit_VR
    is_plain = element.VR not in (None, "SQ") and element.length != _UNDEFINED_LENGTH
    return is_same and is_plain and isinstance(element.value, bytes | None)


def _raw_bytes(element: RawDataElement) -> bytes:
    value = element.value or b""
    if len(value) % 2:
        value += b"\0" if element.VR in ("UI", "OB", "UN") else b" "
    group, number, kind = element.tag >> 16, element.tag & 0xFFFF, str(element.VR).encode()
    if element.VR in EXPLICIT_VR_LENGTH_32:
        return struct.pack("<HH2sHL", group, number, kind, 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, kind, len(value)) + value


def _file_meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta


def _slow_bytes(dataset: Dataset) -> bytes:
    """Return the same through pydicom, for other encodings and sequences."""
    kept = Dataset(dict(dataset.items()))  # pyright: ignore[reportArgumentType]
    kept.file_meta = _file_meta(dataset)
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, kept, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return buffer.getvalue()
