"""The coronal slices of the viewer: one picture a sequence, all slices side by side in it.

The page reads a picture back into a volume and cuts coronal, sagittal and axial slices out of it, so
that three planes cost no more than one. Grey values are coded from zero to a little above the
brightest tissue, much wider than the window first shown: the reader can move it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.exam import Array3D, LabelArray, SpacingMm
from marrowmap.inference.report.encode import Bytes2D, grey_jpeg, tissue_top, window_to_bytes

Box = tuple[slice, slice, slice]

#: Name of the diffusion slices, shown dark on white as the projection is.
INVERTED = "DWI"
ADC = "ADC"
#: Brightest tissue first shown; on STIR and diffusion water and brain would else leave no grey for marrow.
TOP_PERCENTILES = {"STIR": 97.5, INVERTED: 98.0}
#: Brightest tissue that is told apart at all.
CODED_PERCENTILE = 99.9
#: Water diffuses with about 3000 um2/s; viable disease (600 to 1000) is dark grey in the first window.
ADC_TOP_UM2_PER_S, ADC_SHOWN_UM2_PER_S = 3000.0, 2000.0
#: A JPEG codes blocks of 8 pixels; tiles of whole blocks do not bleed into each other.
JPEG_BLOCK = 8
#: All grey pictures of one report together, so that the page stays below about 9 MB in base64.
SPRITE_BYTES = 5_600_000
QUALITIES = (82, 72, 60, 45, 30)
MARGIN_VOXELS = 4


@dataclass(frozen=True, kw_only=True)
class Marker:
    """Where a lesion is shown, in slices, rows and columns of the display.

    Attributes:
        place: `(slice, row, column)`: the coronal slice with its largest section, the middle of it.
        radius: Half of its largest extent on any axis, in voxels.
    """

    place: tuple[int, int, int]
    radius: float


@dataclass(frozen=True, kw_only=True)
class Window:
    """What the grey values of one sequence mean.

    Attributes:
        coded: Intensity of the grey value 255; zero is zero.
        shown: Intensity that is first shown as the brightest.
        unit: Unit of the intensities, empty where they are arbitrary.
        is_inverted: Shown dark on white.
    """

    coded: float
    shown: float
    unit: str = ""
    is_inverted: bool = False


@dataclass(frozen=True, kw_only=True)
class SliceSprites:
    """The slices as pictures, from front to back, tiled row by row.

    Attributes:
        grey: JPEG by sequence name.
        windows: What the grey values mean, by sequence name.
        lesion_runs: By lesion id, its voxels as runs in the order of slices, rows and columns: gap from
            the end of the run before, length, gap, length ...
        shape: Number of slices, rows and columns.
        tile: Rows and columns of a tile: those of a slice, padded.
        tiles_across: Tiles in one row of the picture.
        spacing_mm: Distance of slices, rows and columns, in mm.
    """

    grey: Mapping[str, bytes]
    windows: Mapping[str, Window]
    lesion_runs: Mapping[int, list[int]]
    shape: tuple[int, int, int]
    tile: tuple[int, int]
    tiles_across: int
    spacing_mm: SpacingMm


def to_display(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Return `(slice, row, column)` of `(i, j, k)`: front first, head up, patient's right on the left."""
    return array.transpose(1, 2, 0)[::-1, ::-1, ::-1]


def crop_to_body(volume: Array3D, lesion_labels: LabelArray) -> Box:
    """Return the box around the body and every lesion, with a margin.

    Args:
        volume: `(i, j, k)` anatomical volume; air is dark.
        lesion_labels: Lesion ids on the same grid.
    """
    coarse = volume[::2, ::2, ::2]
    inside = coarse > 0.08 * float(np.percentile(coarse, 99.5))
    inside |= lesion_labels[::2, ::2, ::2] > 0
    bounds = []
    for axis, size in enumerate(volume.shape):
        others = tuple(other for other in range(3) if other != axis)
        share = inside.mean(axis=others)
        found = np.flatnonzero(share > 0.01)  # a line of noise is not the body
        lesion = np.flatnonzero(lesion_labels.any(axis=others))
        ends = [*(2 * found[[0, -1]] if found.size else (0, size)), *(lesion[[0, -1]] if lesion.size else ())]
        bounds.append(
            slice(max(0, int(min(ends)) - MARGIN_VOXELS), min(size, int(max(ends)) + MARGIN_VOXELS + 1))
        )
    i, j, k = bounds
    return i, j, k


def draw_sprites(
    volumes: Mapping[str, Array3D], lesion_labels: LabelArray, spacing_mm: SpacingMm
) -> SliceSprites:
    """Encode the slices of each sequence.

    Args:
        volumes: `(i, j, k)` by sequence name; the one called `INVERTED` is shown inverted, the one called
            `ADC` is in um2/s.
        lesion_labels: Lesion ids `(i, j, k)`, 0 elsewhere.
        spacing_mm: Voxel size along `(i, j, k)`.
    """
    labels = to_display(lesion_labels)
    slices, rows, columns = labels.shape
    tile = (_whole_blocks(rows), _whole_blocks(columns))
    across = max(1, round(math.sqrt(slices * tile[0] / tile[1])))
    windows = {name: _window_of(volume, name) for name, volume in volumes.items()}
    montages = {
        name: _montage(to_display(window_to_bytes(volume, windows[name].coded)), tile, across)
        for name, volume in volumes.items()
    }
    return SliceSprites(
        grey=_encode_within(montages, SPRITE_BYTES),
        windows=windows,
        lesion_runs=lesion_runs(labels),
        shape=(slices, rows, columns),
        tile=tile,
        tiles_across=across,
        spacing_mm=(spacing_mm[1], spacing_mm[2], spacing_mm[0]),
    )


def lesion_runs(labels: npt.NDArray[np.generic]) -> dict[int, list[int]]:
    """Return the voxels of each lesion as runs, by lesion id.

    Args:
        labels: Lesion ids in the order of the display.

    Example:
        >>> lesion_runs(np.array([[[0, 7, 7, 0, 7]]]))
        {7: [1, 2, 1, 1]}
    """
    flat = np.ascontiguousarray(labels).ravel()
    places = np.flatnonzero(flat)
    ids = flat[places]
    runs: dict[int, list[int]] = {}
    for lesion_id in np.unique(ids):
        voxels = places[ids == lesion_id]
        starts = voxels[np.flatnonzero(np.diff(voxels, prepend=-2) != 1)]
        ends = voxels[np.flatnonzero(np.diff(voxels, append=-2) != 1)] + 1
        gaps = starts - np.concatenate(([0], ends[:-1]))
        runs[int(lesion_id)] = np.column_stack((gaps, ends - starts)).ravel().tolist()
    return runs


def markers_of(lesion_labels: LabelArray) -> dict[int, Marker]:
    """Return where each lesion is shown, by lesion id.

    Args:
        lesion_labels: Lesion ids `(i, j, k)`, already cropped to what is shown.
    """
    labels = np.asarray(to_display(lesion_labels), dtype=np.int32)
    markers = {}
    for lesion_id, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            markers[lesion_id] = _marker(labels[box] == lesion_id, tuple(part.start for part in box))
    return markers


def _marker(mask: npt.NDArray[np.bool_], start: tuple[int, ...]) -> Marker:
    """Return the middle of the largest coronal section of one lesion."""
    best = int(mask.sum(axis=(1, 2)).argmax())
    rows, columns = np.nonzero(mask[best])
    nearest = int(np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2))
    place = (start[0] + best, start[1] + int(rows[nearest]), start[2] + int(columns[nearest]))
    return Marker(place=place, radius=max(mask.shape) / 2)


def _window_of(volume: Array3D, name: str) -> Window:
    """Return what the grey values of a sequence mean and how much of them is first shown."""
    if name == ADC:
        return Window(coded=ADC_TOP_UM2_PER_S, shown=ADC_SHOWN_UM2_PER_S, unit="um2/s")
    coded = tissue_top(volume, CODED_PERCENTILE)
    shown = min(coded, tissue_top(volume, TOP_PERCENTILES.get(name, 99.5)))
    return Window(coded=coded, shown=shown, is_inverted=name == INVERTED)


def _montage(slices: npt.NDArray[np.generic], tile: tuple[int, int], across: int) -> Bytes2D:
    """Lay `(slice, row, column)` out as one picture, tiles row by row."""
    count, rows, columns = slices.shape
    down = math.ceil(count / across)
    tiles = np.zeros((down * across, *tile), dtype=np.uint8)
    tiles[:count, :rows, :columns] = slices
    return tiles.reshape(down, across, *tile).transpose(0, 2, 1, 3).reshape(down * tile[0], across * tile[1])


def _encode_within(montages: Mapping[str, Bytes2D], budget_bytes: int) -> dict[str, bytes]:
    """Encode with the best quality whose total stays within the budget, or with the lowest."""
    encoded: dict[str, bytes] = {}
    for quality in QUALITIES:
        encoded = {name: grey_jpeg(montage, quality) for name, montage in montages.items()}
        if sum(map(len, encoded.values())) <= budget_bytes:
            break
    return encoded


def _whole_blocks(pixels: int) -> int:
    """Round up to whole JPEG blocks."""
    return -(-pixels // JPEG_BLOCK) * JPEG_BLOCK
