"""What can be seen to be wrong in the images themselves: noise, motion, ghosts. Coded warnings.

Cut-offs stand beside what undisturbed images show, simulated ones mostly: they were chosen well outside of
it, so that a warning means something.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from marrowmap.data.breathing import breathing_warning
from marrowmap.data.exam import ExamWarning, Sequence, Volume
from marrowmap.data.frames import patient_axis, patient_axis_letter
from marrowmap.data.ghosts import ghost_warning
from marrowmap.data.noise import noise_sigma
from marrowmap.data.silhouette import body_median
from marrowmap.data.stations import QUANTITIES

#: Median signal of the body over the noise; simulated whole-body exams have 12 to 48.
LOW_SIGNAL = 5.0
#: Correlation of neighbouring voxels; real and simulated images have 0.9 and more, noise has 0.
NO_IMAGE_CORRELATION = 0.2
#: A slice with this part of its neighbours' mean signal lost some; simulated ones keep 0.86 and more.
DARK_SLICE = 0.7
#: Slices with less than this part of the brightest slice's mean signal show too little body to compare.
_SLICE_WITH_BODY = 0.25
_STRIDE = 3
#: So many pairs of neighbours tell a correlation.
_ENOUGH_PAIRS = 100_000
#: Images of the acquisition that the in-phase image shows as well: one look for ghosts is enough.
_SAME_ACQUISITION = (Sequence.DIXON_OUT, Sequence.DIXON_FAT, Sequence.DIXON_WATER)


def image_warnings(volumes: Mapping[Sequence, Volume]) -> list[ExamWarning]:
    """Return what is wrong with the composed volumes, empty when nothing is to be said."""
    warnings: list[ExamWarning] = []
    for sequence, volume in volumes.items():
        if sequence in QUANTITIES or min(volume.shape) < 3 or not volume.array.any():
            continue
        none = _no_image(sequence, volume)
        warnings += none or [
            *_low_signal(sequence, volume),
            *_dark_slices(sequence, volume),
            *breathing_warning(sequence, volume),
            *(ghost_warning(sequence, volume) if sequence not in _SAME_ACQUISITION else ()),
        ]
    return warnings


def _no_image(sequence: Sequence, volume: Volume) -> list[ExamWarning]:
    """Return a warning where neighbouring voxels have nothing in common."""
    array = volume.array
    step = max(_STRIDE, round((array.size / (2 * _ENOUGH_PAIRS)) ** 0.5))
    step = max(min(step, array.shape[1] // 3, array.shape[2] // 3), 1)
    even = array[: array.shape[0] // 2 * 2 : 2, ::step, ::step].ravel()
    odd = array[1 : array.shape[0] // 2 * 2 : 2, ::step, ::step].ravel()
    if even.std() == 0 or odd.std() == 0:
        return []
    correlation = float(np.corrcoef(even, odd)[0, 1])
    if correlation >= NO_IMAGE_CORRELATION:
        return []
    text = (
        f"{sequence} shows no image: neighbouring voxels have nothing in common (correlation "
        f"{correlation:.2f}): noise alone, or scrambled pixels"
    )
    return [ExamWarning(code="no_image", text=text)]


def _low_signal(sequence: Sequence, volume: Volume) -> list[ExamWarning]:
    """Return a warning where the body hardly stands out of the noise."""
    sigma = noise_sigma(volume.array)
    if sigma == 0.0:
        return []
    ratio = body_median(volume.array[::_STRIDE, ::_STRIDE, ::_STRIDE]) / sigma
    if ratio >= LOW_SIGNAL:
        return []
    text = (
        f"{sequence} has a signal of {ratio:.1f} times its noise, need {LOW_SIGNAL:g}; lesions may be missed"
    )
    return [ExamWarning(code="low_signal", text=text)]


def _dark_slices(sequence: Sequence, volume: Volume) -> list[ExamWarning]:
    """Return a warning where single slices are much darker than both neighbours: motion during diffusion."""
    axis = int(np.argmax(volume.spacing_mm))
    along = np.moveaxis(volume.array, axis, 0)[:, ::_STRIDE, ::_STRIDE]
    means = along.mean(axis=(1, 2), dtype=np.float64)
    if len(means) < 5 or means.max() == 0:
        return []
    neighbours = np.minimum(means[:-2], means[2:])
    with_body = neighbours > _SLICE_WITH_BODY * means.max()
    dark = np.flatnonzero(with_body & (means[1:-1] < DARK_SLICE * neighbours)) + 1
    if dark.size == 0:
        return []
    loss = 1 - float(np.min(means[dark] / neighbours[dark - 1]))
    where = ", ".join(f"{_place_mm(volume, axis, int(k)):.0f}" for k in dark[:5])
    name = patient_axis_letter(volume.affine_ras_mm, axis)
    text = (
        f"{dark.size} slice{'s' if dark.size > 1 else ''} of {sequence} lost up to {100 * loss:.0f} % of the "
        f"signal of their neighbours ({name} = {where}{' ...' if dark.size > 5 else ''} mm): motion"
    )
    return [ExamWarning(code="motion", text=text)]


def _place_mm(volume: Volume, axis: int, index: int) -> float:
    """Return where a slice's centre lies along the patient's axis nearest to its normal, RAS+ mm."""
    middle = np.array([*((n - 1) / 2 for n in volume.shape), 1.0])
    middle[axis] = index
    return float((volume.affine_ras_mm @ middle)[patient_axis(volume.affine_ras_mm, axis)])
