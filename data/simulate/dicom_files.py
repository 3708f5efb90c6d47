"""Bytes of DICOM files: one a slice, what all slices of a series share encoded once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_file_meta_info
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

from marrowmap.data.simulate.slices import SliceStack

PREAMBLE = bytes(128) + b"DICM"

_IMPLEMENTATION_UID = UID("1.2.826.0.1.3680043.8.498.1")
_CHANGING = tuple(
    Tag(word)
    for word in ("SOPInstanceUID", "InstanceNumber", "ImagePositionPatient", "SliceLocation", "PixelData")
)


def decimal(value: float) -> str:
    """Return a number as DICOM writes it: at most 16 characters, to six decimals."""
    return f"{round(value, 6) + 0.0:.6f}".rstrip("0").rstrip(".")


def write_slices(
    template: Dataset,
    stack: SliceStack,
    pixels: npt.NDArray[np.uint16],
    folder: Path,
    *,
    first: int = 0,
) -> int:
    """Write the slices of a stack, one file each.

    Args:
        template: What all slices share; its window is set here.
        stack: Where the slices are.
        pixels: uint16 `(slice, row, column)`.
        folder: Made if absent.
        first: Slices that the series has already.

    Returns:
        The number of files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    levels = int(pixels.max()) or 1
    template.WindowCenter, template.WindowWidth = levels // 4, max(levels // 2, 1)
    pieces = _unchanging_pieces(template)
    first_uid = instance_uid(template, 0)
    head = PREAMBLE + encoded_meta(first_uid, MRImageStorage)
    for index, plane in enumerate(pixels):
        tags = _slice_tags(template, stack, index, first)
        tags.add_new("PixelData", "OW", plane.tobytes())
        between = zip(pieces, (encoded([tags[tag]]) for tag in _CHANGING), strict=True)
        body = b"".join(piece + changed for piece, changed in between)
        own_head = head.replace(first_uid.encode(), tags.SOPInstanceUID.encode())
        (folder / f"{first + index + 1:04d}.dcm").write_bytes(own_head + body)
    return len(pixels)


def _slice_tags(template: Dataset, stack: SliceStack, index: int, first: int) -> Dataset:
    position = stack.first_position_lps_mm + index * stack.step_lps_mm
    normal = np.cross(stack.row_cosine_lps, stack.column_cosine_lps)
    tags = Dataset()
    tags.SOPInstanceUID = instance_uid(template, first + index)
    tags.InstanceNumber = first + index + 1
    tags.ImagePositionPatient = [decimal(value) for value in position]
    tags.SliceLocation = decimal(float(position @ normal))
    return tags


def _unchanging_pieces(template: Dataset) -> list[bytes]:
    """Return what stands before each tag that changes: encoding it once makes writing four times faster."""
    starts = (0, *(tag + 1 for tag in _CHANGING[:-1]))
    return [encoded(template[start:tag]) for start, tag in zip(starts, _CHANGING, strict=True)]


def encoded(elements: Iterable[DataElement]) -> bytes:
    """Return elements as explicit little-endian bytes."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    for element in elements:
        write_data_element(buffer, element)
    return buffer.getvalue()


def instance_uid(template: Dataset, index: int) -> UID:
    """Return the UID of a slice: as long as its sisters', so that one can take another's place in a file."""
    return UID(f"{template.SeriesInstanceUID[:58]}.{10_001 + index}")


def encoded_meta(sop_instance_uid: UID, sop_class_uid: UID) -> bytes:
    """Return the file meta information of an instance, explicit little-endian."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class_uid
    meta.MediaStorageSOPInstanceUID = sop_instance_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _IMPLEMENTATION_UID
    meta.ImplementationVersionName = "MARROWMAP"
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta)
    return buffer.getvalue()
