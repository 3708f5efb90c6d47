from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from marrowmap.data import header_bytes as module
from marrowmap.data.header_bytes import header_bytes
from marrowmap.data.headers import tolerant


def written(folder: Path, syntax: UID, *, with_sequence: bool) -> Path:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", "1.2.3"
    dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 192", "Müller^Jörg"
    dataset.Rows, dataset.PixelSpacing, dataset.SeriesDescription = 7, [1.5, 1.5], "odd"
    if with_sequence:
        item = Dataset()
        item.CodeValue = "1"
        dataset.AnatomicRegionSequence = [item]
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(folder / "one.dcm", enforce_file_format=True)
    return folder / "one.dcm"


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("with_sequence", [False, True])
def test_the_quick_way_writes_what_pydicom_writes(tmp_path: Path, syntax: UID, with_sequence: bool) -> None:
    file = written(tmp_path, syntax, with_sequence=with_sequence)
    quick, slow = header_bytes(pydicom.dcmread(file)), module._slow_bytes(pydicom.dcmread(file))
    assert quick == slow
    assert pydicom.dcmread(BytesIO(quick)) == pydicom.dcmread(file)


def test_a_plain_header_needs_no_look_at_its_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_slow_bytes", None)
    dataset = pydicom.dcmread(written(tmp_path, ExplicitVRLittleEndian, with_sequence=False))
    with tolerant():
        header_bytes(dataset)
    assert dataset.get_item("PatientName").is_raw
