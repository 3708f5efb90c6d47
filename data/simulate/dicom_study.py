"""A simulated exam as a DICOM study: one file a slice, each station of each sequence its own series.

The files look like those of a Siemens scanner: the b-value stands in the private tag only, the ADC
map holds integers in um2/s. Everything, UIDs included, follows from the exam's seed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_file_meta_info
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from marrowmap.data.exam import Sequence
from marrowmap.data.simulate.dicom_protocol import Protocol, b_value_of, protocol_of
from marrowmap.data.simulate.exam import Acquisition, SimulatedExam
from marrowmap.data.simulate.person import Person
from marrowmap.data.simulate.signal import SignalSettings
from marrowmap.data.simulate.slices import SliceStack, cut_into_slices

STUDY_DATE = "20250101"
BRIGHTEST_PIXEL = 16_383
FAT_FRACTION_STEP = 0.001

_IMPLEMENTATION_UID = UID("1.2.826.0.1.3680043.8.498.1")
_PREAMBLE = bytes(128) + b"DICM"
_CHANGING = tuple(
    Tag(word)
    for word in ("SOPInstanceUID", "InstanceNumber", "ImagePositionPatient", "SliceLocation", "PixelData")
)
_DWI = frozenset({Sequence.DWI_LOW, Sequence.DWI_HIGH})
_DIXON = frozenset({Sequence.DIXON_IN, Sequence.DIXON_OUT, Sequence.DIXON_FAT, Sequence.DIXON_WATER})


def write_dicom_study(simulated: SimulatedExam, folder: Path) -> int:
    """Write a simulated exam as a DICOM study.

    Args:
        simulated: Stations as the scanner made them.
        folder: Made if absent; each series gets a folder of its own below it.

    Returns:
        The number of files written.
    """
    seed = simulated.truth.seed
    gains = pixel_gains(simulated.acquisitions)
    study = _study_tags(seed, simulated.truth.person, simulated.signal, simulated.days)
    files = 0
    for number, acquisition in enumerate(simulated.acquisitions, start=1):
        stack = cut_into_slices(acquisition.volume)
        template = _series_tags(study, acquisition, stack, simulated.signal, number=number)
        pixels = _as_pixels(stack.array, gains[acquisition.sequence])
        place = folder / f"{number:03d}_{acquisition.sequence}_station{acquisition.station + 1}"
        files += _write_slices(template, stack, pixels, place)
    return files


def pixel_gains(acquisitions: Iterable[Acquisition]) -> dict[Sequence, float]:
    """Return the factor from a sequence's values to its integer pixels.

    Stations share it, and so do both b-values and all Dixon images: their ratios carry meaning.
    ADC is written in um2/s and the fat fraction in thousandths, whatever their range.
    """
    brightest: dict[frozenset[Sequence], float] = {}
    for acquisition in acquisitions:
        group = _gain_group(acquisition.sequence)
        brightest[group] = max(brightest.get(group, 0.0), float(acquisition.volume.array.max()))
    gains = {
        sequence: BRIGHTEST_PIXEL / maximum if maximum > 0 else 1.0
        for group, maximum in brightest.items()
        for sequence in group
    }
    return gains | {Sequence.ADC: 1.0, Sequence.FAT_FRACTION: 1.0 / FAT_FRACTION_STEP}


def _gain_group(sequence: Sequence) -> frozenset[Sequence]:
    return next((group for group in (_DWI, _DIXON) if sequence in group), frozenset({sequence}))


def _as_pixels(array: npt.NDArray[np.float32], gain: float) -> npt.NDArray[np.uint16]:
    return np.clip(np.rint(array * gain), 0, 65_535).astype("<u2")


def _uid(*parts: object) -> UID:
    return generate_uid(entropy_srcs=["marrowmap-simulated", *(f"/{part}" for part in parts)])


def _study_tags(seed: int, person: Person, signal: SignalSettings, days: int) -> Dataset:
    later = (f"{days} days later",) if days else ()
    stature_m = person.stature_mm / 1000
    tags = Dataset()
    tags.SpecificCharacterSet = "ISO_IR 100"
    tags.SOPClassUID = MRImageStorage
    tags.StudyDate = tags.SeriesDate = tags.AcquisitionDate = tags.ContentDate = _date(days)
    tags.StudyTime = "080000"
    tags.AccessionNumber = ""
    tags.Modality = "MR"
    tags.Manufacturer = "SIEMENS"
    tags.ReferringPhysicianName = ""
    tags.StudyDescription = "SIMULATED WHOLE-BODY MRI"
    tags.ManufacturerModelName = "Avanto" if signal.field_strength_t < 3 else "Skyra"
    tags.PatientName = "SIMULATED^EXAM"
    tags.PatientID = f"SIM-{seed}"
    tags.PatientBirthDate = ""
    tags.PatientSex = person.sex
    tags.PatientAge = f"{round(person.age_years):03d}Y"
    tags.PatientSize = f"{stature_m:.2f}"
    tags.PatientWeight = f"{(25 + 4.5 * person.adiposity) * stature_m**2:.1f}"  # kg; adults: BMI 25 +/- 4.5
    tags.BodyPartExamined = "WHOLEBODY"
    tags.MagneticFieldStrength = signal.field_strength_t
    tags.ImagedNucleus = "1H"
    tags.SoftwareVersions = "syngo MR B17"
    tags.PatientPosition = "HFS"
    tags.StudyInstanceUID = _uid(seed, "study", *later)
    tags.StudyID = "1"
    tags.FrameOfReferenceUID = _uid(seed, "frame of reference", *later)
    tags.PositionReferenceIndicator = ""
    return tags


def _date(days: int) -> str:
    """Return the date of a study so many days after the first."""
    return (date.fromisoformat(STUDY_DATE) + timedelta(days=days)).strftime("%Y%m%d")


def _series_tags(
    study: Dataset, acquisition: Acquisition, stack: SliceStack, signal: SignalSettings, *, number: int
) -> Dataset:
    sequence = acquisition.sequence
    tags = Dataset()
    tags.update(study)
    tags.SeriesInstanceUID = _uid(study.StudyInstanceUID, "series", number)
    tags.SeriesNumber = number
    tags.AcquisitionNumber = 1
    tags.SeriesDescription = tags.ProtocolName = acquisition.description[:64]
    minutes = 8 * 60 + 2 * number
    clock = f"{minutes // 60 % 24:02d}{minutes % 60:02d}00"
    tags.SeriesTime = tags.AcquisitionTime = tags.ContentTime = clock
    _add_protocol(tags, protocol_of(sequence, acquisition.volume, signal))
    _add_geometry(tags, stack)
    if sequence in _DWI:
        _add_private_b_value(tags, b_value_of(sequence, acquisition.volume))
    if sequence is Sequence.FAT_FRACTION:
        tags.RescaleSlope, tags.RescaleIntercept, tags.RescaleType = FAT_FRACTION_STEP, 0, "US"
    return tags


def _add_protocol(tags: Dataset, protocol: Protocol) -> None:
    tags.ImageType = list(protocol.image_type)
    tags.ScanningSequence = list(protocol.scanning_sequence)
    tags.SequenceVariant = list(protocol.sequence_variant)
    tags.ScanOptions = list(protocol.scan_options)
    tags.MRAcquisitionType = protocol.acquisition_type
    tags.SequenceName = protocol.sequence_name
    tags.RepetitionTime = _decimal(protocol.repetition_time_ms)
    tags.EchoTime = _decimal(protocol.echo_time_ms)
    tags.EchoTrainLength = protocol.echo_train_length
    tags.FlipAngle = _decimal(protocol.flip_angle_deg)
    if protocol.inversion_time_ms is not None:
        tags.InversionTime = _decimal(protocol.inversion_time_ms)


def _add_geometry(tags: Dataset, stack: SliceStack) -> None:
    thickness = _decimal(float(np.linalg.norm(stack.step_lps_mm)))
    tags.SliceThickness = tags.SpacingBetweenSlices = thickness
    cosines = np.concatenate([stack.row_cosine_lps, stack.column_cosine_lps])
    tags.ImageOrientationPatient = [_decimal(value) for value in cosines]
    tags.PixelSpacing = [_decimal(value) for value in stack.pixel_spacing_mm]
    _, tags.Rows, tags.Columns = stack.array.shape
    tags.SamplesPerPixel = 1
    tags.PhotometricInterpretation = "MONOCHROME2"
    tags.BitsAllocated = tags.BitsStored = 16
    tags.HighBit = 15
    tags.PixelRepresentation = 0


def _add_private_b_value(tags: Dataset, b_value_s_per_mm2: int) -> None:
    block = tags.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", str(b_value_s_per_mm2))


def _decimal(value: float) -> str:
    """Return a number as DICOM writes it: at most 16 characters, to six decimals."""
    return f"{round(value, 6) + 0.0:.6f}".rstrip("0").rstrip(".")


def _write_slices(template: Dataset, stack: SliceStack, pixels: npt.NDArray[np.uint16], folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    levels = int(pixels.max()) or 1
    template.WindowCenter, template.WindowWidth = levels // 4, max(levels // 2, 1)
    pieces = _unchanging_pieces(template)
    first_uid = _instance_uid(template, 0)
    head = _PREAMBLE + _encoded_meta(first_uid)
    for index, plane in enumerate(pixels):
        tags = _slice_tags(template, stack, index)
        tags.add_new("PixelData", "OW", plane.tobytes())
        between = zip(pieces, (_encoded([tags[tag]]) for tag in _CHANGING), strict=True)
        body = b"".join(piece + changed for piece, changed in between)
        own_head = head.replace(first_uid.encode(), tags.SOPInstanceUID.encode())
        (folder / f"{index + 1:04d}.dcm").write_bytes(own_head + body)
    return len(pixels)


def _slice_tags(template: Dataset, stack: SliceStack, index: int) -> Dataset:
    position = stack.first_position_lps_mm + index * stack.step_lps_mm
    normal = np.cross(stack.row_cosine_lps, stack.column_cosine_lps)
    tags = Dataset()
    tags.SOPInstanceUID = _instance_uid(template, index)
    tags.InstanceNumber = index + 1
    tags.ImagePositionPatient = [_decimal(value) for value in position]
    tags.SliceLocation = _decimal(float(position @ normal))
    return tags


def _unchanging_pieces(template: Dataset) -> list[bytes]:
    """Return what stands before each tag that changes: encoding it once makes writing four times faster."""
    starts = (0, *(tag + 1 for tag in _CHANGING[:-1]))
    return [_encoded(template[start:tag]) for start, tag in zip(starts, _CHANGING, strict=True)]


def _encoded(elements: Iterable[DataElement]) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    for element in elements:
        write_data_element(buffer, element)
    return buffer.getvalue()


def _instance_uid(template: Dataset, index: int) -> UID:
    """Return the UID of a slice: as long as its sisters', so that one can take another's place in a file."""
    return UID(f"{template.SeriesInstanceUID[:58]}.{10_001 + index}")


def _encoded_meta(instance_uid: UID) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = instance_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _IMPLEMENTATION_UID
    meta.ImplementationVersionName = "MARROWMAP"
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta)
    return buffer.getvalue()
