"""Where neighbouring stations meet: what they share, how much they differ, what is worth a warning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import Affine, Array3D, ExamWarning
from marrowmap.data.placement import Placed

#: A median step of this size left between two stations after equalising is worth a warning.
STRONG_SEAM = 0.25
#: Overlaps larger than this are thinned to measure what is left between two stations (voxels).
_ENOUGH_VOXELS = 40_000
#: Fewer shared body voxels than this say nothing about the gain.
MINIMUM_BODY_VOXELS = 50


@dataclass(frozen=True, kw_only=True)
class Seam:
    """Where two neighbouring stations meet.

    Attributes:
        position_ras_mm: Middle of the overlap (or gap), RAS+ mm, at the centre of the volume.
        overlap_mm: Length of the overlap along the stacking axis; negative where there is a gap.
        gain: Signal of the later station over the earlier, before equalising (1.0 when not measured).
        residual: Median absolute difference in the overlap over the median signal, after equalising; NaN
            without overlap.
    """

    position_ras_mm: tuple[float, float, float]
    overlap_mm: float
    gain: float
    residual: float


def shared_box(a: Placed, b: Placed) -> tuple[Array3D, Array3D]:
    """Return the two stations' voxels in the box that both cover, gains applied, possibly empty."""
    start = np.maximum(a.start, b.start)
    stop = np.minimum(np.add(a.start, a.array.shape), np.add(b.start, b.array.shape))
    stop = np.maximum(stop, start)
    cut = [tuple(slice(s, e) for s, e in zip(start - p.start, stop - p.start, strict=True)) for p in (a, b)]
    return a.array[cut[0]] * np.float32(a.gain), b.array[cut[1]] * np.float32(b.gain)


def body_of(array: Array3D) -> npt.NDArray[np.bool_]:
    """Return where there is signal: above a quarter of the 95th percentile, bool `(i, j, k)`."""
    positive = array[array > 0]
    return array > (0.25 * np.percentile(positive, 95) if positive.size else 0.0)


def seams_of(
    placed: list[Placed], ratios: list[float], axis: int, affine: Affine, shape: tuple[int, int, int]
) -> tuple[Seam, ...]:
    """Return what was seen where neighbouring stations meet; their gains are already found."""
    spacing = float(np.linalg.norm(affine[:3, axis]))
    seams = []
    for a, b, ratio in zip(placed[:-1], placed[1:], ratios, strict=True):
        end = a.start[axis] + a.array.shape[axis]
        middle = np.array([*((n - 1) / 2 for n in shape), 1.0])
        middle[axis] = (end + b.start[axis] - 1) / 2
        x, y, z = (float(v) for v in (affine @ middle)[:3])
        seams.append(
            Seam(
                position_ras_mm=(x, y, z),
                overlap_mm=(end - b.start[axis]) * spacing,
                gain=ratio,
                residual=_residual(*shared_box(a, b)),
            )
        )
    return tuple(seams)


def _residual(first: Array3D, second: Array3D) -> float:
    """Return the median absolute difference over the median signal of the shared body, NaN without any.

    Of large overlaps every other voxel along the two longer axes is looked at: a median needs no more.
    """
    if first.size > _ENOUGH_VOXELS:
        shortest = int(np.argmin(first.shape))
        thin = tuple(slice(None, None, 1 if axis == shortest else 2) for axis in range(3))
        first, second = first[thin], second[thin]
    body = body_of(first) & body_of(second)
    if np.count_nonzero(body) < MINIMUM_BODY_VOXELS:
        return float("nan")
    a, b = first[body], second[body]
    return float(2 * np.median(np.abs(a - b)) / (np.median(a) + np.median(b)))


def seam_warnings(seams: tuple[Seam, ...], spacing_mm: float) -> tuple[ExamWarning, ...]:
    """Return a warning for every gap and every strong seam."""
    warnings = []
    for seam in seams:
        z = seam.position_ras_mm[2]
        if seam.overlap_mm < -0.5 * spacing_mm:
            text = f"nothing was imaged over {-seam.overlap_mm:.0f} mm between two stations at z = {z:.0f} mm"
            warnings.append(ExamWarning(code="station_gap", text=text))
        elif seam.residual > STRONG_SEAM:
            text = f"stations differ by {100 * seam.residual:.0f} % in their overlap at z = {z:.0f} mm"
            warnings.append(ExamWarning(code="strong_seam", text=text))
    return tuple(warnings)
