"""Pixels in every encoding that archives send, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.pixels.decoders.base import get_decoder

from marrowmap.data.errors import StudyError
from marrowmap.data.headers import read_headers
from marrowmap.data.pixels import read_stack
from marrowmap.data.series import group_series

WriteSeries = Callable[..., list[Path]]
RNG = np.random.default_rng(5)
#: Three slices of 48 x 64 pixels, the whole range of 12 bits.
PLANES = RNG.integers(0, 4096, (3, 48, 64))


def compress(file: Path, syntax: uid.UID) -> None:
    """Encode a file anew, in place."""
    dataset = pydicom.dcmread(file)
    if syntax in (uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless):
        dataset.compress(syntax)
    elif syntax in (uid.JPEGLosslessSV1, uid.JPEGLossless):
        compress_with_gdcm(file, syntax)
        return
    if syntax == uid.ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
        dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = syntax
    # pydicom takes byte order and VR from the object as it was read.
    copy = pydicom.Dataset()
    copy.update(dataset)
    copy.file_meta, copy.preamble = dataset.file_meta, dataset.preamble
    copy.save_as(file, enforce_file_format=True)


def compress_with_gdcm(file: Path, syntax: uid.UID) -> None:
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(file))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    kinds = {
        uid.JPEGLosslessSV1: gdcm.TransferSyntax.JPEGLosslessProcess14_1,
        uid.JPEGLossless: gdcm.TransferSyntax.JPEGLosslessProcess14,
    }
    change.SetTransferSyntax(gdcm.TransferSyntax(kinds[syntax]))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(file))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ExplicitVRLittleEndian,
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.RLELossless,
        uid.JPEGLosslessSV1,
        uid.JPEGLSLossless,
        uid.JPEG2000Lossless,
    ],
    ids=lambda syntax: syntax.keyword,
)
def test_pixels_of_every_lossless_encoding_are_the_same(
    syntax: uid.UID, write_series: WriteSeries, tmp_path: Path
) -> None:
    for file in write_series(1, PLANES, SeriesDescription="t1"):
        compress(file, syntax)
        assert pydicom.dcmread(file, stop_before_pixels=True).file_meta.TransferSyntaxUID == syntax
    headers, passed_over = read_headers(tmp_path / "study")
    assert passed_over == 0
    (stack,) = group_series(headers)[0].stacks
    array = read_stack(stack, quantitative=False)
    assert np.array_equal(array.transpose(2, 1, 0), PLANES.astype(np.float32))


@pytest.mark.parametrize(
    "syntax", [uid.HTJ2KLossless, uid.JPEGLSNearLossless, uid.JPEG2000, uid.JPEGExtended12Bit]
)
def test_a_decoder_is_installed_for_what_else_archives_may_hold(syntax: uid.UID) -> None:
    assert get_decoder(syntax).is_available


def test_damaged_compressed_pixels_are_refused_by_name(write_series: WriteSeries, tmp_path: Path) -> None:
    files = write_series(1, PLANES, SeriesDescription="t1")
    for file in files:
        compress(file, uid.JPEGLSLossless)
    dataset = pydicom.dcmread(files[1])
    dataset.PixelData = dataset.PixelData[:60] + bytes(len(dataset.PixelData) - 60)
    dataset.save_as(files[1])
    (stack,) = group_series(read_headers(tmp_path / "study")[0])[0].stacks
    with pytest.raises(StudyError, match=r"cannot decode pixels \(JPEG-LS Lossless Image Compression\)"):
        read_stack(stack, quantitative=False)


def test_an_encoding_nobody_knows_is_refused_by_name(write_series: WriteSeries, tmp_path: Path) -> None:
    for file in write_series(1, PLANES, SeriesDescription="t1"):
        data = file.read_bytes()
        file.write_bytes(data.replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.1.2.9\x00"))
    (stack,) = group_series(read_headers(tmp_path / "study")[0])[0].stacks
    with pytest.raises(StudyError, match=r"cannot decode pixels \(1\.2\.840\.10008\.1\.2\.9\)"):
        read_stack(stack, quantitative=False)
