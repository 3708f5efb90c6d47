"""What reading a study costs: memory by the volumes, work by what differs between files."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from marrowmap.data.exam import Sequence
from marrowmap.data.headers import read_headers, tolerant
from marrowmap.data.quick_header import ElementCache, QuickHeader, read_quick_header
from marrowmap.data.read import read_exam

WriteSeries = Callable[..., list[Path]]
T1 = {"SeriesDescription": "t1", "ScanningSequence": "SE", "RepetitionTime": 600, "EchoTime": 10}
STIR = {"SeriesDescription": "stir", "ScanningSequence": ["SE", "IR"], "InversionTime": 160}
STIR |= {"RepetitionTime": 4000, "EchoTime": 60}
DWI = {"SeriesDescription": "dwi", "ScanningSequence": "EP", "RepetitionTime": 6000, "EchoTime": 60}
DWI |= {"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"]}
#: UID, place and number, and some elements that series share.
WANTED = frozenset(
    {0x00080005, 0x00080008, 0x00080016, 0x00080018, 0x00080060, 0x0008103E, 0x00180020, 0x00180080}
    | {0x00180081, 0x0020000D, 0x0020000E, 0x00200011, 0x00200013, 0x00200032, 0x00200037, 0x00204000}
    | {0x00190010, 0x0019100C, 0x00280010, 0x00280011, 0x00280030}
)
ADC = DWI | {"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]}


def write_stations(write: WriteSeries) -> None:
    """Four sequences of two stations, 20 slices of 128 x 128 each, overlapping by four slices."""
    rng = np.random.default_rng(2)
    for station in range(2):
        origin = (0.0, 0.0, 80.0 * station)
        planes = rng.integers(200, 2000, (20, 128, 128))
        write(10 + station, planes, origin=origin, **T1)
        write(20 + station, planes, origin=origin, **STIR)
        write(30 + station, planes, origin=origin, b_private=900, **DWI)
        write(40 + station, planes, origin=origin, **ADC)


def test_reading_takes_less_than_three_times_the_memory_of_the_volumes(
    write_series: WriteSeries, tmp_path: Path
) -> None:
    write_stations(write_series)
    read_exam(tmp_path / "study")
    tracemalloc.start()
    try:
        exam = read_exam(tmp_path / "study")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert exam[Sequence.T1].shape == (128, 128, 36)
    volumes = sum(volume.array.nbytes for volume in exam.volumes.values())
    assert volumes == 4 * 128 * 128 * 36 * 4
    assert peak < 3 * volumes


def test_what_the_files_of_a_series_share_is_converted_once(
    write_series: WriteSeries, tmp_path: Path
) -> None:
    files = write_series(1, np.zeros((10, 4, 4)), **T1)
    headers, _ = read_headers(tmp_path / "study")
    assert len({header.signature for header in headers}) == 1
    assert len({id(header.dataset["SeriesDescription"]) for header in headers}) == 1
    assert [float(h.dataset.ImagePositionPatient[2]) for h in headers] == [5.0 * k for k in range(10)]
    assert len(files) == 10


def test_files_that_differ_in_more_than_their_place_have_another_signature(
    write_series: WriteSeries, tmp_path: Path
) -> None:
    write_series(1, np.zeros((2, 4, 4)), b_private=50, **DWI)
    write_series(1, np.zeros((2, 4, 4)), b_private=900, **DWI)
    headers, _ = read_headers(tmp_path / "study")
    assert len({header.signature for header in headers}) == 2


def values(header: QuickHeader | None) -> dict[int, str]:
    """Tag to value, converted or a file's own bytes; where the pixels start (0); the encoding (1)."""
    assert header is not None
    found = {int(tag): str(header.dataset.get_item(tag).value) for tag in list(header.dataset.keys())}
    return found | {0: str(header.pixel_offset), 1: header.transfer_syntax}


def test_files_read_after_each_other_read_as_each_alone(write_series: WriteSeries, tmp_path: Path) -> None:
    files = [
        *write_series(1, np.zeros((12, 4, 4)), **T1),
        *write_series(2, np.zeros((11, 4, 4)), b_private=50, **DWI),
        *write_series(2, np.zeros((3, 4, 4)), b_private=900, origin=(0.0, -3.25, 7.5), **DWI),
        *write_series(3, np.zeros((4, 4, 4)), **STIR | {"EchoTime": "61.5"}),
        *write_series(3, np.zeros((4, 4, 4)), **STIR | {"ImageComments": "one element more"}),
    ]
    cache = ElementCache()
    patterned = 0
    for file in files:
        with file.open("rb") as stream:
            has_pattern, last = cache.pattern is not None, cache.last
            together = read_quick_header(stream, WANTED, cache)
            patterned += has_pattern and cache.last is last
            stream.seek(0)
            assert values(together) == values(read_quick_header(stream, WANTED, ElementCache()))
    # The first two of a series are walked, and where a number first takes another digit.
    assert patterned >= len(files) // 2


def test_a_header_is_told_from_its_series_wherever_one_byte_differs(
    write_series: WriteSeries, tmp_path: Path
) -> None:
    files = write_series(1, np.zeros((4, 4, 4)), **T1)
    cache = ElementCache()
    for file in files[:3]:
        with file.open("rb") as stream:
            read_quick_header(stream, WANTED, cache)
    assert cache.pattern is not None
    pattern, last, whole = cache.pattern, cache.last, files[3].read_bytes()
    for at in range(132, whole.index(b"\xe0\x7f\x10\x00")):
        damaged = whole[:at] + bytes([whole[at] ^ 0x15]) + whole[at + 1 :]
        cache.pattern, cache.last = pattern, last
        with tolerant():
            together = read_quick_header(BytesIO(damaged), WANTED, cache)
            alone = read_quick_header(BytesIO(damaged), WANTED, ElementCache())
        assert (together is None) == (alone is None)
        if together is not None and alone is not None:
            assert values(together) == values(alone)


@pytest.mark.parametrize("end", [0, 100, 131, 140, 200, 400])
def test_a_header_cut_short_anywhere_is_left_to_the_general_reader(
    end: int, write_series: WriteSeries, tmp_path: Path
) -> None:
    (file,) = write_series(1, np.zeros((1, 4, 4)), **T1)
    short = tmp_path / "short"
    short.write_bytes(file.read_bytes()[:end])
    with short.open("rb") as stream:
        found = read_quick_header(stream, {0x00080060}, ElementCache())
    assert found is None or found.pixel_offset is None
