"""Slices -> stacks: regular piles with one affine; a gap or a doubled slice is refused by name."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from marrowmap.data.errors import GeometryError
from marrowmap.data.exam import Affine
from marrowmap.data.frames import affine_ras_from_dicom
from marrowmap.data.slices import Slice

#: Neighbouring slices may differ this much from the mean spacing (part of it) before it counts as a gap.
SPACING_TOLERANCE = 0.02
#: Rounding in headers, mm: positions nearer than this are the same.
POSITION_TOLERANCE_MM = 0.02


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A regular pile of slices: what one volume will be made of.

    Attributes:
        slices: In the order of k.
        affine_ras_mm: 4 x 4, voxel index `(i, j, k)` = (column, row, slice) to RAS+ mm.
        repeat: Number of this pile among those at the same place with the same b (directions, averages).
    """

    slices: tuple[Slice, ...]
    affine_ras_mm: Affine
    repeat: int = 0

    @property
    def dataset(self) -> Dataset:
        """The header of the first slice's file."""
        return self.slices[0].header.dataset

    @property
    def b_value_s_per_mm2(self) -> float | None:
        """The tagged b-value, None without one."""
        b_value = self.slices[0].b_value
        return None if b_value is None else b_value.s_per_mm2

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows, slices."""
        return self.slices[0].columns, self.slices[0].rows, len(self.slices)

    @property
    def normal(self) -> npt.NDArray[np.float64]:
        """Unit slice normal, LPS."""
        return _normal(self.slices[0].orientation)


def stacks_of(slices: list[Slice]) -> list[Stack]:
    """Pile up slices that differ in position only, or in position and repeat.

    Args:
        slices: Slices of one size, orientation, echo, component, kind and b-value.

    Returns:
        One stack per repeat (direction, average, time point, station within the series).

    Raises:
        GeometryError: If a slice is missing or doubled, or the pile leans; the text names which.
    """
    normal = _normal(slices[0].orientation)
    heights = np.array([float(np.dot(s.position, normal)) for s in slices])
    levels = _levels(heights)
    counts = np.bincount(levels)
    if counts.max() == 1:
        return _one_or_stations(slices, heights)
    if counts.min() == counts.max():
        return [
            _stack(chosen, repeat)
            for repeat, chosen in enumerate(_repeats(slices, levels, int(counts.max())))
        ]
    by_acquisition = _by_acquisition(slices)
    if len(by_acquisition) > 1:
        return [stack for part in by_acquisition for stack in stacks_of(part)]
    doubled = heights[levels == int(np.argmax(counts))][0]
    raise GeometryError(
        f"{counts.max()} slices at {doubled:.1f} mm along the normal but {counts.min()} elsewhere: a "
        "doubled or a missing slice; export the series again"
    )


def _levels(heights: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return for every slice the number of its position, lowest first."""
    order = np.argsort(heights, kind="stable")
    steps = np.diff(heights[order]) > POSITION_TOLERANCE_MM
    levels = np.empty(len(heights), dtype=np.intp)
    levels[order] = np.concatenate([[0], np.cumsum(steps)])
    return levels


def _repeats(slices: list[Slice], levels: npt.NDArray[np.intp], count: int) -> list[list[Slice]]:
    """Return the piles of repeats: the first of every position, the second of every position ..."""
    piles: list[list[Slice]] = [[] for _ in range(count)]
    for level in range(int(levels.max()) + 1):
        here = sorted((slices[n] for n in np.flatnonzero(levels == level)), key=lambda s: s.order)
        for pile, one in zip(piles, here, strict=True):
            pile.append(one)
    return piles


def _one_or_stations(slices: list[Slice], heights: npt.NDArray[np.float64]) -> list[Stack]:
    """Return one stack, or one per acquisition where a series holds several stations."""
    try:
        return [_stack([slices[n] for n in np.argsort(heights)])]
    except GeometryError:
        parts = _by_acquisition(slices)
        if len(parts) < 2 or min(map(len, parts)) < 3:
            raise
        return [stack for part in parts for stack in stacks_of(part)]


def _by_acquisition(slices: list[Slice]) -> list[list[Slice]]:
    """Return the slices by acquisition number."""
    parts: dict[int, list[Slice]] = defaultdict(list)
    for one in slices:
        parts[one.order[1]].append(one)
    return list(parts.values())


def _stack(slices: list[Slice], repeat: int = 0) -> Stack:
    """Return one pile with its affine.

    Raises:
        GeometryError: If the slices are not equally spaced along their normal.
    """
    normal = _normal(slices[0].orientation)
    positions = np.array([s.position for s in slices])
    if len(slices) == 1:
        step = normal * (slices[0].thickness_mm or 1.0)
    else:
        _check_spacing(positions @ normal)
        step = (positions[-1] - positions[0]) / (len(slices) - 1)
        _check_upright(step, normal, positions)
    spacing = slices[0].pixel_spacing
    if min(spacing) <= 0:
        raise GeometryError(f"pixel spacing {spacing} mm; need positive numbers, export the series again")
    affine = affine_ras_from_dicom(slices[0].orientation, positions[0], spacing, step)
    return Stack(slices=tuple(slices), affine_ras_mm=affine, repeat=repeat)


def _check_spacing(heights: npt.NDArray[np.float64]) -> None:
    """Refuse slices that are not equally spaced.

    Raises:
        GeometryError: With the places of the gaps.
    """
    steps = np.diff(heights)
    usual = float(np.median(steps))
    tolerance = max(SPACING_TOLERANCE * usual, POSITION_TOLERANCE_MM)
    gaps = np.flatnonzero(steps > usual + tolerance)
    if gaps.size:
        places = ", ".join(f"{heights[g]:.1f} and {heights[g + 1]:.1f} mm" for g in gaps[:3])
        raise GeometryError(
            f"{gaps.size} gap{'s' if gaps.size > 1 else ''} between slices ({places}) where others are "
            f"{usual:.2f} mm apart: a missing slice; export the series again"
        )
    if np.any(steps < usual - tolerance):
        raise GeometryError(
            f"slices {steps.min():.2f} to {steps.max():.2f} mm apart; need equal spacing; "
            "export the series again"
        )


def _check_upright(
    step: npt.NDArray[np.float64], normal: npt.NDArray[np.float64], positions: npt.NDArray[np.float64]
) -> None:
    """Refuse a pile that leans or bends.

    Raises:
        GeometryError: If slices shift sideways against each other.
    """
    line = positions[0] + np.outer(np.arange(len(positions)), step)
    bend = float(np.abs(positions - line).max())
    lean = float(np.linalg.norm(step - normal * (step @ normal)) / np.linalg.norm(step))
    if bend > max(0.1 * float(np.linalg.norm(step)), 0.1) or lean > 0.05:
        raise GeometryError(
            f"slices shift sideways against each other (lean {100 * lean:.0f} %, bend {bend:.1f} mm); "
            "need a straight pile, export the original series"
        )


def _normal(orientation: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Return the unit normal of a slice, LPS.

    Raises:
        GeometryError: If the direction cosines are no two perpendicular unit vectors.
    """
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if not (np.allclose(lengths, 1.0, atol=0.01) and abs(float(row @ column)) < 0.01):
        raise GeometryError(
            "direction cosines are no two perpendicular unit vectors; export the series again"
        )
    normal = np.cross(row, column)
    return normal / np.linalg.norm(normal)
