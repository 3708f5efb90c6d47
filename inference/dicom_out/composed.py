"""The composed whole-body series: what was segmented, as ordinary coronal MR images of the study.

Viewers hang on a segmentation that refers to several series; this one series carries all lesions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, MRImageStorage

from marrowmap.data.errors import ReportFileError
from marrowmap.data.exam import Affine, Array3D, LabelArray, Sequence
from marrowmap.data.frames import affine_ras_from_dicom, ras_to_lps
from marrowmap.data.grid import Grid
from marrowmap.data.sources import SourceSeries, SourceStack
from marrowmap.inference.dicom_out import codes
from marrowmap.inference.dicom_out.provenance import Maker, digest_of, new_object
from marrowmap.inference.report.slices import crop_to_body

FOLDER = "composed"
SERIES_NUMBER = 9101
#: "MPR" also keeps our own reader from taking the series for an acquired one.
DESCRIPTION = "marrowmap composed b{b} MPR (research)"
#: Integer steps of the image's own brightest voxel.
_TOP = 4095
#: How the acquisition was made; classic MR wants it of derived images too.
_ACQUISITION = (
    *("ScanningSequence", "SequenceVariant", "ScanOptions", "MRAcquisitionType", "RepetitionTime"),
    *("EchoTime", "EchoTrainLength", "InversionTime", "MagneticFieldStrength", "Manufacturer"),
    *("ManufacturerModelName", "InstitutionName", "PatientPosition"),
)


def compose_series(
    signal: Array3D, labels: LabelArray, grid: Grid, source: SourceSeries, maker: Maker, b_value: float | None
) -> tuple[SourceSeries, npt.NDArray[np.uint16]]:
    """Return the composed series and its pixels.

    Args:
        signal: High-b diffusion `(i, j, k)`, any scale, on an axis-aligned RAS+ grid.
        labels: Lesion ids on the same grid; they are never cropped away.
        grid: The grid.
        source: A completed source series of the exam.
        maker: Who makes it.
        b_value: For the description, s/mm2.

    Returns:
        The series, headers in the order front to back, and pixels `(slice, row, column)`.
    """
    box = crop_to_body(signal, labels)
    start = np.array([side.start for side in box])
    affine = grid.affine_ras_mm.copy()
    affine[:3, 3] += affine[:3, :3] @ start
    cropped = signal[box]
    pixels = _as_pixels(cropped)
    coronal = _coronal(affine, cropped.shape)
    slices, rows, columns = pixels.shape
    seed = maker.uid(FOLDER, digest_of([pixels.tobytes()]))
    template = _template(source.first, coronal, maker, b_value)
    template.SeriesInstanceUID = maker.uid(seed, "series")
    template.FrameOfReferenceUID = _frame_of_reference(source, maker)
    template.Rows, template.Columns = rows, columns
    datasets = tuple(_slice(template, coronal, index, maker.uid(seed, index)) for index in range(slices))
    stack = SourceStack(
        datasets=datasets,
        frames=(0,) * slices,
        grid=Grid(shape=(columns, rows, slices), affine_ras_mm=coronal),
    )
    return SourceSeries(stacks=(stack,), sequence=Sequence.DWI_HIGH), pixels


def write_series(series: SourceSeries, pixels: npt.NDArray[np.uint16], folder: Path) -> None:
    """Write the files of the composed series."""
    folder.mkdir(parents=True)
    for index, (dataset, plane) in enumerate(zip(series.datasets, pixels, strict=True), start=1):
        whole = Dataset()
        whole.update(dataset)
        whole.file_meta = dataset.file_meta
        whole.add_new("PixelData", "OW", plane.astype("<u2").tobytes())
        whole.save_as(folder / f"{index:04d}.dcm", enforce_file_format=True)


def read_series(folder: Path) -> SourceSeries:
    """Read the headers of a composed series back.

    Raises:
        ReportFileError: If there is none.
    """
    files = sorted(folder.glob("*.dcm"))
    if not files:
        raise ReportFileError(f"need the files of {folder.name} beside the objects; run infer again")
    datasets = tuple(dcmread(file, stop_before_pixels=True) for file in files)
    first, step = datasets[0], np.array([0.0, float(datasets[0].SpacingBetweenSlices), 0.0])
    affine = affine_ras_from_dicom(
        first.ImageOrientationPatient, first.ImagePositionPatient, first.PixelSpacing, step
    )
    grid = Grid(shape=(int(first.Columns), int(first.Rows), len(files)), affine_ras_mm=affine)
    stack = SourceStack(datasets=datasets, frames=(0,) * len(files), grid=grid)
    return SourceSeries(stacks=(stack,), sequence=Sequence.DWI_HIGH)


def on_series(volume: npt.NDArray[Any], grid: Grid, series: SourceSeries) -> npt.NDArray[Any]:
    """Return any volume of the working grid as the frames `(slice, row, column)` of the composed series."""
    stack = series.stacks[0].grid
    first = stack.points_mm(np.array([[0, 0, 0]]))[0]
    i, j, k = np.rint(np.linalg.inv(grid.affine_ras_mm) @ [*first, 1.0]).astype(int)[:3]
    columns, rows, slices = stack.shape
    box = volume[i - columns + 1 : i + 1, j - slices + 1 : j + 1, k - rows + 1 : k + 1]
    return np.ascontiguousarray(box[::-1, ::-1, ::-1].transpose(1, 2, 0))


def _as_pixels(cropped: Array3D) -> npt.NDArray[np.uint16]:
    """Return coronal planes front to back, head up, the patient's right on the left."""
    scale = _TOP / max(float(cropped.max(initial=0.0)), 1e-9)
    planes = np.rint(np.clip(cropped, 0.0, None) * np.float32(scale)).astype(np.uint16)
    return np.ascontiguousarray(planes[::-1, ::-1, ::-1].transpose(1, 2, 0))


def _coronal(affine: Affine, shape: tuple[int, ...]) -> Affine:
    """Return the RAS+ affine of `(column, row, slice)`: to the left, to the feet, to the back."""
    i, j, k = shape
    turned = np.eye(4)
    turned[:3, 0], turned[:3, 1], turned[:3, 2] = -affine[:3, 0], -affine[:3, 2], -affine[:3, 1]
    turned[:3, 3] = (affine @ [i - 1, j - 1, k - 1, 1.0])[:3]
    return turned


def _template(source: Dataset, coronal: Affine, maker: Maker, b_value: float | None) -> Dataset:
    """Return what all slices share; the scanner stays the equipment, we are the contributor."""
    made = new_object(source, MRImageStorage, maker.uid("template"), maker)
    # Elements are shared by all slices; what differs must not be there yet.
    del made.SOPInstanceUID
    for keyword in _ACQUISITION:
        if source.get(keyword) is not None:
            setattr(made, keyword, source[keyword].value)
    _fill_acquisition(made)
    made.SoftwareVersions = source.get("SoftwareVersions") or maker.program_version
    made.DeviceSerialNumber = source.get("DeviceSerialNumber") or ""
    made.Modality = "MR"
    made.ImageType = ["DERIVED", "SECONDARY", "MPR", "COMPOSED"]
    made.SeriesNumber = SERIES_NUMBER
    made.SeriesDescription = DESCRIPTION.format(b="" if b_value is None else f"{b_value:.0f}")
    made.BodyPartExamined = "WHOLEBODY"
    made.PositionReferenceIndicator = ""
    made.DerivationDescription = "Stations composed, brought to one isotropic grid and reformatted"
    made.DerivationCodeSequence = [_item(codes.REFORMATTING)]
    step = np.linalg.norm(coronal[:3, :3], axis=0)
    lps = ras_to_lps(coronal)
    made.PixelSpacing = [_decimal(step[1]), _decimal(step[0])]
    made.SliceThickness = made.SpacingBetweenSlices = _decimal(step[2])
    cosines = (lps[:3, :2] / step[:2]).T.ravel()
    made.ImageOrientationPatient = [_decimal(value) for value in cosines]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.WindowCenter, made.WindowWidth = _TOP // 4, _TOP // 2
    made.LossyImageCompression = "00"
    made.BurnedInAnnotation = "NO"
    made.RecognizableVisualFeatures = "YES"
    return made


def _fill_acquisition(made: Dataset) -> None:
    """Fill in what an enhanced source keeps elsewhere: diffusion is echo-planar spin echo."""
    defaults: Mapping[str, Any] = {
        "ScanningSequence": ["SE", "EP"],
        "SequenceVariant": "NONE",
        "ScanOptions": "",
        "MRAcquisitionType": "2D",
        "RepetitionTime": None,
        "EchoTime": None,
        "EchoTrainLength": None,
        "PatientPosition": "HFS",
    }
    for keyword, value in defaults.items():
        if keyword not in made:
            setattr(made, keyword, value)
    if "IR" in made.ScanningSequence and "InversionTime" not in made:
        made.InversionTime = None


def _slice(template: Dataset, coronal: Affine, index: int, uid: str) -> Dataset:
    """Return one slice's header."""
    made = Dataset()
    made.update(template)
    made.file_meta = type(template.file_meta)()
    made.file_meta.update(template.file_meta)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = UID(uid)
    made.InstanceNumber = index + 1
    position = (ras_to_lps(coronal) @ [0.0, 0.0, index, 1.0])[:3]
    made.ImagePositionPatient = [_decimal(value) for value in position]
    return made


def _frame_of_reference(source: SourceSeries, maker: Maker) -> str:
    """Return the source's frame of reference, a new one where it has none."""
    return str(source.first.get("FrameOfReferenceUID") or maker.uid("frame of reference"))


def _item(code: Any) -> Dataset:
    """Return one code as a sequence item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = (
        code.value,
        code.scheme_designator,
        code.meaning,
    )
    return item


def _decimal(value: float) -> str:
    """Return a number as DICOM writes it: at most 16 characters."""
    return f"{round(float(value), 6) + 0.0:.6f}".rstrip("0").rstrip(".")
