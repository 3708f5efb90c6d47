"""Enhanced multi-frame files: one a series, frames with functional groups (Siemens XA, Philips)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage

from marrowmap.data.simulate.dicom_files import PREAMBLE, decimal, encoded, encoded_meta, instance_uid
from marrowmap.data.simulate.slices import SliceStack

#: Classic tags that an enhanced file holds in its functional groups instead.
_IN_GROUPS = (
    "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "RepetitionTime",
    "EchoTime", "EchoTrainLength", "FlipAngle", "InversionTime", "ScanningSequence", "SequenceVariant",
    "ScanOptions", "MRAcquisitionType", "SequenceName", "RescaleSlope", "RescaleIntercept", "RescaleType",
    "DiffusionBValue", "WindowCenter", "WindowWidth",
)  # fmt: skip
#: Enhanced files say b in public, and Philips keeps its scale slope elsewhere: private blocks stay out.
_PRIVATE_GROUPS = (0x0019, 0x0043, 0x0065, 0x2001, 0x2005)


@dataclass(frozen=True, kw_only=True)
class FrameSet:
    """The slices of one acquisition, with what their classic files would say.

    Attributes:
        tags: Classic tags that all slices share.
        stack: Where the slices are.
        pixels: uint16 `(slice, row, column)`.
        b_value_s_per_mm2: Diffusion weighting, None without.
    """

    tags: Dataset
    stack: SliceStack
    pixels: npt.NDArray[np.uint16]
    b_value_s_per_mm2: float | None


def write_enhanced(members: list[FrameSet], folder: Path) -> int:
    """Write one series as one multi-frame file.

    Args:
        members: Acquisitions of one grid and one kind of timing: the b-values or Dixon images of a station.
        folder: Made if absent.

    Returns:
        1, the number of files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    first = members[0]
    tags = Dataset()
    tags.update(first.tags)
    for group in _PRIVATE_GROUPS:
        del tags[group << 16 : (group + 1) << 16]
    tags.SOPClassUID = EnhancedMRImageStorage
    tags.SOPInstanceUID = instance_uid(first.tags, 0)
    tags.InstanceNumber = 1
    tags.NumberOfFrames = sum(len(member.pixels) for member in members)
    _add_pulse_words(tags, first.tags)
    tags.SharedFunctionalGroupsSequence = [_shared(first.tags)]
    tags.PerFrameFunctionalGroupsSequence = [
        _frame(member, index, number)
        for number, member in enumerate(members, start=1)
        for index in range(len(member.pixels))
    ]
    for keyword in _IN_GROUPS:
        if keyword in tags:
            del tags[keyword]
    tags.add_new("PixelData", "OW", b"".join(member.pixels.tobytes() for member in members))
    meta = encoded_meta(tags.SOPInstanceUID, EnhancedMRImageStorage)
    (folder / "0001.dcm").write_bytes(PREAMBLE + meta + encoded(tags))
    return 1


def _add_pulse_words(tags: Dataset, classic: Dataset) -> None:
    words = set(
        classic.ScanningSequence
        if not isinstance(classic.ScanningSequence, str)
        else [classic.ScanningSequence]
    )
    tags.EchoPulseSequence = "GRADIENT" if "GR" in words else "SPIN"
    tags.EchoPlanarPulseSequence = "YES" if "EP" in words else "NO"
    tags.AcquisitionContrast = "DIFFUSION" if "EP" in words else "T1" if "IR" not in words else "STIR"


def _shared(classic: Dataset) -> Dataset:
    shared = Dataset()
    shared.PixelMeasuresSequence = [
        _picked(classic, "PixelSpacing", "SliceThickness", "SpacingBetweenSlices")
    ]
    shared.PlaneOrientationSequence = [_picked(classic, "ImageOrientationPatient")]
    shared.MRTimingAndRelatedParametersSequence = [_picked(classic, "RepetitionTime", "FlipAngle")]
    modifier = Dataset()
    modifier.InversionRecovery = "YES" if "InversionTime" in classic else "NO"
    if "InversionTime" in classic:
        modifier.InversionTimes = [float(classic.InversionTime)]
    shared.MRModifierSequence = [modifier]
    return shared


def _frame(member: FrameSet, index: int, number: int) -> Dataset:
    """Return the functional groups of one frame."""
    classic, frame = member.tags, Dataset()
    position = member.stack.first_position_lps_mm + index * member.stack.step_lps_mm
    frame.PlanePositionSequence = [Dataset()]
    frame.PlanePositionSequence[0].ImagePositionPatient = [decimal(value) for value in position]
    frame.FrameContentSequence = [Dataset()]
    frame.FrameContentSequence[0].FrameAcquisitionNumber = number
    frame.FrameContentSequence[0].InStackPositionNumber = index + 1
    frame.MRImageFrameTypeSequence = [Dataset()]
    frame.MRImageFrameTypeSequence[0].FrameType = classic.ImageType
    frame.MRImageFrameTypeSequence[0].ComplexImageComponent = "MAGNITUDE"
    frame.MREchoSequence = [Dataset()]
    frame.MREchoSequence[0].EffectiveEchoTime = float(classic.EchoTime)
    if member.b_value_s_per_mm2 is not None:
        frame.MRDiffusionSequence = [Dataset()]
        frame.MRDiffusionSequence[0].DiffusionBValue = member.b_value_s_per_mm2
        frame.MRDiffusionSequence[0].DiffusionDirectionality = "ISOTROPIC"
    if "RescaleSlope" in classic:
        frame.PixelValueTransformationSequence = [
            _picked(classic, "RescaleSlope", "RescaleIntercept", "RescaleType")
        ]
        _add_scale_slope(frame, classic)
    return frame


def _add_scale_slope(frame: Dataset, classic: Dataset) -> None:
    """Put Philips' scale slope into the nested private item where its enhanced files keep it."""
    if (0x2005, 0x0010) not in classic or (0x2005, 0x100E) not in classic:
        return
    nested = Dataset()
    nested.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(
        0x0E, "FL", classic[0x2005, 0x100E].value
    )
    frame.private_block(0x2005, "Philips MR Imaging DD 005", create=True).add_new(0x0F, "SQ", [nested])


def _picked(tags: Dataset, *keywords: str) -> Dataset:
    """Return a data set of the named elements that are there."""
    picked = Dataset()
    for keyword in keywords:
        if keyword in tags:
            picked.add(tags[keyword])
    return picked
