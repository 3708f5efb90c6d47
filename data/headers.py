"""Files -> DICOM headers: folders of any depth, names without extension, zips; needed tags only."""

from __future__ import annotations

import logging
import os
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom import config
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.tag import Tag

from marrowmap.data.errors import NoStudyError, StudyError
from marrowmap.data.quick_header import ElementCache, convert, read_quick_header

_log = logging.getLogger(__name__)

#: More files than this in one study is not a study but a disk.
MAXIMUM_FILES = 200_000
#: A zip that unpacks to more than this is refused (bytes).
MAXIMUM_ZIP_BYTES = 20 * 1024**3

_KEYWORDS = """
SpecificCharacterSet ImageType SOPClassUID SOPInstanceUID StudyDate Modality Manufacturer SeriesDescription
ProtocolName ComplexImageComponent PatientID PatientSex PatientBirthDate PatientAge PatientSize
ContrastBolusAgent ScanningSequence SequenceVariant ScanOptions MRAcquisitionType SequenceName SliceThickness
SpacingBetweenSlices RepetitionTime EchoTime InversionTime MagneticFieldStrength FlipAngle DiffusionBValue
DiffusionDirectionality AcquisitionNumber InstanceNumber TemporalPositionIdentifier StudyInstanceUID
SeriesInstanceUID SeriesNumber FrameOfReferenceUID ImagePositionPatient ImageOrientationPatient
SamplesPerPixel PhotometricInterpretation NumberOfFrames Rows Columns PixelSpacing BitsAllocated BitsStored
PixelRepresentation RescaleIntercept RescaleSlope SharedFunctionalGroupsSequence
PerFrameFunctionalGroupsSequence EchoPulseSequence EchoPlanarPulseSequence AcquisitionContrast ImageComments
BodyPartExamined RealWorldValueMappingSequence
"""

#: Private elements by group: their last two digits, looked for in every block that a creator may hold.
_PRIVATE = {
    0x0019: (0x0A, 0x0C, 0x0D, 0x0E),
    0x0043: (0x39,),
    0x2001: (0x03, 0x04),
    0x2005: (0x0E, 0x11),
    0x0065: (0x09, 0x0A, 0x50, 0x51),
    0x0029: (0x10, 0x20),
}


def _needed_tags() -> list[int]:
    """Return the tags read from every file: the keywords, and private elements with their creators."""
    tags = [tag for tag in map(tag_for_keyword, _KEYWORDS.split()) if tag is not None]
    for group, elements in _PRIVATE.items():
        for block in range(0x10, 0x18):
            tags.append(group << 16 | block)
            tags += [group << 16 | block << 8 | element for element in elements]
    return tags


# Ready-made tags: pydicom would otherwise build them anew for every file.
_TAGS: list[int] = [Tag(tag) for tag in _needed_tags()]
_TAG_SET = frozenset(_needed_tags())


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the bytes of one file are.

    Attributes:
        path: The file, or the zip that holds it.
        member: Name inside the zip, empty for a file.
    """

    path: Path
    member: str = ""

    def open(self) -> BinaryIO:
        """Open for reading bytes.

        Raises:
            StudyError: If a zip's member is damaged or encrypted.
        """
        if not self.member:
            return self.path.open("rb")
        try:
            with zipfile.ZipFile(self.path) as archive:
                return BytesIO(archive.read(self.member))
        except (zipfile.BadZipFile, RuntimeError, OSError, NotImplementedError, EOFError) as error:
            raise StudyError(
                f"cannot unpack {self.path.name}: damaged or encrypted; unpack it first"
            ) from error


@dataclass(frozen=True, kw_only=True)
class Header:
    """One DICOM file without its pixels.

    Attributes:
        source: The file.
        dataset: The needed elements.
        transfer_syntax: UID of the encoding.
        pixel_offset: Byte at which the pixel element starts, None where it was not found.
        signature: Equal for files whose elements are equal but for UID, position and number; None if unknown.
    """

    source: Source
    dataset: Dataset
    transfer_syntax: str
    pixel_offset: int | None
    signature: tuple[int, ...] | None = None


@contextmanager
def tolerant() -> Iterator[None]:
    """Read what scanners write without pydicom's complaints about values that we do not use."""
    before = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        config.settings.reading_validation_mode = before


def read_headers(path: Path) -> tuple[list[Header], int]:
    """Read the header of every DICOM file in a folder, a zip, or a single file.

    Args:
        path: Folder of any depth, zip, or file. Whatever is not DICOM is passed over.

    Returns:
        Headers in the order of their paths, and how many files were passed over.

    Raises:
        NoStudyError: If the path does not exist or holds no DICOM file.
        StudyError: If a zip cannot be read, or there are too many files.
    """
    headers, passed_over, cache = [], 0, ElementCache()
    with tolerant():
        for source, stream in _streams(path):
            with stream:
                header = _read_header(source, stream, cache)
            if header is None:
                passed_over += 1
            else:
                headers.append(header)
    if not headers:
        raise NoStudyError(
            f"no DICOM image in {path.name}: found {passed_over} other files; need a DICOM folder or zip, "
            "or a folder of NIfTI files named by sequence (t1.nii.gz, dwi_b900.nii.gz ...)"
        )
    _log.info("read %d DICOM headers, passed over %d other files", len(headers), passed_over)
    return headers, passed_over


def _streams(path: Path) -> Iterator[tuple[Source, BinaryIO]]:
    """Yield every file below a path, opened.

    Raises:
        NoStudyError: If there is no such path.
    """
    if not path.exists():
        raise NoStudyError(f"{path} does not exist; need a DICOM folder, a zip or a folder of NIfTI files")
    if path.is_file() and zipfile.is_zipfile(path):
        yield from _zip_streams(path)
        return
    files = _files_below(path) if path.is_dir() else [path]
    if len(files) > MAXIMUM_FILES:
        raise StudyError(f"found {len(files)} files in {path.name}, need one study; name its folder")
    for file in files:
        try:
            stream = file.open("rb")
        except OSError as error:
            raise StudyError(f"cannot open {file.name}: {error.strerror}") from error
        yield Source(path=file), stream


def _files_below(path: Path) -> list[Path]:
    """Return the files of a folder at any depth, sorted; links to folders are not followed."""
    found = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
    return [Path(file) for file in sorted(found, key=lambda file: file.split(os.sep))]


def _zip_streams(path: Path) -> Iterator[tuple[Source, BinaryIO]]:
    """Yield every file of a zip, unpacked in memory one at a time.

    Raises:
        StudyError: If the zip is damaged, encrypted or too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            size = sum(m.file_size for m in members)
            if size > MAXIMUM_ZIP_BYTES or len(members) > MAXIMUM_FILES:
                raise StudyError(f"{path.name} unpacks to {size / 1e9:.0f} GB; unpack it and name one study")
            for member in sorted(members, key=lambda m: m.filename):
                yield Source(path=path, member=member.filename), BytesIO(archive.read(member))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise StudyError(f"cannot unpack {path.name}: damaged or encrypted; unpack it first") from error


def _read_header(source: Source, stream: BinaryIO, cache: ElementCache) -> Header | None:
    """Return the header of one file, None if it is not DICOM or damaged beyond its header."""
    quick = read_quick_header(stream, _TAG_SET, cache)
    if quick is not None:
        return Header(
            source=source,
            dataset=quick.dataset,
            transfer_syntax=quick.transfer_syntax,
            pixel_offset=quick.pixel_offset,
            signature=quick.signature,
        )
    return _read_unusual(source, stream)


def _read_unusual(source: Source, stream: BinaryIO) -> Header | None:
    """Return the header of a file that needs the general reader, None as above."""
    stream.seek(0)
    try:
        dataset = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=_TAGS)
        syntax = str(dataset.file_meta.get("TransferSyntaxUID", "1.2.840.10008.1.2"))
        offset = _pixel_offset(stream)
    except InvalidDicomError:
        return None
    except Exception as error:
        # A damaged header makes the reader raise almost anything.
        _log.warning("passed over a damaged DICOM file (%s)", type(error).__name__)
        return None
    for tag in list(dataset.keys()):
        convert(dataset, tag)
    return Header(source=source, dataset=dataset, transfer_syntax=syntax, pixel_offset=offset)


def _pixel_offset(stream: BinaryIO) -> int | None:
    """Return where the pixel element starts, None if the reader did not stop at one."""
    offset = stream.tell()
    tag = stream.read(4)
    return offset if tag == b"\xe0\x7f\x10\x00" else None
