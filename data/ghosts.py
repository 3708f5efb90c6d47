"""Faint copies of the body in the air beside it: echo-planar (N/2) ghosts and those of motion.

A ghost adds a few percent of the signal of one place to another, in diffusion too, where it can look like a
lesion or hide one. In air it can be measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.exam import Array3D, ExamWarning, Sequence, Volume
from marrowmap.data.frames import patient_axis_letter
from marrowmap.data.silhouette import axis_nearest, body_median, coarse_volume, filled_body

#: Share of the body's median signal; undisturbed simulated exams stay below 0.005 and real heads below 0.008,
#: simulated ghosts of 3 to 6 % reach 0.03 (noise swallows the rest), real echo-planar ones 0.02.
GHOST = 0.01
#: Parts of the field of view by which ghosts are moved: half of it for echo-planar readouts, less by motion.
_PARTS = (2, 3, 4, 5, 6, 7, 8)
#: Fewer voxels of air than this, inside and outside the copy, measure nothing.
_LEAST_VOXELS = 200
#: Ghosts are as large as the body: voxels of this size are enough (mm).
_SPACING_MM = 9.0


@dataclass(frozen=True, kw_only=True)
class Ghost:
    """The clearest copy of the body in the air beside it.

    Attributes:
        share: Its signal above that of other air, as a part of the body's median.
        axis: Array axis along which it is moved; that is the phase axis.
        shift_mm: How far it is moved.
    """

    share: float
    axis: int
    shift_mm: float


def ghost_in(volume: Volume) -> Ghost | None:
    """Return the clearest ghost across the body, None where there is no air to see one in.

    Args:
        volume: Any image with signal in arbitrary units, near the body's axes.
    """
    grid = coarse_volume(volume, _SPACING_MM)
    median = body_median(grid.array)
    if median == 0.0:
        return None
    body = filled_body(grid.array, grid)
    bright = grid.array > 0.15 * median
    air = ((grid.array > 0) & ~_grown(bright, 1) & ~_grown(body, 2)).astype(np.float32)
    signal, copy = air * grid.array, body.astype(np.float32)
    ghosts = []
    for axis, voxels in _shifts(body.shape, axis_nearest(grid, 2)):
        excess = _excess(signal, air, np.roll(copy, voxels, axis=axis))
        if excess is not None:
            step_mm = abs(voxels) * grid.spacing_mm[axis]
            ghosts.append(Ghost(share=excess / median, axis=axis, shift_mm=step_mm))
    return max(ghosts, key=lambda ghost: ghost.share, default=None)


def ghost_warning(sequence: Sequence, volume: Volume) -> list[ExamWarning]:
    """Return a warning where a sequence shows a ghost."""
    ghost = ghost_in(volume)
    if ghost is None or ghost.share < GHOST:
        return []
    name = patient_axis_letter(volume.affine_ras_mm, ghost.axis)
    text = (
        f"{sequence} shows a ghost of the body, {100 * ghost.share:.1f} % of its signal above other air, "
        f"moved {ghost.shift_mm:.0f} mm along {name}: a focus there may be a copy"
    )
    return [ExamWarning(code="ghosting", text=text)]


def _grown(mask: npt.NDArray[np.bool_], voxels: int) -> npt.NDArray[np.bool_]:
    return np.asarray(ndimage.binary_dilation(mask, iterations=voxels), dtype=bool)


def _shifts(shape: tuple[int, ...], along_body: int) -> Iterator[tuple[int, int]]:
    """Yield axis and shift in voxels of every ghost that is looked for."""
    for axis in range(3):
        for part in _PARTS if axis != along_body else ():
            voxels = shape[axis] // part
            yield from ((axis, voxels),) if part == 2 else ((axis, voxels), (axis, -voxels))


def _excess(signal: Array3D, air: Array3D, copy: Array3D) -> float | None:
    """Return by how much air inside a copy is brighter than air outside it.

    Args:
        signal: Signal of air, 0 elsewhere.
        air: 1 in air, 0 elsewhere.
        copy: 1 inside the copy, 0 elsewhere.
    """
    inside, total = float(np.vdot(air, copy)), float(air.sum(dtype=np.float64))
    outside = total - inside
    if min(inside, outside) < _LEAST_VOXELS:
        return None
    brightness = float(np.vdot(signal, copy))
    return brightness / inside - (float(signal.sum(dtype=np.float64)) - brightness) / outside
