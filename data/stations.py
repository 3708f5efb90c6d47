"""Stations -> one volume: placed by position, equalised in gain, blended over the overlap."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Listed
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from marrowmap.data.errors import GeometryError
from marrowmap.data.exam import Affine, Array3D, ExamWarning, Sequence, Volume
from marrowmap.data.placement import Placed, common_lattice, like_axes, place
from marrowmap.data.seams import MINIMUM_BODY_VOXELS, Seam, body_of, seam_warnings, seams_of, shared_box

#: Gains beyond this are not receiver gain but different tissue or a failed coil.
MAXIMUM_GAIN = 5.0
#: Signal without a unit may be equalised; these are quantities whose gain must not be touched.
QUANTITIES = frozenset({Sequence.ADC, Sequence.FAT_FRACTION})
#: Images of one acquisition, the one with most signal first.
DIXON_IMAGES = (Sequence.DIXON_IN, Sequence.DIXON_WATER, Sequence.DIXON_FAT, Sequence.DIXON_OUT)


@dataclass(frozen=True, kw_only=True)
class Composed:
    """Stations as one volume, with what was seen at their seams.

    Attributes:
        volume: The whole, on the first station's orientation and the finest spacing.
        seams: One per pair of neighbouring stations, along the stacking axis.
        warnings: Gaps and strong seams.
    """

    volume: Volume
    seams: tuple[Seam, ...] = ()
    warnings: tuple[ExamWarning, ...] = ()


def compose_stations(
    stations: Listed[Volume], *, equalise: bool, gains: Listed[float] | None = None
) -> Composed:
    """Compose the stations of one sequence into one volume.

    The common grid keeps the orientation of the largest station and covers all; a station is copied where its
    voxels fall on the grid and interpolated linearly where they do not. Over an overlap the weights run
    linearly from one station to the next.

    Args:
        stations: One or more volumes of one orientation, in any order.
        equalise: True for arbitrary signal: gains are brought together from overlap medians, their product
            one. False for quantities (ADC in um2/s, fat fraction), where voxels of value 0 count as not
            measured.
        gains: Factors by station, in the order given, found elsewhere by `station_gains` (images of one
            acquisition must keep their ratios); None finds them here. Needs `equalise`.

    Returns:
        The composed volume; a single station comes back as it is. Voxels that no station covers are 0.

    Raises:
        GeometryError: If no station is given or their orientations differ.
    """
    if not stations:
        raise GeometryError("need at least one station to compose, found none")
    if len(stations) == 1:
        return Composed(volume=stations[0])
    placed, order, affine, shape = _on_one_lattice(stations)
    axis = _stacking_axis(placed)
    if gains is not None and equalise:
        factors = [gains[n] for n in order]
    else:
        factors = _factors(placed, axis) if equalise else [1.0] * len(placed)
    placed = [replace(p, gain=f) for p, f in zip(placed, factors, strict=True)]
    ratios = [a / b for a, b in pairwise(factors)]
    grid = stations[0]
    seams = seams_of(placed, ratios, axis, affine, shape)
    volume = Volume(
        array=_blend(placed, shape, axis, skip_zeros=not equalise),
        affine_ras_mm=affine,
        b_value_s_per_mm2=grid.b_value_s_per_mm2,
        is_computed=grid.is_computed,
    )
    return Composed(volume=volume, seams=seams, warnings=seam_warnings(seams, volume.spacing_mm[axis]))


def station_gains(stations: Listed[Volume]) -> tuple[float, ...]:
    """Return the factors that bring stations to one gain, in the order given; their product is one.

    Args:
        stations: Two or more stations of one orientation.

    Raises:
        GeometryError: If their orientations differ.
    """
    placed, order, _, _ = _on_one_lattice(stations)
    factors = _factors(placed, _stacking_axis(placed))
    return tuple(factors[order.index(n)] for n in range(len(stations)))


def dixon_gains(stations: Mapping[Sequence, Listed[Volume]]) -> tuple[float, ...] | None:
    """Return one gain a station for all Dixon images, None where their stations differ or are one.

    Water and fat come out of one acquisition; equalised apart, their ratio (the fat fraction) would bend.

    Args:
        stations: Volumes by what they show, those of the Dixon images in one order; others are not looked at.
    """
    present = [stations[s] for s in DIXON_IMAGES if s in stations]
    counts = {len(volumes) for volumes in present}
    if len(counts) != 1 or counts == {1}:
        return None
    return station_gains(present[0])


def _on_one_lattice(
    stations: Listed[Volume],
) -> tuple[list[Placed], list[int], Affine, tuple[int, int, int]]:
    """Return the stations on their common lattice along the body, which input each was, and the lattice."""
    largest = max(stations, key=lambda station: station.array.size)
    aligned = [like_axes(station, largest) for station in stations]
    affine, shape = common_lattice(aligned, largest.affine_ras_mm)
    placed = [place(station, affine, shape) for station in aligned]
    axis = _stacking_axis(placed)
    order = sorted(range(len(placed)), key=lambda n: placed[n].start[axis] + placed[n].array.shape[axis] / 2)
    return [placed[n] for n in order], order, affine, shape


def _stacking_axis(placed: list[Placed]) -> int:
    """Return the axis along which the station centres lie furthest apart."""
    centres = np.array([np.array(p.start) + np.array(p.array.shape) / 2 for p in placed])
    return int(np.argmax(np.ptp(centres, axis=0)))


def _facing(a: Placed, b: Placed, axis: int) -> tuple[Array3D, Array3D]:
    """Return the voxels that tell two gains apart: the overlap, or the facing planes where stations touch.

    After a gap both are empty.
    """
    first, second = shared_box(a, b)
    gap = b.start[axis] - a.start[axis] - a.array.shape[axis]
    if first.size or gap > 0:
        return first, second
    moved = list(b.start)
    moved[axis] = a.start[axis] + a.array.shape[axis] - 1
    return shared_box(a, Placed(array=b.array, start=(moved[0], moved[1], moved[2])))


def _gain(a: Placed, b: Placed, axis: int) -> float:
    """Return the signal of the later station over the earlier, from medians of the shared body, else 1."""
    first, second = _facing(a, b, axis)
    body = body_of(first) & body_of(second)
    if np.count_nonzero(body) < MINIMUM_BODY_VOXELS:
        return 1.0
    ratio = float(np.median(second[body]) / np.median(first[body]))
    return float(np.clip(ratio, 1 / MAXIMUM_GAIN, MAXIMUM_GAIN))


def _factors(placed: list[Placed], axis: int) -> list[float]:
    """Return the factors to one gain; their product is one, so that no station is the standard."""
    ratios = [_gain(a, b, axis) for a, b in pairwise(placed)]
    log_gain = np.concatenate([[0.0], np.cumsum(np.log(ratios))])
    return [float(f) for f in np.exp(log_gain.mean() - log_gain)]


def _blend(placed: list[Placed], shape: tuple[int, int, int], axis: int, *, skip_zeros: bool) -> Array3D:
    """Return the weighted mean of the stations, float32 `(i, j, k)`, 0 where none covers."""
    fills = all(
        n == m for p in placed for d, (n, m) in enumerate(zip(p.array.shape, shape, strict=True)) if d != axis
    )
    ramps, reached = [], 0
    for number, station in enumerate(placed):
        following = placed[number + 1].start[axis] if number + 1 < len(placed) else shape[axis]
        ramps.append(_ramp(station, axis, reached, following))
        reached = max(reached, station.box[axis].stop)
    if fills and not skip_zeros:
        return _blend_planes(placed, ramps, shape, axis)
    order = _memory_order(placed)
    total = np.zeros(shape, dtype=np.float32, order=order)
    weights = np.zeros(shape, dtype=np.float32, order=order)
    for station, ramp in zip(placed, ramps, strict=True):
        total[station.box] += station.array * (ramp * np.float32(station.gain))
        weights[station.box] += ramp * (station.array != 0) if skip_zeros else ramp
    np.divide(total, weights, out=total, where=weights > 0)
    return total


def _blend_planes(
    placed: list[Placed], ramps: list[Array3D], shape: tuple[int, int, int], axis: int
) -> Array3D:
    """Return the mean of stations that fill their planes: written once, added up only in overlaps."""
    weights = np.zeros(shape[axis], dtype=np.float32)
    for station, ramp in zip(placed, ramps, strict=True):
        weights[station.box[axis]] += ramp.ravel()
    total = np.empty(shape, dtype=np.float32, order=_memory_order(placed))
    reached = 0
    for station, ramp in zip(placed, ramps, strict=True):
        start, stop = station.box[axis].start, station.box[axis].stop
        share = ramp * np.float32(station.gain) / weights[start:stop].reshape(ramp.shape)
        shared = min(max(reached - start, 0), stop - start)
        _planes(total, axis, reached, max(reached, start))[...] = 0.0
        before, after = (0, shared), (shared, stop - start)
        overlap = _planes(station.array, axis, *before) * _planes(share, axis, *before)
        _planes(total, axis, start, start + shared)[...] += overlap
        np.multiply(
            _planes(station.array, axis, *after),
            _planes(share, axis, *after),
            out=_planes(total, axis, start + shared, stop),
        )
        reached = max(reached, stop)
    return total


def _memory_order(placed: list[Placed]) -> Literal["C", "F"]:
    """Return the stations' own memory order: adding up across orders is ten times slower."""
    return "F" if placed[0].array.flags.f_contiguous else "C"


def _planes(array: Array3D, axis: int, start: int, stop: int) -> Array3D:
    """Return the planes from `start` to before `stop` along an axis, as a view."""
    return array[tuple(slice(start, stop) if d == axis else slice(None) for d in range(3))]


def _ramp(station: Placed, axis: int, reached: int, following: int) -> Array3D:
    """Return the station's weight along the stacking axis, 1 inside and linear over both overlaps."""
    count = station.array.shape[axis]
    before = max(reached - station.start[axis], 0)
    after = max(station.start[axis] + count - following, 0)
    index = np.arange(count, dtype=np.float32)
    ramp = np.minimum(1.0, np.minimum((index + 1) / (before + 1), (count - index) / (after + 1)))
    return ramp.astype(np.float32).reshape([count if d == axis else 1 for d in range(3)])
