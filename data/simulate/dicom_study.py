"""A simulated exam as a DICOM study: one file a slice or one a series, as any of four scanners writes it.

By default the files look like those of a Siemens scanner: every station of every sequence is its own series,
the b-value stands in the private tag only, the ADC map holds integers in um2/s. Everything, UIDs included,
follows from the exam's seed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import UID, MRImageStorage, generate_uid

from marrowmap.data.exam import Sequence
from marrowmap.data.simulate.dicom_enhanced import FrameSet, write_enhanced
from marrowmap.data.simulate.dicom_files import decimal, write_slices
from marrowmap.data.simulate.dicom_nuisance import write_nuisance
from marrowmap.data.simulate.dicom_protocol import Protocol, b_value_of, protocol_of
from marrowmap.data.simulate.dicom_vendors import VENDORS, Vendor, VendorName
from marrowmap.data.simulate.exam import Acquisition, SimulatedExam
from marrowmap.data.simulate.person import Person
from marrowmap.data.simulate.signal import SignalSettings
from marrowmap.data.simulate.slices import SliceStack, cut_into_slices

STUDY_DATE = "20250101"
BRIGHTEST_PIXEL = 16_383
FAT_FRACTION_STEP = 0.001

_DWI = frozenset({Sequence.DWI_LOW, Sequence.DWI_HIGH})
_DIXON = frozenset({Sequence.DIXON_IN, Sequence.DIXON_OUT, Sequence.DIXON_FAT, Sequence.DIXON_WATER})


#: Largest stored value where the scanner keeps 12 bits and scales every series apart.
_BRIGHTEST_OF_12_BITS = 4095


@dataclass(frozen=True, kw_only=True)
class DicomStyle:
    """Whose files a study looks like.

    Attributes:
        vendor: Whose encodings of b-value, Dixon kind, units and scaling.
        is_enhanced: One multi-frame file a series instead of one file a slice.
        has_nuisance: Localizers, projections, a calculated b-value and screenshots stand between the series.
    """

    vendor: VendorName = "siemens"
    is_enhanced: bool = False
    has_nuisance: bool = False


def write_dicom_study(simulated: SimulatedExam, folder: Path, style: DicomStyle | None = None) -> int:
    """Write a simulated exam as a DICOM study.

    Args:
        simulated: Stations as the scanner made them.
        folder: Made if absent; each series gets a folder of its own below it.
        style: Whose files they look like; classic Siemens if None.

    Returns:
        The number of files written.
    """
    style = style or DicomStyle()
    vendor = VENDORS[style.vendor]
    seed = simulated.truth.seed
    gains = pixel_gains(simulated.acquisitions)
    study = _study_tags(seed, simulated.truth.person, simulated.signal, simulated.days, vendor)
    files = 0
    for number, members in enumerate(_by_series(simulated.acquisitions, vendor), start=1):
        first = members[0]
        place = folder / f"{number:03d}_{first.sequence}_station{first.station + 1}"
        frames = [
            _frame_set(study, member, simulated.signal, vendor, number, gains[member.sequence])
            for member in members
        ]
        if style.is_enhanced:
            files += write_enhanced(frames, place)
            continue
        written = 0
        for one in frames:
            written += write_slices(one.tags, one.stack, one.pixels, place, first=written)
        files += written
    if style.has_nuisance:
        files += write_nuisance(study, simulated.acquisitions, folder)
    return files


def _by_series(acquisitions: Iterable[Acquisition], vendor: Vendor) -> list[list[Acquisition]]:
    """Return the acquisitions by the series that the vendor makes of them."""
    series: dict[tuple[object, ...], list[Acquisition]] = defaultdict(list)
    for number, acquisition in enumerate(acquisitions):
        key: tuple[object, ...] = (number,)
        if vendor.joins_b_values and acquisition.sequence in _DWI:
            key = ("diffusion", acquisition.station)
        elif vendor.joins_dixon and acquisition.sequence in _DIXON:
            key = ("dixon", acquisition.station)
        series[key].append(acquisition)
    return list(series.values())


def _frame_set(
    study: Dataset,
    acquisition: Acquisition,
    signal: SignalSettings,
    vendor: Vendor,
    number: int,
    gain: float,
) -> FrameSet:
    """Return one acquisition's slices with everything that their files say."""
    stack = cut_into_slices(acquisition.volume)
    tags = _series_tags(study, acquisition, stack, signal, vendor, number=number)
    brightest = float(stack.array.max())
    if vendor.has_scale_slope and acquisition.sequence is not Sequence.ADC and brightest > 0:
        gain = _BRIGHTEST_OF_12_BITS / brightest
        _add_scale_slope(tags, gain, number)
    is_diffusion = acquisition.sequence in _DWI
    return FrameSet(
        tags=tags,
        stack=stack,
        pixels=_as_pixels(stack.array, gain),
        b_value_s_per_mm2=float(b_value_of(acquisition.sequence, acquisition.volume))
        if is_diffusion
        else None,
    )


def _add_scale_slope(tags: Dataset, gain: float, number: int) -> None:
    """Write Philips' two slopes: signal is (stored * slope + intercept) / (slope * scale slope)."""
    tags.RescaleSlope, tags.RescaleIntercept = decimal(1.1 + 0.13 * (number % 5)), "0"
    tags.RescaleType = "normalized"
    block = tags.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
    block.add_new(0x0E, "FL", gain)


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


def _study_tags(seed: int, person: Person, signal: SignalSettings, days: int, vendor: Vendor) -> Dataset:
    later = (f"{days} days later",) if days else ()
    stature_m = person.stature_mm / 1000
    tags = Dataset()
    tags.SpecificCharacterSet = "ISO_IR 100"
    tags.SOPClassUID = MRImageStorage
    tags.StudyDate = tags.SeriesDate = tags.AcquisitionDate = tags.ContentDate = _date(days)
    tags.StudyTime = "080000"
    tags.AccessionNumber = ""
    tags.Modality = "MR"
    tags.Manufacturer = vendor.manufacturer
    tags.ReferringPhysicianName = ""
    tags.StudyDescription = "SIMULATED WHOLE-BODY MRI"
    tags.ManufacturerModelName = vendor.models[signal.field_strength_t >= 3]
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
    tags.SoftwareVersions = vendor.software
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
    study: Dataset,
    acquisition: Acquisition,
    stack: SliceStack,
    signal: SignalSettings,
    vendor: Vendor,
    *,
    number: int,
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
    vendor.label(tags, sequence, b_value_of(sequence, acquisition.volume) if sequence in _DWI else None)
    if sequence is Sequence.ADC and vendor.adc_slope is not None:
        tags.RescaleSlope, tags.RescaleIntercept, tags.RescaleType = f"{vendor.adc_slope:g}", "0", "US"
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
    tags.RepetitionTime = decimal(protocol.repetition_time_ms)
    tags.EchoTime = decimal(protocol.echo_time_ms)
    tags.EchoTrainLength = protocol.echo_train_length
    tags.FlipAngle = decimal(protocol.flip_angle_deg)
    if protocol.inversion_time_ms is not None:
        tags.InversionTime = decimal(protocol.inversion_time_ms)


def _add_geometry(tags: Dataset, stack: SliceStack) -> None:
    thickness = decimal(float(np.linalg.norm(stack.step_lps_mm)))
    tags.SliceThickness = tags.SpacingBetweenSlices = thickness
    cosines = np.concatenate([stack.row_cosine_lps, stack.column_cosine_lps])
    tags.ImageOrientationPatient = [decimal(value) for value in cosines]
    tags.PixelSpacing = [decimal(value) for value in stack.pixel_spacing_mm]
    _, tags.Rows, tags.Columns = stack.array.shape
    tags.SamplesPerPixel = 1
    tags.PhotometricInterpretation = "MONOCHROME2"
    tags.BitsAllocated = tags.BitsStored = 16
    tags.HighBit = 15
    tags.PixelRepresentation = 0
