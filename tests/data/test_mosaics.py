"""Siemens and UIH mosaics: a whole volume in one image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from marrowmap.data.csa import compact, csa_values
from marrowmap.data.headers import read_headers
from marrowmap.data.pixels import read_stack
from marrowmap.data.series import Series, group_series

MakeDataset = Callable[..., Dataset]
SaveDicom = Callable[[Dataset, Path], Path]
SLICES, ROWS, COLUMNS = 5, 4, 6


def csa_element(name: str, vr: str, *items: str) -> bytes:
    """One element of a CSA header of the second kind."""
    head = name.encode().ljust(64, b"\0") + (1).to_bytes(4, "little") + vr.encode().ljust(4, b"\0")
    head += bytes(4) + len(items).to_bytes(4, "little") + (77).to_bytes(4, "little")
    body = b""
    for item in items:
        data = item.encode() + b"\0"
        lengths = len(data).to_bytes(4, "little") * 2 + (77).to_bytes(4, "little")
        body += lengths + len(data).to_bytes(4, "little") + data.ljust(-(-len(data) // 4) * 4, b"\0")
    return head + body


def csa_header(*elements: bytes) -> bytes:
    count = len(elements).to_bytes(4, "little")
    return b"SV10\4\3\2\1" + count + (77).to_bytes(4, "little") + b"".join(elements)


def siemens_mosaic(make: MakeDataset, *, normal: float = 1.0, b: int = 900, **tags: object) -> Dataset:
    """Five axial slices of 4 x 6 pixels, tiled 3 x 3; slice k holds 100 k + its pixel number."""
    mosaic = np.zeros((3 * ROWS, 3 * COLUMNS))
    for k in range(SLICES):
        tile = 100 * k + np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
        row, column = k // 3 * ROWS, k % 3 * COLUMNS
        mosaic[row : row + ROWS, column : column + COLUMNS] = tile
    dataset = make(
        ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"], SeriesDescription="ep2d_diff", **tags
    )
    dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "1.2.3", f"1.2.3.{b}"
    dataset.SeriesNumber, dataset.InstanceNumber = 1, 1
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    # The first tile's first pixel lies at (10, 20, 30): six columns and four rows of 2 mm further in.
    dataset.ImagePositionPatient = [10 - 6 * 2.0, 20 - 4 * 2.0, 30]
    dataset.PixelSpacing, dataset.SliceThickness, dataset.SpacingBetweenSlices = [2, 2], 4, 5
    dataset.Rows, dataset.Columns = mosaic.shape
    block = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0A, "US", SLICES)
    block.add_new(0x0C, "IS", b)
    csa = csa_header(
        csa_element("EchoLinePosition", "IS", "1"),
        csa_element("NumberOfImagesInMosaic", "US", str(SLICES)),
        csa_element("SliceNormalVector", "FD", "0.0", "0.0", f"{normal}"),
        csa_element("B_value", "IS", str(b)),
    )
    dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", csa)
    dataset.PixelData = mosaic.astype("<u2").tobytes()
    return dataset


def read_one(folder: Path) -> Series:
    headers, _ = read_headers(folder)
    return group_series(headers)[0]


def test_siemens_tiles_become_slices_in_their_places(
    make_dataset: MakeDataset, save_dicom: SaveDicom, tmp_path: Path
) -> None:
    save_dicom(siemens_mosaic(make_dataset), tmp_path / "a")
    (stack,) = read_one(tmp_path).stacks
    assert stack.shape == (COLUMNS, ROWS, SLICES)
    assert stack.b_value_s_per_mm2 == 900
    array = read_stack(stack, quantitative=False)
    assert array[0, 0].tolist() == [0, 100, 200, 300, 400]
    assert array[5, 3, 2] == 223
    # LPS (10, 20, 30) is RAS (-10, -20, 30); slices go up by the spacing, not the thickness.
    assert (stack.affine_ras_mm @ [0, 0, 0, 1])[:3].tolist() == [-10, -20, 30]
    assert (stack.affine_ras_mm @ [1, 1, 2, 1])[:3].tolist() == [-12, -22, 40]


def test_siemens_tiles_follow_the_slice_normal_of_the_csa_header(
    make_dataset: MakeDataset, save_dicom: SaveDicom, tmp_path: Path
) -> None:
    save_dicom(siemens_mosaic(make_dataset, normal=-1.0), tmp_path / "a")
    (stack,) = read_one(tmp_path).stacks
    assert read_stack(stack, quantitative=False)[0, 0].tolist() == [400, 300, 200, 100, 0]
    assert (stack.affine_ras_mm @ [0, 0, 0, 1])[:3].tolist() == [-10, -20, 10]


def test_two_mosaics_of_one_series_are_two_b_values(
    make_dataset: MakeDataset, save_dicom: SaveDicom, tmp_path: Path
) -> None:
    for b in (50, 900):
        save_dicom(siemens_mosaic(make_dataset, b=b), tmp_path / f"b{b}")
    assert sorted(s.b_value_s_per_mm2 or 0 for s in read_one(tmp_path).stacks) == [50, 900]


def test_a_mosaic_without_its_number_of_slices_is_refused(
    make_dataset: MakeDataset, save_dicom: SaveDicom, tmp_path: Path
) -> None:
    dataset = siemens_mosaic(make_dataset)
    del dataset[0x0019, 0x100A], dataset[0x0029, 0x1010]
    save_dicom(dataset, tmp_path / "a")
    assert read_one(tmp_path).problems == (
        "a Siemens mosaic without its number of slices; export it as one file per slice",
    )


def test_a_mosaic_that_does_not_divide_is_refused(
    make_dataset: MakeDataset, save_dicom: SaveDicom, tmp_path: Path
) -> None:
    dataset = siemens_mosaic(make_dataset)
    dataset[0x0019, 0x100A].value = 10
    save_dicom(dataset, tmp_path / "a")
    assert read_one(tmp_path).problems == (
        "a Siemens mosaic of 10 slices that does not divide 12 x 18 pixels; export it as one file per slice",
    )


@pytest.mark.parametrize("cut", [False, True])
def test_csa_elements_are_found_by_name_in_the_whole_header_and_in_the_short_one(cut: bool) -> None:
    csa = csa_header(
        csa_element("Other", "IS", "7"), csa_element("SliceNormalVector", "FD", "0", "0.6", "0.8")
    )
    given = compact(csa + bytes(60_000), ["SliceNormalVector", "B_value"]) if cut else csa
    assert csa_values(given, "SliceNormalVector") == ("0", "0.6", "0.8")
    assert csa_values(given, "B_value") == ()
    assert len(given) < 300


@pytest.mark.parametrize("end", range(0, 230, 7))
def test_a_csa_header_cut_short_anywhere_gives_what_is_left(end: int) -> None:
    csa = csa_element("SliceNormalVector", "FD", "0.1", "0.2", "0.3")
    assert csa_values(csa[:end], "SliceNormalVector") in ((), ("0.1",), ("0.1", "0.2"), ("0.1", "0.2", "0.3"))
