"""What can be seen to be wrong in the images themselves: noise, motion, metal. Coded warnings.

Cut-offs stand beside what undisturbed images show, simulated ones mostly: they were chosen well outside of
it, so that a warning means something.
"""

from __future__ import annotations

from collections.abc import Mapping

import cc3d
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.components import find_components
from marrowmap.data.exam import Array3D, ExamWarning, Sequence, Volume
from marrowmap.data.noise import noise_sigma
from marrowmap.data.placement import resampled_like
from marrowmap.data.stations import QUANTITIES

#: Median signal of the body over the noise; simulated whole-body exams have 12 to 48.
LOW_SIGNAL = 5.0
#: Correlation of neighbouring voxels; real and simulated images have 0.9 and more, noise has 0.
NO_IMAGE_CORRELATION = 0.2
#: A slice with this part of its neighbours' mean signal lost some; simulated ones keep 0.86 and more.
DARK_SLICE = 0.7
#: Slices with less than this part of the brightest slice's mean signal show too little body to compare.
_SLICE_WITH_BODY = 0.25
#: Signal below this part of the body's median counts as none, in every sequence.
_VOID = 0.08
#: Smaller voids are vessels and gas bubbles; larger ones are lungs (ml).
_VOID_ML = (4.0, 250.0)
#: Spine and back muscles lie in this rear part of the body's voxels, bowel and arms do not.
_REAR, _SPINE_HALF_WIDTH_MM = 0.35, 60.0
_STRIDE = 3


def image_warnings(volumes: Mapping[Sequence, Volume]) -> list[ExamWarning]:
    """Return what is wrong with the images, empty when nothing is to be said.

    Args:
        volumes: The composed volumes by sequence.
    """
    warnings: list[ExamWarning] = []
    for sequence, volume in volumes.items():
        if sequence in QUANTITIES or min(volume.shape) < 3 or not volume.array.any():
            continue
        none = _no_image(sequence, volume)
        warnings += none or [*_low_signal(sequence, volume), *_dark_slices(sequence, volume)]
    return [*warnings, *_metal(volumes)]


def _no_image(sequence: Sequence, volume: Volume) -> list[ExamWarning]:
    """Return a warning where neighbouring voxels have nothing in common."""
    array = volume.array
    even = array[: array.shape[0] // 2 * 2 : 2, ::_STRIDE, ::_STRIDE].ravel()
    odd = array[1 : array.shape[0] // 2 * 2 : 2, ::_STRIDE, ::_STRIDE].ravel()
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
    ratio = _body_median(volume.array[::_STRIDE, ::_STRIDE, ::_STRIDE]) / sigma
    if ratio >= LOW_SIGNAL:
        return []
    text = (
        f"{sequence} has a signal of {ratio:.1f} times its noise, need {LOW_SIGNAL:g}; lesions may be missed"
    )
    return [ExamWarning(code="low_signal", text=text)]


def _body_median(array: Array3D) -> float:
    """Return the median signal above a quarter of the 95th percentile, 0 without signal."""
    positive = array[array > 0]
    if positive.size == 0:
        return 0.0
    return float(np.median(positive[positive > 0.25 * np.percentile(positive, 95)]))


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
    name = "xyz"[int(np.argmax(np.abs(volume.affine_ras_mm[:3, axis])))]
    text = (
        f"{dark.size} slice{'s' if dark.size > 1 else ''} of {sequence} lost up to {100 * loss:.0f} % of the "
        f"signal of their neighbours ({name} = {where}{' ...' if dark.size > 5 else ''} mm): motion"
    )
    return [ExamWarning(code="motion", text=text)]


def _place_mm(volume: Volume, axis: int, index: int) -> float:
    """Return where a slice's centre lies along the patient's axis nearest to its normal, RAS+ mm."""
    middle = np.array([*((n - 1) / 2 for n in volume.shape), 1.0])
    middle[axis] = index
    return float((volume.affine_ras_mm @ middle)[int(np.argmax(np.abs(volume.affine_ras_mm[:3, axis])))])


def _metal(volumes: Mapping[Sequence, Volume]) -> list[ExamWarning]:
    """Return a warning for voids at the lumbar spine that no sequence fills: metal.

    Elsewhere lungs, airways, bowel and the gaps beside arms and thighs are voids in everybody.
    """
    diffusion = volumes.get(Sequence.DWI_LOW) or volumes.get(Sequence.DWI_HIGH)
    others = [s for s in (Sequence.T1, Sequence.DIXON_IN, Sequence.STIR, Sequence.T2) if s in volumes]
    if diffusion is None or not others:
        return []
    coarse = _coarse(diffusion)
    other = resampled_like(volumes[others[0]], coarse)
    body = _filled_body(other.array, coarse)
    void = np.logical_and(*(v.array < _VOID * _body_median(v.array) for v in (other, coarse)))
    inside = np.asarray(ndimage.binary_erosion(body, iterations=2), dtype=bool) & _spine_band(body, coarse)
    voids = find_components(np.ascontiguousarray(void & inside))
    voxel_ml = float(abs(np.linalg.det(coarse.affine_ras_mm[:3, :3]))) / 1000
    places = []
    for voxels, centroid in zip(voids.voxels, voids.centroids, strict=True):
        if _VOID_ML[0] <= voxels * voxel_ml <= _VOID_ML[1]:
            x, y, z = (coarse.affine_ras_mm @ [*centroid, 1.0])[:3]
            places.append(f"({x:.0f}, {y:.0f}, {z:.0f}) mm, {voxels * voxel_ml:.0f} ml")
    if not places:
        return []
    more = f" and {len(places) - 3} more places" if len(places) > 3 else ""
    text = (
        f"no signal in any sequence at {'; '.join(places[:3])}{more}, at the lumbar spine: metal; "
        "what lies there cannot be judged"
    )
    return [ExamWarning(code="signal_void", text=text)]


def _coarse(volume: Volume) -> Volume:
    """Return every n-th voxel, so that the spacing is about 6 mm."""
    steps = [max(round(6.0 / s), 1) for s in volume.spacing_mm]
    affine = volume.affine_ras_mm.copy()
    affine[:3, :3] *= steps
    array = np.ascontiguousarray(volume.array[:: steps[0], :: steps[1], :: steps[2]])
    return Volume(array=array, affine_ras_mm=affine)


def _filled_body(array: Array3D, grid: Volume) -> npt.NDArray[np.bool_]:
    """Return the body without holes, filled slice by slice along the body."""
    rough = array > 0.15 * _body_median(array)
    largest = np.asarray(cc3d.largest_k(np.ascontiguousarray(rough), k=1, connectivity=6)) > 0
    closed = np.asarray(ndimage.binary_closing(np.pad(largest, 2), iterations=2))[2:-2, 2:-2, 2:-2]
    axis = int(np.argmax(np.abs(grid.affine_ras_mm[2, :3])))
    planes = [ndimage.binary_fill_holes(plane) for plane in np.moveaxis(closed, axis, 0)]
    return np.moveaxis(np.array(planes, dtype=bool), 0, axis)


def _spine_band(body: npt.NDArray[np.bool_], grid: Volume) -> npt.NDArray[np.bool_]:
    """Return the rear of the lower half of the body near its middle: where the lumbar spine is."""
    if not body.any():
        return np.zeros(body.shape, dtype=bool)
    index = np.meshgrid(*(np.arange(n) for n in body.shape), indexing="ij", sparse=True)
    x, y, z = (
        np.asarray(sum(a * i for a, i in zip(row[:3], index, strict=True)) + row[3])
        for row in grid.affine_ras_mm[:3]
    )
    across, depths, heights = (np.broadcast_to(v, body.shape)[body] for v in (x, y, z))
    bottom, top = float(heights.min()), float(heights.max())
    is_lumbar = (z > bottom + (top - bottom) / 4) & (z < (bottom + top) / 2)
    is_rear = y < np.quantile(depths, _REAR)
    return np.asarray(is_lumbar & is_rear & (np.abs(x - np.median(across)) < _SPINE_HALF_WIDTH_MM))
