"""A piece of an exam: where it starts and how it is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowmap.training.cache import Points, PreparedExam
from marrowmap.training.config import StreamSettings

#: A lesion's voxel is kept this far from the patch's faces, where the patch allows.
MARGIN_VOXELS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Patch:
    """A piece of an exam.

    Attributes:
        image: float32 `(c, i, j, k)` in network units.
        lesions: uint16 `(i, j, k)` lesion ids.
        regions: uint8 `(i, j, k)`.
    """

    image: npt.NDArray[np.float32]
    lesions: npt.NDArray[np.uint16]
    regions: npt.NDArray[np.uint8]


def draw_start(
    exam: PreparedExam, settings: StreamSettings, rng: np.random.Generator
) -> tuple[int, int, int]:
    """Return the first voxel of a random patch: near a lesion, on the skeleton, or in the body.

    Lesions count equally whatever their size, and so do regions: otherwise pelvis and skull would
    crowd out the cervical spine.
    """
    draw = rng.random()
    points: Points = exam.body_points
    if draw < settings.near_lesion and len(exam.lesion_points):
        points = _of_one_label(exam.lesion_points, rng)
    elif draw < settings.near_lesion + settings.on_skeleton and len(exam.region_points):
        points = _of_one_label(exam.region_points, rng)
    voxel = points[int(rng.integers(len(points)))][-3:].astype(int)
    start = []
    for axis, side in enumerate(settings.patch_size):
        margin = min(MARGIN_VOXELS, side // 4)
        first = voxel[axis] - int(rng.integers(margin, side - margin))
        start.append(max(0, min(int(first), exam.lesions.shape[axis] - side)))
    return start[0], start[1], start[2]


def _of_one_label(points: Points, rng: np.random.Generator) -> Points:
    labels = np.unique(points[:, 0])
    return points[points[:, 0] == labels[int(rng.integers(len(labels)))]]


def crop(
    exam: PreparedExam,
    start: tuple[int, int, int],
    size: tuple[int, int, int],
    shifts: npt.NDArray[np.int_] | None = None,
) -> Patch:
    """Return a patch of an exam, zero where the exam ends before the patch does.

    Args:
        exam: The exam.
        start: First voxel.
        size: Voxels per axis.
        shifts: int `(c, 3)`, displacement of each channel against the labels; None for none.
    """
    channels = exam.image.shape[0]
    image = np.zeros((channels, *size), dtype=np.float32)
    for channel in range(channels):
        shift = (0, 0, 0) if shifts is None else shifts[channel]
        _copy(exam.image[channel], image[channel], start, shift)
    lesions, regions = np.zeros(size, dtype=np.uint16), np.zeros(size, dtype=np.uint8)
    _copy(exam.lesions, lesions, start, (0, 0, 0))
    _copy(exam.regions, regions, start, (0, 0, 0))
    return Patch(image=image, lesions=lesions, regions=regions)


def _copy(
    source: npt.NDArray[np.generic],
    target: npt.NDArray[np.generic],
    start: Sequence[int],
    shift: Sequence[int] | npt.NDArray[np.int_],
) -> None:
    """Copy the window at `start + shift` of the source into the target, as far as the source reaches."""
    into, taken = [], []
    for axis in range(3):
        first = start[axis] + int(shift[axis])
        low, high = max(first, 0), min(first + target.shape[axis], source.shape[axis])
        taken.append(slice(low, high))
        into.append(slice(low - first, high - first))
    target[tuple(into)] = source[tuple(taken)]
