"""Mosaics -> slices: a whole volume tiled into one image, as Siemens and UIH write it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from marrowmap.data.b_values import find_b_value, find_directionality
from marrowmap.data.csa import csa_values
from marrowmap.data.errors import StudyError
from marrowmap.data.headers import Header
from marrowmap.data.slice import Slice, common_tags, order_of
from marrowmap.data.tags import number, numbers, positive, private, whole_or


def uih_mosaic(header: Header) -> Iterator[Slice]:
    """Yield the tiles of a UIH mosaic (`VFRAME`); each tile's place is in a private sequence.

    Raises:
        StudyError: If the table of positions is absent or does not fit the pixels.
    """
    items = private(header.dataset, 0x0065, "Image Private Header", 0x51)
    if not items:
        raise StudyError("a UIH mosaic without its table of positions; export it as one file per slice")
    positions = [numbers(item, "ImagePositionPatient", 3) for item in items]
    side = next(n for n in range(1, len(positions) + 1) if n * n >= len(positions))
    yield from _tiles(header, positions, across=side, down=-(-len(positions) // side), maker="UIH")


def siemens_mosaic(header: Header) -> Iterator[Slice]:
    """Yield the tiles of a Siemens mosaic, a square of tiles whose last ones may be empty.

    The written position is that of a single image as large as the mosaic around the same centre; a tile's own
    lies half the difference further in. Tiles follow each other along the slice normal of the CSA header.

    Raises:
        StudyError: If the number of slices is nowhere to be found or does not fit the pixels.
    """
    dataset = header.dataset
    csa = private(dataset, 0x0029, "SIEMENS CSA HEADER", 0x10)
    csa = csa if isinstance(csa, bytes) else b""
    count = whole_or(private(dataset, 0x0019, "SIEMENS MR HEADER", 0x0A), 0)
    count = count or whole_or(next(iter(csa_values(csa, "NumberOfImagesInMosaic")), 0), 0)
    if count < 1:
        raise StudyError("a Siemens mosaic without its number of slices; export it as one file per slice")
    side = next(n for n in range(1, count + 1) if n * n >= count)
    first = _first_tile_position(dataset, side)
    step = _slice_step(dataset, csa_values(csa, "SliceNormalVector"))
    positions = [tuple(float(v) for v in first + k * step) for k in range(count)]
    yield from _tiles(header, positions, across=side, down=side, maker="Siemens")


def _first_tile_position(dataset: Dataset, side: int) -> npt.NDArray[np.float64]:
    """Return the centre of the first tile's first pixel, LPS mm."""
    cosines = np.array(numbers(dataset, "ImageOrientationPatient", 6))
    between_rows, between_columns = numbers(dataset, "PixelSpacing", 2)
    rows, columns = positive(dataset, "Rows"), positive(dataset, "Columns")
    right = cosines[:3] * between_columns * (columns - columns / side) / 2
    down = cosines[3:] * between_rows * (rows - rows / side) / 2
    return np.array(numbers(dataset, "ImagePositionPatient", 3)) + right + down


def _slice_step(dataset: Dataset, normal_words: tuple[str, ...]) -> npt.NDArray[np.float64]:
    """Return the way from one tile's slice to the next, LPS mm."""
    cosines = np.array(numbers(dataset, "ImageOrientationPatient", 6))
    normal = np.cross(cosines[:3], cosines[3:])
    if len(normal_words) == 3:
        written = np.array([float(word) for word in normal_words])
        normal = normal * (-1.0 if float(written @ normal) < 0 else 1.0)
    spacing = number(dataset, "SpacingBetweenSlices", 0.0) or number(dataset, "SliceThickness", 0.0)
    if spacing <= 0:
        raise StudyError("a Siemens mosaic without its slice spacing; export it as one file per slice")
    return normal * spacing


def _tiles(
    header: Header, positions: list[tuple[float, ...]], *, across: int, down: int, maker: str
) -> Iterator[Slice]:
    """Yield one slice a tile, row by row.

    Raises:
        StudyError: If the pixels do not divide into the tiles.
    """
    dataset = header.dataset
    rows, columns = positive(dataset, "Rows"), positive(dataset, "Columns")
    if rows % down or columns % across:
        raise StudyError(
            f"a {maker} mosaic of {len(positions)} slices that does not divide {rows} x {columns} pixels; "
            "export it as one file per slice"
        )
    height, width = rows // down, columns // across
    for tile, position in enumerate(positions):
        yield Slice(
            header=header,
            corner=(tile // across * height, tile % across * width),
            rows=height,
            columns=width,
            orientation=numbers(dataset, "ImageOrientationPatient", 6),
            position=position,
            pixel_spacing=numbers(dataset, "PixelSpacing", 2),
            slope=number(dataset, "RescaleSlope", 1.0),
            intercept=number(dataset, "RescaleIntercept", 0.0),
            scale_slope=None,
            b_value=find_b_value(dataset),
            direction=find_directionality(dataset),
            order=order_of(dataset, tile),
            **common_tags(dataset),
        )
