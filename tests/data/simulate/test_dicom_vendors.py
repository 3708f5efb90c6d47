"""One simulated exam as four manufacturers would have written it: it reads back the same from all."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pydicom
import pytest

from marrowmap.data.exam import Exam, Sequence
from marrowmap.data.read import describe_study, read_exam
from marrowmap.data.simulate.dicom_study import DicomStyle, write_dicom_study
from marrowmap.data.simulate.dicom_vendors import VENDORS, VendorName
from marrowmap.data.simulate.exam import SimulatedExam, SimulationSettings, simulate_exam
from marrowmap.data.simulate.protocol import FULL_PROTOCOL, ScannerSettings

VENDOR_NAMES = get_args(VendorName)
#: Of the brightest: signals of Philips are whole numbers up to 4,095, and so are the medians that bring
#: stations to one gain.
ROUNDING = 4 / 4095


@pytest.fixture(scope="module")
def simulated(make_toy_body: Callable[..., Any]) -> SimulatedExam:
    scanner = ScannerSettings(
        sequences=FULL_PROTOCOL | {Sequence.DIXON_OUT},
        coronal_stations=2,
        axial_stations=2,
        coronal_spacing_mm=5.0,
        coronal_slice_mm=10.0,
        axial_spacing_mm=6.0,
        axial_slice_mm=10.0,
        middle_b_values_s_per_mm2=(400.0,),
    )
    settings = SimulationSettings(scanner=scanner)
    return simulate_exam(7, pattern="focal", settings=settings, anatomy=make_toy_body(shape=(80, 60, 120)))


@pytest.fixture(scope="module")
def written(simulated: SimulatedExam, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    @cache
    def write(vendor: VendorName, *, enhanced: bool = False) -> Path:
        folder = tmp_path_factory.mktemp(vendor)
        style = DicomStyle(vendor=vendor, is_enhanced=enhanced, has_nuisance=True)
        write_dicom_study(simulated, folder, style)
        return folder

    return write


@pytest.fixture(scope="module")
def reference(simulated: SimulatedExam, tmp_path_factory: pytest.TempPathFactory) -> Exam:
    folder = tmp_path_factory.mktemp("reference")
    write_dicom_study(simulated, folder)
    return read_exam(folder)


def test_four_vendors_are_known() -> None:
    assert set(VENDORS) == {"siemens", "ge", "philips", "uih"}


@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "enhanced"])
@pytest.mark.parametrize("vendor", VENDOR_NAMES)
def test_every_vendor_reads_back_as_the_same_exam(
    written: Callable[..., Path], reference: Exam, vendor: VendorName, enhanced: bool
) -> None:
    exam = read_exam(written(vendor, enhanced=enhanced))
    assert set(exam.volumes) == set(reference.volumes)
    for sequence, expected in reference.volumes.items():
        found = exam[sequence]
        assert np.allclose(found.affine_ras_mm, expected.affine_ras_mm, atol=1e-3), sequence
        assert found.b_value_s_per_mm2 == expected.b_value_s_per_mm2
        # Signals have no unit: one factor a sequence is free.
        factor = 1.0
        if sequence is not Sequence.ADC:
            bright = expected.array > np.percentile(expected.array, 90)
            factor = float(np.median(expected.array[bright] / found.array[bright]))
        limit = 1.0 if sequence is Sequence.ADC else ROUNDING * float(expected.array.max())
        assert np.abs(found.array * factor - expected.array).max() <= limit, sequence


def test_the_adc_map_is_in_um2_per_s_whatever_the_vendor_wrote(
    written: Callable[..., Path], reference: Exam
) -> None:
    slopes = {}
    for vendor in VENDOR_NAMES:
        file = next(written(vendor).glob("*_adc_station1/0001.dcm"))
        slopes[vendor] = float(pydicom.dcmread(file).get("RescaleSlope", 1.0))
    assert slopes == {"siemens": 1.0, "ge": 1.0, "philips": 1e-3, "uih": 1e-6}
    body = reference[Sequence.ADC].array
    assert 300 < np.median(body[body > 0]) < 2500


@pytest.mark.parametrize("vendor", VENDOR_NAMES)
def test_nothing_that_is_no_whole_body_volume_is_read(
    written: Callable[..., Path], vendor: VendorName
) -> None:
    described = describe_study(written(vendor))
    left_out = {s.description: s for s in described.series if s.number > 900}
    assert len(left_out) == 4
    for series in left_out.values():
        assert not series.is_used
        assert all(part.reason for part in series.parts)


def test_ge_adds_a_thousand_million_and_writes_0_where_nothing_diffuses(written: Callable[..., Path]) -> None:
    found = set()
    for file in written("ge").rglob("*.dcm"):
        ds = pydicom.dcmread(file)
        if int(ds.SeriesNumber) < 900:
            found.add(int(ds.private_block(0x0043, "GEMS_PARM_01")[0x39].value[0]))
            assert "DiffusionBValue" not in ds
    assert found == {0, 1_000_000_050, 1_000_000_400, 1_000_000_900}


def test_philips_puts_all_dixon_images_of_a_station_into_one_series(written: Callable[..., Path]) -> None:
    kinds: dict[str, set[str]] = {}
    for file in written("philips").rglob("*.dcm"):
        ds = pydicom.dcmread(file)
        if "DIXON" in ds.SeriesDescription:
            block = ds.private_block(0x2005, "Philips MR Imaging DD 001")
            kinds.setdefault(ds.SeriesInstanceUID, set()).add(block[0x11].value)
    assert list(kinds.values()) == [{"W", "F", "IP", "OP"}] * 2


def test_uih_says_what_the_gradients_gave_and_what_was_asked_for(written: Callable[..., Path]) -> None:
    pairs = set()
    for file in written("uih").rglob("*.dcm"):
        ds = pydicom.dcmread(file)
        if (0x0065, 0x1009) in ds:
            pairs.add((float(ds[0x0065, 0x1009].value), float(ds[0x0065, 0x100A].value)))
    assert pairs == {(46.5, 50.0), (372.0, 400.0), (837.0, 900.0)}


def test_an_enhanced_study_has_one_file_a_series(written: Callable[..., Path]) -> None:
    folder = written("siemens", enhanced=True)
    for place in folder.iterdir():
        if int(place.name[:3]) < 900:
            assert len(list(place.glob("*.dcm"))) == 1
