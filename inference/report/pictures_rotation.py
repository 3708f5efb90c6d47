"""The rotating projection: the inverted diffusion seen from all around, a picture every ten degrees.

Only half a turn is kept. A projection has no depth, so that the view from behind is the one from the
front with left and right exchanged; the page mirrors it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import Array3D, SpacingMm
from marrowmap.inference.report.encode import Bytes2D, Bytes3D, grey_jpeg, window_to_bytes

#: Views of half a turn, ten degrees apart.
VIEWS = 18
QUALITY = 80
#: Columns darker than this grey value from top to bottom are air and lie behind everything.
AIR = 6


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """Half a turn around the long axis of the body.

    Attributes:
        jpeg: The views side by side, inverted; the first is from the front, the next ones from further
            to the patient's left.
        views: How many.
        rows: Rows of a view, head up.
        columns: Columns of a view.
        step_mm: Width of a column; a row is as high as a slice of the grid.
    """

    jpeg: bytes
    views: int
    rows: int
    columns: int
    step_mm: float


def rotate(dwi: Array3D, top: float, spacing_mm: SpacingMm) -> Rotation:
    """Project the diffusion from all around.

    Args:
        dwi: `(i, j, k)`, noise of air taken off.
        top: Intensity that is shown black.
        spacing_mm: Voxel size along `(i, j, k)`.
    """
    frames = rotated_views(window_to_bytes(dwi, top), spacing_mm)
    views, rows, columns = frames.shape
    montage = 255 - frames.transpose(1, 0, 2).reshape(rows, views * columns)
    step = min(spacing_mm[:2])
    return Rotation(
        jpeg=grey_jpeg(montage, QUALITY), views=views, rows=rows, columns=columns, step_mm=float(step)
    )


def rotated_views(grey: Bytes3D, spacing_mm: SpacingMm, views: int = VIEWS) -> Bytes3D:
    """Return `(view, row, column)` maximum projections, view `n` from `n * 180 / views` degrees.

    Args:
        grey: `(i, j, k)`, 0 is air.
        spacing_mm: Voxel size along `(i, j, k)`.
        views: How many of half a turn.
    """
    i, j = np.nonzero(grey.max(axis=2) > AIR)
    columns_of_voxels = grey[i, j]
    x_mm, y_mm = (
        (index - (size - 1) / 2) * step
        for index, size, step in zip((i, j), grey.shape[:2], spacing_mm[:2], strict=True)
    )
    width = view_width(grey.shape[:2], spacing_mm)
    frames = np.zeros((views, grey.shape[2], width), dtype=np.uint8)
    for view in range(views):
        angle = math.pi * view / views
        # The patient's right is on the left of the view from the front, the front on the left of the next.
        across = -(x_mm * math.cos(angle) + y_mm * math.sin(angle)) / min(spacing_mm[:2])
        _fill(frames[view], columns_of_voxels, np.rint(across + (width - 1) / 2).astype(np.intp))
    return frames


def view_width(shape: tuple[int, ...], spacing_mm: SpacingMm) -> int:
    """Return the columns of a view: wide enough for the diagonal, and odd, so that a middle exists."""
    diagonal = math.hypot(shape[0] * spacing_mm[0], shape[1] * spacing_mm[1])
    return 2 * math.ceil(diagonal / min(spacing_mm[:2]) / 2) + 1


def _fill(frame: Bytes2D, voxels: Bytes2D, across: npt.NDArray[np.intp]) -> None:
    """Write the brightest voxel of each column of the view; rows run downward."""
    if not across.size:
        return
    order = np.argsort(across, kind="stable")
    found, starts = np.unique(across[order], return_index=True)
    frame[:, found] = np.maximum.reduceat(voxels[order], starts, axis=0).T[::-1]
