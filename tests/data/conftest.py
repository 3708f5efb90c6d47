"""A small DICOM study, written file by file, for the tests that read one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

ROOT = "1.2.826.0.1.3680043.8.498.77"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)

WriteSeries = Callable[..., list[Path]]


def mr_dataset(**tags: Any) -> Dataset:
    """A header of a Siemens-like MR instance, tags over the defaults."""
    dataset = Dataset()
    defaults: dict[str, Any] = {
        "SOPClassUID": MRImageStorage,
        "Modality": "MR",
        "Manufacturer": "SIEMENS",
        "StudyInstanceUID": f"{ROOT}.1",
        "FrameOfReferenceUID": f"{ROOT}.2",
        "PatientID": "test",
        "PatientSex": "F",
        "PatientAge": "065Y",
        "StudyDate": "20250102",
        "MagneticFieldStrength": 1.5,
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 0,
    }
    for keyword, value in (defaults | tags).items():
        if value is not None:
            setattr(dataset, keyword, value)
    return dataset


@pytest.fixture
def write_series(tmp_path: Path) -> WriteSeries:
    """A function that writes one series below `tmp_path / "study"`, one file a slice."""

    def write(
        number: int,
        planes: np.ndarray,
        *,
        origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
        orientation: tuple[float, ...] = AXIAL,
        spacing: tuple[float, float] = (2.0, 2.0),
        step: float = 5.0,
        b_private: int | None = None,
        folder: str = "study",
        **tags: Any,
    ) -> list[Path]:
        normal = np.cross(orientation[:3], orientation[3:])
        files = []
        for k, plane in enumerate(planes):
            dataset = mr_dataset(SeriesNumber=number, SeriesInstanceUID=f"{ROOT}.3.{number}", **tags)
            dataset.SOPInstanceUID = f"{ROOT}.4.{number}.{b_private or 0}.{k + 1}"
            dataset.InstanceNumber = k + 1
            dataset.ImageOrientationPatient = list(orientation)
            dataset.ImagePositionPatient = [float(v) for v in np.array(origin) + k * step * normal]
            dataset.PixelSpacing = list(spacing)
            dataset.SliceThickness = step
            dataset.Rows, dataset.Columns = plane.shape
            if b_private is not None:
                dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", b_private)
            dataset.PixelData = plane.astype("<u2").tobytes()
            files.append(save(dataset, tmp_path / folder / f"s{number:03d}" / f"i{b_private or 0}_{k:04d}"))
        return files

    return write


def save(dataset: Dataset, path: Path) -> Path:
    """Write a data set as a DICOM file without extension."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def make_dataset() -> Callable[..., Dataset]:
    """The function that makes a header of a Siemens-like MR instance, tags over the defaults."""
    return mr_dataset


@pytest.fixture
def save_dicom() -> Callable[[Dataset, Path], Path]:
    """The function that writes a data set as a DICOM file without extension."""
    return save
