"""What reading a study costs: memory by the volumes, work by what differs between files."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from marrowmap.data.exam import Sequence
from marrowmap.data.headers import read_headers
from marrowmap.data.quick_header import ElementCache, read_quick_header
from marrowmap.data.read import read_exam

WriteSeries = Callable[..., list[Path]]
T1 = {"SeriesDescription": "t1", "ScanningSequence": "SE", "RepetitionTime": 600, "EchoTime": 10}
STIR = {"SeriesDescription": "stir", "ScanningSequence": ["SE", "IR"], "InversionTime": 160}
STIR |= {"RepetitionTime": 4000, "EchoTime": 60}
DWI = {"SeriesDescription": "dwi", "ScanningSequence": "EP", "RepetitionTime": 6000, "EchoTime": 60}
DWI |= {"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"]}
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
