"""Damaged and absurd files: whatever comes in, nothing but our own one-line errors comes out.

A long run (10,000 byte damages, 3,000 absurd headers) is the same two functions with more examples.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import config
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

from marrowmap.data.deidentify import deidentify_study
from marrowmap.data.errors import MarrowmapError
from marrowmap.data.nifti_layouts import write_exam
from marrowmap.data.read import describe_study, read_exam

_ROOT = "1.2.826.0.1.3680043.8.498.78"
_T1 = {"SeriesDescription": "t1", "ScanningSequence": "SE", "RepetitionTime": 600, "EchoTime": 10}
_DWI = {"SeriesDescription": "dwi", "ScanningSequence": "EP", "RepetitionTime": 6000, "EchoTime": 60}
_FEW = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    database=None,
    derandomize=True,
)


def instance(series: int, k: int, b_value: int | None, **tags: Any) -> Dataset:
    """One slice of 6 x 6 pixels."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.Modality, dataset.Manufacturer = MRImageStorage, "MR", "SIEMENS"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{_ROOT}.1", f"{_ROOT}.2.{series}"
    dataset.SOPInstanceUID = f"{_ROOT}.3.{series}.{k}.{b_value or 0}"
    dataset.SeriesNumber, dataset.InstanceNumber = series, k + 1
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    dataset.ImageOrientationPatient, dataset.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 5 * k]
    dataset.PixelSpacing, dataset.SliceThickness = [2, 2], 5
    dataset.Rows = dataset.Columns = 6
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    if b_value is not None:
        dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", b_value)
    dataset.PixelData = (np.arange(36, dtype="<u2") + 100 * k + (b_value or 0)).tobytes()
    return dataset


def encoded(dataset: Dataset) -> bytes:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(str(dataset.get("SOPInstanceUID") or "1.2"))
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


STUDY = [encoded(instance(1, k, None, **_T1)) for k in range(4)]
STUDY += [encoded(instance(2, k, b, **_DWI)) for b in (50, 900) for k in range(4)]


def outcome(files: list[bytes], folder: Path) -> str:
    """Read a study of these files; return `read` or our own error's name. Any other error comes through."""
    archive = folder / "study.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for number, data in enumerate(files):
            target.writestr(f"{number:03d}", data)
    before = sorted(folder.iterdir())
    refusal: MarrowmapError | None = None
    try:
        describe_study(archive)
        exam = read_exam(archive)
        assert all(np.isfinite(v.affine_ras_mm).all() for v in exam.volumes.values())
    except MarrowmapError as error:
        refusal = error
    assert "\n" not in str(refusal)
    assert sorted(folder.iterdir()) == before
    return type(refusal).__name__ if refusal else "read"


def written_outcome(files: list[bytes], folder: Path) -> str:
    """De-identify a study of these files and write it as NIfTI; nothing appears but what was asked for."""
    archive = folder / "study.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for number, data in enumerate(files):
            target.writestr(f"{number:03d}", data)
    done, refusals = [], []
    for name, write in (
        ("deidentified", lambda out: deidentify_study(archive, out)),
        ("bids", lambda out: write_exam(read_exam(archive), out, "bids")),
    ):
        try:
            write(folder / name)
            done.append(name)
        except MarrowmapError as error:
            refusals.append(str(error))
    assert not any("\n" in refusal for refusal in refusals)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*done, "study.zip"])
    return ", ".join(done)


@st.composite
def damaged_studies(draw: st.DrawFn) -> list[bytes]:
    """The study with bytes changed, cut out, put in or cut off in one or two of its files."""
    files = list(STUDY)
    for _ in range(draw(st.integers(1, 2))):
        number = draw(st.integers(0, len(files) - 1))
        data = bytearray(files[number])
        for _ in range(draw(st.integers(1, 12))):
            at = draw(st.integers(128, max(len(data) - 1, 128)))
            match draw(st.integers(0, 3)):
                case 0:
                    data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
                case 1:
                    data[at : at + 4] = draw(st.sampled_from([b"\xff" * 4, bytes(4), b"\xfe\xff\x00\xe0"]))
                case 2:
                    del data[at : at + draw(st.integers(1, 40))]
                case _:
                    data[at:at] = draw(st.binary(max_size=20))
        files[number] = bytes(
            data[: draw(st.integers(0, len(data)))] if draw(st.integers(0, 9)) == 0 else data
        )
    return files


_NUMBERS = st.one_of(
    st.sampled_from([0, -1, 1e-12, 1e12, 65_535, float("inf"), float("nan"), -0.0]),
    st.floats(-1e4, 1e4),
    st.integers(-70_000, 70_000),
)
_TEXTS = st.one_of(
    st.text(max_size=40), st.sampled_from(["", "b900", "ADC", "MOSAIC", "\\", "localizer", "é"])
)
_KEYWORDS = [
    *("Rows", "Columns", "BitsAllocated", "PixelRepresentation", "SamplesPerPixel", "NumberOfFrames"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "EchoTime"),
    *("RepetitionTime", "InversionTime", "MagneticFieldStrength", "DiffusionBValue", "RescaleSlope"),
    *("RescaleIntercept", "SeriesNumber", "InstanceNumber", "AcquisitionNumber", "ImageType", "Modality"),
    *(
        "SeriesDescription",
        "Manufacturer",
        "PatientAge",
        "StudyDate",
        "SpecificCharacterSet",
        "SOPInstanceUID",
    ),
    *("ScanningSequence", "SequenceName", "FrameOfReferenceUID", "SeriesInstanceUID", "ImageComments"),
]


@st.composite
def absurd_studies(draw: st.DrawFn) -> list[bytes]:
    """The study with some files' elements set to values that make no sense, as far as they can be written."""
    files = list(STUDY)
    for _ in range(draw(st.integers(1, 3))):
        k = draw(st.integers(0, 3))
        dataset = instance(2, k, draw(st.sampled_from([50, 900])), **_DWI)
        for keyword in draw(st.lists(st.sampled_from(_KEYWORDS), min_size=1, max_size=4)):
            value = draw(st.one_of(_NUMBERS, _TEXTS, st.lists(_NUMBERS, max_size=7), st.none()))
            try:
                setattr(dataset, keyword, value)
                files.append(encoded(dataset))
            except Exception:
                # What pydicom refuses to write, no file can hold this way.
                dataset = instance(2, k, 900, **_DWI)
    return files


@pytest.fixture(autouse=True)
def permissive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let absurd values be written without complaints."""
    monkeypatch.setattr(config.settings, "_writing_validation_mode", config.IGNORE)
    warnings.simplefilter("ignore")


def test_the_study_as_it_is_can_be_read(tmp_path: Path) -> None:
    assert outcome(STUDY, tmp_path) == "read"


@_FEW
@given(files=damaged_studies())
def test_damaged_bytes_bring_nothing_but_our_own_errors(
    files: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    outcome(files, tmp_path_factory.mktemp("fuzz"))


@_FEW
@given(files=absurd_studies())
def test_absurd_headers_bring_nothing_but_our_own_errors(
    files: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    outcome(files, tmp_path_factory.mktemp("fuzz"))


def test_the_study_as_it_is_can_be_written(tmp_path: Path) -> None:
    assert written_outcome(STUDY, tmp_path) == "deidentified, bids"


@_FEW
@given(files=st.one_of(damaged_studies(), absurd_studies()))
def test_what_is_written_of_damaged_studies_is_whole_or_not_there(
    files: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    written_outcome(files, tmp_path_factory.mktemp("fuzz"))
