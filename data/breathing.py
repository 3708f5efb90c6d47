"""Breathing seen as steps between slices: the front of the trunk saw-toothed from slice to slice.

Axial slices are taken in two packages, odd and even; a person who lies at another depth of breath for the
second one has a front that steps to and fro. Real bodies bend, but do not alternate. Breathing that smears
one slice cannot be told from soft borders in one image, and is not looked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import ExamWarning, Sequence, Volume
from marrowmap.data.silhouette import axis_nearest, body_median

#: A step of this size, mm, in the median of so many slices on end is told. Nine simulated volumes without
#: such steps reach 3.0, real heads and pelves 2.1 (voxels of 3 mm); simulated breaths of 6.8 mm measure 6.7.
STEP_MM = 4.5
_SLICES = 11
#: In so many of them the step must go the way that alternation says.
_AGREEING = 0.9
#: Slices nearer than this, mm, or voxels wider than this in them, show no steps of a breath.
_LEAST_SLICE_MM, _WIDEST_MM = 2.0, 4.0
#: The front is looked at over this middle part of the body's width.
_MIDDLE = 0.5
#: Signal above this part of the slice's own median is body: slices that are darker as a whole do not step.
_BODY = 0.35
#: Images whose outline is sure; the in-phase image and its fellows are taken in one breath-hold.
_OUTLINED = (Sequence.T1, Sequence.T2, Sequence.STIR, Sequence.T1_CONTRAST, Sequence.DWI_LOW)


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The strongest steps of the front.

    Attributes:
        step_mm: From one slice to the next, median over some slices on end.
        z_mm: Middle of these slices, RAS+.
    """

    step_mm: float
    z_mm: float


def steps_in(volume: Volume) -> Steps | None:
    """Return the strongest steps of the body's front, None where the volume cannot show any.

    Args:
        volume: Axial slices, arbitrary signal. Not high-b diffusion: its outline is noise where it is dark.
    """
    spacing = volume.spacing_mm
    across = int(np.argmax(np.abs(volume.affine_ras_mm[2, :3])))
    if spacing[across] < _LEAST_SLICE_MM or spacing[across] < 0.999 * max(spacing):
        return None
    if volume.shape[across] < _SLICES + 2 or min(volume.shape) < 8 or sorted(spacing)[1] > _WIDEST_MM:
        return None
    right, forward = (axis_nearest(volume, patient) for patient in (0, 1))
    if {right, forward, across} != {0, 1, 2}:
        return None
    array = volume.array.transpose(right, forward, across)
    is_flipped = volume.affine_ras_mm[1, forward] < 0
    fronts_mm = _fronts(array[:, ::-1] if is_flipped else array) * spacing[forward]
    found = _strongest(fronts_mm)
    if found is None:
        return None
    middle = np.array([(n - 1) / 2 for n in volume.shape])
    middle[across] = found[1]
    return Steps(step_mm=found[0], z_mm=float((volume.affine_ras_mm @ [*middle, 1.0])[2]))


def breathing_warning(sequence: Sequence, volume: Volume) -> list[ExamWarning]:
    """Return a warning where a sequence shows steps of breathing."""
    steps = steps_in(volume) if sequence in _OUTLINED else None
    if steps is None or steps.step_mm < STEP_MM:
        return []
    text = (
        f"the front of the body steps by {steps.step_mm:.1f} mm from slice to slice of {sequence} around z = "
        f"{steps.z_mm:.0f} mm: breathing between odd and even slices; ribs and sternum lie unsteadily there"
    )
    return [ExamWarning(code="breathing", text=text)]


def _fronts(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return where the body's front lies in every slice, in voxels, NaN without a body.

    Args:
        array: `(right, forward, up)`.
    """
    fronts = np.full(array.shape[2], np.nan)
    whole = body_median(array[::3, ::3, ::3])
    for k in range(array.shape[2]):
        plane = array[:, :, k]
        level = body_median(plane[::3, ::3])
        if level < 0.3 * whole or level == 0.0:
            continue
        body = plane > _BODY * level
        columns = np.flatnonzero(body.sum(axis=1) >= 8)
        if columns.size < 16:
            continue
        middle, half = float(np.median(columns)), 0.5 * _MIDDLE * columns.size
        used = columns[np.abs(columns - middle) <= half]
        last = body.shape[1] - 1 - np.argmax(body[used, ::-1], axis=1)
        fronts[k] = float(np.mean(_between(plane, used, last, _BODY * level)))
    return fronts


def _between(
    plane: npt.NDArray[np.float32], rows: npt.NDArray[np.intp], last: npt.NDArray[np.intp], level: float
) -> npt.NDArray[np.float64]:
    """Return where the signal falls below a level between the last voxel of the body and the next."""
    following = np.minimum(last + 1, plane.shape[1] - 1)
    inner, outer = plane[rows, last].astype(np.float64), plane[rows, following].astype(np.float64)
    fall = inner - outer
    share = np.where(fall > 0, (inner - level) / np.maximum(fall, 1e-9), 0.0)
    return last.astype(np.float64) + share


def _strongest(fronts_mm: npt.NDArray[np.float64]) -> tuple[float, int] | None:
    """Return the strongest alternation of some slices on end, mm, and the middle slice of these.

    Args:
        fronts_mm: Of every slice, NaN without a body.

    Returns:
        None where no such run of slices has a body.
    """
    sign = np.where(np.arange(fronts_mm.size) % 2, 1.0, -1.0)[1:-1]
    bend = sign * (fronts_mm[1:-1] - 0.5 * (fronts_mm[:-2] + fronts_mm[2:]))
    if bend.size < _SLICES:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(bend, _SLICES)
    first = np.flatnonzero(~np.isnan(windows).any(axis=1))
    if not first.size:
        return None
    step = np.median(windows[first], axis=1)
    agreeing = np.mean(np.sign(windows[first]) == np.sign(step)[:, None], axis=1)
    step = np.where(agreeing >= _AGREEING, np.abs(step), 0.0)
    best = int(np.argmax(step))
    return float(step[best]), int(first[best]) + 1 + _SLICES // 2
