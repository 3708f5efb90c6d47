"""What else lies in a real study: localizers, projections, calculated b-values, screenshots: none is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

from marrowmap.data.exam import Affine, Sequence, Volume
from marrowmap.data.simulate.acquisition import Acquisition
from marrowmap.data.simulate.dicom_files import (
    PREAMBLE,
    decimal,
    encoded,
    encoded_meta,
    instance_uid,
    write_slices,
)
from marrowmap.data.simulate.slices import SliceStack, cut_into_slices

_FIRST_NUMBER = 900
_PROJECTIONS = 6


def write_nuisance(study: Dataset, acquisitions: Iterable[Acquisition], folder: Path) -> int:
    """Write series that show no whole-body volume.

    Args:
        study: Tags that every file of the study shares.
        acquisitions: What was scanned; the first high-b station lends its pixels.
        folder: Each series gets a folder below it.

    Returns:
        The number of files written.
    """
    source = next((a.volume for a in acquisitions if a.sequence is Sequence.DWI_HIGH), None)
    if source is None:
        return 0
    files = _write_localizer(study, source, folder)
    files += _write_projections(study, source, folder)
    files += _write_calculated(study, source, folder)
    return files + _write_screenshot(study, source, folder)


def _tags(study: Dataset, number: int, description: str, image_type: tuple[str, ...]) -> Dataset:
    tags = Dataset()
    tags.update(study)
    tags.SeriesInstanceUID = generate_uid(entropy_srcs=[str(study.StudyInstanceUID), f"nuisance {number}"])
    tags.SeriesNumber = _FIRST_NUMBER + number
    tags.SeriesDescription = tags.ProtocolName = description
    tags.ImageType = list(image_type)
    tags.ScanningSequence, tags.SequenceVariant, tags.ScanOptions = "GR", "SP", ""
    tags.MRAcquisitionType = "2D"
    tags.RepetitionTime, tags.EchoTime, tags.FlipAngle = "7", "3.5", "20"
    tags.AcquisitionNumber = 1
    return tags


def _placed(tags: Dataset, stack: SliceStack) -> Dataset:
    placed = Dataset()
    placed.update(tags)
    placed.ImageOrientationPatient = [
        decimal(v) for v in np.concatenate([stack.row_cosine_lps, stack.column_cosine_lps])
    ]
    placed.PixelSpacing = [decimal(value) for value in stack.pixel_spacing_mm]
    placed.SliceThickness = decimal(float(np.linalg.norm(stack.step_lps_mm)))
    _, placed.Rows, placed.Columns = stack.array.shape
    return _with_pixel_words(placed)


def _with_pixel_words(tags: Dataset) -> Dataset:
    tags.SamplesPerPixel, tags.PhotometricInterpretation = 1, "MONOCHROME2"
    tags.BitsAllocated = tags.BitsStored = 16
    tags.HighBit, tags.PixelRepresentation = 15, 0
    return tags


def _as_pixels(array: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    return np.clip(np.rint(array * (4000 / max(float(array.max()), 1e-6))), 0, 4095).astype("<u2")


def _write_localizer(study: Dataset, source: Volume, folder: Path) -> int:
    """Write five slices in each of three planes, as one series."""
    tags = _tags(study, 1, "3-plane localizer", ("ORIGINAL", "PRIMARY", "M", "NORM"))
    written = 0
    for axis in range(3):
        places = np.linspace(0.3, 0.7, 5) * (source.shape[axis] - 1)
        array = np.take(source.array, np.rint(places).astype(int), axis=axis)
        step = (source.shape[axis] - 1) * 0.1
        affine = source.affine_ras_mm.copy()
        affine[:3, 3] += affine[:3, axis] * places[0]
        affine[:3, axis] *= max(step, 12.0 / source.spacing_mm[axis])
        stack = cut_into_slices(Volume(array=array, affine_ras_mm=affine))
        written += write_slices(
            _placed(tags, stack), stack, _as_pixels(stack.array), folder / "901_localizer", first=written
        )
    return written


def _write_projections(study: Dataset, source: Volume, folder: Path) -> int:
    """Write projections around the body's axis, each turned a little further."""
    tags = _tags(
        study, 2, "AX DWI b900 inverted MIP radial", ("DERIVED", "SECONDARY", "PROJECTION IMAGE", "MIP")
    )
    projections = [np.roll(source.array, 3 * n, axis=1).max(axis=1) for n in range(_PROJECTIONS)]
    array = np.stack(projections, axis=1)
    stack = cut_into_slices(Volume(array=array, affine_ras_mm=_thick(source.affine_ras_mm, 1)))
    return write_slices(_placed(tags, stack), stack, _as_pixels(stack.array), folder / "902_mip")


def _thick(affine: Affine, axis: int) -> Affine:
    thick = affine.copy()
    thick[:3, axis] *= 10.0 / np.linalg.norm(thick[:3, axis])
    return thick


def _write_calculated(study: Dataset, source: Volume, folder: Path) -> int:
    """Write an image of a b-value that was calculated, not measured."""
    tags = _tags(study, 3, "AX DWI calc_b1400", ("DERIVED", "PRIMARY", "DIFFUSION", "CALC_BVALUE"))
    stack = cut_into_slices(source)
    pixels = _as_pixels(np.square(stack.array))
    return write_slices(_placed(tags, stack), stack, pixels, folder / "903_calculated")


def _write_screenshot(study: Dataset, source: Volume, folder: Path) -> int:
    """Write a screenshot: a secondary capture without a place in the patient."""
    tags = _tags(study, 4, "SCREENSHOT", ("DERIVED", "SECONDARY", "SCREEN SAVE"))
    pixels = _as_pixels(source.array.max(axis=1).T[::-1])
    tags.SOPClassUID = SecondaryCaptureImageStorage
    tags.ConversionType = "WSD"
    tags.SOPInstanceUID, tags.InstanceNumber = instance_uid(tags, 0), 1
    tags.Rows, tags.Columns = pixels.shape
    _with_pixel_words(tags)
    tags.add_new("PixelData", "OW", np.ascontiguousarray(pixels).tobytes())
    place = folder / "904_screenshot"
    place.mkdir(parents=True, exist_ok=True)
    meta = encoded_meta(tags.SOPInstanceUID, SecondaryCaptureImageStorage)
    (place / "0001.dcm").write_bytes(PREAMBLE + meta + encoded(tags))
    return 1
